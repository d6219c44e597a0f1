"""What it looks like to a shopper: a few households, what each bought lately, what it is shown, and what it took."""

from shoploop.report import frame
from shoploop.report.run_folder import Json, RunFolder

SHOWN, RECENT = 6, 8


def examples(run: RunFolder) -> frame.Section:
    found: list[Json] = run.part("evaluation").get("examples") or []
    if not found:
        return frame.missing("examples", "What shoppers are shown", "The evaluation has no examples.")
    cards = [_card(example) for example in found[:SHOWN]]
    return frame.Section(
        id="examples",
        title="What shoppers are shown",
        lead="Visits of the measured days: what the model knew, what it showed, and what the shopper then took home.",
        body=frame.render("examples.html", examples=cards),
    )


def _card(example: Json) -> Json:
    picks: list[Json] = example.get("recommended") or []
    recent, truth = _texts(example.get("recent")), _texts(example.get("truth"))
    hits = {str(pick.get("title")) for pick in picks if pick.get("bought")}
    return {
        "user": str(example.get("user")),
        "hits": sum(bool(pick.get("bought")) for pick in picks),
        "shown": len(picks),
        "recent": _some(recent),
        "missed": _some([title for title in truth if title not in hits]),
        "picks": [
            {
                "title": str(pick.get("title") or pick.get("item")),
                "reason": str(pick.get("reason") or ""),
                "bought": bool(pick.get("bought")),
            }
            for pick in picks
        ],
    }


def _texts(values: object) -> list[str]:
    return list(dict.fromkeys(str(value) for value in values)) if isinstance(values, list) else []


def _some(titles: list[str]) -> str:
    """The first few, and how many more there are."""
    more = len(titles) - RECENT
    return " · ".join(titles[:RECENT]) + (f" and {more} more" if more > 0 else "")
