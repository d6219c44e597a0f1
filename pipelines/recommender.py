"""From raw tables to a published version, as one Kubeflow pipeline.

python -m pipelines.recommender out.yaml                       compiles it for Kubeflow
python -m pipelines.recommender -f recommender.yaml out.yaml   the same with what the file says: its values are the
                                                               parameters' defaults, its placement is that of the pods
    --manifests NAMESPACE                                      writes it as objects Pipeline and PipelineVersion
    --local-part                                               the steps alone, without what a server needs
python -m pipelines.recommender --local plan.json              runs it here, a process a step (``shoploop run`` calls this)
"""

import argparse
import inspect
import json
import logging
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from kfp import compiler, dsl, kubernetes, local

from components.augment_samples import augment_samples
from components.build_bento import build_bento
from components.build_samples import build_samples
from components.estimate_importance import estimate_importance
from components.evaluate_model import evaluate_model
from components.gate import gate
from components.load_data import load_data
from components.materialize_features import materialize_features
from components.plan_run import plan_run
from components.publish_version import publish_version
from components.record_end import record_end
from components.train_fused import train_fused
from components.validate_data import validate_data
from shoploop.api import load
from shoploop.api.v1alpha1 import Recommender
from shoploop.compute.lifetime import end_with_starter
from shoploop.errors import ShoploopError
from shoploop.runs.kubeflow.placement import (
    END,
    PLAN,
    POD_UID_VARIABLE,
    POD_VARIABLE,
    PUBLISH,
    RUN_LABEL,
    RUN_VARIABLE,
    TaskPod,
    check_submittable,
    task_pods,
)
from shoploop.runs.kubeflow.submission import version_name
from shoploop.steps import STEPS, needed_by
from shoploop.steps.parameters import EXAMPLE, arguments_of, parameters

NAME = "recommender"
DESCRIPTION = "From raw shop events to a packaged recommender."


def wire(
    given: SimpleNamespace,
    *,
    found: Mapping[str, str],
    wanted: list[str],
    extra: Callable[[str], dict[str, Any]],
    tune: Callable[[str, dsl.PipelineTask], None],
) -> dict[str, dsl.PipelineTask]:
    """The steps, and which of them reads what of which.

    Args:
        given: The parameters' values.
        found: Folders of steps that are done already, by step: they are read from there and not carried out.
        wanted: Names of the steps that are there at all.
        extra: Further arguments of a step's component.
        tune: Told of every task.

    Returns:
        The tasks of steps that are carried out.
    """
    tasks: dict[str, dsl.PipelineTask] = {}

    def output(step: str, name: str, kind: type[dsl.Artifact], make: Callable[..., dsl.PipelineTask]) -> Any:
        """The step's output; of a step that is not wanted None."""
        if step not in wanted:
            return None
        if step in found:
            return dsl.importer(artifact_uri=found[step], artifact_class=kind, reimport=False).output
        task = tasks[step] = make(**extra(step))
        tune(step, task)
        return task.outputs[name]

    sampling = {name: getattr(given, name) for name in ("surfaces", "seed", "evaluation_days", "training_days")}
    data = output(
        "load_data", "data", dsl.Dataset, lambda **more: load_data(source=given.data, collected=given.collected, **more)
    )
    output(
        "validate_data",
        "validation",
        dsl.Artifact,
        lambda **more: validate_data(data=data, expectations=given.validation, **more),
    )
    features = output(
        "materialize_features",
        "features",
        dsl.Artifact,
        lambda **more: materialize_features(data=data, store=given.features, **sampling, **more),
    )
    samples = output(
        "build_samples",
        "samples",
        dsl.Dataset,
        lambda **more: build_samples(data=data, features=features, **sampling, **more),
    )
    augmented = output(
        "augment_samples",
        "augmentation",
        dsl.Dataset,
        lambda **more: augment_samples(
            data=data, features=features, samples=samples, options=given.augmentation, seed=given.seed, **more
        ),
    )
    weights = output(
        "estimate_importance",
        "importance",
        dsl.Dataset,
        lambda **more: estimate_importance(
            data=data,
            features=features,
            augmentation=augmented,
            estimator=given.importance_estimator,
            seed=given.seed,
            **more,
        ),
    )
    model = output(
        "train_fused",
        "model",
        dsl.Model,
        lambda **more: train_fused(
            data=data,
            features=features,
            augmentation=augmented,
            importance=weights,
            epochs=given.epochs,
            learning_rate=given.learning_rate,
            adversarial_radius=given.adversarial_radius,
            parent=given.parent,
            **sampling,
            **more,
        ),
    )
    evaluation = output(
        "evaluate_model",
        "evaluation",
        dsl.Artifact,
        lambda **more: evaluate_model(
            data=data,
            features=features,
            samples=samples,
            model=model,
            incumbent=given.incumbent,
            metric=given.metric,
            confidence=given.confidence,
            counterfactual=given.counterfactual,
            **more,
        ),
    )
    verdict = output(
        "gate",
        "verdict",
        dsl.Artifact,
        lambda **more: gate(
            evaluation=evaluation,
            rule=given.gate_rule,
            metric=given.metric,
            margin=given.margin,
            confidence=given.confidence,
            counterfactual=given.counterfactual,
            max_age_days=given.max_age_days,
            **more,
        ),
    )
    output(
        "build_bento",
        "bento",
        dsl.Artifact,
        lambda **more: build_bento(
            data=data,
            features=features,
            model=model,
            verdict=verdict,
            item_fields=given.item_fields,
            deadline_milliseconds=given.deadline_milliseconds,
            allowed_origins=given.allowed_origins,
            list_rules=given.list_rules,
            exploration=given.exploration,
            max_age_days=given.max_age_days,
            **more,
        ),
    )
    for name, task in tasks.items():
        for before in STEPS[name].after:
            if before in tasks:
                task.after(tasks[before])
    return tasks


