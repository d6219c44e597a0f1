"""Frames as people have them, rows that come later, and the pipelines and searches of scikit-learn."""

import tracemalloc
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pytest
from joblib import Parallel, delayed
from sklearn import config_context
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from shoploop.importance import SampleImportance, WeighedClassifier
from shoploop.importance.columns import Columns
from shoploop.importance.estimators.errors import (
    ColumnsDiffer,
    ColumnsUnclear,
    FeaturesNotFinite,
    LabelsMissing,
    LabelUnknown,
    NewRowsUnknown,
)

pytestmark = pytest.mark.usefixtures("one_thread")
ROWS = 300


def orders(seed=0):
    """Orders that were kept or returned, by their words and size; a fifth of the labels are wrong."""
    rng = np.random.default_rng(seed)
    kept = rng.random(ROWS) < 0.5
    words = np.where(kept, "fine soft cloth number", "torn thin cloth number")
    frame = pl.DataFrame(
        {
            "size": pl.Series([None if rng.random() < 0.1 else float(v) for v in rng.normal(np.where(kept, 2, -2))]),
            "colour": pl.Series(np.where(kept, "red", "blue")).cast(pl.Categorical),
            "words": [f"{word} {row}" for row, word in enumerate(words)],
            "day": pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 10, 26), eager=True),
            "code": [f"c{row}" for row in range(ROWS)],
        }
    )
    wrong = rng.random(ROWS) < 0.2
    label = np.where(kept ^ wrong, "kept", "returned")
    return frame, label, wrong


@pytest.fixture(scope="module")
def weighed():
    frame, label, wrong = orders()
    return SampleImportance(method="loss").fit(frame, label), frame, label, wrong


def test_wrong_labels_of_a_frame_with_categories_text_dates_and_gaps_count_less(weighed):
    found, _, label, wrong = weighed
    assert found.weights_[wrong].mean() < 0.5 < 1 < found.weights_[~wrong].mean()
    for one in ("kept", "returned"):
        assert found.weights_[label == one].mean() == pytest.approx(1, abs=1e-4)


def test_pandas_and_polars_say_the_same(weighed):
    found, frame, label, _ = weighed
    other = SampleImportance(method="loss").fit(frame.to_pandas(), pd.Series(label))
    assert np.array_equal(found.weights_, other.weights_)


def test_every_kind_of_column_becomes_numbers():
    frame, _, _ = orders()
    names = Columns.fit(frame).names
    assert {"size", "size is missing", "colour=red", "colour=blue", "words part 0", "day", "code=other"} <= set(names)
    numbers = Columns.fit(frame).numbers(frame)
    assert np.isfinite(numbers).all() and numbers.shape == (ROWS, len(names))


def test_words_and_categories_that_come_later_are_the_others():
    columns = Columns.fit(pd.DataFrame({"colour": ["red"] * 30 + [f"shade {n}x" for n in range(30)]}))
    assert columns.names[-1] == "colour=other" or "part" in columns.names[0]
    columns = Columns.fit(pd.DataFrame({"colour": ["red"] * 30 + [f"shade{n}" for n in range(30)]}))
    assert columns.numbers(pd.DataFrame({"colour": ["red", "green"]}))[:, -1].tolist() == [0, 1]


BERLIN = ZoneInfo("Europe/Berlin")
DAYS = [datetime(2024, 1, 1 + day, 1, tzinfo=BERLIN) for day in range(30)]
SAME = {
    "datetimes with a zone": pd.DataFrame({"x": pd.to_datetime(DAYS)}),
    "the same of polars": pl.DataFrame({"x": pl.Series(DAYS, dtype=pl.Datetime("us", "Europe/Berlin"))}),
    "the same as objects": pd.DataFrame({"x": pd.Series(DAYS, dtype=object)}),
    "dates": pd.DataFrame({"x": pd.Series([day.date() for day in DAYS], dtype=object)}),
    "spans": pd.DataFrame({"x": pd.Series([timedelta(days=19723 + day) for day in range(30)], dtype=object)}),
    "spans of numpy": np.array([[np.timedelta64(19723 + day, "D")] for day in range(30)], object),
    "decimals": pd.DataFrame({"x": [Decimal(19723 + day) for day in range(30)]}),
    "decimals of polars": pl.DataFrame({"x": [Decimal(19723 + day) for day in range(30)]}),
}
"""The first 30 days of 2024, which is 19,723 days after 1970; midnight in UTC is one o'clock in Berlin."""


@pytest.mark.parametrize("frame", SAME.values(), ids=SAME)
def test_dates_and_numbers_are_read_in_every_form(frame):
    columns = Columns.fit(frame)
    assert columns.names in (("x",), ("x0",))
    assert columns.numbers(frame)[:, 0].tolist() == [19723 + day for day in range(30)]


