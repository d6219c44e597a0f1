"""What somebody who searches is answered: by a model that searches, and by one that does not."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from shop import FIRST, SALTY, SWEET, Shop
from shop.searches import COLUMNS, sources
from shop.serving import make_ranker

from shoploop.events.fresh import Done
from shoploop.features.history import History, history_of
from shoploop.features.user import user_rows, user_stats
from shoploop.ranking.answer import SearchRequest
from shoploop.ranking.rules import Placed
from shoploop.ranking.search_list import with_unsold
from shoploop.ranking.searching import Searched, Searching, Unsold, remembered_by
from shoploop.samples.searching import query_features
from shoploop.surfaces.search.features import SEARCH_FEATURES, Read
from shoploop.surfaces.search.memory import Remembered
from shoploop.surfaces.search.names import Names
from shoploop.versions.artifact import load_version
from shoploop.versions.trained import TrainedModel

SHOP = Shop()
NOON = datetime.combine(SHOP.serving_day, time(12), UTC)


@pytest.fixture(scope="module")
def trained(searching_shop):
    return TrainedModel.of_version(load_version(searching_shop / "model"))


@pytest.fixture(scope="module")
def ranker(trained, tmp_path_factory):
    return make_ranker(tmp_path_factory.mktemp("ranker"), trained=trained)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Of a model that does not search: names and sales answer."""
    return make_ranker(tmp_path_factory.mktemp("plain"))


@pytest.fixture(params=["ranker", "plain"])
def either(request):
    return request.getfixturevalue(request.param)


def search(ranker, query, *, now=NOON, out_of_stock=(), until=None, fresh=(), **request):
    asked = SearchRequest(query=query, **request)
    return ranker.search(asked, now=now, out_of_stock=out_of_stock, until=until, fresh=fresh)


def names(answer):
    return [found.item for found in answer.items]


def reasons(answer):
    return {found.item: found.reason for found in answer.items}


@pytest.mark.parametrize("user", [None, "ann", "bob", "nobody"])
def test_what_is_called_so_comes_first_whoever_asks(either, user):
    assert names(search(either, "Milk!", user=user))[0] == "milk"
    assert names(search(either, "TEA", user=user))[0] == "tea"


def test_an_answer_says_who_answered_how_and_for_which_day(ranker, plain):
    answer = search(ranker, "milk", user="ann")
    assert (answer.version, answer.method, answer.as_of) == ("v123", "fused", SHOP.serving_day.isoformat())
    assert answer.understood is None and answer.rules == []
    assert search(plain, "milk", user="ann").method == "text"


def test_items_come_with_score_fields_and_reason(ranker):
    [milk] = search(ranker, "milk", k=1).items
    assert milk.fields == {"title": "Milk"} and milk.known and np.isfinite(milk.score)


def test_scores_fall(either):
    scores = [found.score for found in search(either, "sweet", user="ann").items]
    assert scores == sorted(scores, reverse=True) and len(scores) == len(SWEET)


def test_of_what_fits_what_the_shopper_buys_comes_first(either):
    """Ann buys milk on twice as many days as apples, and nothing else."""
    assert set(names(search(either, "sweet", user="ann", k=2))) == {"milk", "apples"}
    assert names(search(either, "sweet", k=1)) == ["apples"]


def test_what_was_just_bought_counts(either):
    done = [Done(item="cake", kind="purchase", day=FIRST + SHOP.days - n, quantity=1.0) for n in (0, 1, 2)]
    before = names(search(either, "sweet", user="ann")).index("cake")
    assert names(search(either, "sweet", user="ann", fresh=done)).index("cake") < before


def test_what_was_taken_after_such_words_is_found_though_it_is_called_otherwise(ranker):
    assert names(search(ranker, "bedtime drink"))[0] == "milk"
    assert names(search(ranker, "bedtime drinkk"))[0] == "milk"


def test_a_misspelt_word_says_what_it_was_understood_as(either):
    answer = search(either, "milkk")
    assert answer.understood == "milk" and names(answer)[0] == "milk"


def test_reasons_are_true(plain, ranker):
    assert reasons(search(plain, "milk"))["milk"] == "it matches what you searched for"
    assert reasons(search(plain, "milkk"))["milk"] == 'it matches "milk"'
    assert reasons(search(plain, "milk bottle"))["milk"] == "it matches some of what you searched for"
    assert reasons(search(ranker, "bedtime drink"))["milk"] == "100% of what was taken after this search"