def recommender_pipeline(found: Mapping[str, str] | None = None, until: str | None = None) -> Any:
    """The steps alone, as they are run on one machine.

    Args:
        found: Folders of steps that are done already, by step: they are read from there and not carried out.
        until: The step that it ends with, or None for all of them.
    """

    def steps(*values: Any) -> None:
        wire(
            SimpleNamespace(**dict(zip(signature.parameters, values, strict=True))),
            found=found or {},
            wanted=needed_by(until) if until else list(STEPS),
            extra=lambda step: {},
            tune=lambda step, task: None,
        )

    texts = {
        "collected": "Folder of interactions from the event log; empty where there are none.",
        "parent": "Id of the version that serves now; empty where none does.",
        "incumbent": "Folder of the version that serves, named by its id; empty where none does.",
    }
    own = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default="", annotation=str) for name in texts]
    signature = _signature(own)
    return _pipeline(steps, signature, texts)


def server_pipeline(recommender: Recommender | None = None) -> Any:
    """All that a server does: a plan first, then the steps that are due, then the version in the recommender's store;
    however that ends, the record of the run says so.

    Args:
        recommender: Whose values are the parameters' defaults, and whose placement is that of the pods.

    Raises:
        SpecInvalid: pods of Kubeflow cannot do what it asks for.
    """
    if recommender is not None:
        check_submittable(recommender)
    known = recommender or Recommender.model_validate({"spec": {"data": EXAMPLE}})
    pods = task_pods(known)

    def tune(name: str, task: dsl.PipelineTask) -> None:
        place(task, pods[name])
        task.set_display_name(TITLES.get(name) or STEPS[name].says)

    def whole(*values: Any) -> None:
        given = dict(zip(signature.parameters, values, strict=True))
        document, run, promotes = given.pop("recommender"), given.pop("run"), given.pop("promotes")
        end = record_end(recommender=document, run=run)
        tune(END, end)
        with dsl.ExitHandler(end, name="whatever happens, the run's record says how it ended"):
            planned = plan_run(recommender=document, run=run, **given)
            tune(PLAN, planned)
            where = planned.outputs["place"]
            tasks = wire(
                SimpleNamespace(**given, collected="", parent="", incumbent=""),
                found={},
                wanted=list(STEPS),
                extra=lambda step: {"place": where, "due": planned.outputs[step]},
                tune=tune,
            )
            published = publish_version(
                verdict=tasks["gate"].outputs["verdict"],
                bento=tasks["build_bento"].outputs["bento"],
                place=where,
                run=planned.outputs["run_id"],
                promotes=promotes,
            )
            tune(PUBLISH, published)

    texts = {
        "recommender": "The Recommender: its name, its store, and whatever of its spec is no parameter of its own. No secret "
        "stands in it: pods have them as environment variables.",
        "run": "Id of the run; empty: one is made.",
        "promotes": "Let a version that passes serve from now on. Else the operator or `shoploop promote` does.",
    }
    kinds = {"recommender": (dict, document_of(known)), "run": (str, ""), "promotes": (bool, False)}
    own = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in kinds.items()
    ]
    signature = _signature(own, arguments_of(recommender.spec) if recommender else {})
    return _pipeline(whole, signature, texts)


TITLES = {
    PLAN: "Find out which steps are due",
    PUBLISH: "Publish the version, and report on the run",
    END: "Record how the run ended",
}


def document_of(recommender: Recommender) -> dict[str, Any]:
    """What the parameter ``recommender`` is given: the whole, without the fields that have parameters."""
    document = recommender.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
    document.pop("status", None)
    spec = document.setdefault("spec", {})
    for one in parameters():
        section, _, field = one.path.partition(".")
        if not field:
            spec.pop(section, None)
        elif section in spec:
            spec[section].pop(field, None)
            if not spec[section]:
                del spec[section]
    document["metadata"] = {"name": recommender.metadata.name}
    return document


