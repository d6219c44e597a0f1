"""How well the next shop is foreseen, for a run that was asked for shops: every method, and on which visits."""

from markupsafe import Markup

from shoploop.report import frame, words
from shoploop.report.results import differences, legend, methods_table
from shoploop.report.run_folder import Json, RunFolder
from shoploop.report.surfaces import counted, found_and_alpha, slices_table

TITLE = "Shops"
METRICS = ("hit@1", "mrr")


def section(run: RunFolder) -> frame.Section:
    """The section of a run's report."""
    found: Json = run.part("evaluation").get("shops") or {}
    methods: dict[str, Json] = found.get("methods") or {}
    if not methods:
        return frame.missing("shops", TITLE, "The evaluation has no numbers of shops.")
    parts = [frame.facts(_facts(run, found)), legend(methods)]
    parts.append(methods_table("Shops by method", methods, METRICS, {}))
    if comparisons := found.get("comparisons"):
        parts.append(frame.render("heading.html", text="This version less each other, visit by visit"))
        parts.append(differences(comparisons, "visits"))
    if slices := found.get("slices"):
        parts += [frame.render("heading.html", text="On which visits it works"), _slices(slices, methods)]
    return frame.Section(
        id="shops",
        title=TITLE,
        lead="The same model says which shop somebody goes to next. Each method was asked before the day of each visit "
        "in the days of evaluation; right is the shop where most was bought. Intervals draw shoppers whole.",
        body=frame.join(*parts),
    )


def _facts(run: RunFolder, found: Json) -> list[frame.Fact]:
    learned = ((run.documents.get("training", {}).get("shops") or {}).get("requests") or {}).get("train")
    shops = (run.documents.get("samples", {}).get("shops") or {}).get("shops")
    return [
        frame.Fact(title="Visits judged", value=words.count(found.get("visits"))),
        *counted("Learned from", learned, "visits"),
        *counted("Shops", shops),
        *found_and_alpha(
            reached=found.get("candidate_recall"),
            of_what="of the shops that were visited",
            surface="shops",
            alpha=found.get("alpha"),
        ),
    ]


def _slices(slices: dict[str, Json], methods: dict[str, Json]) -> Markup:
    return slices_table(
        "Hit@1 by kind of visit, higher is better",
        slices,
        methods,
        metric=METRICS[0],
        titles=_SLICES,
        noun="visits",
        value=lambda part, name: ((part.get("methods") or {}).get(name) or {}).get(METRICS[0]),
    )


_SLICES = {
    "changed": "Another shop than the last",
    "new_to_the_user": "A shop that is new to them",
    "habits_known": "20 visits before",
}
