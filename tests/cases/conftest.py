import pytest
import toy_steps
from own_tables import Tables
from toy_shop import ToyShop


@pytest.fixture
def tables(tmp_path):
    return Tables(tmp_path)


@pytest.fixture(scope="session")
def toy_model(tmp_path_factory):
    return toy_steps.Toy(tmp_path_factory.mktemp("toy")).prepare().folder / "model"


@pytest.fixture
def shop(tmp_path, toy_model):
    return ToyShop(tmp_path, toy_model)
