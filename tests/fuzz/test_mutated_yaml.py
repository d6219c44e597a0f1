"""Whatever a recommender.yaml holds, it is read or every problem of it is named."""

from pathlib import Path

import pytest
import yaml
from fuzzing import share
from hypothesis import example, given
from hypothesis import strategies as st
from mutations import damaged, values

from shoploop.api import loading
from shoploop.api.unbuilt import refuse_unbuilt
from shoploop.api.v1alpha1 import RecommenderSpec

pytestmark = pytest.mark.timeout(3600)

WHOLE = """\
apiVersion: shoploop.io/v1alpha1
kind: Recommender
metadata:
  name: grocery
  labels: {team: search}
spec:
  data:
    tables:
      interactions:
        uri: events.csv
        columns: {user: customer, category: [department, aisle]}
        timeZone: Europe/Berlin
        timeFormat: ["%d.%m.%Y", iso]
        kinds: {order: purchase}
      items: {uri: "products.csv"}
  training: {evaluationDays: 14, trainingDays: 42, epochs: 2, resources: {cpu: 2, memory: 4Gi}}
  gate: {rule: NotWorse, margin: 1e-3}
  serving: {replicas: 2, itemFields: [title]}
  retention: {runs: 3}
  schedule: {cron: "0 3 * * *"}
"""
ODD = [
    "null", "~", "yes", "0o17", "0x1F", "1_000", "1e400", ".inf", ".nan", "-0", "9" * 30, "9" * 5000, "2026-01-01",
    "2026-01-01T00:00:00Z",
    "12:30:45", "!!python/object/apply:os.system [id]", "!!binary aGk=", "!!set {a}", "!!timestamp x", "!!int x",
    "!!float x", "!!bool x",
    "!!omap [a: 1]", "!custom x", "&a [*a]", "*nowhere", "&a b", "<<", "{<<: {a: 1}}", "{<<: 1}", "{<<: [1]}", "|",
    ">-", "'", '"', '"\\x"',
    '"\\ud800"', '"\\U00110000"', "[", "{", "]", "{a: 1, a: 2}", "? [a]", "? ", "- ", "---", "...", "%YAML 9.9",
    "%TAG ! x", "@", "`", "\t", "\x00",
    "\ufeff", "\u2028", "\x85", "x" * 20_000, "[" * 500, "{a: " * 500, "[[]]", "a: b: c", "# x", "=", "é", "🫖", "''",
    "{}", "[]", "-1", "1.5",
]  # fmt: skip


@st.composite
def _changed(draw: st.DrawFn, node: object) -> object:
    """The same document with something else in one place."""
    if isinstance(node, dict) and node and draw(st.integers(0, 4)):
        key = draw(st.sampled_from(sorted(node)))
        changed = dict(node)
        match draw(st.sampled_from(["inside", "inside", "inside", "rename", "drop", "add"])):
            case "inside":
                changed[key] = draw(_changed(node[key]))
            case "rename":
                changed[draw(st.text(max_size=8) | st.sampled_from([f"{key}s", key.lower(), f"{key} ", key[:-1]]))] = (
                    changed.pop(key)
                )
            case "drop":
                del changed[key]
            case "add":
                changed[draw(st.text(max_size=8) | st.sampled_from(FIELDS))] = draw(values)
        return changed
    if isinstance(node, list) and node and draw(st.booleans()):
        return [*node[:-1], draw(_changed(node[-1]))]
    return draw(
        values | st.sampled_from([-1, 0, 1, 10**30, 1e300, True, "", " ", "Auto", "x" * 300, [], {}, [[]], {"a": None}])
    )


FIELDS = sorted(field.alias or name for name, field in RecommenderSpec.model_fields.items())


@st.composite
def specs(draw: st.DrawFn) -> bytes:
    """The text with other pieces in it, or the document with other values, written down again; perhaps damaged."""
    text = WHOLE
    if draw(st.booleans()):
        document: object = yaml.safe_load(WHOLE)
        for _ in range(draw(st.integers(1, 3))):
            document = draw(_changed(document))
        text = yaml.safe_dump(document, allow_unicode=True, default_flow_style=draw(st.sampled_from([None, True])))
    for _ in range(draw(st.integers(0, 3))):
        lines = text.split("\n")
        place = draw(st.integers(0, 1000)) % len(lines)
        name, colon, _ = lines[place].partition(":")
        odd = draw(st.sampled_from(ODD))
        lines[place] = draw(
            st.sampled_from(
                [f"{name}{colon} {odd}", odd, f"{lines[place]}{odd}", f"\t{lines[place]}", lines[place - 1]]
            )
        )
        text = "\n".join(lines)
    raw = text.encode("utf-8", "replace")
    return draw(damaged(raw)) if draw(st.integers(0, 2)) == 0 else raw


@share(0.15)
@given(content=specs())
@example(content=b'kind: "\\U00110000"')
@example(content=b'kind: "\\UFFFFFFFF"')
def test_yaml(tally, tmp_path, content):
    tally.counts["inputs"] += 1
    path: Path = tmp_path / "recommender.yaml"
    path.write_bytes(content)
    try:
        refuse_unbuilt(loading.load(path).spec, place="Machine")
    except BaseException as error:
        tally.refused_or(error, "read", content)
    else:
        tally.counts["read"] += 1
