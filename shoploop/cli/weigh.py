"""``shoploop weigh``: the weights of a recommender's training samples on their own, and the page about them."""

import json
import shutil
import webbrowser
from pathlib import Path
from typing import Any, get_args

from rich.console import Console
from rich.text import Text

from shoploop.cli import output
from shoploop.errors import SpecInvalid


def weigh_samples(
    file: Path, store_override: str | None, *, estimator: str | None, show: bool, out: Path | None, json_: str | None
) -> None:
    """Carries out the step and what it needs, writes the page, and prints the verdict."""
    from shoploop.cli.run import carry_out, load_with_data, output_of
    from shoploop.report import importance_page
    from shoploop.samples.weights import WEIGHTS

    console = output.console(stderr=json_ == "-")
    recommender = _with_estimator(load_with_data(file), estimator)
    run, workspace = carry_out(recommender, store_override, console, until="estimate_importance")
    made, folder = output_of(run, workspace, "estimate_importance"), workspace.path(run.key)
    document: dict[str, Any] = json.loads((made / "importance.json").read_bytes())
    page = out or folder / "importance.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    importance_page.write(page, recommender.metadata.name, document)
    if out is None:
        for name in ("importance.json", WEIGHTS):
            shutil.copyfile(made / name, folder / name)
    output.write_json(document, json_)
    _summarize(console, document, page)
    if show:
        webbrowser.open(page.absolute().as_uri())


def _with_estimator(recommender: Any, estimator: str | None) -> Any:
    from shoploop.api.v1alpha1 import ImportanceSpec

    chosen = estimator or recommender.spec.importance.estimator
    allowed = get_args(ImportanceSpec.model_fields["estimator"].annotation)
    if chosen not in allowed:
        raise SpecInvalid(f"There is no estimator {chosen!r}. Choose one of {', '.join(allowed)}.")
    if chosen == "None":
        raise SpecInvalid("The estimator is None, so there is nothing to weigh. Name one with --estimator.")
    spec = recommender.spec.model_copy(update={"importance": ImportanceSpec(estimator=chosen)})
    return recommender.model_copy(update={"spec": spec})


def _summarize(console: Console, document: dict[str, Any], page: Path) -> None:
    verdict = document["verdict"]
    used = ("✓ used in training", "green") if verdict["used"] else ("✗ not used in training", "yellow")
    console.print()
    console.print(Text.assemble("Verdict   ", used))
    console.print(f"          {verdict['reason']}")
    for name, found in document.get("self_check", {}).get("detection", {}).items():
        low, high = found["interval"]
        line = f"Flipped   {name:14} AUC {found['auc']:.3f} [{low:.3f}, {high:.3f}]  F1 {found['f1']:.3f}"
        console.print(line)
    console.print(f"Page      {page}")
