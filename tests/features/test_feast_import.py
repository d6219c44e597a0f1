"""How Feast is imported, and how much of it."""

import subprocess
import sys

SCRIPT = """
import typeguard, typeguard._decorators
from shoploop.features.feast_store import _uninstrumented

def instrument(function):
    raise AssertionError(f"{function} was rewritten")

checked, typeguard._decorators.instrument = typeguard.typechecked, instrument
with _uninstrumented():
    from feast import FeatureStore
assert typeguard.typechecked is checked
print(FeatureStore.get_online_features.__name__)
"""


READING = """
import sys
from pathlib import Path
from shoploop.features.online import OnlineFeatures

online = OnlineFeatures(Path(sys.argv[1]))
assert online.items().day == online.serving_day
assert online.user("ann") and online.histories(["ann"]) and online.shops()
print("ibis" in sys.modules, online._store.config.offline_store.type)
"""


def test_who_reads_online_does_not_import_the_offline_store(stored_shop):
    command = [sys.executable, "-W", "ignore", "-c", READING, str(stored_shop / "features")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "False duckdb", done.stderr


def test_feast_is_imported_without_its_methods_being_rewritten():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "get_online_features", done.stderr
