"""What the estimators promise, on two clouds of points whose labels are plain to the eye."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hurried_estimators import few_folds, hurry

from shoploop.errors import ShoploopError
from shoploop.importance import SampleImportance
from shoploop.importance.checks.detection import flip_labels, within_label_auc
from shoploop.importance.estimators.errors import (
    FeaturesNotFinite,
    MethodUnknown,
    OneClassOnly,
    SamplesEqual,
    TooManyPrototypes,
    WeightsAllZero,
)
from shoploop.importance.estimators.gan_attention import GanAttention, GanAttentionConfig
from shoploop.importance.estimators.interface import ESTIMATORS
from shoploop.importance.estimators.knn_shapley import shapley_values
from shoploop.importance.estimators.table import Table
from shoploop.importance.estimators.weights import Scores, WeightConfig, to_weights
from shoploop.importance.quality import describe_quality

EXAMPLES = Path(__file__).parents[2] / "examples" / "importance"


@pytest.fixture(scope="module")
def clouds():
    """200 points around (-2, -2) and (2, 2), a fifth of the labels flipped."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 100)
    x = rng.normal(size=(200, 2)) + np.where(y[:, None] == 0, -2, 2)
    observed, flipped = flip_labels(y, 0.2, rng=rng)
    return x, observed, flipped


@pytest.fixture(scope="module", params=list(ESTIMATORS))
def fitted(request, clouds):
    x, observed, _ = clouds
    return SampleImportance(method=request.param, random_state=3).fit(x, observed)


def test_flipped_labels_between_two_clouds_are_found(fitted, clouds):
    _, observed, flipped = clouds
    found = within_label_auc(fitted.importance_, observed, flipped)
    if fitted.method == "uniform":
        assert found == 0.5
    else:  # self-influence grows with the distance from the middle too, so TracIn mixes the two
        assert found > (0.8 if fitted.method == "tracin" else 0.9)


def test_the_same_seed_gives_the_same_bytes(fitted, clouds):
    x, observed, _ = clouds
    again = SampleImportance(method=fitted.method, random_state=3).fit(x, observed)
    assert again.weights_.tobytes() == fitted.weights_.tobytes()


def test_weights_are_within_bounds_and_mean_1_within_each_label(fitted, clouds):
    _, observed, _ = clouds
    weights = fitted.weights_
    assert weights.dtype == np.float32
    assert weights.min() >= 0.05 - 1e-6 and weights.max() <= 5 + 1e-6
    for label in (0, 1):
        assert weights[observed == label].mean() == pytest.approx(1, abs=1e-4)


@pytest.fixture(scope="module")
def attended(clouds):
    """What GAN attention scores."""
    x, observed, _ = clouds
    return GanAttention().score(Table.of(x, observed), seed=0)


def test_permuted_attention_finds_nothing(attended, clouds):
    _, observed, flipped = clouds
    parts = attended.parts
    assert within_label_auc(parts.importance(), observed, flipped) > 0.9
    spoilt = [parts.importance(permute=np.random.default_rng(seed)) for seed in range(5)]
    assert 0.35 < np.mean([within_label_auc(s, observed, flipped) for s in spoilt]) < 0.65


def test_the_importance_is_the_sum_of_attention_times_score(attended, clouds):
    _, observed, _ = clouds
    scores = attended
    repeats = len(scores.parts.gan.folds.fold_RN)
    total = 0
    for repeat in range(repeats):
        w, g = scores.parts.weights(np.arange(len(observed)), repeat)
        assert np.allclose(w.sum(1), 1)
        total = total + (w * g).sum(1)
    assert np.allclose(total / repeats, scores.importance_N, atol=1e-6)


def test_a_detector_that_sees_the_label_alone_gets_a_half():
    y = np.array([0] * 98 + [1] * 2)
    observed, flipped = flip_labels(y, 0.2, rng=np.random.default_rng(0))
    assert within_label_auc(-observed.astype(float), observed, flipped) == 0.5


def test_shapley_values_of_a_target_add_up_to_its_classifier():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 2)).astype(np.float32), np.array([0, 1] * 6)
    nearest = np.argsort(np.square(x - x[0]).sum(1))[1:4]
    values = shapley_values(x, y, np.array([0]), neighbours=3)
    assert values.sum() == pytest.approx((y[nearest] == y[0]).mean())


