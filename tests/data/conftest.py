import pytest
from own_tables import Tables


@pytest.fixture
def tables(tmp_path):
    return Tables(tmp_path)
