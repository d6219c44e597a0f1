"""A shop with pictures: what nobody has bought is offered to those who bought what looks like it; else nothing changes."""

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from coloured_pictures import as_file, pixels, product
from shop import SALTY, SWEET, TRAINING, Shop
from shop.stored import write_files

from shoploop.api.places import relative_uris
from shoploop.api.v1alpha1 import DataSpec
from shoploop.candidates.fetching import SOURCES, CandidateConfig, fetch_candidates
from shoploop.data.inputs import resolve_uris, source_digest
from shoploop.data.picture_files import ENCODER, FILE
from shoploop.data.pictures import MOST_BYTES
from shoploop.data.step import load_data
from shoploop.errors import DataUnreadable
from shoploop.features.history import history_of
from shoploop.features.item import ItemStatistics
from shoploop.features.log import PurchaseLog, Vocabulary, purchases
from shoploop.features.materialize import materialize_features
from shoploop.images.encoder import encoder_files, read_encoder
from shoploop.images.learning import LearningConfig, learn_pictures
from shoploop.images.network import PictureNetwork
from shoploop.samples.files import read_catalogs
from shoploop.samples.step import PICTURES, UNSOLD, build_samples
from shoploop.training.step import train_fused
from shoploop.versions.artifact import load_version
from shoploop.versions.trained import TrainedModel

SHOP = Shop()
NEW = {"fudge": "red", "wasabi": "blue"}
"""Nobody has bought them: one looks as sweet things do, the other as salty ones."""


def with_pictures(folder: Path, **image: str | None) -> dict:
    """The shop's files, with a picture of every item but bread, whose picture is none, and of two that are new."""
    tables = write_files(folder, SHOP)
    colours = dict.fromkeys(SWEET, "red") | dict.fromkeys(SALTY, "blue") | NEW
    shelf = folder / "shelf"
    shelf.mkdir()
    for item, colour in colours.items():
        (shelf / f"{item}.png").write_bytes(as_file(product(colour)) if item != "bread" else b"bread")
    items = pl.read_parquet(folder / "items.parquet")
    more = items.head(2).with_columns(item=pl.Series(list(NEW)), title=pl.lit(None), category=pl.lit(None))
    both = pl.concat([items, more]).with_columns(image=pl.col("item") + ".png")
    both.with_columns(category=pl.lit(None, pl.List(pl.String))).write_parquet(folder / "items.parquet")
    if image:
        tables["items"]["image"] = {"uri": str(shelf)} | image
    return tables


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    """Of red and blue, learned in a second."""
    folder = tmp_path_factory.mktemp("encoder")
    config = LearningConfig(network=PictureNetwork.Config(side=16, channels=(8, 16), width=16), steps=60, batch=16)
    learned = learn_pictures(pixels([product("red"), product("blue")]), ["", ""], config=config)
    for name, content in encoder_files(learned.encoder).items():
        (folder / name).write_bytes(content)
    return folder


def built(folder: Path, tables: dict) -> Path:
    load_data(out=folder / "data", data_spec=DataSpec(tables=tables))
    materialize_features(data=folder / "data", out=folder / "features", training_spec=TRAINING)
    build_samples(data=folder / "data", features=folder / "features", out=folder / "samples", training_spec=TRAINING)
    return folder


@pytest.fixture(scope="module")
def pictured(tmp_path_factory, encoder) -> Path:
    folder = tmp_path_factory.mktemp("pictured")
    return built(folder, with_pictures(folder / "files", encoder=str(encoder)))


def vocabulary_of(folder: Path) -> Vocabulary:
    return Vocabulary(tuple(pl.read_parquet(folder / "features" / "vocabulary.parquet").sort("code")["item"]))