def test_bad_tables_are_named_errors():
    x, y = np.random.default_rng(0).normal(size=(20, 2)), np.array([0, 1] * 10)
    with pytest.raises(SamplesEqual, match="the same features"):
        SampleImportance().fit(np.ones((20, 2)), y)
    with pytest.raises(OneClassOnly, match="label 1"):
        SampleImportance().fit(x, np.ones(20, int))
    x[3, 1] = np.nan
    with pytest.raises(FeaturesNotFinite, match=r"x1 \(1 of 20\)"):
        Table.of(x, y)
    x[3, 1] = np.inf
    with pytest.raises(FeaturesNotFinite, match=r"x1 holds 1 infinite"):
        SampleImportance().fit(x, y)
    with pytest.raises(MethodUnknown, match="gan_attention"):
        SampleImportance(method="magic").fit(x, y)
    assert issubclass(MethodUnknown, ValueError)


def test_more_prototypes_than_samples_are_refused(clouds):
    x, observed, _ = clouds
    with pytest.raises(TooManyPrototypes, match=r"201 prototypes.*200 samples") as caught:
        GanAttention(config=GanAttentionConfig(prototypes=201)).score(Table.of(x, observed), seed=0)
    assert isinstance(caught.value, ShoploopError)


def test_weights_that_are_all_zero_are_refused():
    with pytest.raises(WeightsAllZero, match="label 1"):
        to_weights(np.array([1.0, 1.0, 0.0, 0.0]), np.array([0, 0, 1, 1]), WeightConfig(lowest=0))


@dataclass(frozen=True)
class Known:
    """An estimator that says what it was told to."""

    importance_N: np.ndarray
    name = "known"
    paper = "none"

    def score(self, table, *, seed):
        return Scores(importance_N=self.importance_N)


def test_the_worst_suspect_comes_first_also_beyond_what_weights_can_tell(monkeypatch):
    importance = np.full(200, 0.9)
    importance[[30, 70, 110, 150]] = 1e-3, 1e-7, 1e-12, 1e-5
    monkeypatch.setitem(ESTIMATORS, "known", lambda: Known(importance))
    x = np.random.default_rng(0).normal(size=(200, 2))
    found = SampleImportance(method="known").fit(x, np.array([0] * 160 + [1] * 40))
    assert found.suspects_[:4].tolist() == [110, 70, 150, 30]


def test_duplicates_and_outliers_are_said_beside_the_weights():
    x = np.random.default_rng(0).normal(size=(40, 2))
    x[1], x[2, 0] = x[0], 1e6
    found = SampleImportance(method="uniform").fit(x, np.array([0, 1] * 20))
    assert found.quality_["duplicates"] == 1
    assert found.quality_["duplicates_of_other_label"] == 1
    assert found.quality_["outliers"] == {"x0": 1}
    assert (found.weights_ == 1).all()


def test_what_is_odd_is_told_of_the_table_as_it_came():
    rows = [(float(row), f"code {row} of order", "red") for row in range(38)] + [
        (None, "gift", None),
        (None, "gift", None),
    ]
    frame = pl.DataFrame(rows, schema=["size", "words", "colour"], orient="row").with_columns(
        size=pl.when(pl.col("size") == 3).then(1e6).otherwise("size")
    )
    for table in (frame, frame.to_pandas(), frame.to_pandas().to_numpy(object)):
        found = SampleImportance(method="uniform").fit(table, np.array([0, 1] * 20)).quality_
        size, colour = ("size", "colour") if hasattr(table, "columns") else ("x0", "x2")
        assert found["missing"] == {size: 2, colour: 2}
        assert found["outliers"] == {size: 1}
        assert (found["duplicates"], found["duplicates_of_other_label"]) == (1, 1)


def test_rows_that_differ_in_a_rare_word_alone_are_no_duplicates():
    frame = pl.DataFrame({"size": [1.0, 2.0] * 20, "code": [f"c{row}" for row in range(40)]})
    assert SampleImportance(method="uniform").fit(frame, np.array([0, 1] * 20)).quality_["duplicates"] == 0


def test_long_numbers_beside_a_gap_are_told_apart():
    numbers = np.array([[None], [2**60], [2**60 + 1], [2**60 + 1]], object)
    assert describe_quality(numbers, names=["number"]) == {
        "rows": 4,
        "missing": {"number": 1},
        "outliers": {},
        "duplicates": 1,
    }


@pytest.fixture
def hurried(monkeypatch):
    """Estimators that learn for a moment: scikit-learn asks in a hundred fits how they behave, not how well they find."""
    few_folds(monkeypatch)
    hurry(monkeypatch, steps=2, attention_steps=2)


@pytest.mark.parametrize("method", ESTIMATORS)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("hurried")
def test_scikit_learn_accepts_the_estimator(method):
    from sklearn.utils.estimator_checks import check_estimator

    results = check_estimator(SampleImportance(method=method), on_skip=None, on_fail=None)
    assert [r["check_name"] for r in results if r["status"] == "failed"] == []


@pytest.mark.parametrize("name", ["medical", "risk"])
def test_the_examples_run(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    result = module.main()
    assert next(iter(result.values())) > 0.6
