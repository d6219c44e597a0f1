"""The benchmark of pictures: items found by photos, those of which none was learned from among them."""

import csv
import zipfile

import numpy as np
import pytest
from coloured_pictures import COLOURS, as_file, photo, product

from shoploop.bench.images.contest import EVEN, LOOKED_UP, METRICS, MINE, contest, even_help
from shoploop.bench.images.histograms import histograms, nearest_vote, overlap
from shoploop.bench.images.problems import FOLDS, problem_of, read_problem
from shoploop.errors import DataUnreadable, NotFound, PictureUnreadable, SpecInvalid
from shoploop.images.learning import LearningConfig
from shoploop.images.network import PictureNetwork

NAMES = tuple(COLOURS)


@pytest.fixture
def folder(tmp_path):
    """Four balls of four colours, with two photos of each to learn from and two to judge by."""
    photos = [(f"{part}/{name}-{n}.png", str(code), part) for part in ("train", "test")
              for code, name in enumerate(NAMES) for n in range(2)]  # fmt: skip
    with (tmp_path / "items.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["item", "name", "category", "group", "icon", "description"])
        writer.writerows([code, name, "ball", "toy", f"icons/{name}.png", ""] for code, name in enumerate(NAMES))
    with (tmp_path / "photos.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("photo", "item", "part"), *photos])
    with zipfile.ZipFile(tmp_path / "icons.zip", "w") as archive:
        for name in NAMES:
            archive.writestr(f"icons/{name}.png", as_file(product(name)))
    for part in ("train", "test"):
        with zipfile.ZipFile(tmp_path / f"{part}.zip", "w") as archive:
            for seed, (path, code, of) in enumerate(photos):
                if of == part:
                    archive.writestr(path, as_file(photo(NAMES[int(code)], seed)))
    return tmp_path


def test_every_method_is_judged_on_items_left_out_and_on_known_ones(folder):
    config = LearningConfig(network=PictureNetwork.Config(side=16, channels=(8, 16), width=16), steps=40, batch=16)
    found = contest(read_problem(folder, "balls"), seeds=[0], config=config)
    assert (found["items"], found["photos"], found["judged"], found["folds"]) == (4, 8, 8, FOLDS)
    assert found["chance"] == {"hit@1": 0.25, "hit@5": 1.0}
    for part in (found, found["known"]):
        assert set(part["methods"]) == {MINE, EVEN, "picture", "text", "colour_icon", *LOOKED_UP}
        for row in part["methods"].values():
            assert all(0 <= row[metric] <= 1 and metric in row["interval"] for metric in METRICS)
        assert part["methods"]["colour_photos"]["hit@1"] == 1
        assert {(row["better"], row["than"]) for row in part["comparisons"]} > {(MINE, "colour_icon"), (EVEN, MINE)}
    assert found["seconds"] > 0 and found["peak_rss_bytes"] > 0 and found["parameters"] > 1000


def test_items_without_photos_are_helped_as_far_as_about_two_of_three_known_ones_stay():
    rooms = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    scores = np.stack([1 - rooms, np.ones(5)], axis=1)  # of each photo the second item is first, by so much
    out = np.array([True, False])
    given = even_help(scores, np.ones(5, int), out)
    assert 0.2 < given < 0.3 and (scores + given * out).argmax(axis=1).sum() == 3
    assert even_help(scores, np.zeros(5, int), out) == 0.0  # none is found, none is to lose
    assert even_help(scores[:0], np.ones(0, int), out) == 0.0


def test_every_item_is_left_out_once_and_by_each_seed_with_others(folder):
    problem = read_problem(folder, "balls")
    assert sorted(problem.folds(0)) == [0, 0, 1, 2]
    assert len({tuple(problem.folds(seed)) for seed in range(5)}) > 1


def test_colours_that_are_the_same_overlap_wholly_and_others_by_their_ground():
    pictures = np.stack([np.asarray(product(name)) for name in ("red", "red", "blue")])
    shared = overlap(histograms(pictures), histograms(pictures))
    assert shared[0, 1] == pytest.approx(1)
    white = (pictures[0] == 255).all(axis=2).mean()
    assert shared[0, 2] == pytest.approx(white)


def test_of_the_nearest_photos_each_speaks_for_its_item():
    close = np.array([[0.9, 0.5, 0.5, 0.1]])
    assert nearest_vote(close, np.array([0, 1, 1, 2]), items=3, nearest=3).tolist() == [[0.9, 1.0, 0.0]]


def test_a_dataset_that_no_benchmark_of_pictures_knows_is_named():
    with pytest.raises(SpecInvalid, match="Choices: grocery-images"):
        problem_of("trivago-slates")


def test_files_that_are_not_there_are_named(folder, monkeypatch):
    monkeypatch.delenv("SHOPLOOP_BENCH_DATA", raising=False)
    with pytest.raises(NotFound, match="SHOPLOOP_BENCH_DATA"):
        problem_of("grocery-images")
    (folder / "test.zip").unlink()
    with pytest.raises(NotFound, match=r"test\.zip is not there"):
        read_problem(folder, "balls")


def test_photos_of_unknown_items_and_pictures_that_are_none_are_named(folder):
    text = (folder / "photos.csv").read_text()
    (folder / "photos.csv").write_text(text.replace(",3,test", ",9,test"))
    with pytest.raises(DataUnreadable, match="item '9'"):
        read_problem(folder, "balls")
    (folder / "photos.csv").write_text(text + "test/gone.png,0,test\n")
    with pytest.raises(DataUnreadable, match=r"no test/gone\.png"):
        read_problem(folder, "balls")
    with zipfile.ZipFile(folder / "test.zip", "a") as archive:
        archive.writestr("test/gone.png", b"no picture")
    with pytest.raises(PictureUnreadable, match=r"gone\.png cannot be read"):
        read_problem(folder, "balls")
