"""Settings written into a recommender.yaml: the person's own text with a few numbers changed, comments and all.

Where a number stands is found by YAML's own parser; the text between stays as it is. What comes out is read again and held
against what was meant.
"""

import difflib
from collections.abc import Mapping

import yaml

from shoploop.api.loading import parse
from shoploop.errors import SpecInvalid
from shoploop.tuning.settings import Settings, changed, present, tidy


def proposed(text: str, settings: Settings, *, source: str) -> str:
    """The YAML with other settings below ``spec.training``.

    Args:
        text: Of a recommender.yaml, which may hold other objects too.
        settings: By their names in YAML.
        source: Names the text in errors.

    Raises:
        SpecInvalid: it is no Recommender, or written so that numbers cannot be put into its text (anchors, merges).
    """
    before = parse(text, source=source)
    wanted = changed(before.spec.training, settings)
    new = _edited(text, settings)
    try:
        after = parse(new, source=source)
    except SpecInvalid as error:
        raise _by_hand(source, settings) from error
    spec = before.spec.model_copy(update={"training": wanted})
    if after.model_dump() != before.model_copy(update={"spec": spec}).model_dump():
        raise _by_hand(source, settings)
    return new


def check_changeable(text: str, *, source: str) -> None:
    """Makes sure that whatever is searched can be put into the text.

    Raises:
        SpecInvalid: see :func:`proposed`.
    """
    now = present(parse(text, source=source).spec.training)
    others = {
        "learningRate": now["learningRate"] / 2,
        "epochs": 1 if now["epochs"] == 2 else 2,
        "adversarialRadius": 0.2 if now["adversarialRadius"] == 0.1 else 0.1,
    }
    try:
        proposed(text, tidy(others), source=source)
    except SpecInvalid as error:
        raise SpecInvalid(
            f"{source} is written in a way that numbers cannot be put into (anchors or merges, perhaps), so nothing could be "
            f"proposed. Write {', '.join(now)} below spec.training as plain numbers, or leave them out."
        ) from error


def difference(before: str, after: str, *, name: str) -> str:
    """What changes, as a unified diff."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), name, f"{name} (proposed)", n=2
    )
    return "".join(line if line.endswith("\n") else line + "\n" for line in lines)


def _by_hand(source: str, settings: Settings) -> SpecInvalid:
    values = ", ".join(f"{name}: {value}" for name, value in settings.items())
    return SpecInvalid(
        f"{source} is written in a way that numbers cannot be put into (anchors or merges, perhaps). Write below "
        f"spec.training by hand: {values}."
    )


def _edited(text: str, settings: Settings) -> str:
    edits: list[tuple[int, int, str]] = []
    documents = list(yaml.compose_all(text, yaml.SafeLoader))
    for document in documents:
        spec, kind = _value(document, "spec"), _scalar(_value(document, "kind"))
        ours = kind == "Recommender" or len(documents) == 1  # one alone need not say what it is
        if isinstance(spec, yaml.MappingNode) and ours:
            edits = _edits(spec, settings)
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _edits(spec: yaml.MappingNode, settings: Settings) -> list[tuple[int, int, str]]:
    """Start, end and what comes there."""
    training = _value(spec, "training")
    if not settings:
        return []
    if training is None:
        return [_insertion(spec, {"training": _flow(settings)})]
    if not isinstance(training, yaml.MappingNode):  # written and left empty
        at = training.start_mark.index
        return [(at, training.end_mark.index, f" {_flow(settings)}")]
    edits = []
    missing: dict[str, str] = {}
    for name, value in settings.items():
        node = _value(training, name)
        if node is None:
            missing[name] = _number(value)
        else:
            edits.append((node.start_mark.index, node.end_mark.index, _number(value)))
    return edits + ([_insertion(training, missing)] if missing else [])


def _insertion(mapping: yaml.MappingNode, entries: Mapping[str, str]) -> tuple[int, int, str]:
    """Puts entries before a mapping's first, in its own style."""
    start = mapping.start_mark.index
    lines = [f"{name}: {value}" for name, value in entries.items()]
    if mapping.flow_style:
        return start + 1, start + 1, ", ".join(lines) + (", " if mapping.value else "")
    column = mapping.start_mark.column
    return start, start, "".join(f"{line}\n{' ' * column}" for line in lines)


def _value(node: yaml.Node | None, name: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for key, value in node.value if _scalar(key) == name), None)


def _scalar(node: yaml.Node | None) -> str | None:
    return node.value if isinstance(node, yaml.ScalarNode) else None


def _flow(settings: Settings) -> str:
    return "{" + ", ".join(f"{name}: {_number(value)}" for name, value in settings.items()) + "}"


def _number(value: float | int) -> str:
    """As YAML 1.1 reads it back as a number: 1e-05 would be a word there."""
    text = f"{value:.10f}".rstrip("0") if isinstance(value, float) else str(value)
    return text + "0" if text.endswith(".") else text
