"""What lies where in a store: every key, once.

    recommenders/<name>/
      runs/<run>/            run.json (the record), report.html, and a folder for each step's output; what it printed is in
                             log.txt, of steps in pods in logs/<step>.txt; result.json is what it made
      only/<step>/           the last run that ended with this step, made to be looked at
      versions/<version>/    a model: manifest.json, weights, items, contract; manifest.dsse.json is its signature
        bento/               its packages: <digest>.bento, each with its signature <digest>.dsse.json, and bento.json that
                             names the current one
      verdicts/<version>/    what the gate said of it: a log, since a model may be judged again under another rule
      promotions/            which version serves: a log
      candidates/            which version meets some shoppers beside it: a log
      events/                on a machine that serves: events.sqlite, and keys/ to sign impressions and to let events in
      online/<version>/      what was learned since the version: commits/, a log, and objects/ and windows/, which its entries
                             name
      collected/             interactions from the event log: date=<day>/*.parquet, and cuts/, a log that says which count;
                             erased/ is a log of the records that a user wanted to be gone
      data/                  copies of one's own files: <table>/<digest>/<file>, made by `shoploop data push`
      work/                  what steps keep between runs: entries of steps that are done, outputs, caches, searches of
                             settings; the folder for temporary files of the run that goes on

On a laptop whose store is remote, ``work``, ``runs`` and ``events`` lie under the same names in ``.shoploop``. Keys never
begin or end with a slash. It must not know how anything is read or written.
"""

RECOMMENDERS = "recommenders"


def recommender(name: str) -> str:
    """All that belongs to one recommender."""
    return f"{RECOMMENDERS}/{name}"


def runs(name: str) -> str:
    return f"{recommender(name)}/runs"


def run(name: str, run: str) -> str:
    """What a person looks at of one run."""
    return f"{runs(name)}/{run}"


def only(name: str, step: str) -> str:
    """A run that ends with ``step`` makes no version and is in no list."""
    return f"{recommender(name)}/only/{step}"


def run_record(run_key: str) -> str:
    return f"{run_key}/run.json"


def run_plan(run_key: str) -> str:
    """What was planned for a run: a pod that comes later goes on from there."""
    return f"{run_key}/plan.json"


def run_link(run_key: str) -> str:
    """Which run of Kubeflow Pipelines it is."""
    return f"{run_key}/kubeflow.json"


def run_result(run_key: str) -> str:
    """What a run that ended well has made, as its last pod says it."""
    return f"{run_key}/result.json"


def run_lineage(run_key: str) -> str:
    """Where everything of a run came from: an OpenLineage event a line."""
    return f"{run_key}/lineage.jsonl"


def run_report(run_key: str) -> str:
    return f"{run_key}/report.html"


def run_log(run_key: str) -> str:
    """What the steps of a run on a laptop have written."""
    return f"{run_key}/log.txt"


def step_log(run_key: str, step: str) -> str:
    """The end of what a step in a pod has written."""
    return f"{run_key}/logs/{step}.txt"


def versions(name: str) -> str:
    return f"{recommender(name)}/versions"


def version(name: str, version: str) -> str:
    return f"{versions(name)}/{version}"


def bento(name: str, version_id: str) -> str:
    """The packages of a version."""
    return f"{version(name, version_id)}/bento"


def bento_archive(name: str, version_id: str, digest: str) -> str:
    """One package; ``digest`` is its sha256."""
    return f"{bento(name, version_id)}/{bento_file(digest)}"


def bento_file(digest: str) -> str:
    """Name of an archive in its folder."""
    return f"{digest[:16]}.bento"


def signature_file(file: str) -> str:
    """Name of the signature of ``file``, a manifest or an archive, in the same folder."""
    return f"{file.rpartition('.')[0]}.dsse.json"


def version_signature(name: str, version_id: str) -> str:
    return f"{version(name, version_id)}/{signature_file('manifest.json')}"


def bento_signature(name: str, version_id: str, digest: str) -> str:
    """Of the package with that sha256."""
    return f"{bento(name, version_id)}/{signature_file(bento_file(digest))}"