@pytest.mark.parametrize(
    "share, after, said",
    [
        (0.05, "same_I", "some took it after this search"),
        (0.05, "near_I", "some took it after searches like yours"),
        (0.0, "same_I", None),
    ],
)
def test_what_few_took_after_a_query_is_said_to_be_found_by_that(plain, share, after, said):
    """Nothing in the name of milk speaks of a "qqqq", and few of those who asked for one took it."""
    searching, code = plain.known.searching, SHOP.names.index("milk")
    day, matrix = SHOP.split.serving, plain.known.matrix
    asked = searching.search("qqqq", items=matrix, history=History.empty(), day=day).asked
    taken_I = np.zeros(SHOP.items, np.float32)
    taken_I[code] = share
    asked = replace(asked, remembered=replace(asked.remembered, times=40.0, **{after: taken_I}))
    assert searching.reason(asked, code) == said


def test_a_kind_is_not_said_to_be_a_name(plain):
    """Apples are found by "sweet", which is their kind and in no name of theirs."""
    assert "name" not in reasons(search(plain, "sweet"))["apples"]


def test_every_item_of_an_answer_has_a_reason(either):
    for query in ("sweet", "milkk", "bedtime drink", "hunney", "qqqq"):
        for user in (None, "ann"):
            assert all(reasons(search(either, query, user=user)).values()), query


@pytest.mark.parametrize("query", ["qqqq", "", "   ", "🥛", "!!!", "99"])
@pytest.mark.parametrize("user", [None, "bob"])
def test_where_nothing_fits_what_sells_is_shown_and_the_method_says_so(either, query, user):
    answer = search(either, query, user=user, k=3)
    assert answer.method == "popularity" and answer.understood is None
    assert names(answer)[:2] == ["apples", "nuts"] and len(names(answer)) == 3
    assert all(reason and "search" not in reason for reason in reasons(answer).values())


def test_excluded_items_and_those_out_of_stock_are_not_found(either):
    assert not {"milk", "jam"} & set(names(search(either, "sweet", exclude=["milk", "nonsense"], out_of_stock=["jam"])))


def test_only_what_is_named_is_found(either):
    answer = search(either, "sweet", only=["jam", "tea", "nonsense"])
    assert names(answer) == ["jam"] and answer.method != "popularity"


def test_the_wishes_hold_for_best_sellers_too(either):
    for query in ("qqqq", "milk"):
        answer = search(
            either, query, exclude=["milk", "apples"], only=["milk", "apples", "nuts", "tea"], out_of_stock=["tea"]
        )
        assert (answer.method, names(answer)) == ("popularity", ["nuts"])


def test_nothing_at_all_may_be_left(either):
    assert names(search(either, "milk", only=["nonsense"])) == []
    assert names(search(either, "milk", out_of_stock=[*SWEET, *SALTY])) == []


@pytest.mark.parametrize("k", [1, 3, 500])
def test_no_item_is_found_twice_and_never_more_than_k(either, k):
    for query in ("sweet", "milk", "qqqq"):
        found = names(search(either, query, user="ann", k=k))
        assert len(found) == len(set(found)) <= k
    assert len(names(search(either, "sweet", k=k))) == min(k, len(SWEET))


def placed_among(query, *, bought, unsold):
    """The order of items, those that nobody has bought in capitals."""
    texts, new = Names([*bought]), Names([*unsold])
    nothing = np.zeros(len(bought), np.float32)
    recall = Remembered(
        same_I=nothing, lately_I=nothing, near_I=nothing, words_I=nothing, times=0.0, near_times=0.0, nearest=0.0,
        taken_I=nothing > 0,
    )  # fmt: skip
    searched = Searched(
        asked=Read(fit=texts.fit(query), remembered=recall, letters=len(query)),
        items_N=np.flatnonzero(texts.fit(query).words_I > 0).astype(np.int32),
    )
    fit = new.fit(query, weights=searched.asked.fit.weights)
    found = [
        Unsold(
            item=name.upper(),
            words=float(fit.words_I[at]),
            named=float(fit.named_I[at]),
            as_typed=fit.understood is None,
        )
        for at, name in enumerate(unsold)
        if fit.words_I[at] > 0
    ]
    order = [Placed(item=bought[code], score=1.0) for code in searched.items_N]
    return [each.item for each in with_unsold(order, found, searched)]


MUGS = ("mug red", "mug blue", "mug green", "mug black", "mug pink")


def test_what_nobody_has_bought_is_first_where_its_name_is_said_better():
    assert placed_among("mug white", bought=MUGS, unsold=["mug white"])[0] == "MUG WHITE"
    limited = ("halo four limited edition", "halo three")
    assert placed_among("halo four", bought=limited, unsold=["halo four"])[0] == "HALO FOUR"
    assert placed_among("rocksmith", bought=("rocksmiths rock", "blocksmith"), unsold=["drum"])[0] != "DRUM"
    assert placed_among("knitting", bought=("kniting needles",), unsold=["knitting wool"])[0] == "KNITTING WOOL"


