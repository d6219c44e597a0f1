"""A ranker of whose answers one sees what was learned, a log in a file and a store in a folder."""

import pytest
from shop.serving import make_ranker

from shoploop.events.sqlite_log import SqliteLog
from shoploop.store import Store


@pytest.fixture(scope="session")
def ranker(tmp_path_factory):
    """Of whose score the Transformer, which learns online, has all."""
    return make_ranker(tmp_path_factory.mktemp("ranker"), alpha_logit=-20.0)


@pytest.fixture
def log(tmp_path):
    with SqliteLog(tmp_path / "log") as opened:
        yield opened


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))