def verdicts(name: str, version: str) -> str:
    """A log."""
    return f"{recommender(name)}/verdicts/{version}"


def promotions(name: str) -> str:
    """A log."""
    return f"{recommender(name)}/promotions"


def candidates(name: str) -> str:
    return f"{recommender(name)}/candidates"


def all_online(name: str) -> str:
    return f"{recommender(name)}/online"


def online(name: str, version_id: str) -> str:
    """The chain of what was learned on top of a version."""
    return f"{all_online(name)}/{version_id}"


def online_commits(name: str, version_id: str) -> str:
    """A log."""
    return f"{online(name, version_id)}/commits"


def online_objects(name: str, version_id: str) -> str:
    """What the entries of that log name."""
    return f"{online(name, version_id)}/objects"


def online_windows(name: str, version_id: str) -> str:
    """What its learner remembers of the event log: it says who did what."""
    return f"{online(name, version_id)}/windows"


def online_object(name: str, version_id: str, digest: str) -> str:
    """One of them; ``digest`` is its sha256."""
    return f"{online_objects(name, version_id)}/{digest}"


def events(name: str) -> str:
    """What lies on the machine that serves: the event log where it is a file, and the keys of its predictors."""
    return f"{recommender(name)}/events"


def collected(name: str) -> str:
    """Interactions that came from the event log, as dated Parquet partitions."""
    return f"{recommender(name)}/collected"


def collected_cuts(name: str) -> str:
    """A log: which of the files count."""
    return f"{collected(name)}/cuts"


def erased(name: str) -> str:
    """A log: which records were taken out of the event log, since a user asked for it."""
    return f"{collected(name)}/erased"


def event_keys(name: str) -> str:
    return f"{events(name)}/keys"


def pushed(name: str, table: str, digest: str) -> str:
    """One state of a table's files, by the sha256 of their names and bytes."""
    return f"{recommender(name)}/data/{table}/{digest[:16]}"


def work(name: str) -> str:
    return f"{recommender(name)}/work"


def step_entries(name: str) -> str:
    """Steps that were carried out, by the digest of what they do."""
    return f"{work(name)}/steps"


def step_entry(name: str, key: str) -> str:
    return f"{step_entries(name)}/{key}.json"


def all_outputs(name: str) -> str:
    return f"{work(name)}/outputs"


def outputs(name: str, run: str) -> str:
    """What the steps of one run have written; a later run reads there what it reuses."""
    return f"{all_outputs(name)}/{run}"


def incumbent(name: str, version: str) -> str:
    """The copy that a new version is compared with."""
    return f"{work(name)}/incumbents/{version}"


def collected_here(name: str) -> str:
    """Copies of collected interactions, a folder for each cut that a run has read up to."""
    return f"{work(name)}/collected"


def steps_cache(name: str) -> str:
    """What a step keeps so that a killed one goes on from there."""
    return f"{work(name)}/steps-cache"


def tunings(name: str) -> str:
    return f"{work(name)}/tuning"


def tuning(name: str, digest: str) -> str:
    """A search of settings, by the digest of what it depends on; only on the machine that searches."""
    return f"{tunings(name)}/{digest}"


def studies(name: str) -> str:
    return f"{work(name)}/studies"


def study(name: str, study: str) -> str:
    """A search of settings that pods of a cluster carry out, and what it looks at."""
    return f"{studies(name)}/{study}"


def study_plan(name: str, study_id: str) -> str:
    """Which samples a study looks at, whenever its trials begin."""
    return f"{study(name, study_id)}/plan.json"


def study_trials(name: str, study_id: str) -> str:
    return f"{study(name, study_id)}/trials"


def study_trial(name: str, study_id: str, trial: str) -> str:
    """What a trial that ended well came to."""
    return f"{study_trials(name, study_id)}/{trial}.json"


def study_found(name: str, study_id: str) -> str:
    """What all trials came to."""
    return f"{study(name, study_id)}/found.json"


def temporary(name: str) -> str:
    """Where the processes of the run that goes on put their temporary files; only on the machine that carries it out."""
    return f"{work(name)}/tmp"
