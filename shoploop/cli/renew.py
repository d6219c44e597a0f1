"""``shoploop renew``: what a person sees of a renewal."""

import time
from dataclasses import asdict
from pathlib import Path

from shoploop.cli import output
from shoploop.cli.run import carry_out, load_with_data, watching
from shoploop.hints import command


def renew_recommender(file: Path, store_override: str | None, *, json_: str | None) -> None:
    """Renews the version that serves, and prints what became of it. That there is nothing new is no mistake."""
    from shoploop import runs
    from shoploop.runs import renewal
    from shoploop.runs.launchers.this_machine import alone, refuse_suspended
    from shoploop.runs.record import LAST_SHARED
    from shoploop.steps import Workspace
    from shoploop.training.renewal import NothingToRenew
    from shoploop.versions.signing import Trust

    console = output.console(stderr=json_ is not None)
    recommender = load_with_data(file)
    spec = recommender.spec
    workspace = Workspace(runs.open_store(recommender, store_override), recommender.metadata.name)
    began = time.monotonic()
    refuse_suspended(runs.new_run(recommender))
    serving = renewal.serving_version(workspace, pinned=spec.serving.pinned_version)
    run, workspace = carry_out(recommender, store_override, console, until=LAST_SHARED)
    try:
        with alone(workspace), watching(console) as watch:
            done = renewal.renew(workspace, run, serving, trust=Trust.configured(spec.signing), tell=watch)
    except NothingToRenew as nothing:
        console.print(str(nothing))
        if json_:
            output.write_json({"renewed": False, "version": serving.version, "serves": True}, json_)
        return
    if json_:
        told = {"run": done.run, "seconds": time.monotonic() - began, "serves": done.promoted}
        output.write_json({"renewed": True} | asdict(done.renewed) | told, json_)
        return
    renewed = done.renewed
    becomes = "serves" if done.promoted else "is kept, and does not serve: somebody has decided otherwise meanwhile"
    console.print()
    console.print(f"Version   {renewed.version} {becomes}")
    console.print(f"Knows     what was up to {renewed.through}; {renewed.parent} what was up to {renewed.before}")
    console.print(f"Items     {renewed.items:,}, {renewed.new_items:,} of them new")
    console.print(
        f"Weights   of {renewed.weights_of}, learned from what was up to {renewed.learned}; `shoploop run` trains new ones"
    )
    console.print(f"Next      {command(workspace.store, f'serve {run.name}')}")
