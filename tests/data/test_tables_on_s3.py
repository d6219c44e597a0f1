import polars as pl
import pytest

from shoploop.api.v1alpha1 import DataSpec
from shoploop.data import load_data, source_digest
from shoploop.errors import DataUnreadable
from shoploop.store import Store


@pytest.fixture
def lake(s3_options, monkeypatch):
    """A bucket that the environment gives access to, as on a laptop."""
    monkeypatch.setenv("AWS_ENDPOINT", s3_options["endpoint"])
    monkeypatch.setenv("AWS_REGION", s3_options["region"])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_options["access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_options["secret_access_key"])
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    store = Store("s3://shoploop/lake", options=s3_options)
    store.put("readme.txt", b"no table\n")  # SeaweedFS makes a bucket when something is put into it
    return store


def spec(uri):
    return DataSpec(tables={"interactions": {"uri": uri}})


def test_a_pattern_of_objects_is_one_table(lake, tmp_path):
    lake.put("events/1.csv", b"user,item,time\nann,tea,2024-05-01\n")
    lake.put("events/2.csv", b"user,item,time\nbob,tea,2024-05-02\n")
    lake.put("events/readme.txt", b"no table\n")
    load_data(out=tmp_path, data_spec=spec("s3://shoploop/lake/events/*.csv"))
    assert pl.read_parquet(tmp_path / "interactions.parquet")["user"].to_list() == ["ann", "bob"]


def test_the_digest_follows_an_object(lake):
    lake.put("one.csv", b"user,item,time\nann,tea,2024-05-01\n")
    first = source_digest(spec("s3://shoploop/lake/one.csv"))
    assert source_digest(spec("s3://shoploop/lake/one.csv")) == first
    lake.put("one.csv", b"user,item,time\nann,tea,2024-05-02\n")
    assert source_digest(spec("s3://shoploop/lake/one.csv")) != first


@pytest.mark.parametrize(
    ("uri", "said"), [("s3://shoploop/none.csv", "does not exist"), ("s3://shoploop/none/*.csv", "No object")]
)
def test_what_is_not_there_is_named(lake, tmp_path, uri, said):
    with pytest.raises(DataUnreadable, match=said):
        load_data(out=tmp_path / "out", data_spec=spec(uri))


def test_the_digest_follows_a_picture_whatever_lies_beside_it(lake):
    lake.put("items.csv", b"item,image\ntea,_new/tea.png\n")
    lake.put("one.csv", b"user,item,time\nann,tea,2024-05-01\n")
    lake.put("shelf/metadata.json", b"{}")
    lake.put("shelf/_new/tea.png", b"red")
    items = {"uri": "s3://shoploop/lake/items.csv", "image": {"uri": "s3://shoploop/lake/shelf"}}
    pictured = DataSpec(tables={"interactions": {"uri": "s3://shoploop/lake/one.csv"}, "items": items})
    first = source_digest(pictured)
    assert source_digest(pictured) == first
    lake.put("shelf/_new/tea.png", b"green")
    assert source_digest(pictured) != first