def test_a_word_that_no_name_has_does_not_bring_what_nobody_has_bought_to_the_top():
    """Among few names a word of them all is rarer than among many: "mug" seemed to be more of "mug zzz" there."""
    assert placed_among("mug qqqq", bought=MUGS, unsold=["mug white large", "plate", "bowl"]) == list(MUGS)
    assert placed_among("mug plate", bought=MUGS, unsold=["mug white plate", "bowl"])[0] == "MUG WHITE PLATE"


def test_words_weigh_the_same_among_all_names(plain):
    """Of four new things one is sweet, and of what is bought half: among the new alone the word would be rarer."""
    kinds = [["sweet"], ["wood"], ["wood"], ["wood"]]
    items = pl.DataFrame({"item": [*"abcd"], "title": ["Toffee", "Drum", "Harp", "Lute"], "category": kinds})
    searching = Searching(plain.known.trained, items)
    day, matrix = SHOP.split.serving, plain.known.matrix
    asked = searching.search("sweet qqqq", items=matrix, history=History.empty(), day=day).asked
    [new] = searching.unsold("sweet qqqq", weights=asked.fit.weights)
    assert new.item == "a" and new.words == pytest.approx(float(asked.fit.words_I.max()))
    assert searching.unsold("sweet qqqq")[0].words > new.words + 0.05


def test_what_nobody_has_bought_has_one_place_where_a_word_is_in_no_name(tmp_path, monkeypatch):
    ranker = make_ranker(tmp_path)
    kinds = [["sweet"]] * 3 + [["wood"]] * 9
    items = pl.DataFrame(
        {"item": [*"abcdefghijkl"], "title": [f"Thing {n}" for n in "abcdefghijkl"], "category": kinds}
    )
    monkeypatch.setattr(ranker.known, "searching", Searching(ranker.known.trained, items))
    assert set(names(search(ranker, "sweet qqqq"))) == set(SWEET)
    assert set(names(search(ranker, "sweet"))[:3]) < set(SWEET)


def test_one_of_what_nobody_has_bought_has_a_place_that_is_seen_and_the_others_come_behind():
    found = placed_among("mug", bought=MUGS, unsold=["mug white large", "mug grey large"])
    assert found == [*MUGS[:3], "MUG WHITE LARGE", *MUGS[3:], "MUG GREY LARGE"]


def test_who_types_an_id_means_that_item(plain):
    ids = ["00014394", "14395", "014395", "AB-77", "beer", "123"]
    items = pl.DataFrame({"item": ids, "title": ids, "category": [[""]] * len(ids)})
    searching = Searching(plain.known.trained, items)
    assert [searching.numbered(query) for query in ("14394", " 00014394 ", "ab-77")] == [
        "00014394",
        "00014394",
        "AB-77",
    ]
    # two have it, a word, what may be a size, words, and nobody's
    assert [searching.numbered(query) for query in ("14395", "beer", "123", "ab 77", "99999")] == [None] * 5


def test_the_item_of_a_typed_id_is_first_unless_it_may_not_be_shown(either, monkeypatch):
    monkeypatch.setattr(either.known.searching, "numbered", lambda query: "milk")
    assert names(search(either, "99999", k=3)) == ["milk"]
    assert names(search(either, "salty", k=3))[0] == "milk"
    assert "milk" not in names(search(either, "salty", k=3, out_of_stock=["milk"]))


def test_what_has_some_of_the_words_only_is_left_out_unless_nothing_bought_has_as_many():
    assert placed_among("mug red", bought=MUGS, unsold=["mug white large"]) == list(MUGS)


class Clock:
    """Seconds; what was announced passes at the next looks at it."""

    def __init__(self, *passes):
        self.now, self.passes = 0.0, list(passes)

    def __call__(self):
        now = self.now
        self.now += self.passes.pop(0) if self.passes else 0.0
        return now


@pytest.mark.parametrize(
    "passes, method",
    [((0.01, 0.01, 0.01), "fused"), ((0.2,), "text"), ((0.0, 0.2), "dnn")],
    ids=["in time", "late at once", "late before the Transformer"],
)
def test_past_its_deadline_it_answers_with_less(trained, tmp_path, passes, method):
    ranker = make_ranker(tmp_path, trained=trained, deadline_milliseconds=100, clock=Clock(*passes))
    answer = search(ranker, "milk", user="ann", k=1)
    assert (answer.method, names(answer)) == (method, ["milk"])


def test_short_of_time_the_names_are_still_right(trained, tmp_path):
    ranker = make_ranker(tmp_path, trained=trained)
    answer = search(ranker, "sweet", user="ann", until=-1.0)
    assert answer.method == "text" and set(names(answer)) == set(SWEET)


def test_where_the_data_ended_long_ago_the_day_after_its_last_counts(ranker):
    old = search(ranker, "bedtime drink", now=NOON + timedelta(days=3000))
    assert old.as_of == SHOP.serving_day.isoformat() and names(old)[0] == "milk"


