"""Of two processes one never does its part; the other says what it makes of that. A test starts it."""

import os
import time
from datetime import timedelta

import torch

from shoploop.compute import parallel
from shoploop.errors import PeerLost

parallel.STEP_PATIENCE = timedelta(seconds=2)
try:
    with parallel.joined() as together:
        if together.rank:
            time.sleep(60)
        together.sum(torch.ones(1))
except PeerLost as error:
    print(f"rank {os.environ['RANK']}: {error}", flush=True)
    os._exit(0)
