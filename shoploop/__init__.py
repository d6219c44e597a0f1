"""shoploop: the learning loop of a shop, from raw events to a served recommender that keeps learning."""

import os
from importlib.metadata import PackageNotFoundError, version

# OpenMP threads wait by spinning unless told otherwise before torch or LightGBM is loaded. Where a pod has a CPU quota
# or the machine has other work, they then spend the time in which their partner could run: an epoch took 1,228 s
# instead of 97 s beside other work on two cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

try:
    __version__ = version("shoploop")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"