def test_a_missing_date_or_decimal_is_missing():
    gaps = {"day": [DAYS[0].date(), None, DAYS[2].date()], "price": [Decimal(1), Decimal(3), None]}
    frame = pd.DataFrame(gaps, dtype=object)
    columns = Columns.fit(frame)
    assert columns.names == ("day", "day is missing", "price", "price is missing")
    assert columns.numbers(frame).tolist() == [[19723, 0, 1, 0], [19724, 1, 3, 0], [19725, 0, 2, 1]]


def test_one_long_cell_makes_no_other_cell_long():
    notes = pd.DataFrame({"note": [f"n{row % 30}" for row in range(2_000)] + ["long " * 2_000]})
    columns = Columns.fit(notes)  # what is imported on the way is no cell
    tracemalloc.start()
    assert columns.names == Columns.fit(notes).names
    columns.numbers(notes)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 5_000_000


def test_numbers_beside_words_in_a_list_are_numbers():
    rows = [[float(row), "kept" if row % 2 else "returned"] for row in range(40)]
    found = SampleImportance(method="uniform").fit(rows, [row % 2 for row in range(40)])
    assert found._columns.names == ("x0", "x1=kept", "x1=returned")


def test_labels_that_can_be_trusted_all_count_1():
    frame, label, wrong = orders()
    true = np.where((label == "kept") ^ wrong, "kept", "returned")
    found = SampleImportance(method="loss").fit(frame, true)
    assert found.noise_ == 0 and (found.weights_ == 1).all()
    assert (found.weigh(frame[:4], true[:4]) == 1).all()


def test_mistakes_that_go_one_way_are_seen_and_make_the_other_label_no_less():
    frame, label, wrong = orders(seed=2)
    true = np.where((label == "kept") ^ wrong, "kept", "returned")
    lost = (true == "returned") & (np.arange(len(label)) % 5 < 2)
    found = SampleImportance(method="loss").fit(frame, np.where(lost, "kept", true))
    of_kept, of_returned = found.noise_by_label_
    assert found.classes_.tolist() == ["kept", "returned"]
    assert of_returned == 0 and 0.1 < of_kept < 0.5 and found.noise_ == (of_kept + of_returned) / 2
    assert found.weights_[lost].mean() < 0.85 < 1 < found.weights_[true == "kept"].mean()
    assert (found.weights_[~lost & (true == "returned")] == 1).all()


def test_new_rows_count_as_fitted_ones_that_are_as_credible(weighed):
    found, *_ = weighed
    frame, label, wrong = orders(seed=1)
    weights = found.weigh(frame, label)
    assert weights[wrong].mean() < 0.5 < 1 < weights[~wrong].mean()
    assert weights.min() >= found.weights_.min() and weights.max() <= found.weights_.max()


def test_what_cannot_be_weighed_is_a_named_value_error(weighed):
    found, frame, label, _ = weighed
    with pytest.raises(LabelUnknown, match="lost"):
        found.weigh(frame[:2], np.array(["kept", "lost"]))
    with pytest.raises(ColumnsDiffer, match="colour"):
        Columns.fit(frame).numbers(frame.drop("colour"))
    with pytest.raises(ValueError, match="colour"):
        found.weigh(frame.drop("colour"), label)
    with pytest.raises(NewRowsUnknown, match="el2n"):
        SampleImportance(method="el2n").fit(frame[["size"]], label).weigh(frame[["size"]], label)
    with pytest.raises(FeaturesNotFinite, match="size"):
        SampleImportance().fit(frame.with_columns(size=float("inf")), label)
    with pytest.raises(LabelsMissing, match="1 of the 300"):
        SampleImportance().fit(frame, np.where(np.arange(ROWS) == 3, None, label))


def test_new_rows_are_read_by_name_and_none_of_them_is_fine_too(weighed):
    found, frame, label, _ = weighed
    turned = frame.select(reversed(frame.columns)).with_columns(more=1)
    assert np.array_equal(found.weigh(turned, label), found.weigh(frame, label))
    assert found.weigh(frame[:0], label[:0]).shape == (0,)
    assert found.weigh(frame.to_pandas()[:0], []).dtype == np.float32
    x, y = points()
    assert SampleImportance(method="loss").fit(x, y).weigh(x[:0], y[:0]).shape == (0,)


def test_new_rows_that_cannot_be_read_are_named_errors(weighed):
    found, frame, label, _ = weighed
    for other in (frame.drop("colour"), frame.to_pandas().drop(columns="colour")):
        with pytest.raises(ColumnsDiffer, match="lack colour"):
            found.weigh(other, label)
    with pytest.raises(ColumnsDiffer, match=r"size held numbers.*'small'"):
        found.weigh(frame.with_columns(size=pl.lit("small")), label)
    with pytest.raises(ColumnsDiffer, match="lack size"):
        found.weigh(frame.to_numpy(), label)
    with pytest.raises(LabelUnknown, match="3"):
        found.weigh(frame[:2], np.array(["kept", 3], object))
    x, y = points()
    alone = SampleImportance(method="uniform").fit(x, y)
    for wrong, told in ((x[:, :1], "lack x1"), (np.hstack([x, x]), "4 columns")):
        with pytest.raises(ColumnsDiffer, match=told):
            alone.weigh(wrong, y)


