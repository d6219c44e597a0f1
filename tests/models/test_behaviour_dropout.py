import torch

from shoploop.models.behaviour import RequestDropout


def test_all_candidates_of_a_request_lose_the_same_units_and_other_requests_lose_others():
    torch.manual_seed(0)
    kept = RequestDropout(0.5).train()(torch.ones(4, 7, 100))
    assert set(kept.unique().tolist()) == {0.0, 2.0}  # what is left makes up for what is not
    assert (kept == kept[:, :1]).all()
    assert not (kept[0] == kept[1]).all()
    assert 0.3 < (kept[:, 0] == 0).float().mean() < 0.7


def test_nothing_is_dropped_where_nothing_is_learned():
    hidden = torch.ones(2, 3, 5)
    assert RequestDropout(0.5).eval()(hidden) is hidden
    assert RequestDropout(0.0).train()(hidden) is hidden
