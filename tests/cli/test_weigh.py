"""``shoploop weigh`` refuses by name what it cannot weigh with."""

import pytest

from shoploop.cli.weigh import weigh_samples
from shoploop.errors import SpecInvalid


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "recommender.yaml"
    path.write_text(
        "apiVersion: shoploop.io/v1alpha1\nkind: Recommender\nmetadata: {name: corner}\n"
        "spec: {data: {dataset: completejourney}, importance: {estimator: None}}\n"
    )
    return path


def test_an_unknown_estimator_is_named_with_those_there_are(file):
    with pytest.raises(SpecInvalid, match=r"'Magic'.*GanAttention, Ensemble, LossRanking"):
        weigh_samples(file, None, estimator="Magic", show=False, out=None, json_=None)


def test_none_has_nothing_to_weigh(file):
    with pytest.raises(SpecInvalid, match="--estimator"):
        weigh_samples(file, None, estimator=None, show=False, out=None, json_=None)
