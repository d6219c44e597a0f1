"""What the Transformer learns from the log alone, and when it does."""

import numpy as np
import polars as pl
import pytest
import torch

from shoploop.api.v1alpha1 import TaskSpec
from shoploop.features.baskets import BasketSequence
from shoploop.features.history import history_of
from shoploop.features.log import PurchaseLog, Vocabulary
from shoploop.features.repeats import repeat_share
from shoploop.models.inputs import ModelInput, collate
from shoploop.models.sequence import SequenceModel
from shoploop.training import pretraining
from shoploop.training import sequence_task as rules
from shoploop.training.checkpoint import Checkpoint
from shoploop.training.pretraining import Drawing, PretrainingConfig, Visits, pretrain
from shoploop.training.sequence_task import sequence_task_of

pytestmark = pytest.mark.usefixtures("one_thread")


def log_of(rows, items=6):
    """(user, item's number, day) each."""
    table = pl.DataFrame(
        [(f"u{user:04}", f"i{item:03}", day, 1.0, None, None) for user, item, day in rows],
        schema={"user": pl.String, "item": pl.String, "day": pl.Int32, "quantity": pl.Float64, "price": pl.Float64,
                "shop": pl.String}, orient="row",
    )  # fmt: skip
    return PurchaseLog.of(table, Vocabulary(tuple(f"i{item:03}" for item in range(items))))


@pytest.fixture
def log():
    """The first user comes four times, the second twice, the third once."""
    rows = [
        (0, 0, 10),
        (0, 1, 10),
        (0, 2, 13),
        (0, 3, 20),
        (0, 0, 20),
        (0, 4, 21),
        (1, 5, 5),
        (1, 1, 11),
        (1, 2, 11),
        (2, 3, 9),
    ]
    return log_of(rows)


def model_of(log, **changes):
    torch.manual_seed(0)
    items = len(log.vocabulary)
    model = SequenceModel(SequenceModel.Config(items=items, factors=4, width=8, heads=2, **changes))
    model.factors_IF.copy_(torch.randn(items, 4))
    return model.eval()


def test_a_visit_is_read_as_a_request_of_its_day_would_be(log):
    model, visits = model_of(log, learned_items=True), Visits.of(log)
    with torch.no_grad():
        model.own_ID.normal_()
        asked = visits.asked_V
        user_BD, _ = model.encode(visits.history(asked))
        requests = [(0, 13), (0, 20), (0, 21), (1, 11)]
        inputs = [
            ModelInput(
                items_N=np.empty(0, np.int32),
                features_NK=np.empty((0, 1), np.float32),
                sequence=BasketSequence.of(history_of(log, user, before=day), day=day),
            )
            for user, day in requests
        ]
        assert torch.allclose(user_BD, model.encode(collate(inputs))[0], atol=1e-5)


def test_what_was_bought_at_a_visit_is_its_answer_each_item_a_share_of_it(log):
    visits = Visits.of(log)
    visit_T, item_T, share_T = visits.bought(visits.asked_V)
    assert list(zip(visit_T.tolist(), item_T.tolist(), strict=True)) == [(0, 2), (1, 0), (1, 3), (2, 4), (3, 1), (3, 2)]
    assert share_T.tolist() == pytest.approx([1, 0.5**0.5, 0.5**0.5, 1, 0.5**0.5, 0.5**0.5])


def test_visits_before_the_first_day_are_read_but_not_asked(log):
    visits = Visits.of(log, first_day=20)
    assert visits.day_V[visits.asked_V].tolist() == [20, 21] and visits.back_V[visits.asked_V].tolist() == [2, 3]


def test_drawn_items_stand_for_all_others():
    log = log_of([(user, user % 50, day) for user in range(200) for day in (1, 2)], items=400)
    scores_I = np.random.default_rng(1).normal(size=400)
    drawing, rng = Drawing(log, PretrainingConfig(drawn_items=200)), np.random.default_rng(0)
    found = []
    for _ in range(200):
        items_S, log_count_S = drawing.draw(rng)
        found.append(np.exp(scores_I[items_S.numpy()] + log_count_S.numpy()).sum())
    assert np.mean(found) == pytest.approx(np.exp(scores_I).sum(), rel=0.03)


def test_few_items_are_all_read():
    log = log_of([(0, 0, 1), (0, 1, 2)])
    items_S, log_count_S = Drawing(log, PretrainingConfig()).draw(np.random.default_rng(0))
    assert items_S.tolist() == list(range(6)) and not log_count_S.any()


def test_it_learns_what_follows_and_the_same_under_the_same_seed():
    rows = [(user, (user + step) % 6, 10 + step) for user in range(60) for step in range(4)]
    log, config = log_of(rows), PretrainingConfig(epochs=8, batch_visits=32, learning_rate=2e-2)
    losses, models = [], []
    for _ in range(2):
        model = model_of(log, learned_items=True)
        pretrain(model, log, config, after_epoch=lambda row: losses.append(row["loss"]) is None)
        models.append(model)
    assert losses[:8] == losses[8:] and losses[7] < 0.4 * losses[0]
    first, second = (dict(model.state_dict()) for model in models)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(module.p > 0 for module in models[0].encoder.modules() if isinstance(module, torch.nn.Dropout))


@pytest.fixture
def crate():
    """Users who buy an item a day, but for one who bought forty on the first day."""
    rows = [(user, (user + step) % 6, 10 + step) for user in range(20) for step in range(4)]
    return log_of([*rows, *((20, item, 10) for item in range(40)), (20, 3, 11), (20, 4, 12)], items=40)


