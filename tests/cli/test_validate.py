"""``shoploop validate``: what a run would refuse is refused, by the same words; and where the right words stand."""

import sys

import pytest
import yaml
from typer.testing import CliRunner

from shoploop.cli.main import app
from shoploop.errors import SpecInvalid
from shoploop.validation.expectations import EXPECTATIONS


@pytest.fixture
def validated(tmp_path):
    """Returns what is printed of a spec that has these sections."""
    (tmp_path / "events.csv").write_text("user,item,time\nann,tea,2026-01-01\n")

    def validate(**sections: object) -> str:
        spec = {"data": {"tables": {"interactions": {"uri": "events.csv"}}}} | sections
        (file := tmp_path / "recommender.yaml").write_text(yaml.safe_dump({"spec": spec}))
        return CliRunner().invoke(app, ["validate", "-f", str(file)], catch_exceptions=False).output

    return validate


@pytest.mark.parametrize(
    ("sections", "says"),
    [
        (
            {"validation": {"expectations": {"interactions.usr_filled": {"severity": "Warn"}}}},
            "did you mean 'interactions.user_filled'",
        ),
        ({"features": {"onlineStore": {"type": "Redis"}}}, "type Redis needs connection"),
        ({"runner": {"steps": {"train_fusd": {"memory": "16Gi"}}}}, "'train_fusd'; there are .*train_fused"),
        ({"schedule": {"cron": "99 99 * * *"}}, "spec.schedule.cron '99 99"),
        ({"schedule": {"cron": "0 3 * * *", "timeZone": "Europe/Berln"}}, "no time zone 'Europe/Berln'"),
        ({"renewal": {"cron": "0 3 31 2 *"}}, "spec.renewal.cron '0 3 31 2"),
    ],
    ids=["expectation", "online store", "step", "cron", "time zone", "renewal"],
)
def test_what_a_run_would_refuse_is_not_called_valid(validated, sections, says):
    with pytest.raises(SpecInvalid, match=says):
        validated(**sections)


def test_what_a_run_would_take_is_valid(validated):
    said = validated(
        validation={"expectations": {"interactions.user_filled": {"severity": "Warn"}}},
        features={"onlineStore": {"type": "Redis", "connection": "redis:6379"}},
        runner={"steps": {"train_fused": {"memory": "16Gi"}}},
        schedule={"cron": "0 3 * * *", "timeZone": "Europe/Berlin"},
    )
    assert said.splitlines()[0].endswith("is a valid Recommender named 'recommender'.")
    assert len(said.splitlines()) == 1


def test_explain_lists_the_expectations_that_there_are():
    said = CliRunner().invoke(app, ["explain", "recommender.spec.validation.expectations"]).output
    assert "tolerance" in said
    names = said.partition("NAMES:")[2].split()
    assert names == [expectation.name for expectation in EXPECTATIONS] and "interactions.user_filled" in names


def test_a_schedule_that_cannot_be_looked_at_here_is_said(validated, monkeypatch):
    monkeypatch.setitem(sys.modules, "cronsim", None)
    for name in [name for name in sys.modules if name.startswith("shoploop.controller")]:
        monkeypatch.delitem(sys.modules, name)
    said = validated(schedule={"cron": "0 3 * * *"})
    assert "is a valid Recommender" in said and "schedule ever fires was not looked at" in said
