"""What the operator makes for one tenant lies in that tenant's namespace, and takes nothing from another's."""

import pytest


def everywhere(value, key):
    """Every value of a field, however deep."""
    if isinstance(value, dict):
        yield from (inner for name, inner in value.items() if name == key)
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from everywhere(inner, key)


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("namespace", ["north", "south"])
def test_all_that_is_made_lies_in_the_tenants_namespace(make_recommender, plan, namespace, nodes):
    recommender = make_recommender(
        meta={"namespace": namespace}, training={"nodes": nodes, "placement": {"queue": f"{namespace}-queue"}},
        store={"uri": f"s3://shop/{namespace}"},
    )  # fmt: skip
    made = plan(recommender).apply
    assert made and {one["metadata"]["namespace"] for one in made} == {namespace}
    assert set(everywhere(list(made), "namespace")) == {namespace}, "no reference leads out of it"
    queues = set(everywhere(list(made), "kueue.x-k8s.io/queue-name"))
    assert queues <= {f"{namespace}-queue"}
    other = {"north": "south", "south": "north"}[namespace]
    assert other not in str(made)
