"""How well the next shop is foreseen, for a run that was asked for shops: every method, and on which visits."""

from markupsafe import Markup

from shoploop.report import frame, words
from shoploop.report.results import differences, legend, methods_table
from shoploop.report.run_folder import Json, RunFolder

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
    reached, alpha = found.get("candidate_recall"), found.get("alpha")
    facts = [frame.Fact(title="Visits judged", value=words.count(found.get("visits")))]
    if words.is_number(learned):
        facts.append(frame.Fact(title="Learned from", value=words.count(learned), note="visits"))
    if words.is_number(shops):
        facts.append(frame.Fact(title="Shops", value=words.count(shops)))
    if words.is_number(reached):
        facts.append(
            frame.Fact(title="Can be found", value=words.percent(reached), note="of the shops that were visited")
        )
    if words.is_number(alpha):
        facts.append(
            frame.Fact(title="α of shops", value=words.decimal(alpha, 3), note="share of the DNN, 0 to 1; its own")
        )
    return facts


def _slices(slices: dict[str, Json], methods: dict[str, Json]) -> Markup:
    columns = [frame.Column(title="Method")]
    columns += [
        frame.Column(
            title=_SLICES.get(name, words.plain(name)), numeric=True, hint=f"{words.count(part.get('visits'))} visits"
        )
        for name, part in slices.items()
    ]
    rows = [
        frame.Row(
            cells=[
                words.method(name).title,
                *(
                    words.decimal(((part.get("methods") or {}).get(name) or {}).get(METRICS[0]))
                    for part in slices.values()
                ),
            ],
            emphasis=words.method(name).kind == "ours",
        )
        for name in sorted(methods, key=lambda name: -float(methods[name].get(METRICS[0]) or 0))
    ]
    return frame.table("Hit@1 by kind of visit, higher is better", columns, rows, show_caption=True)


_SLICES = {
    "changed": "Another shop than the last",
    "new_to_the_user": "A shop that is new to them",
    "habits_known": "20 visits before",
}
