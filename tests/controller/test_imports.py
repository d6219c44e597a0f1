"""The operator's image has the extra ``operator`` alone: what computes is not in it."""

import subprocess
import sys

COMPUTES = ("torch", "polars", "numpy", "pandas", "sklearn", "feast", "kfp", "bentoml", "joblib")


def test_the_operator_needs_nothing_that_computes():
    modules = "shoploop.controller.handlers, shoploop.controller.cleanup, shoploop.controller.uninstall"
    code = f"import sys, {modules}; print([m for m in {COMPUTES} if m in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
