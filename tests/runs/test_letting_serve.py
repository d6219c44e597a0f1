"""A run's verdict lets its version serve once, and overrules nobody who has decided since."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest

from shoploop.api.pod_result import VersionMade
from shoploop.api.v1alpha1 import Recommender
from shoploop.cli.run import standing
from shoploop.runs import letting_serve
from shoploop.runs.letting_serve import let_serve
from shoploop.runs.planning import Plan, Run
from shoploop.store import layout
from shoploop.versions import candidacy, promotions
from shoploop.versions.artifact import version_id
from shoploop.versions.signing import Trust
from shoploop.versions.verdicts import Verdict, record_verdict

NAME, TRUST = "shop", Trust.configured()


class Shop:
    """A store whose versions are manifests alone, and runs of which the end alone takes place."""

    def __init__(self, store):
        self.store, self.serving_spec = store, {}

    def version(self, called, **lineage):
        manifest = {"format": "shoploop.version", "format_version": 1, "files": {}, "called": called}
        body = json.dumps(manifest | {"lineage": lineage, "metrics": {}}).encode()
        self.store.put(f"{layout.version(NAME, version_id(body))}/manifest.json", body)
        return version_id(body)

    def planned(self, number):
        """A run that begins now."""
        spec = {"data": {"dataset": "completejourney"}, "serving": self.serving_spec}
        recommender = Recommender.model_validate({"metadata": {"name": NAME}, "spec": spec})
        history = promotions.promotions(self.store, NAME)
        serving, after = (history[-1].version, history[-1].number) if history else (None, 0)
        run = Run(id=f"2026010{number}-000000-abcd", recommender=recommender)
        return Plan(run=run, source="s", incumbent=serving, after=after, keys={})

    def ended(self, plan, version, *, reason=None, rule="NotWorse"):
        """It has made this version, which passed; returns why that does not serve."""
        reason = reason or f"not worse than {plan.incumbent}"
        verdict = Verdict(passed=True, rule=rule, reason=reason)
        record_verdict(self.store, NAME, version, verdict, run=plan.run.id)
        made = VersionMade(version=version, source="s", rule=rule, passed=True, reason=reason, digest="0" * 64)
        return let_serve(self.store, plan, made, trust=TRUST)

    def promote(self, version, reason="by hand"):
        promotions.promote(self.store, NAME, version, reason=reason, by="somebody", trust=TRUST)

    def roll_back(self):
        promotions.rollback(self.store, NAME, by="somebody", reason="sells less")

    @property
    def serving(self):
        return promotions.serving_version(self.store, NAME)

    @property
    def log(self):
        return [entry.version for entry in promotions.promotions(self.store, NAME)]


@pytest.fixture
def shop(make_store):
    shop = Shop(make_store())
    shop.a, shop.b, shop.c = (shop.version(each) for each in "abc")
    return shop


@pytest.fixture
def two(shop):
    """B serves, by a run that compared it with A."""
    assert shop.ended(shop.planned(1), shop.a) is None
    assert shop.ended(shop.planned(2), shop.b) is None
    assert shop.log == [shop.a, shop.b]
    return shop


def test_what_somebody_promoted_while_a_run_went_on_stands(two):
    plan = two.planned(3)
    two.promote(two.c)
    why = two.ended(plan, two.version("d"))
    assert two.serving == two.c
    assert f"{two.c} was promoted by somebody (by hand) while it was made" in why and "shoploop promote shop" in why
    assert two.ended(two.planned(4), two.version("d")) is None, "now it was compared with what serves"
    assert two.serving == two.version("d")


def test_what_was_promoted_while_the_first_version_was_made_stands(shop):
    plan = shop.planned(1)
    shop.promote(shop.c)
    assert "Run again" in shop.ended(plan, shop.a) and shop.serving == shop.c


def test_a_renewal_of_the_version_that_it_was_compared_with_is_in_no_run_s_way(two):
    plan = two.planned(3)
    two.promote(two.version("b, renewed", parent=two.b, weights_of=two.b))
    assert two.ended(plan, two.c) is None and two.serving == two.c


def test_a_rollback_stands_however_often_a_run_finds_nothing_new(two):
    two.roll_back()
    for number in (3, 4):
        why = two.ended(two.planned(number), two.b)
        assert two.serving == two.a
        assert "The gate said the very same of it before" in why and f"promote shop {two.b}" in why
    assert two.ended(two.planned(5), two.b, reason="of other days") is None, "that is a new verdict"
    assert two.serving == two.b


def test_a_rollback_stands_under_the_rule_always_too_and_a_new_rule_is_a_new_verdict(two):
    two.roll_back()
    assert two.ended(two.planned(3), two.b, rule="Always") is None and two.serving == two.b
    two.roll_back()
    assert two.ended(two.planned(4), two.b, rule="Always") and two.serving == two.a


def test_an_old_verdict_is_no_new_one_for_another_that_was_given_in_between(two):
    two.ended(two.planned(3), two.b, reason="of other days")
    two.roll_back()
    assert two.ended(two.planned(4), two.b, reason=f"not worse than {two.a}") and two.serving == two.a


def test_a_version_that_passed_in_a_run_that_broke_off_before_it_served_serves_by_the_next_one(two):
    plan = two.planned(3)
    record_verdict(two.store, NAME, two.c, Verdict(passed=True, rule="NotWorse", reason="better"), run=plan.run.id)
    assert two.ended(two.planned(4), two.c, reason="better") is None and two.serving == two.c


def test_a_run_that_was_killed_behind_its_own_promotion_adds_no_second_one(two):
    plan = two.planned(3)
    assert two.ended(plan, two.c) is None
    assert two.ended(plan, two.c) is None
    assert two.log == [two.a, two.b, two.c]
    two.roll_back()
    assert two.ended(plan, two.c) is None
    assert two.serving == two.b, "nor one over a rollback"


def test_a_run_that_was_killed_between_its_verdict_and_its_promotion_promotes(two):
    two.roll_back()
    plan, verdict = two.planned(3), Verdict(passed=True, rule="NotWorse", reason="of other days")
    record_verdict(two.store, NAME, two.b, verdict, run=plan.run.id)
    assert two.ended(plan, two.b, reason="of other days") is None and two.serving == two.b


def test_a_pin_is_written_again_and_without_it_the_last_verdict_counts(two):
    two.serving_spec = {"pinnedVersion": two.a}
    assert two.ended(two.planned(3), two.b) is None and two.serving == two.a
    two.promote(two.c)
    assert two.ended(two.planned(4), two.b) is None and two.serving == two.a
    two.serving_spec = {}
    assert two.ended(two.planned(5), two.b) is None and two.serving == two.b


def test_a_plan_of_an_earlier_version_of_shoploop_promotes_as_that_did(two):
    plan = replace(two.planned(3), after=None)
    two.promote(two.c)
    assert two.ended(plan, two.version("d")) is None and two.serving == two.version("d")


@pytest.fixture
def clock(monkeypatch):
    class Clock(datetime):
        ahead = timedelta()

        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + cls.ahead

    monkeypatch.setattr(letting_serve, "datetime", Clock)
    return Clock


def test_a_candidate_with_steps_left_is_not_replaced_by_the_next_run(two, clock):
    two.serving_spec = {"candidate": {"steps": [{"percent": 10, "minutes": 1440}, {"percent": 50, "minutes": 1440}]}}
    assert two.ended(two.planned(3), two.c) is None
    begun = candidacy.current(two.store, NAME)
    assert (begun.version, two.serving) == (two.c, two.b)
    for night in (4, 5):
        clock.ahead += timedelta(hours=23)
        why = two.ended(two.planned(night), two.version(f"of night {night}"))
        assert candidacy.current(two.store, NAME) == begun and f"{two.c} is tried until" in why and "--end" in why
    clock.ahead += timedelta(hours=23)
    assert two.ended(two.planned(6), two.version("of night 5")) is None
    assert candidacy.current(two.store, NAME).version == two.version("of night 5"), "what had to wait is not lost"


def test_a_candidate_that_failed_does_not_begin_again_where_nothing_is_new(two):
    two.serving_spec = {"candidate": {"percent": 10}}
    assert two.ended(two.planned(3), two.c) is None
    assert two.ended(two.planned(4), two.c) is None, "it is tried already"
    candidacy.end(two.store, NAME, reason="3 answers failed", by="shoploop serve")
    assert "what was decided since stands" in two.ended(two.planned(5), two.c)
    assert candidacy.current(two.store, NAME) is None and two.serving == two.b
    assert two.ended(two.planned(6), two.version("d")) is None
    assert candidacy.current(two.store, NAME).version == two.version("d")


def test_who_wants_it_all_the_same_promotes_it_by_hand(two):
    two.roll_back()
    assert f"promote shop {two.b}" in two.ended(two.planned(3), two.b)
    two.promote(two.b)
    assert two.ended(two.planned(4), two.b) is None and two.serving == two.b


def test_the_command_says_of_a_version_what_the_logs_say(two):
    plan = two.planned(3)

    def said(version, **record):
        known = SimpleNamespace(**{"version": version, "passed": True, "waits": None} | record)
        return standing(two.store, plan.run, known)[0]

    assert said(two.b) == "serves"
    assert said(two.c, passed=False) == "is kept, but does not serve"
    assert said(two.c, waits="It waits.") == "is kept, but does not serve: It waits."
    candidacy.begin(two.store, NAME, two.c, percent=10, reason="new", by="a test")
    assert said(two.c) == f"is tried for 10 % of users; {two.b} serves"
    candidacy.begin(two.store, NAME, two.c, shadow=True, reason="new", by="a test")
    assert said(two.c) == f"is tried in the shadow; {two.b} serves"
    two.serving_spec = {"pinnedVersion": two.a}
    plan = two.planned(4)
    candidacy.end(two.store, NAME, reason="enough", by="a test")
    assert said(two.c) == f"is kept, but does not serve: spec.serving.pinnedVersion names {two.a}"
