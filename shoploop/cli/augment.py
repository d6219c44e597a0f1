"""``shoploop augment`` and ``shoploop synthesize``: virtual behaviour on its own, for people who want to look at it."""

import json
import shutil
from pathlib import Path
from typing import Any

from rich.text import Text

from shoploop.cli import output

PASSED = output.marked("✓ passed", "green")


def augment_recommender(file: Path, store_override: str | None, out: Path | None, json_: str | None) -> None:
    """Carries out the step and what it needs, writes the page, and prints the verdict."""
    from shoploop.cli.run import carry_out, load_with_data

    console = output.console(stderr=json_ == "-")
    recommender = load_with_data(file)
    run, workspace = carry_out(recommender, store_override, console, until="augment_samples")
    report, page = _page(run, workspace, out)
    output.write_json(report, json_)
    console.print()
    console.print(f"Verdict   {report['reason']}")
    for name, tried in report.get("variants", {}).items():
        low, high = tried["interval"]
        mark = ("may enter", "green") if tried["admitted"] else ("refused", "yellow")
        gain = f"{tried['ndcg@10_gain']:+.1%} [{low:+.1%}, {high:+.1%}]"
        console.print(Text.assemble(f"          {name:12} {gain}  ", mark))
    for gate in ("fidelity", "privacy"):
        if gate in report:
            outcome = PASSED if report[gate]["passed"] else _refused("refused", _why(gate, report[gate]))
            console.print(Text.assemble(f"{gate.capitalize():9} ", outcome))
    console.print(f"Page      {page}")


def _page(run: Any, workspace: Any, out: Path | None) -> tuple[dict[str, Any], Path]:
    import polars as pl

    from shoploop.augmentation.proofs.side_by_side import compare
    from shoploop.augmentation.step import REPORT_FILE, SYNTHETIC_FILE
    from shoploop.cli.run import output_of
    from shoploop.features.log import day_of
    from shoploop.report import augmentation_page

    steps = ("augment_samples", "load_data", "build_samples")
    made, data, samples = (output_of(run, workspace, step) for step in steps)
    folder = workspace.path(run.key)
    report: dict[str, Any] = json.loads((made / REPORT_FILE).read_bytes())
    virtual = pl.read_parquet(made / SYNTHETIC_FILE)
    comparison = None
    if virtual.height:
        before = json.loads((samples / "samples.json").read_bytes())["evaluation_first"]
        real = pl.read_parquet(data / "interactions.parquet").filter(day_of("time") < before)
        comparison = compare(real, virtual, pl.read_parquet(data / "items.parquet"), seed=report["seed"])
    page = out or folder / "augmentation.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    augmentation_page.write(page, run.name, report, comparison)
    if out is None:
        shutil.copyfile(made / REPORT_FILE, folder / "augmentation.json")
    return report, page


def _refused(how: str, why: str) -> Text:
    return output.marked(f"✗ {how}", "yellow", f": {why}")


def _why(gate: str, found: dict[str, Any]) -> str:
    if gate == "privacy":
        return "; ".join(found["reasons"])
    missed = [name for name, marginal in found["marginals"].items() if not marginal["passed"]]
    reasons = [f"a classifier tells it from the real at AUC {found['two_sample_auc']:.3f}, at most 0.80 is asked"]
    return "; ".join(reasons + ([f"far from the real in {', '.join(missed)}"] if missed else []))


def synthesize_events(file: Path, rows: int, out: Path, conditions: list[str] | None, json_: str | None) -> None:
    """Writes the data set and says what its sheet says."""
    from shoploop.augmentation.synthesize import synthesize
    from shoploop.cli.run import load_with_data

    console = output.console(stderr=json_ == "-")
    recommender = load_with_data(file)
    sheet = synthesize(
        recommender.spec,
        rows,
        out,
        conditions=conditions or None,
        progress=lambda what: console.print(what, style="dim"),
    )
    output.write_json(sheet, json_)
    fidelity, privacy = sheet["fidelity"], sheet["privacy"]
    outcome = PASSED if fidelity["passed"] else _refused("not quite", _why("fidelity", fidelity))
    console.print()
    console.print(f"Rows      {sheet['rows']:,} of {sheet['shoppers']:,} virtual shoppers, in {sheet['seconds']:.0f} s")
    console.print(Text.assemble("Fidelity  ", outcome))
    low, high = privacy["membership_auc_interval"]
    console.print(f"Attacks   failed: membership AUC {privacy['membership_auc']:.3f} [{low:.3f}, {high:.3f}]")
    for weak in privacy["blind"]:
        console.print(f"Blind     {weak}: that it found nothing says little")
    console.print(f"          {privacy['limits']}")
    judges = sheet["judges"]
    console.print(f"Judges    AUC {judges['selected']:.3f}; of one that nothing selects by {judges['unselected']:.3f}")
    console.print(f"Written   {out}, with {out.with_suffix('.users.parquet').name} and {out.with_suffix('.json').name}")
