"""What a person is shown who tries a recommender, and what answers carry."""

from datetime import datetime, timedelta
from email.message import Message
from io import BytesIO
from urllib.error import HTTPError

import polars as pl
import pytest

from shoploop.cli import ask
from shoploop.packaging.staging import stage_ranker
from shoploop.ranking.ranker import Ranker
from shoploop.ranking.settings import RankerSettings
from shoploop.versions.artifact import load_version

OWN = ["listed", "known", "item_code", "code", "row", "len", "day", "score", "reason", "user", "kind"]
"""Names that mean something elsewhere: in answers, in features, or while tables are joined."""


@pytest.fixture
def kept(tmp_path):
    """Writes a run's tables: rows of (user, item, kind), a day apart."""

    def write(*rows):
        folder = tmp_path / "data"
        folder.mkdir()
        days = [datetime(2025, 1, 1) + timedelta(days=n) for n in range(len(rows))]
        frame = pl.DataFrame(rows, schema=["user", "item", "kind"], orient="row").with_columns(time=pl.Series(days))
        frame.write_parquet(folder / "interactions.parquet")
        items = frame["item"].unique(maintain_order=True)
        pl.DataFrame({"item": items, "title": items.str.to_uppercase()}).write_parquet(folder / "items.parquet")
        return tmp_path

    return write


def test_what_was_seen_or_sent_back_is_not_shown_as_bought(kept):
    run = kept(
        ("ann", "tea", "purchase"), ("ann", "milk", "view"), ("ann", "soap", "return"), ("bob", "rye", "purchase")
    )
    assert ask._bought_lately(run, "ann") == [("2025-01-01", "TEA")]


def test_who_is_shown_has_bought_as_much_as_others_who_come_again(kept):
    once = [("a", "tea", "purchase"), *[("b", "tea", "view")] * 9]
    often = [(user, "tea", "purchase") for user in "xyz" for _ in range(4)]
    assert ask._somebody(kept(*once, *often)) == "y"


def test_where_nobody_buys_somebody_new_is_shown(kept):
    assert ask._somebody(kept(("a", "tea", "view"))) == ask.NEWCOMER


@pytest.mark.parametrize("status", [404, 500])
def test_where_no_shop_is_known_none_is_shown_and_what_else_goes_wrong_is_not_hidden(monkeypatch, status):
    def refuse(url, body):
        raise HTTPError(url, status, "no", Message(), BytesIO(b"{}"))

    monkeypatch.setattr(ask, "_ask", refuse)
    if status == 404:
        assert ask._next_shop("http://localhost:1", "ann") is None
    else:
        with pytest.raises(HTTPError):
            ask._next_shop("http://localhost:1", "ann")


def test_answers_carry_a_shops_own_columns_whatever_their_names(stored_shop, tmp_path):
    from shop.serving import write_model

    write_model(tmp_path / "model")
    (tmp_path / "data").mkdir()
    for file in (stored_shop / "data").iterdir():
        (tmp_path / "data" / file.name).symlink_to(file)
    items = pl.read_parquet(stored_shop / "data" / "items.parquet")
    (tmp_path / "data" / "items.parquet").unlink()
    own = [pl.concat_str(pl.lit(f"{name} of "), pl.col("item")).alias(name) for name in OWN]
    items.with_columns(own).write_parquet(tmp_path / "data" / "items.parquet")
    version = load_version(tmp_path / "model").id
    settings = RankerSettings(version=version, item_fields=("title", *OWN), deadline_milliseconds=60_000)
    stage_ranker(
        tmp_path / "ranker", data=tmp_path / "data", features=stored_shop / "features", model=tmp_path / "model",
        settings=settings,
    )  # fmt: skip

    from shoploop.ranking.answer import RecommendRequest

    answer = Ranker.load(tmp_path / "ranker").recommend(RecommendRequest(user="ann", k=2))
    assert [one.item for one in answer.items] == ["milk", "apples"]
    for one in answer.items:
        assert {name: one.fields[name] for name in OWN} == {name: f"{name} of {one.item}" for name in OWN}
        assert one.known is True