def test_the_same_search_is_answered_alike(either):
    one, other = search(either, "sweet", user="ann"), search(either, "sweet", user="ann")
    assert [found.score for found in one.items] == [found.score for found in other.items]
    assert one.request_id != other.request_id


def test_warming_up_reads_names_and_memory(trained, tmp_path):
    ranker = make_ranker(tmp_path, trained=trained)
    ranker.warm_up()
    assert {"_names", "_memory"} <= vars(ranker.known.searching).keys()


@pytest.fixture
def recalled(ranker, monkeypatch):
    """Days whose memory was worked out."""
    searching = Searching(ranker.known.trained, SHOP.described())
    days, as_of = [], searching._memory.as_of
    monkeypatch.setattr(searching._memory, "as_of", lambda day: days.append(day) or as_of(day))
    monkeypatch.setattr(ranker.known, "searching", searching)
    return days


def test_those_who_did_something_today_and_others_do_not_make_each_other_wait_for_the_memory(ranker, recalled):
    today = FIRST + SHOP.days
    for _ in range(3):
        assert search(ranker, "tea", user="ann").as_of == SHOP.serving_day.isoformat()
        search(ranker, "tea", user="bob", fresh=[Done("tea", "purchase", today, 1.0)])
    assert recalled == [today, today + 1]


def test_warming_up_works_out_the_memory_of_both_days_and_only_the_last_days_are_kept(ranker, recalled):
    searching = ranker.known.searching
    searching.warm_up(7)
    assert recalled == [7, 8]
    for day in (7, 8, 9, 8, 10, 9, 8):
        searching._recall(day)
    assert recalled == [7, 8, 9, 10]
    assert len(searching._recalled) == 3


def test_threads_that_search_at_once_are_each_answered_for_their_own_day(ranker, recalled):
    searching = ranker.known.searching
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(searching._recall, [7, 8, 9] * 20))
    assert sorted(recalled) == [7, 8, 9]
    assert all(recall is searching._recall(day) for recall, day in zip(found, [7, 8, 9] * 20, strict=True))


@pytest.mark.parametrize("query", ["milk", "sweet", "bedtime drink", "hunney"])
@pytest.mark.parametrize("user", ["ann", "bob"])
def test_the_predictor_reads_of_a_query_what_training_did(ranker, query, user):
    """Parity: of every item that may answer, the features are those of a sample of that day."""
    log, day = SHOP.log(), FIRST + SHOP.days
    known = ranker.known
    visitor = known.visitor(user, (), NOON)
    found = known.searching.search(query, items=known.matrix, history=visitor.user.history, day=day)
    served = known.search_input(visitor.user, found, day, query)
    training, [stats] = sources(SHOP, searches=remembered_by(known.trained)), user_rows(user_stats(log), [user], [day])
    codes, features = query_features(
        query,
        history=history_of(log, log.users.index(user), before=day),
        day=day,
        user=stats,
        shop=training.pairs.shops(day)[stats.usual_shop],
        sources=training,
        items=training.pairs.items(day),
        catalog=known.trained.catalog,
        recall=training.memory.as_of(day),
    )
    rows = np.searchsorted(codes, served.items_N)
    np.testing.assert_array_equal(codes[rows], served.items_N)
    for place, name in enumerate(COLUMNS):
        np.testing.assert_allclose(
            served.features_NK[:, place], features[rows, place], rtol=1e-4, atol=1e-4, err_msg=name
        )


def test_a_version_that_learned_of_fewer_features_answers_without_the_others(ranker, monkeypatch):
    search_module = ranker.known.trained.model.search
    fewer = replace(search_module.config, features=20)
    monkeypatch.setattr(search_module, "config", fewer)
    visitor = ranker.known.visitor("ann", (), NOON)
    found = ranker.known.searching.search(
        "milk", items=ranker.known.matrix, history=visitor.user.history, day=visitor.day
    )
    read = ranker.known.search_input(visitor.user, found, visitor.day, "milk")
    assert read.features_NK.shape[1] == len(COLUMNS) - len(SEARCH_FEATURES) + 20


@settings(max_examples=60)
@given(st.text(max_size=250), st.sampled_from([None, "ann", "nobody"]), st.integers(1, 500))
def test_whatever_is_typed_is_answered(ranker, query, user, k):
    answer = search(ranker, query, user=user, k=k)
    found = names(answer)
    assert 0 < len(found) == len(set(found)) <= k
    assert all(item.score is not None and np.isfinite(item.score) for item in answer.items)


def test_ten_thousand_letters_are_answered_and_more_are_refused(ranker):
    assert names(search(ranker, "milk " * 2_000))[0] == "milk"
    with pytest.raises(ValidationError, match="at most 10000"):
        SearchRequest(query="x" * 10_001)
