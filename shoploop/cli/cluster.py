"""``shoploop doctor``, ``status``, ``logs`` and ``open``: looking at a cluster without long kubectl commands."""

import subprocess
from typing import Any, Literal

from rich.table import Table
from rich.text import Text

from shoploop.cli import output
from shoploop.cli.doctor import Finding, examine
from shoploop.cli.kubectl import Kubectl
from shoploop.errors import NotFound

Part = Literal["predictor", "learner", "run", "operator"]
PARTS: dict[Part, str] = {
    "predictor": "app.kubernetes.io/component=predictor,shoploop.io/recommender={name}",
    "learner": "app.kubernetes.io/component=learner,shoploop.io/recommender={name}",
    "run": "app.kubernetes.io/component=run,shoploop.io/recommender={name}",
    "operator": "app.kubernetes.io/component=operator,app.kubernetes.io/part-of=shoploop",
}
EVENTS_SHOWN = 8


def doctor(*, context: str | None = None, namespace: str | None = None, as_json: bool = False) -> int:
    """Prints what the cluster lacks and how to mend it; 0 when nothing that is needed is missing, else 1.

    Raises:
        ClusterUnavailable: there is no cluster to look at (exit code 2).
    """
    findings = examine(Kubectl(context=context, namespace=namespace))
    if as_json:
        import json
        from dataclasses import asdict

        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        print_findings(findings)
    return int(any(finding.state == "missing" for finding in findings))


def print_findings(findings: list[Finding]) -> None:
    console = output.console()
    signs = {"ok": ("✓", "green"), "missing": ("✗", "red"), "unused": ("·", "dim"), "waiting": ("…", "yellow")}
    table = Table(box=None, show_header=False)
    for finding in findings:
        sign, colour = signs[finding.state]
        table.add_row(Text(sign, style=colour), finding.about, Text(finding.detail, style="dim" * (colour == "dim")))
    output.print_table(console, table)
    remedies = [finding for finding in findings if finding.state == "missing" and finding.remedy]
    for finding in remedies:
        console.print(f"\n{finding.about}: {finding.detail.rstrip('.')}. To mend it:")
        print(f"    {finding.remedy}")
    if not remedies:
        console.print("\nNothing is missing.")


def status(name: str, *, context: str | None = None, namespace: str | None = None) -> int:
    """Prints what is known about one Recommender; 0 when it is ready, else 1.

    Raises:
        NotFound: there is no such Recommender.
    """
    kubectl = Kubectl(context=context, namespace=namespace)
    found = recommender(kubectl, name)
    where = Kubectl(context=context, namespace=found["metadata"]["namespace"])
    console = output.console()
    state: dict[str, Any] = found.get("status", {})
    console.print(f"Recommender {name} in namespace {where.namespace}", style="bold")
    facts = Table(box=None, show_header=False)
    run, release = state.get("run", {}), state.get("release", {})
    facts.add_row("version", state.get("version", "none yet"))
    facts.add_row("ready pods", str(state.get("replicas", 0)))
    told = [condition["message"] for condition in state.get("conditions", [])]
    known = any(run["message"] in message for message in told) if "message" in run else True
    parts = ("id", "phase") if known else ("id", "phase", "message")
    facts.add_row("last run", " ".join(str(run[key]) for key in parts if key in run) or "none yet")
    facts.add_row("release", f"{release['name']}, revision {release['revision']}" if release else "none yet")
    if candidate := state.get("serving", {}).get("candidate"):
        share = "in the shadow" if candidate.get("shadow") else f"{candidate['percent']} % of users"
        counts = f"{candidate.get('given', 0):,} answers, {candidate.get('failed', 0):,} failed"
        facts.add_row("candidate", f"{candidate['version']}, {share}, in {candidate.get('pods', 0)} pods: {counts}")
    if online := state.get("online"):
        lag = online.get("lagSeconds")
        facts.add_row("online lag", "not known" if lag is None else f"{lag:.0f} s")
    facts.add_row("signatures", signatures(found.get("spec", {}).get("signing", {})))
    output.print_table(console, facts)
    conditions = Table("condition", "", "since", "why", box=None)
    said: dict[str, str] = {}
    for condition in state.get("conditions", []):
        teller = said.setdefault(condition["message"], condition["type"])
        why = f"{condition['reason']}: {condition['message']}"
        if teller != condition["type"]:  # as an operator of another version may have it
            why = f"{condition['reason']}: see {teller}"
        conditions.add_row(condition["type"], condition["status"], condition["lastTransitionTime"][:16], why)
    output.print_table(console, conditions)
    events = where.items("events", f"--field-selector=involvedObject.kind=Recommender,involvedObject.name={name}")
    for event in sorted(events, key=event_time)[-EVENTS_SHOWN:]:
        what = f"see {said[event['message']]}" if event["message"] in said else event["message"]
        said.setdefault(event["message"], "above")
        console.print(f"{event_time(event)}  {event['reason']}: {what}")
    ready = next((c["status"] for c in state.get("conditions", []) if c["type"] == "Ready"), "Unknown")
    return int(ready != "True")


