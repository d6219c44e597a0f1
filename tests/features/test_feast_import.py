"""How Feast is imported."""

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


def test_feast_is_imported_without_its_methods_being_rewritten():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "get_online_features", done.stderr
