"""Which events are kept: what is sent again is never lost or doubled, and nobody's ids take the place of another's."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from shoploop.events.impressions import Signatures
from shoploop.events.intake import Intake, Limits, Sender
from shoploop.events.keyring import Keyring, add_key
from shoploop.events.log import BEGINNING, LogUnavailable
from shoploop.events.messages import Event, from_json
from shoploop.events.sqlite_log import SqliteLog

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
SERVER = Sender(address="10.0.0.1", key="s1", trusted=True)
PAGE = Sender(address="1.2.3.4", key="front")


class SometimesAway(SqliteLog):
    """A log that can be told to be away."""

    away = False

    def append(self, entries):
        if self.away:
            raise LogUnavailable("away")
        return super().append(entries)


@pytest.fixture
def log(tmp_path):
    with SometimesAway(tmp_path / "events.sqlite") as log:
        yield log


@pytest.fixture
def intake(log, tmp_path):
    signatures = Signatures(Keyring.made(tmp_path / "keys"), recommender="grocery", clock=NOW.timestamp)
    return Intake(log, signatures, limits=Limits(per_user_item_and_day=3), clock=lambda: NOW)


def bought(id: str, *, item: str = "tea") -> Event:
    return Event(id=id, kind="purchase", user="ann", item=item)


def kept(log) -> list[str | None]:
    return [from_json(record.body).key for record in log.read(BEGINNING)]


def test_a_sender_who_tries_until_the_log_is_back_loses_nothing(log, intake):
    log.away = True
    for _ in range(10):
        with pytest.raises(LogUnavailable):
            intake.take([bought("1")], SERVER)
    log.away = False
    assert intake.take([bought("1")], SERVER).accepted == 1
    assert len(kept(log)) == 1


def test_where_clocks_are_an_hour_apart_it_is_said_how_far_and_that_either_may_be_off(log, intake, tmp_path):
    hour = timedelta(hours=1)
    keys = Keyring(tmp_path / "keys")
    ahead = Signatures(keys, recommender="grocery", clock=(NOW + hour).timestamp)
    shown = ahead.sign(request_id="r1", user="ann", version="v1", items=["tea"])
    click = Event(id="1", kind="click", user="ann", item="tea", impression=shown)
    answer = intake.take([click, bought("2").model_copy(update={"time": NOW + hour})], SERVER)
    assert [refused.code for refused in answer.refused] == ["impression_in_future", "time_in_future"]
    for refused in answer.refused:
        assert "3600 s later than it is here" in refused.message and "NTP" in refused.message
        assert "behind" in refused.message  # it is for nobody here to say which of the two
    assert intake.take([bought("2")], SERVER).accepted == 1


@pytest.mark.parametrize(
    ("time", "code"),
    [
        ("0001-01-01T00:00:00Z", "time_too_old"),
        ("0001-01-01T00:00:00+01:00", "time_too_old"),
        ("9999-12-31T23:59:59Z", "time_in_future"),
        ("9999-12-31T23:59:59-05:00", "time_in_future"),
    ],
)
def test_a_time_that_stands_for_none_is_refused_by_itself_and_the_others_of_its_request_are_kept(
    log, intake, time, code
):
    answer = intake.take([Event(**bought("1").model_dump() | {"time": time}), bought("2")], SERVER)
    assert [(refused.index, refused.code) for refused in answer.refused] == [(0, code)]
    assert len(kept(log)) == 1


def test_a_time_of_another_zone_is_kept_as_utc(log, intake):
    intake.take([Event(**bought("1").model_dump() | {"time": "2026-01-05T12:30:00+01:00"})], SERVER)
    [record] = log.read(BEGINNING)
    assert from_json(record.body).time.isoformat() == "2026-01-05T11:30:00+00:00"


def test_what_is_sent_again_does_not_use_up_what_one_may_say(log, intake):
    for _ in range(10):
        assert intake.take([bought("1")], PAGE).accepted == 1
    answer = intake.take([bought("2"), bought("3"), bought("4"), bought("5", item="milk")], PAGE)
    assert [(refused.index, refused.code) for refused in answer.refused] == [(2, "too_often")]
    assert len(kept(log)) == 4


def test_what_one_request_says_twice_is_new_once(log, intake):
    answer = intake.take([bought("1"), bought("1")], PAGE)
    assert (answer.accepted, answer.known, intake.codes["accepted"]) == (2, 1, 1)
    assert intake.take([bought("2"), bought("3")], PAGE).accepted == 2  # three a day are allowed


def test_sales_that_the_shops_own_server_tells_are_all_kept_and_take_nothing_from_what_pages_may_say(log, intake):
    sales = [bought(f"till {number}") for number in range(8)]  # of guests under one id
    assert intake.take(sales[:6], SERVER).accepted == 6
    assert intake.take(sales[6:], SERVER).accepted == 2
    assert len(kept(log)) == 8
    answer = intake.take([bought(f"page {number}") for number in range(4)], PAGE)
    assert (answer.accepted, [refused.code for refused in answer.refused]) == (3, ["too_often"])
    looks = [Event(id=f"look {number}", kind="view", user="ann", item="tea") for number in range(4)]
    assert intake.take(looks, SERVER).accepted == 3  # which a page may have told it


def test_ids_of_one_sender_do_not_take_the_place_of_anothers(log, intake):
    assert intake.take([bought("order-1")], PAGE).known == 0
    assert intake.take([bought("order-1")], SERVER).known == 0
    other_key = Sender(address="10.0.0.1", key="s2", trusted=True)  # the same server after its key was exchanged
    assert intake.take([bought("order-1")], other_key).known == 1
    assert kept(log) == ["front", "s1"]


def test_a_key_whose_file_is_gone_counts_no_more_and_one_that_comes_does(tmp_path):
    now = [0.0]
    keys = Keyring(tmp_path / "server", may_be_empty=True, clock=lambda: now[0])
    assert keys.holds(b"anything") is None
    made = add_key(tmp_path / "server")
    secret = (tmp_path / "server" / f"{made.id}.key").read_bytes().strip()
    now[0] = 2.0
    assert keys.holds(secret) == made
    (tmp_path / "server" / f"{made.id}.key").unlink()
    now[0] = 4.0
    assert keys.holds(secret) is None


def test_a_key_that_is_half_written_leaves_those_that_were_there(tmp_path, caplog):
    now = [0.0]
    made = add_key(tmp_path)
    keys = Keyring(tmp_path, clock=lambda: now[0])
    (tmp_path / "next.key").write_text("c2hvcnQ=")
    now[0] = 2.0
    assert keys.newest == made
    assert "next.key has 5 bytes" in caplog.text


def test_of_the_keys_of_a_mounted_secret_the_last_by_name_signs(tmp_path):
    """Kubernetes writes all of them anew at each change, so their times say nothing."""
    files = tmp_path / "..2026_01_05"
    made = [add_key(files) for _ in range(3)]
    for number, key in enumerate(made):
        (files / f"{key.id}.key").rename(files / f"{2024 + number}.key")
        os.utime(files / f"{2024 + number}.key", (2000 - number,) * 2)
    (tmp_path / "..data").symlink_to(files.name)
    for number in range(3):
        (tmp_path / f"{2024 + number}.key").symlink_to(f"..data/{2024 + number}.key")
    assert Keyring(tmp_path).newest.id == "2026"
    assert Keyring(tmp_path).newest.secret == made[2].secret