def test_what_is_new_is_among_the_items_and_points_where_its_likes_point(pictured):
    vocabulary, catalog = vocabulary_of(pictured), read_catalogs(pictured / "samples").serving
    assert set(vocabulary.items) == {*SWEET, *SALTY, *NEW}
    fudge, wasabi, milk, tea = catalog.factors_ID[vocabulary.encode(["fudge", "wasabi", "milk", "tea"])]
    assert fudge @ milk > fudge @ tea
    assert wasabi @ tea > wasabi @ milk


def test_who_bought_sweet_things_is_offered_what_looks_sweet(pictured):
    vocabulary = vocabulary_of(pictured)
    log = PurchaseLog.of(purchases(pl.read_parquet(pictured / "data" / "interactions.parquet")), vocabulary)
    catalog, items = read_catalogs(pictured / "samples").serving, ItemStatistics(log)
    day = SHOP.split.serving
    fudge, wasabi = vocabulary.encode(["fudge", "wasabi"])
    for user, wanted, other in (("ann", fudge, wasabi), ("bob", wasabi, fudge)):
        found = fetch_candidates(
            history_of(log, log.users.index(user), before=day),
            day=day,
            items=items.on(day),
            catalog=catalog,
            config=CandidateConfig(unsold=1),
        )
        named = found.items_N[found.sources_N >> SOURCES.index("unsold") & 1 == 1]
        assert named.tolist() == [wanted] and other not in found.items_N


def test_the_run_tells_of_its_pictures_and_keeps_their_encoder(pictured, encoder):
    loaded = pl.read_json(pictured / "data" / "load.json").row(0, named=True)
    assert loaded["pictures"]["rows"] == 13
    (rule,) = (rule for rule in loaded["rules"] if rule["name"] == "picture_unreadable")
    assert rule["rows"] == 1 and "bread.png" in rule["why"]
    samples = pl.read_json(pictured / "samples" / "samples.json").row(0, named=True)
    assert samples["candidates"]["unsold"] == UNSOLD
    for path in sorted(encoder.iterdir()):
        assert (pictured / "samples" / PICTURES / path.name).exists()
    assert (pictured / "data" / ENCODER).is_dir()


def test_a_version_carries_the_encoder_for_other_runs_and_offers_what_is_new(pictured, encoder, tmp_path):
    folders = {name: pictured / name for name in ("data", "features", "samples")}
    train_fused(**folders, out=tmp_path / "version", training_spec=TRAINING)
    version = load_version(tmp_path / "version")
    trained = TrainedModel.of_version(version)
    assert trained.candidates.unsold == UNSOLD and "fudge" in trained.vocabulary.items
    own = {path.name: path.read_bytes() for path in encoder.iterdir()}
    assert {name: version.extra_files[name] for name in own} == own
    assert read_encoder(tmp_path / "version").places == read_encoder(encoder).places


def test_without_pictures_a_column_that_names_some_changes_nothing(tmp_path):
    """What the samples are made of has the same bytes as where the column is not there."""
    with_column, without = tmp_path / "with", tmp_path / "without"
    built(with_column, with_pictures(with_column / "files"))
    tables = with_pictures(without / "files")
    path = without / "files" / "items.parquet"
    pl.read_parquet(path).drop("image").write_parquet(path)
    built(without, tables)
    assert not (with_column / "data" / FILE).exists()
    assert set(vocabulary_of(with_column).items) == {*SWEET, *SALTY}
    names = [path.name for path in sorted((without / "samples").glob("*.parquet")) if path.name != "items.parquet"]
    assert "candidates.parquet" in names and len(names) > 4
    for name in names:
        assert (with_column / "samples" / name).read_bytes() == (without / "samples" / name).read_bytes(), name
    assert not (without / "samples" / PICTURES).exists()


def test_pictures_are_part_of_what_a_run_is_made_of(tmp_path, encoder):
    tables = with_pictures(tmp_path / "files", encoder=str(encoder))
    spec = DataSpec(tables=tables)
    before = source_digest(spec)
    assert before == source_digest(spec)
    (tmp_path / "files" / "shelf" / "milk.png").write_bytes(as_file(product("green")))
    assert source_digest(spec) != before


