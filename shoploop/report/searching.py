"""How well queries are answered, for a run that was asked for search: every method, the differences, and for which queries.

It must not let made queries pass for typed ones: where the numbers come from stands above them.
"""

from markupsafe import Markup

from shoploop.report import frame, words
from shoploop.report.results import MAIN, differences, legend, methods_table
from shoploop.report.run_folder import Json, RunFolder
from shoploop.report.surfaces import counted, found_and_alpha, slices_table

TITLE = "Search"

_ORIGINS = {
    "typed": ("The queries are what people typed; right is what was taken after them.", "plain"),
    "made of names": (
        "Nobody typed these queries. Each is one or two words from the name, brand or kind of something that was bought, "
        "and right is what the shopper bought that day and has these words. So the numbers do not show how people type: "
        "none of the queries is misspelt, and all use the shop's own words. With a table of searches "
        "(spec.data.tables.searches) they would.",
        "warn",
    ),
    "typed and made of names": (
        "Few of these queries were typed, as the shop has only begun to keep them: the others are words from the name, brand "
        "or kind of something that was bought, which do not show how people type.",
        "warn",
    ),
}
"""By what the samples' step says of the queries: a sentence, and its tone."""


def section(run: RunFolder) -> frame.Section:
    """The section of a run's report."""
    found: Json = run.part("evaluation").get("search") or {}
    methods: dict[str, Json] = found.get("methods") or {}
    if not methods:
        return frame.missing("search", TITLE, "The evaluation has no numbers of queries.")
    parts = [_origin(run), frame.facts(_facts(run, found)), legend(methods)]
    parts.append(methods_table("Queries by method", methods, MAIN, {}))
    if comparisons := found.get("comparisons"):
        parts.append(frame.render("heading.html", text="This version less each other, query by query"))
        parts.append(differences(comparisons, "queries"))
    if slices := found.get("slices"):
        parts += [frame.render("heading.html", text="For which queries it works"), _slices(slices, methods)]
    return frame.Section(
        id="search",
        title=TITLE,
        lead="The same model answers queries. Each method answered the same ones of the days of evaluation, and its ten best "
        "products are judged by what was taken.",
        body=frame.join(*parts),
    )


def _origin(run: RunFolder) -> Markup:
    said = (run.documents.get("samples", {}).get("search") or {}).get("queries")
    sentence, tone = _ORIGINS.get(str(said), ("No step has said where the queries come from.", "warn"))
    return frame.note(sentence, tone)


def _facts(run: RunFolder, found: Json) -> list[frame.Fact]:
    learned = ((run.documents.get("training", {}).get("search") or {}).get("requests") or {}).get("train")
    splits = (run.documents.get("samples", {}).get("search") or {}).get("splits") or {}
    return [
        frame.Fact(title="Queries judged", value=words.count(found.get("queries"))),
        *counted("Learned from", learned, "queries"),
        *found_and_alpha(
            reached=(splits.get("evaluation") or {}).get("candidate_recall"),
            of_what="of what was taken, by names or memory",
            surface="search",
            alpha=found.get("alpha"),
        ),
    ]


def _slices(slices: dict[str, Json], methods: dict[str, Json]) -> Markup:
    return slices_table(
        "NDCG@10 by kind of query, higher is better",
        slices,
        methods,
        metric=MAIN[0],
        titles=_SLICES,
        noun="queries",
        value=lambda part, name: part.get(name),
    )


_SLICES = {
    "query_not_seen_before": "Nobody had asked so before",
    "user_not_known": "Of somebody who is not known",
    "bought": "What was bought, not only clicked",
}
