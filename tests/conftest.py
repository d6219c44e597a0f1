"""What tests of several rooms share."""

from collections.abc import Iterator

import pytest
from hypothesis import settings
from event_logs import kafka_place, open_one, redis_place
from object_stores import make_store, s3_options

__all__ = ["kafka_place", "make_store", "one_thread", "open_one", "redis_place", "s3_options"]

settings.register_profile("shoploop", deadline=None)  # how long an example takes is no matter of a test
settings.load_profile("shoploop")


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Models this small only lose time on waking other threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
