"""Search's own weights, and what they share with recommendations."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from shop import Shop
from shop.samples import OFFERED_FEATURES, offered

from shoploop.features.baskets import BasketSequence
from shoploop.features.history import History
from shoploop.models.behaviour import Behaviour
from shoploop.models.fusion import PARTS, FusedModel
from shoploop.models.inputs import ModelInput, collate
from shoploop.models.search import MOST_PIECES, SearchModule, padded_pieces, pieces_of
from shoploop.models.sequence import SequenceModel
from shoploop.training.loop import model_input

pytestmark = pytest.mark.usefixtures("one_thread")

SHOP = Shop()
PAIRS, OF_QUERY = len(OFFERED_FEATURES.pair_features), 3
BEHAVIOUR = Behaviour.Config(features=PAIRS, hidden=(8, 4))
SEQUENCE = SequenceModel.Config(items=SHOP.items, factors=4, width=8, heads=2, layers=1, repeat_heads=2)
CONFIG = FusedModel.Config(
    behaviour=BEHAVIOUR,
    sequence=SEQUENCE,
    surfaces=("items", "search"),
    search=SearchModule.Config(features=OF_QUERY, pieces=0, name_pieces=padded_pieces(SHOP.names).shape[1]),
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = FusedModel(CONFIG)
    model.searching().set_names(SHOP.names)
    with torch.no_grad():
        model.searching().bias_I.normal_()
        model.alpha_logits.copy_(torch.tensor([1.0, -0.5]))
    return model


def asked(query="milk", *, candidates=6, seed=0):
    """One query over offered items."""
    one = model_input(offered(1, candidates=candidates, seed=seed), 0)
    more = np.random.default_rng(seed).standard_normal((candidates, OF_QUERY)).astype(np.float32)
    return replace(one, features_NK=np.hstack([one.features_NK, more]), query=query)


def test_each_surface_has_an_alpha_of_its_own(model):
    assert model.alpha == pytest.approx({"items": 0.7311, "search": 0.3775}, abs=1e-3)


@pytest.mark.parametrize("part", PARTS)
def test_one_query_scores_as_it_does_in_a_batch_and_in_the_forward_pass(model, part):
    model.prepare()
    inputs = [asked("milk"), asked("tea 2 l", candidates=9, seed=1), asked("", candidates=4, seed=2)]
    with torch.inference_mode():
        together = model(collate(inputs), "search").part(part).numpy()
    for b, request in enumerate(inputs):
        alone = model.score(request, part=part, surface="search")
        np.testing.assert_allclose(together[b, : len(alone)], alone, rtol=1e-4, atol=1e-5)


def test_alpha_of_search_mixes_the_parts(model):
    model.prepare()
    parts = {part: model.score(asked(), part=part, surface="search") for part in PARTS}
    share = model.alpha["search"]
    np.testing.assert_allclose(parts["fused"], share * parts["dnn"] + (1 - share) * parts["transformer"], rtol=1e-5)


def test_what_is_kept_between_requests_changes_no_score(model):
    fresh = model.eval().score(asked(), surface="search")
    kept = model.prepare().score(asked(), surface="search")
    np.testing.assert_allclose(fresh, kept, rtol=1e-5, atol=1e-6)


def test_names_that_are_kept_are_forgotten_when_the_model_learns_on(model):
    before = model.prepare().score(asked("milk"), surface="search")
    model.train()
    with torch.no_grad():
        model.searching().text.weight.mul_(-2.0)
    assert not np.allclose(before, model.prepare().score(asked("milk"), surface="search"))


def test_the_words_of_a_query_matter_to_the_transformer_and_not_to_the_dnn(model):
    model.prepare()
    milk, tea = asked("milk"), asked("tea")
    assert not np.allclose(*(model.score(x, part="transformer", surface="search") for x in (milk, tea)))
    np.testing.assert_array_equal(*(model.score(x, part="dnn", surface="search") for x in (milk, tea)))


def test_a_query_is_nearest_to_the_item_that_is_called_so(model):
    """Before anything is learned: hashed words are alike to themselves."""
    items = np.arange(SHOP.items, dtype=np.int32)
    search = model.searching().eval()
    with torch.inference_mode():
        query_D = search.encode(torch.from_numpy(padded_pieces(["milk"])))[0]
        like_I = (search.names() @ query_D).numpy()
    assert SHOP.names[items[like_I.argmax()]] == "milk"


def test_the_scores_of_recommendations_do_not_know_of_search(model):
    request = model_input(offered(1), 0)
    before = {part: model.prepare().score(request, part=part) for part in PARTS}
    with torch.no_grad():
        for parameter in model.searching().parameters():
            parameter.add_(1.0)
        model.alpha_logits[1] = 3.0
    for part in PARTS:
        np.testing.assert_array_equal(before[part], model.prepare().score(request, part=part))


def test_multiplying_the_scores_of_search_multiplies_them_and_no_others(model):
    recommended = model.prepare().score(model_input(offered(1), 0))
    before = {part: model.score(asked(), part=part, surface="search") for part in ("dnn", "transformer")}
    model.searching().multiply_scores(dnn=3.0, transformer=0.5)
    for part, times in (("dnn", 3.0), ("transformer", 0.5)):
        np.testing.assert_allclose(
            model.score(asked(), part=part, surface="search"), times * before[part], rtol=1e-5, atol=1e-6
        )
    np.testing.assert_array_equal(recommended, model.score(model_input(offered(1), 0)))


@pytest.mark.parametrize("query", ["", "🥛", "x" * 10_000, "\ud800", "牛奶"])
def test_whatever_is_typed_scores_are_finite(model, query):
    nobody = BasketSequence.of(History.empty(), day=20_000)
    for request in (asked(query), replace(asked(query), sequence=nobody)):
        assert np.isfinite(model.prepare().score(request, surface="search")).all()


def test_a_query_without_a_candidate_has_no_score(model):
    nothing = ModelInput(
        items_N=np.empty(0, np.int32),
        features_NK=np.empty((0, PAIRS + OF_QUERY), np.float32),
        sequence=BasketSequence.of(History.empty(), day=20_000),
        query="milk",
    )
    for part in PARTS:
        assert model.prepare().score(nothing, part=part, surface="search").shape == (0,)


def test_of_what_is_new_the_transformer_reads_the_name_alone():
    """What was learned of an item that nobody had taken is that nobody took it."""
    torch.manual_seed(0)
    model = FusedModel(replace(CONFIG, search=replace(CONFIG.search, new=1))).eval()
    search, query = model.searching(), asked("milk")
    search.set_names(SHOP.names)
    query.features_NK[:, PAIRS + 1] = new = np.arange(6) == 2

    def scores():
        return model.prepare().score(query, part="transformer", surface="search")

    before = scores()
    with torch.no_grad():
        search.bias_I[query.items_N] -= 5.0
        model.train().sequence.item_bias_I[query.items_N] -= 5.0
    np.testing.assert_allclose(scores()[new], before[new], atol=1e-6)
    np.testing.assert_allclose(scores()[~new], before[~new] - 10.0, atol=1e-4)
    assert "search.new" in model.state_dict() and "search.new" not in FusedModel(CONFIG).state_dict()


def test_a_configuration_survives_json(model):
    again = FusedModel.Config.from_json(json.loads(json.dumps(CONFIG.to_json())))
    assert again == CONFIG
    FusedModel(again).load_state_dict(model.state_dict())


def test_a_configuration_from_before_search_still_loads():
    old = FusedModel.Config(behaviour=BEHAVIOUR, sequence=SEQUENCE)
    written = json.loads(json.dumps(old.to_json()))
    del written["search"]
    model = FusedModel(FusedModel.Config.from_json(written))
    assert model.search is None and model.alpha == {"items": 0.5}
    assert not any(name.startswith("search") for name in model.state_dict())


def test_a_model_without_search_has_the_weights_that_it_had():
    """Search comes last, so that what is drawn for the rest is drawn as ever."""
    torch.manual_seed(3)
    plain = FusedModel(replace(CONFIG, surfaces=("items",), search=None)).state_dict()
    torch.manual_seed(3)
    searching = FusedModel(CONFIG).state_dict()
    for name, value in plain.items():
        if name != "alpha_logits":
            assert torch.equal(value, searching[name]), name


def test_search_needs_a_hidden_layer_and_says_so():
    with pytest.raises(ValueError, match="first hidden layer, and there is none"):
        FusedModel(replace(CONFIG, behaviour=replace(BEHAVIOUR, hidden=())))


def test_a_version_that_does_not_say_how_it_reads_reads_as_its_weights_have_learned():
    before = CONFIG.to_json()
    assert FusedModel.Config.from_json(before) == CONFIG
    del before["search"]["reading"]
    older = FusedModel(FusedModel.Config.from_json(before)).searching()
    older.set_names(["牛奶巧克力"] * SHOP.items)
    assert (older.names_IP[0] > 0).sum() == min(
        6, older.names_IP.shape[1]
    )  # one word and its five pieces, not four pairs


def test_pieces_of_texts_are_padded_and_of_long_ones_the_first_are_read():
    table = padded_pieces(["milk", "", "a long name of very many different words that go on and on for ever"])
    assert table.shape == (3, MOST_PIECES) and not table[1].any()
    assert (table[0] > 0).sum() == len(pieces_of("milk"))
    pieces_of.cache_clear()
    padded_pieces(["milk " * 1_000 + end for end in ("a", "b", "c")])
    assert pieces_of.cache_info().currsize == 1  # nobody fills the memory with long queries
    assert padded_pieces([]).shape == (0, 0) and padded_pieces([""]).shape == (1, 0)