def place(task: dsl.PipelineTask, pod: TaskPod) -> None:
    """Gives a task's pod what the spec says."""
    task.set_container_image(pod.image)
    task.set_cpu_request(pod.cpu).set_memory_request(pod.memory).set_memory_limit(pod.memory)
    task.set_caching_options(pod.cached)
    if pod.gpu:
        task.set_accelerator_type(pod.accelerator).set_accelerator_limit(pod.gpu)
    if pod.retries:
        task.set_retry(pod.retries, backoff_duration="30s", backoff_factor=2, backoff_max_duration="600s")
    for name, value in pod.variables.items():
        task.set_env_variable(name, value)
    kubernetes.set_timeout(task, pod.timeout_seconds)
    kubernetes.use_field_path_as_env(task, RUN_VARIABLE, RUN_LABEL)
    if pod.hands_over:
        kubernetes.use_field_path_as_env(task, POD_VARIABLE, "metadata.name")
        kubernetes.use_field_path_as_env(task, POD_UID_VARIABLE, "metadata.uid")
    for label, value in pod.labels.items():
        kubernetes.add_pod_label(task, label, value)
    for label, value in pod.node_selector.items():
        kubernetes.add_node_selector(task, label, value)
    for one in pod.tolerations:
        kubernetes.add_toleration(
            task,
            key=one.key,
            operator=one.operator,
            value=one.value,
            effect=one.effect,
            toleration_seconds=one.toleration_seconds,
        )
    for claim in pod.claims:
        kubernetes.mount_pvc(task, claim.name, claim.path)
    for secret, keys in pod.secrets:
        kubernetes.use_secret_as_env(task, secret, {key: key for key in keys})
    for secret, folder in pod.secret_files:
        kubernetes.use_secret_as_volume(task, secret, folder)
    if pod.pull_secrets:
        kubernetes.set_image_pull_secrets(task, list(pod.pull_secrets))


def _signature(own: list[inspect.Parameter], values: Mapping[str, Any] | None = None) -> inspect.Signature:
    """One parameter for every field of the spec that a step depends on, with the spec's default or the given value."""
    fields = [
        inspect.Parameter(
            one.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=(values or {}).get(one.name, one.default),
            annotation=one.kind,
        )
        for one in parameters()
    ]
    return inspect.Signature([*own, *fields])


def _pipeline(function: Callable[..., None], signature: inspect.Signature, texts: Mapping[str, str]) -> Any:
    """A pipeline with that signature, whose parameters say what their fields say."""
    says = texts | {one.name: one.says for one in parameters()}
    lines = [f"    {name}: {says[name]}" for name in signature.parameters]
    function.__doc__ = "\n".join([DESCRIPTION, "", "Args:", *lines])
    function.__signature__ = signature  # type: ignore[attr-defined]
    return dsl.pipeline(name=NAME, description=DESCRIPTION)(function)


def compile_pipeline(pipeline: Any, target: Path, *, name: str, namespace: str | None = None) -> None:
    """Writes the pipeline as KFP's IR or, for a namespace, as objects Pipeline and PipelineVersion for kubectl."""
    compiler.Compiler().compile(pipeline, str(target))
    if namespace is None:
        return
    from kfp.compiler.compiler_utils import KubernetesManifestOptions

    version = version_name(target.read_text())
    options = KubernetesManifestOptions(
        pipeline_name=name,
        pipeline_version_name=f"{name}-{version}",
        namespace=namespace,
        include_pipeline_manifest=True,
    )
    compiler.Compiler().compile(
        pipeline, str(target), kubernetes_manifest_options=options, kubernetes_manifest_format=True
    )


def run_locally(plan: Path) -> None:
    """Runs the pipeline of a plan: {"root": folder, "found": {step: folder}, "until": step or null, "arguments": {...}}."""
    wanted = json.loads(plan.read_bytes())
    warnings.filterwarnings("ignore", message="You may be attemping to run a task that uses custom")
    logging.getLogger().setLevel(logging.INFO)
    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=wanted["root"], enable_caching=False)
    recommender_pipeline(wanted["found"], wanted["until"])(**wanted["arguments"])


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.recommender",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", type=Path, nargs="?", help="the YAML to write")
    parser.add_argument("-f", "--file", type=Path, help="a recommender.yaml")
    parser.add_argument("--manifests", metavar="NAMESPACE", help="write objects Pipeline and PipelineVersion")
    parser.add_argument("--local-part", action="store_true", help="only the steps, as one machine runs them")
    parser.add_argument("--local", type=Path, metavar="PLAN", help="run the plan here")
    wanted = parser.parse_args(arguments)
    if (wanted.local is None) == (wanted.target is None):
        parser.print_usage(sys.stderr)
        return 2
    try:
        if wanted.local:
            end_with_starter()
            run_locally(wanted.local)
            return 0
        recommender = load(wanted.file) if wanted.file else None
        pipeline = recommender_pipeline() if wanted.local_part else server_pipeline(recommender)
        name = recommender.metadata.name if recommender else NAME
        compile_pipeline(pipeline, wanted.target, name=name, namespace=wanted.manifests)
        print(f"wrote {wanted.target}")
    except ShoploopError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except RuntimeError as error:  # a failed step: it said itself what happened
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