@pytest.mark.parametrize("beside", ["LICENSE.txt", "metadata.json", "labels.csv"])
@pytest.mark.parametrize("picture", ["milk.png", "_new/milk.png", ".new/milk.png"])
def test_a_picture_counts_whatever_lies_beside_it_and_whatever_its_folder_is_called(tmp_path, beside, picture):
    spec, shelf = DataSpec(tables=with_pictures(tmp_path, encoder=None)), tmp_path / "shelf"
    (shelf / beside).write_bytes(b"ours")
    (shelf / picture).parent.mkdir(exist_ok=True)
    (shelf / picture).write_bytes(as_file(product("red")))
    before = source_digest(spec)
    assert source_digest(spec) == before
    (shelf / picture).write_bytes(as_file(product("green")))
    assert source_digest(spec) != before


def test_a_picture_that_moves_to_another_name_is_another_input(tmp_path):
    spec = DataSpec(tables=with_pictures(tmp_path, encoder=None))
    shelf = tmp_path / "shelf"
    before = source_digest(spec)
    (shelf / "cold").mkdir()
    (shelf / "milk.png").rename(shelf / "cold" / "milk.png")
    assert source_digest(spec) != before


def test_other_weights_of_the_encoder_are_another_input(tmp_path, encoder):
    own = tmp_path / "encoder"
    shutil.copytree(encoder, own)
    spec = DataSpec(tables=with_pictures(tmp_path / "files", encoder=str(own)))
    before = source_digest(spec)
    weights = own / "encoder.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    assert source_digest(spec) != before


def test_what_reading_refuses_is_not_read_for_the_digest_and_a_link_counts_by_where_it_leads(tmp_path):
    spec = DataSpec(tables=with_pictures(tmp_path / "files", encoder=None))
    shelf, outside = tmp_path / "files" / "shelf", tmp_path / "outside"
    outside.write_bytes(as_file(product("red")))
    with (shelf / "film.mp4").open("wb") as film:
        film.truncate(MOST_BYTES + 1)
    (shelf / "notes.pdf").write_bytes(b"%PDF-1.7 of twelve and more")
    (shelf / "out.png").symlink_to(outside)
    (shelf / "in.png").symlink_to("milk.png")
    (shelf / "again").symlink_to(".")
    before = source_digest(spec)
    outside.write_bytes(as_file(product("green")))
    (shelf / "notes.pdf").write_bytes(b"%PDF-1.7 of twelve and MORE")
    assert source_digest(spec) == before
    (shelf / "in.png").unlink()
    (shelf / "in.png").symlink_to("salt.png")
    assert source_digest(spec) != before


def test_relative_folders_of_pictures_are_counted_from_the_yaml(tmp_path):
    image = {"uri": "shelf", "encoder": "models/pictures"}
    spec = DataSpec(tables={"interactions": {"uri": "a.csv"}, "items": {"uri": "b.csv", "image": image}})
    assert set(relative_uris(spec)) >= {"data.tables.items.image.uri", "data.tables.items.image.encoder"}
    assert not relative_uris(resolve_uris(spec, tmp_path))
    found = resolve_uris(spec, tmp_path).tables.items.image
    assert (found.uri, found.encoder) == (str(tmp_path / "shelf"), str(tmp_path / "models/pictures"))


def test_an_encoder_that_is_not_there_ends_the_first_step(tmp_path):
    tables = with_pictures(tmp_path / "files", encoder=str(tmp_path / "nowhere"))
    with pytest.raises(DataUnreadable, match="nowhere does not exist"):
        load_data(out=tmp_path / "data", data_spec=DataSpec(tables=tables))


def test_a_shop_whose_items_carry_no_factors_of_their_own_is_not_changed_by_the_new_source():
    assert "unsold" not in CandidateConfig().to_json()
    assert CandidateConfig(unsold=3).to_json()["unsold"] == 3
    assert np.uint8(1 << SOURCES.index("unsold")) == 128  # the last bit that there is
