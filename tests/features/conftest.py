import pytest
from feast_shop import build, sales


@pytest.fixture(scope="session")
def features(tmp_path_factory):
    return build(tmp_path_factory.mktemp("shop") / "run", sales())
