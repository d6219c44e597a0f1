"""What tests of several rooms share."""

import gc
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from event_logs import kafka_place, open_one, redis_place
from hypothesis import settings
from object_stores import make_store, s3_options
from predictor_client import client, place, server_key

__all__ = [
    "client",
    "kafka_place",
    "make_store",
    "one_thread",
    "open_one",
    "place",
    "redis_place",
    "s3_options",
    "server_key",
]

# Before torch is loaded, here and in the processes that tests start: beside others, the threads of models this small spend
# more time on waiting for each other than on computing.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# While tests are imported and collected, all that is made stays; see pytest_collection_finish.
gc.disable()

settings.register_profile("shoploop", deadline=None)  # how long an example takes is no matter of a test
settings.load_profile("shoploop")

# Under nohup runs ignore it, as they should, and tests of it would wait.
signal.signal(signal.SIGHUP, signal.SIG_DFL)


LONGEST = (
    "packaging/test_bento.py",
    "logs/test_minimal_logs.py",
    "logs/test_search_alone_serves.py",
    "bench/test_bench_and_synthesize.py",
    "runs/test_launcher_laws.py",
    "events/test_log_laws.py",
    "validation/test_validation.py",
    "importance/test_weighing_step.py",
    "importance/test_sample_importance.py",
    "steps/test_code_digest.py",
    "fuzz/test_mutated_tables.py",
    "compute/test_chance_and_threads.py",
    "fuzz/test_laws.py",
    "runs/test_broken_off_runs.py",
    "bench/test_promotions_bench.py",
    "augmentation/test_step.py",
    "compute/test_device_and_processes.py",
    "controller/test_version_verdict_package.py",
    "tuning/test_settings_search.py",
    "augmentation/test_differential_privacy.py",
    "training/test_training_loop.py",
    "training/test_search_training.py",
    "augmentation/test_killed_step.py",
    "cases/test_run_ends.py",
    "bench/test_prediction.py",
    "packaging/test_learners.py",
    "bench/test_importance.py",
)
"""Files that take half a minute and more, the longest first, as measured beside others: the last of them would keep all other
processes waiting. Each that needs a Kafka stands for all of them."""


KAFKA = "the files that need a Kafka"
TOGETHER = {
    f"tests/events/{name}.py": KAFKA
    for name in (
        "test_compaction",
        "test_cuts",
        "test_fresh_history",
        "test_log_faults",
        "test_log_laws",
        "test_tenants",
    )
}
"""Files that one process carries out, as if they were one: what they share takes longer to start than to use."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return TOGETHER.get(file, file)

    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tests = Path(__file__).parent
    place = {tests / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


def pytest_collection_finish() -> None:
    """Python looks for circles among all that is imported: a tenth of the tests' time, and there are none to be found."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


@contextmanager
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Models this small only lose time on waking other threads."""
    with _one_thread():
        yield


@pytest.fixture(scope="module")
def narrow_network() -> Iterator[None]:
    """Models are as small as may be: where what is done with one counts, and not how well it knows a shop."""
    from narrow_network import narrow

    with pytest.MonkeyPatch.context() as patch:
        narrow(patch)
        yield


@pytest.fixture(scope="session")
def trained_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop with its samples and the version trained on them; not to be written to."""
    from narrow_network import is_narrow
    from shop import TRAINING
    from shop.samples import write_folders

    from shoploop.training.step import train_fused

    assert not is_narrow(), "a module with narrow networks would make it for all others"
    root = write_folders(tmp_path_factory.mktemp("trained") / "run")
    inputs = {name: root / name for name in ("data", "features", "samples")}
    with _one_thread():
        train_fused(**inputs, out=root / "model", training_spec=TRAINING)
    return root


@pytest.fixture(scope="session")
def searching_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with what is searched for in it and visits to its shops, and a version that answers both; not to be written
    to."""
    from narrow_network import is_narrow
    from shop import TRAINING, Shop
    from shop.samples import write_folders
    from shop.searches import write_search_folder

    from shoploop.samples.shop_step import write_shops
    from shoploop.training.step import train_fused

    assert not is_narrow(), "a module with narrow networks would make it for all others"
    root = write_folders(tmp_path_factory.mktemp("searching") / "run")
    write_search_folder(root, Shop())
    write_shops(root / "data", root / "samples", windows=Shop().split, log=Shop().log(), seed=0)
    inputs = {name: root / name for name in ("data", "features", "samples")}
    with _one_thread():
        train_fused(**inputs, out=root / "model", training_spec=TRAINING)
    return root


@pytest.fixture(scope="session")
def stored_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop loaded and materialized as a feature store, in ``data`` and ``features``; not to be written to."""
    from shop.stored import materialize

    return materialize(tmp_path_factory.mktemp("stored") / "run")
