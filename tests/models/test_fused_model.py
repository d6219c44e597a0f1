import numpy as np
import pytest
import torch
from shop import Shop
from shop.samples import OFFERED_FEATURES, offered

from shoploop.candidates.fetching import CandidateConfig
from shoploop.features.baskets import BASKETS, BasketSequence
from shoploop.features.history import History
from shoploop.models.behaviour import Behaviour
from shoploop.models.fusion import PARTS, FusedModel
from shoploop.models.inputs import collate
from shoploop.models.sequence import SequenceModel
from shoploop.training.loop import listwise_loss, model_input
from shoploop.versions.trained import TrainedModel

pytestmark = pytest.mark.usefixtures("one_thread")

SHOP = Shop()
SMALL = FusedModel.Config(
    behaviour=Behaviour.Config(features=2, hidden=(8,)),
    sequence=SequenceModel.Config(items=SHOP.items, factors=4, width=8, heads=2, layers=1, repeat_heads=2),
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return FusedModel(SMALL)


def test_alpha_learns_by_gradient(model):
    samples = offered(4)
    batch = collate([model_input(samples, q) for q in range(4)])
    labels = torch.from_numpy(samples.labels_R.reshape(4, -1).astype(np.float32))
    loss = listwise_loss(model(batch).fused_BN, labels, batch.mask_BN, torch.ones_like(labels))
    loss.backward()
    assert model.alpha_logits.grad is not None and model.alpha_logits.grad.abs().item() > 0


def test_alpha_begins_in_the_middle_and_mixes_the_parts(model):
    assert model.alpha == {"items": 0.5}
    with torch.no_grad():
        model.alpha_logits.fill_(2.0)
    request = model_input(offered(1), 0)
    parts = {part: model.prepare().score(request, part=part) for part in PARTS}
    share = model.alpha["items"]
    np.testing.assert_allclose(parts["fused"], share * parts["dnn"] + (1 - share) * parts["transformer"], rtol=1e-5)
    np.testing.assert_allclose(parts["fixed_alpha"], 0.5 * (parts["dnn"] + parts["transformer"]), rtol=1e-5)


def test_one_request_scores_as_it_does_in_a_batch(model):
    few, many = offered(3, candidates=4), offered(3, seed=1, candidates=9)
    inputs = [model_input(few, 0), model_input(many, 1), model_input(few, 2)]
    with torch.inference_mode():
        together = model.prepare()(collate(inputs)).fused_BN.numpy()
    for b, request in enumerate(inputs):
        np.testing.assert_allclose(together[b, : len(request.items_N)], model.score(request), rtol=1e-4, atol=1e-5)


def test_a_request_alone_is_the_same_batch_as_one_that_is_padded():
    few, many = model_input(offered(1, candidates=4), 0), model_input(offered(2, seed=1, candidates=9), 1)
    alone, padded = collate([many]), collate([many, few])
    for name in ("items_BN", "mask_BN", "features_BNK", "ages_BL"):
        torch.testing.assert_close(getattr(alone, name)[0], getattr(padded, name)[0], rtol=0, atol=0)
    for name in ("events_BE", "baskets_BE", "places_BE"):
        events = len(many.sequence.items_E)
        torch.testing.assert_close(getattr(alone, name)[0], getattr(padded, name)[0, :events], rtol=0, atol=0)


def test_an_empty_history_gets_finite_scores(model):
    nothing = BasketSequence.of(History.empty(), day=20_000)
    request = model_input(offered(1), 0)
    scores = model.prepare().score(
        type(request)(items_N=request.items_N, features_NK=request.features_NK, sequence=nothing)
    )
    assert np.isfinite(scores).all()


def test_a_sequence_keeps_the_last_baskets_latest_first():
    days = np.arange(BASKETS + 5, dtype=np.int32)
    history = History.of(np.zeros_like(days), days, np.ones(len(days), np.float32))
    sequence = BasketSequence.of(history, day=BASKETS + 4)
    assert sequence.ages_L.tolist() == list(range(1, BASKETS + 1))
    assert sequence.baskets_E.tolist() == list(range(BASKETS - 1, -1, -1))


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="width is 10 but heads is 4"):
        SequenceModel.Config(items=1, factors=1, width=10, heads=4)


def test_a_trained_model_survives_being_tensors(model):
    trained = TrainedModel(
        model=model,
        catalog=SHOP.catalog(),
        contract=OFFERED_FEATURES,
        vocabulary=SHOP.vocabulary,
        candidates=CandidateConfig(popular=7),
    )
    model.sequence.factors_IF.copy_(torch.from_numpy(trained.catalog.factors_ID))
    import pyarrow as pa

    again = TrainedModel.build(
        trained.tensors(),
        trained.config(),
        OFFERED_FEATURES.to_json(),
        pa.table({"item": list(trained.vocabulary.items)}),
    )
    request = model_input(offered(1), 0)
    np.testing.assert_array_equal(model.prepare().score(request), again.model.score(request))
    assert again.candidates.popular == 7 and again.contract.hash == OFFERED_FEATURES.hash


def test_the_loss_of_a_sure_and_right_model_is_small_and_weights_count():
    mask = torch.tensor([[True, True, False]])
    labels = torch.tensor([[1.0, 0.0, 0.0]])
    ones = torch.ones(1, 3)
    assert listwise_loss(torch.tensor([[20.0, 0.0, 99.0]]), labels, mask, ones).item() == pytest.approx(0, abs=1e-6)
    even = listwise_loss(torch.zeros(1, 3), labels, mask, ones).item()
    assert even == pytest.approx(np.log(2), rel=1e-5)
    # a negative that counts three times is as good as three negatives
    heavy = listwise_loss(torch.zeros(1, 3), labels, mask, torch.tensor([[1.0, 3.0, 1.0]])).item()
    assert heavy == pytest.approx(np.log(4), rel=1e-5)


def test_requests_without_a_purchase_add_no_loss():
    mask, ones = torch.ones(2, 2, dtype=torch.bool), torch.ones(2, 2)
    scores = torch.tensor([[1.0, 0.0], [5.0, -5.0]])
    with_purchase = listwise_loss(scores[:1], torch.tensor([[1.0, 0.0]]), mask[:1], ones[:1])
    both = listwise_loss(scores, torch.tensor([[1.0, 0.0], [0.0, 0.0]]), mask, ones)
    assert both.item() == pytest.approx(with_purchase.item())
