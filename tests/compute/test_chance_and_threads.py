"""The same seed gives the same bytes: no chance but the seed's, and digits that do not depend on the number of threads."""

import ast
import json
import os
from pathlib import Path

import numpy as np
import pytest
from forked import Forked
from own_rows import catalog_of, events, log_of
from threadpoolctl import threadpool_limits

import shoploop
from shoploop.features.catalog import CatalogConfig
from shoploop.features.log import PurchaseLog, Vocabulary, purchases

SOURCES = sorted(Path(shoploop.__file__).parent.rglob("*.py"))
GLOBAL_MODULES = {"random", "secrets"}
OUTSIDE_OF_VERSIONS = {
    "candidacy.py",
    "compaction.py",
    "disk.py",
    "erasing_collected.py",
    "keyring.py",
    "local_setup.py",
    "planning.py",
    "promotions.py",
    "pseudonyms.py",
    "worker.py",
}
"""The salt that a candidacy buckets users by; names of files that two compactions, or two erasures, may write at once;
names of files that are written aside; new keys; a run's name; what tells a promotion from another alike; the key of
pseudonyms, which does not reach what is made; the pauses of the operator's queue."""

TORCH_DRAWS = {"rand", "randn", "randint", "randperm", "multinomial", "bernoulli", "normal"}


def nodes(kind):
    """Every node of a kind in the library, with its file."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, kind):
                yield path.name, node


def test_no_module_but_those_that_are_named_draws_from_what_the_process_shares():
    importers = {
        name
        for name, node in nodes((ast.Import, ast.ImportFrom))
        for module in ([node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
        if module in GLOBAL_MODULES
    }
    assert importers == OUTSIDE_OF_VERSIONS


def test_every_generator_is_made_of_a_seed_and_every_draw_of_torch_from_a_generator():
    found = []
    for name, node in nodes(ast.Call):
        function = ast.unparse(node.func)
        last, given = function.split(".")[-1], {keyword.arg for keyword in node.keywords}
        # of numpy's shared generator; `np.random.default_rng(seed).permutation` is of one's own
        of_numpy = function.startswith(("np.random.", "numpy.random.")) and function.count(".") == 2
        unseeded = (
            (last == "default_rng" and not node.args)
            or (of_numpy and last not in ("default_rng", "SeedSequence"))
            or (function.startswith("torch.") and last in TORCH_DRAWS and "generator" not in given)
        )
        if unseeded:
            found.append(f"{name}:{node.lineno} {function}")
    assert found == []


def pairs_only():
    """Eight users who always buy the same two of four items: every direction of the factors has the same weight."""
    return [(f"u{u}", item, day) for u in range(8) for day in (0, 5) for item in (("a", "b") if u % 2 else ("c", "d"))]


def one_kind_of_basket():
    return [(f"u{u}", f"i{n:02}", day) for u in range(9) for day in range(4) for n in range(12)]


def a_few_rows():
    return [("ann", "tea", 0), ("bob", "tea", 1), ("bob", "milk", 1)]


def one_item():
    return [("ann", "tea", 0), ("bob", "tea", 1)]


def many_items(count=1700):
    """More items than are decomposed densely, and of rank far below what is asked for."""
    return [(f"u{u}", f"i{n:04}", day) for u in range(4) for day in (0, 3) for n in range(u, count, 4) if n % 40 < 4]


SHOPS = [pairs_only, one_kind_of_basket, a_few_rows, one_item, many_items]


@pytest.mark.parametrize("rows", SHOPS)
def test_a_catalog_is_the_same_each_time_and_whatever_the_threads(rows):
    log = log_of(rows())
    config = CatalogConfig(neighbours=10)
    made = [catalog_of(log, config)]
    for threads in (1, 2):
        with threadpool_limits(threads):
            made.append(catalog_of(log, config))
    for again in made[1:]:
        for name, value in vars(made[0]).items():
            np.testing.assert_array_equal(value, getattr(again, name), err_msg=name)
    assert np.isfinite(made[0].factors_ID).all()


def test_a_catalog_does_not_depend_on_the_order_of_rows():
    rows = one_kind_of_basket()
    made = []
    for order in (rows, rows[::-1]):
        frame = events(order)
        names = tuple(sorted({item for _, item, _ in rows}))
        made.append(catalog_of(PurchaseLog.of(purchases(frame), Vocabulary(names))))
    for name, value in vars(made[0]).items():
        np.testing.assert_array_equal(value, getattr(made[1], name), err_msg=name)


PROGRAM = """
import json, sys, warnings
from pathlib import Path
from types import SimpleNamespace
import polars, torch
from threadpoolctl import threadpool_info, threadpool_limits
warnings.simplefilter("ignore")
threads = int(sys.argv[2])
torch.set_num_threads(threads)
threadpool_limits(threads)
assert {polars.thread_pool_size(), torch.get_num_threads(), *(pool["num_threads"] for pool in threadpool_info())} == {threads}
import minimal_logs
patched = {}
# what is computed is computed in full: only how much there is of it is little
patch = SimpleNamespace(setattr=lambda name, value: patched.update({name: value}), setitem=lambda *_: None)
minimal_logs.with_little_effort(patch)
import shoploop.augmentation.step, shoploop.importance.step
shoploop.augmentation.step.augment_samples = patched["shoploop.augmentation.step.augment_samples"]
shoploop.importance.step.estimate_importance = patched["shoploop.importance.step.estimate_importance"]
from shoploop.importance.estimators.judges import LINEAR
vars(LINEAR)["settings"] = (0.1, 1.0)  # it chooses among two, not four
out = Path(sys.argv[1])
table = minimal_logs.bought(users=60, days=50, every=6, seed=3, items=8)
table = minimal_logs.priced(table)
data = minimal_logs.write(out / "raw", table)
reports = minimal_logs.carry(out, data, until="train_fused", without=["validate_data"])
print(json.dumps([reports["train_fused"]["version"], reports["augment_samples"]["variant"]]))
"""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")


def test_one_thread_and_two_make_the_same_version_of_a_small_shop(tmp_path):
    """The whole way, with virtual shoppers, weights and training, in a process that has one thread and one that has two."""
    script = tmp_path / "whole.py"
    script.write_text(PROGRAM)
    processes, said = [], []
    for threads in ("1", "2"):
        environment = os.environ | dict.fromkeys(THREADS, threads)
        arguments = [str(script), str(tmp_path / "shop" / threads), threads]
        with (tmp_path / threads).open("wb") as output, (tmp_path / f"{threads}.errors").open("wb") as errors:
            processes.append(Forked("script", arguments, env=environment, cwd=tmp_path, output=output, errors=errors))
    for threads, process in zip(("1", "2"), processes, strict=True):
        code = process.wait(500)
        assert code == 0, (tmp_path / f"{threads}.errors").read_text()[-2000:]
        said.append(json.loads((tmp_path / threads).read_text().splitlines()[-1]))
    (one, variant), (two, _) = said
    assert variant is not None
    assert one == two