def test_one_long_history_pads_no_other(crate):
    visits = Visits.of(crate)
    rows = np.array([visits.history(visits.asked_V[[b]]).events_BE.shape[1] for b in range(len(visits))])
    pieces = visits.pieces(visits.asked_V, 100)
    assert np.sort(np.concatenate(pieces)).tolist() == list(range(len(visits)))
    assert all(len(piece) * rows[piece].max() <= 100 for piece in pieces) and len(pieces) < 5
    assert [piece.tolist() for piece in visits.pieces(visits.asked_V, 10_000)] == [list(range(len(visits)))]
    assert sorted(map(len, visits.pieces(visits.asked_V, 30)))[:2] == [1, 1], "each longer than that is alone"


def test_histories_that_are_read_in_pieces_teach_the_same(crate, monkeypatch):
    config, losses, widest = PretrainingConfig(epochs=2, batch_visits=32), [], []
    for cells in (10_000, 100):
        monkeypatch.setattr(pretraining, "CELLS_AT_ONCE", cells)
        model = model_of(crate, learned_items=True)
        read, sizes = model.encode, []
        model.encode = lambda batch, read=read, sizes=sizes: (sizes.append(batch.events_BE.numel()), read(batch))[1]
        losses.append([row["loss"] for row in pretrain(model, crate, config)])
        widest.append(max(sizes))
    assert widest[0] > 1_000 and widest[1] <= 100
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_learning_that_was_killed_after_an_epoch_goes_on_to_the_same_bytes(tmp_path):
    log = log_of([(user, (user + step) % 6, 10 + step) for user in range(60) for step in range(4)])
    config, key = PretrainingConfig(epochs=4, batch_visits=32), {"seed": 0}

    def learned(stop_after=None):
        model = model_of(log, learned_items=True)
        checkpoint = Checkpoint(tmp_path / "log.safetensors", key)
        rows = pretrain(model, log, config, after_epoch=lambda row: row["epoch"] != stop_after, checkpoint=checkpoint)
        return dict(model.state_dict()), rows

    broken_off, _ = learned(stop_after=2)
    gone_on, rows = learned()
    (tmp_path / "log.safetensors").unlink()
    at_once, _ = learned()
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert all(torch.equal(gone_on[name], at_once[name]) for name in at_once)
    assert not torch.equal(broken_off["own_ID"], at_once["own_ID"])


def test_an_item_of_its_own_begins_as_its_factors_and_both_are_put_on_another_scale(log):
    plain, learned = model_of(log), model_of(log, learned_items=True)
    learned.load_state_dict(plain.state_dict(), strict=False)
    assert torch.equal(plain.item_vectors(), learned.item_vectors())
    with torch.no_grad():
        learned.own_ID.normal_()
        before = learned.item_vectors()
        learned.multiply_scores(3.0)
        assert torch.allclose(learned.item_vectors(), 3 * before, atol=1e-5)
        assert torch.allclose(learned.vectors_of(torch.tensor([4, 1])), 3 * before[[4, 1]], atol=1e-5)


def test_a_log_of_repeats_is_left_to_candidates(monkeypatch):
    monkeypatch.setattr(rules, "FEWEST_VISITS", 10)
    log = log_of([(user, user % 6, day) for user in range(20) for day in range(5)])
    task = sequence_task_of(log)
    assert repeat_share(log.user_R, log.item_R) == pytest.approx(0.8) and task.epochs == 0 and "80%" in task.why


def test_a_log_in_which_all_is_new_is_learned_from_as_far_as_time_goes(monkeypatch):
    log = log_of([(user, (user + day) % 6, day) for user in range(20) for day in range(6)])
    assert sequence_task_of(log).epochs == 0 and "too few" in sequence_task_of(log).why
    monkeypatch.setattr(rules, "FEWEST_VISITS", 10)
    assert sequence_task_of(log).epochs == rules.MOST_EPOCHS and sequence_task_of(log).learned_items
    monkeypatch.setattr(rules, "VISITS_READ", 40)
    assert (sequence_task_of(log).epochs, sequence_task_of(log).first_day) == (1, 4), (
        "twenty visits a day, the latest forty"
    )


def test_whoever_knows_better_says_how_often_the_log_is_read_whatever_it_holds(monkeypatch):
    log = log_of([(user, user % 6, day) for user in range(20) for day in range(5)])
    assert sequence_task_of(log).epochs == 0
    asked = sequence_task_of(log, TaskSpec(log_epochs=3))
    assert (asked.epochs, asked.visits) == (3, 80) and "spec.training.task.logEpochs" in asked.why
    monkeypatch.setattr(rules, "FEWEST_VISITS", 10)
    new = log_of([(user, (user + day) % 6, day) for user in range(20) for day in range(6)])
    assert sequence_task_of(new).epochs and not sequence_task_of(new, TaskSpec(log_epochs=0)).epochs
    nobody_came_back = log_of([(user, 0, 1) for user in range(20)])
    assert sequence_task_of(nobody_came_back, TaskSpec(log_epochs=3)).epochs == 0


def test_items_bought_too_seldom_are_their_factors_alone(monkeypatch):
    monkeypatch.setattr(rules, "FEWEST_VISITS", 10)
    log = log_of([(user, 3 * user + day, day) for user in range(20) for day in range(3)], items=60)
    assert sequence_task_of(log).epochs > 0 and not sequence_task_of(log).learned_items