def signatures(signing: dict[str, Any]) -> str:
    """What the spec asks for of signatures, in words."""
    keys = signing.get("publicKeys", [])
    policy = signing.get("policy") or ("Require" if keys else None)
    if policy in (None, "Ignore"):
        return "not asked for by the spec"
    return f"{policy}, {len(keys)} trusted key{'s' * (len(keys) != 1)}"


def event_time(event: dict[str, Any]) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"])


def logs(
    name: str,
    *,
    part: Part = "predictor",
    follow: bool = False,
    context: str | None = None,
    namespace: str | None = None,
) -> int:
    """Shows the log of the predictor, of the last run's steps, or of the operator; the exit code is kubectl's.

    Raises:
        NotFound: there is no such Recommender, or no such pod yet.
    """
    kubectl = Kubectl(context=context, namespace=namespace)
    found = recommender(kubectl, name)
    selector = PARTS[part].format(name=name)
    everywhere = ["--all-namespaces"] if part == "operator" else [f"--namespace={found['metadata']['namespace']}"]
    pods = kubectl.items("pods", "-l", selector, *everywhere)
    if not pods:
        kept = ""
        if part == "run":
            kept = f" What steps wrote is kept in the store, too: `shoploop runs {name} --log RUN --store URL`."
        raise NotFound(f"No pod of {part} {name} is there. `shoploop status {name}` says how far it is.{kept}")
    where = pods[0]["metadata"]["namespace"]
    lines = ["--follow", f"--max-log-requests={max(5, len(pods))}"] if follow else ["--tail=-1"]
    command = kubectl.command(
        "logs", f"--namespace={where}", "-l", selector, "--all-containers", "--prefix", *lines
    )  # fmt: skip
    return subprocess.run(command).returncode


def open_recommender(
    name: str, *, port: int = 3000, context: str | None = None, namespace: str | None = None
) -> int:  # fmt: skip
    """Makes the recommender's service reachable on this machine until Ctrl-C; the exit code is kubectl's.

    Raises:
        NotFound: there is no such Recommender, or it has no service yet.
    """
    kubectl = Kubectl(context=context, namespace=namespace)
    where = recommender(kubectl, name)["metadata"]["namespace"]
    selector = PARTS["predictor"].format(name=name)
    services = kubectl.items("services", f"--namespace={where}", "-l", selector)
    if not services:
        raise NotFound(f"Recommender {name} has no service yet. `shoploop status {name}` says how far it is.")
    service = services[0]
    print(f"http://127.0.0.1:{port} is {name} until Ctrl-C. Try:")
    print(
        f"""    curl -s 127.0.0.1:{port}/recommend -H 'content-type: application/json' -d '{{"user": "1", "k": 5}}'"""
    )
    target = f"service/{service['metadata']['name']}"
    forward = kubectl.command(
        "port-forward", f"--namespace={where}", target, f"{port}:{service['spec']['ports'][0]['port']}"
    )
    return subprocess.run(forward).returncode


def recommender(kubectl: Kubectl, name: str) -> dict[str, Any]:
    """The Recommender of that name, in the namespace that was asked for, else in the only one that has it."""
    if kubectl.namespace:
        try:
            return kubectl.get("recommenders.shoploop.io", name)
        except NotFound as error:
            raise NotFound(
                f"There is no Recommender {name} in namespace {kubectl.namespace}. "
                "`kubectl get recommenders -A` lists all."
            ) from error
    found = kubectl.items("recommenders.shoploop.io", "--all-namespaces", f"--field-selector=metadata.name={name}")
    if len(found) == 1:
        return found[0]
    if found:
        places = ", ".join(one["metadata"]["namespace"] for one in found)
        raise NotFound(f"Recommender {name} is in several namespaces: {places}. Name one with -n.")
    raise NotFound(f"There is no Recommender {name} in any namespace. `kubectl get recommenders -A` lists all.")
