"""What the sections of a model's further surfaces, search and shops, have in common."""

from collections.abc import Callable, Mapping

from markupsafe import Markup

from shoploop.report import frame, words
from shoploop.report.run_folder import Json


def counted(title: str, value: object, note: str = "") -> list[frame.Fact]:
    """A number that a step may not have told."""
    return [frame.Fact(title=title, value=words.count(value), note=note)] if words.is_number(value) else []


def found_and_alpha(*, reached: object, of_what: str, surface: str, alpha: object) -> list[frame.Fact]:
    """The share of what was right that candidates hold, and the surface's α, where steps have told them."""
    facts = []
    if words.is_number(reached):
        facts.append(frame.Fact(title="Can be found", value=words.percent(reached), note=of_what))
    if words.is_number(alpha):
        note = "share of the DNN, 0 to 1; its own"
        facts.append(frame.Fact(title=f"α of {surface}", value=words.decimal(alpha, 3), note=note))
    return facts


def slices_table(
    caption: str,
    slices: Mapping[str, Json],
    methods: Mapping[str, Json],
    *,
    metric: str,
    titles: Mapping[str, str],
    noun: str,
    value: Callable[[Json, str], object],
) -> Markup:
    """A line for each method, best first, and a column for each part of what was judged.

    Args:
        caption: Above it.
        slices: By name; each has a count under ``noun``.
        methods: By name, of the whole.
        metric: By which they are ordered.
        titles: Of slices; others have their names.
        noun: What is counted, in the plural.
        value: The number of a slice and a method's name.
    """
    columns = [frame.Column(title="Method")]
    columns += [
        frame.Column(
            title=titles.get(name, words.plain(name)), numeric=True, hint=f"{words.count(part.get(noun))} {noun}"
        )
        for name, part in slices.items()
    ]
    rows = [
        frame.Row(
            cells=[words.method(name).title, *(words.decimal(value(part, name)) for part in slices.values())],
            emphasis=words.method(name).kind == "ours",
        )
        for name in sorted(methods, key=lambda name: -float(methods[name].get(metric) or 0))
    ]
    return frame.table(caption, columns, rows, show_caption=True)