def test_rows_without_a_label_are_named_in_every_form(weighed):
    found, frame, *_ = weighed
    x, y = points()
    words = np.where(y == 1, "kept", None)
    for rows in (x, x.tolist(), pd.DataFrame(x, columns=["a", "b"])):
        with pytest.raises(LabelsMissing, match="of the 200 rows"):
            SampleImportance().fit(rows, words)
    with pytest.raises(LabelsMissing, match="100 of the 200"):
        SampleImportance().fit(x, np.where(np.arange(200) < 100, np.nan, y))
    with pytest.raises(LabelsMissing, match="1 of the 2"):
        found.weigh(frame[:2], np.array(["kept", None], object))


def test_columns_without_a_clear_name_are_named_errors():
    x, y = points()
    with pytest.raises(ColumnsUnclear, match="More than one column of the table is called size"):
        SampleImportance().fit(pd.DataFrame(x, columns=["size", "size"]), y)
    for empty in (pd.DataFrame(index=range(200)), pl.DataFrame()):
        with pytest.raises(ColumnsUnclear, match="no columns"):
            SampleImportance().fit(empty, y)


def points():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 100)
    x = rng.normal(size=(200, 2)) + np.where(y[:, None] == 0, -2, 2)
    return x, np.where(rng.random(200) < 0.2, 1 - y, y)


def test_a_pipeline_and_a_search_weigh_each_split_by_its_own_rows():
    x, y = points()
    model = WeighedClassifier(LogisticRegression(), SampleImportance(method="loss"))
    search = GridSearchCV(
        make_pipeline(StandardScaler(), model),
        {"weighedclassifier__importance__method": ["loss", "uniform"], "weighedclassifier__estimator__C": [0.1, 1]},
        cv=2,
    ).fit(x, y)
    assert search.best_score_ > 0.7
    assert len(search.best_estimator_[-1].importance_.weights_) == 200


def test_a_search_chooses_what_weighs_where_nothing_was_said_of_it():
    x, y = points()
    model = WeighedClassifier(LogisticRegression())
    search = GridSearchCV(model, {"importance__method": ["loss", "uniform"]}, cv=2).fit(x, y)
    assert search.best_estimator_.importance.method == search.best_params_["importance__method"]
    assert model.importance is None
    assert model.set_params(estimator__C=0.5).importance is None
    with pytest.raises(ValueError, match="magic"):
        model.set_params(importance__magic=1)


def test_it_says_which_columns_it_was_fitted_on():
    x, y = points()
    model = WeighedClassifier(LogisticRegression(), SampleImportance(method="uniform"))
    assert not hasattr(model, "n_features_in_")
    model.fit(pd.DataFrame(x, columns=["long", "wide"]), y)
    assert model.n_features_in_ == 2 and model.feature_names_in_.tolist() == ["long", "wide"]
    assert not hasattr(model.fit(x, y), "feature_names_in_")


def test_a_frame_goes_through_to_a_pipeline_that_reads_it():
    frame, label, _ = orders()
    reader = make_pipeline(make_column_transformer((CountVectorizer(), "words")), LogisticRegression())
    fitted = WeighedClassifier(reader, SampleImportance(method="loss")).fit(frame.to_pandas(), label)
    assert set(fitted.predict(frame.to_pandas()[:5])) <= {"kept", "returned"}


def test_weights_of_ones_own_are_routed_and_multiplied():
    x, y = points()
    half = np.where(np.arange(200) % 2, 1.0, 0.0)
    model = WeighedClassifier(LogisticRegression(), SampleImportance(method="uniform"))
    with config_context(enable_metadata_routing=True):
        asked = make_pipeline(FunctionTransformer(), model.set_fit_request(sample_weight=True))
        judge = get_scorer("accuracy").set_score_request(sample_weight=False)
        grid = {"weighedclassifier__estimator__C": [1.0]}
        search = GridSearchCV(asked, grid, cv=2, scoring=judge).fit(x, y, sample_weight=half)
    alone = LogisticRegression().fit(x, y, sample_weight=half)
    assert np.allclose(search.best_estimator_[-1].estimator_.coef_, alone.coef_, atol=1e-3)


def test_what_is_fitted_goes_to_another_process_and_says_the_same(weighed):
    found, frame, label, _ = weighed
    (there,) = Parallel(n_jobs=2)([delayed(found.weigh)(frame, label)])
    assert np.array_equal(there, found.weigh(frame, label))


def test_labels_that_overlap_and_are_right_all_count_1():
    rng = np.random.default_rng(0)
    number = rng.normal(size=(2_000, 1))
    label = rng.random(2_000) < 1 / (1 + np.exp(-2 * number[:, 0]))
    found = SampleImportance(method="loss").fit(number, label)
    assert found.noise_ == 0 and (found.weights_ == 1).all()
