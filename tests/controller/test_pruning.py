"""The store is pruned by a small Job, once for each set of versions that stay, and never while something is under way."""

import pytest
from worlds import situation

from shoploop.controller.decide.pruning import prune


@pytest.fixture
def look(make_recommender, make_version, settings):
    """What is pruned of five versions of which two stay for being new."""

    def make(*jobs, in_use=frozenset(), settled=True, versions=5):
        made = [make_version(f"v00000000000{number}") for number in range(1, versions + 1)]
        for number, version in enumerate(made):
            version["metadata"]["creationTimestamp"] = f"2026-03-02T0{number}:00:00Z"
        about = situation(make_recommender(retention={"versions": 2}), *made, *jobs, settings=settings)
        return prune(about, set(in_use), settled=settled)

    return make


def arguments(job):
    return job["spec"]["template"]["spec"]["containers"][0]["args"]


def kept(job):
    return {word.removeprefix("--keep=") for word in arguments(job) if word.startswith("--keep=")}


def test_the_job_is_told_every_version_that_still_has_a_record(look):
    pruned = look(in_use={"v000000000001"})

    (job,) = pruned.apply
    assert kept(job) == {"v000000000001", "v000000000004", "v000000000005"}
    assert {name for _, name in pruned.versions} == {"grocery-v000000000002", "grocery-v000000000003"}
    assert arguments(job)[:4] == ["python", "-m", "shoploop.runs", "gc"]


def test_one_job_does_for_one_set_of_versions(look):
    (job,) = look().apply

    assert look(job).apply == ()
    assert look(job).delete == ()


def test_another_set_of_versions_is_another_job_and_the_old_one_goes(look):
    (job,) = look().apply

    other = look(job, in_use={"v000000000001"})

    assert other.apply and other.delete == (("Job", job["metadata"]["name"]),)


def test_nothing_is_looked_at_while_something_is_under_way(look):
    assert look(settled=False).apply == ()


def test_few_versions_are_no_reason_to_look(look):
    assert look(versions=1).apply == ()


def test_over_a_month_of_nights_other_weights_stay_and_one_night_can_be_gone_back_to(
    make_recommender, make_version, settings
):
    shop, there = make_recommender(retention={"versions": 2}), []
    for number, version in enumerate(["va", "vb", *(f"r{night:02}" for night in range(20))]):
        made = make_version(f"{version:0<13}")
        made["metadata"]["creationTimestamp"] = f"2026-03-{number + 1:02}T00:00:00Z"
        if version.startswith("r"):
            made["spec"] |= {"parent": there[-1]["spec"]["version"]}
            made["spec"]["lineage"] = {"data": version, "trained": "b", "weights": f"{'vb':0<13}"}
        there.append(made)
        gone = {name for _, name in prune(situation(shop, *there, settings=settings), set(), settled=True).versions}
        there = [one for one in there if one["metadata"]["name"] not in gone]
    assert [one["spec"]["version"].rstrip("0") for one in there] == ["va", "vb", "r18", "r19"]
