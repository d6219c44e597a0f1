"""Which events are kept: what is sent again is never lost or doubled, and nobody's ids take the place of another's."""

import base64
import os
import time
from datetime import UTC, datetime, timedelta

import pytest

from shoploop.errors import KeyUnusable
from shoploop.events.impressions import Signatures
from shoploop.events.intake import Intake, Limits, Sender
from shoploop.events.keyring import SETTLED_SECONDS, Keyring, add_key
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


@pytest.mark.parametrize("key", [None, "front"])
def test_prices_are_the_shops_own_servers_and_a_page_says_no_more_than_a_hundred_pieces(log, intake, tmp_path, key):
    signatures = Signatures(Keyring(tmp_path / "keys"), recommender="grocery", clock=NOW.timestamp)
    shown = signatures.sign(request_id="r1", user="ann", version="v1", items=["tea"])
    dear = {"price": 999_999.0, "quantity": 1e6}
    for number, (sender, more) in enumerate(
        [(Sender(address="1.2.3.4", key=key), dear), (Sender(address="1.2.3.4", key=key), {}), (SERVER, dear)]
    ):
        proof = {"impression": shown} if number == 0 and key is None else {}
        told = Event(**bought(str(number)).model_dump() | more | proof)
        answer = intake.take([told], sender)
        assert bool(answer.accepted) == (number != 1 or key is not None)
    found = [from_json(record.body) for record in log.read(BEGINNING)]
    assert [(event.price, event.quantity) for event in (found[0], found[-1])] == [(None, 100.0), (999_999.0, 1e6)]
    assert key is None or (found[1].price, found[1].quantity) == (None, None)


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
    assert keys.signing == made
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
    assert Keyring(tmp_path).signing.id == "2026"
    assert Keyring(tmp_path).signing.secret == made[2].secret


def laid(folder, id: str, *, seconds_ago: float = 0.0) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / f"{id}.key"
    path.write_bytes(base64.b64encode(id.encode() * 32))
    os.utime(path, (time.time() - seconds_ago,) * 2)


def test_feedback_on_what_a_new_key_signed_is_taken_by_a_replica_that_had_it_minutes_later(log, tmp_path):
    """Two pods with one Secret, which comes to the node of the second a minute after it came to that of the first."""
    now = [0.0]
    for pod in ("one", "other"):
        laid(tmp_path / pod, "1", seconds_ago=86_400)
    one, other = (Keyring(tmp_path / pod, clock=lambda: now[0]) for pod in ("one", "other"))
    signs = Signatures(one, recommender="grocery", clock=NOW.timestamp)
    reads = Intake(log, Signatures(other, recommender="grocery", clock=NOW.timestamp), clock=lambda: NOW)
    signed_by = {}
    for now[0], request in ((0.0, "before"), (2.0, "at once"), (2.0 + SETTLED_SECONDS, "later")):
        if request == "at once":
            laid(tmp_path / "one", "2")
        if request == "later":
            laid(tmp_path / "other", "2")
        signed_by[request] = one.signing.id
        shown = signs.sign(request_id=request, user="ann", version="v1", items=["tea"])
        click = Event(id=request, kind="click", user="ann", item="tea", impression=shown)
        assert reads.take([click], Sender(address="10.0.0.2")).refused == []
    assert signed_by == {"before": "1", "at once": "1", "later": "2"}
    assert one.get("1") and one.get("2"), "both are believed"


def test_a_new_key_signs_at_once_where_it_is_the_only_one(tmp_path):
    now = [0.0]
    laid(tmp_path, "1", seconds_ago=86_400)
    keys = Keyring(tmp_path, clock=lambda: now[0])
    laid(tmp_path, "2")
    (tmp_path / "1.key").unlink()  # it was stolen
    now[0] = 2.0
    assert keys.signing.id == "2" and keys.get("1") is None
    assert Keyring(tmp_path).signing.id == "2"


def test_who_starts_amid_an_exchange_of_keys_signs_with_the_one_that_everybody_has(tmp_path):
    """As a pod does: the files of what it mounts are as young as the pod."""
    now = [0.0]
    for id in ("1", "2", "3"):
        laid(tmp_path, id)
    keys = Keyring(tmp_path, clock=lambda: now[0])
    os.utime(tmp_path / "3.key", (time.time() + 3600,) * 2)  # by a clock that is ahead
    assert keys.signing.id == "2"
    now[0] = SETTLED_SECONDS + 1
    assert keys.signing.id == "3"


def test_a_key_that_lay_there_long_before_the_start_signs_at_once(tmp_path):
    laid(tmp_path, "1", seconds_ago=7200)
    laid(tmp_path, "2", seconds_ago=3600)
    assert Keyring(tmp_path).signing.id == "2"


def test_a_key_that_is_gone_counts_no_more_whatever_lies_in_its_place(tmp_path, caplog):
    now = [0.0]
    laid(tmp_path, "stolen", seconds_ago=86_400)
    laid(tmp_path, "other", seconds_ago=86_400)
    secret = (tmp_path / "stolen.key").read_bytes()
    keys = Keyring(tmp_path, clock=lambda: now[0])
    assert keys.holds(secret)
    (tmp_path / "stolen.key").unlink()
    (tmp_path / "new.key").write_text("no base64!")
    for now[0] in (2.0, 4.0):
        assert keys.holds(secret) is None and keys.get("stolen") is None
        assert keys.signing.id == "other"
    assert caplog.text.count("new.key is no base64. It is passed over.") == 1
    assert Keyring(tmp_path).signing.id == "other", "who starts now starts"
    (tmp_path / "other.key").write_text("no base64 either!")
    with pytest.raises(KeyUnusable, match="holds no key"):
        Keyring(tmp_path)
