"""What commands print, on any terminal and on none: whole ids, a person's own words as they are, in any encoding."""

import io
import json

import pytest
from rich.console import Console

from shoploop.cli import ask, output, tables
from shoploop.cli.run import _Watcher
from shoploop.runs import Record
from shoploop.steps import STEPS
from shoploop.store import Store, layout

RUN = "20261126-101112-abcd"
VERSION = "v0123456789ab"


@pytest.fixture
def store(tmp_path):
    store = Store(str(tmp_path / "store"))
    record = Record(
        name="shop", run=RUN, launcher="this machine", state="done", started="2026-11-26T10:11:12Z", steps=(),
        version=VERSION, passed=True, shoploop="1", python="3", spec={},
    )  # fmt: skip
    store.put(layout.run_record(layout.run("shop", RUN)), record.model_dump_json().encode())
    return store


def on(width: int, monkeypatch, *, terminal: bool) -> io.StringIO:
    """Lets commands print on a terminal of that width, or into a pipe."""
    stream = io.StringIO()
    monkeypatch.setattr(
        output, "Console", lambda **settings: Console(**settings | {"stderr": False}, file=stream, width=width,
                                                      force_terminal=terminal, legacy_windows=False),
    )  # fmt: skip
    return stream


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("width", [20, 80, 300])
def test_ids_are_whole_at_any_width(store, monkeypatch, width, terminal):
    shown = on(width, monkeypatch, terminal=terminal)
    tables.print_runs(store, "shop")
    assert RUN in shown.getvalue() and VERSION in shown.getvalue()
    assert "…" not in shown.getvalue()


def test_into_a_pipe_a_run_is_one_line(store, monkeypatch):
    shown = on(80, monkeypatch, terminal=False)
    tables.print_runs(store, "shop")
    assert len(shown.getvalue().splitlines()) == 2
    assert "\x1b" not in shown.getvalue()


TITLES = ["Milk [/b]", "[red]Wine", "[link=x]", "Rice :tada: 1 kg", "100 % \\[x]", "米" * 40, "Tea\x1b[31m\r\nred"]


@pytest.mark.parametrize("title", TITLES)
@pytest.mark.parametrize("width", [20, 80])
def test_titles_and_ids_are_printed_as_they_are(monkeypatch, title, width):
    shown = on(width, monkeypatch, terminal=False)
    answer = {"items": [{"item": "[i]", "fields": {"title": title}, "score": 1.0, "reason": f"{title} too"}]}
    ask._print(output.console(), "shop", "[u] :smile:", [("2026-01-01", title)], answer)
    said = shown.getvalue()
    plain = title.replace("\x1b", " ").replace("\r\n", "  ")
    assert said.count(plain) == 3
    assert "What [u] :smile: bought lately" in said
    assert "\x1b" not in said


def watched(events, *, width=30) -> list[str]:
    stream = io.StringIO()
    with _Watcher(Console(file=stream, width=width, markup=False, emoji=False)) as watch:
        for event in events:
            watch(event)
    return stream.getvalue().splitlines()


def test_where_there_is_no_terminal_a_step_is_one_line_whatever_it_says():
    doubt = "events.csv [of] the shop has no column 'kind', " * 5 + "x" * 200
    lines = watched(
        [
            {"kind": "started", "step": "load_data"},
            {"kind": "progress", "step": "load_data", "done": 1, "total": 2, "what": "files"},
            {"kind": "finished", "step": "load_data", "seconds": 1.0, "peak_rss_bytes": 2**30},
            {"kind": "reused", "step": "validate_data", "seconds": 1.0},
            {"kind": "started", "step": "build_samples"},
            {"kind": "warning", "step": "build_samples", "message": doubt},
            {"kind": "failed", "step": "build_samples", "error": "no column 'time'"},
        ]
    )
    assert len(lines) == 4
    assert lines[0].startswith("✓ load_data") and lines[1].startswith("↺ validate_data")
    assert lines[2].startswith("!") and lines[2].endswith(doubt)
    assert lines[3].split() == ["✗", "build_samples", "failed"]


def test_what_a_run_failed_of_is_said_once_with_the_step(shop):
    shop.toy.fail("build_samples", "events.csv [of] the shop has no column 'time'.")
    code, said = shop.run()
    assert code == 2
    assert said.count("has no column 'time'") == 1
    assert said.splitlines()[-1] == (
        "shoploop: Step build_samples failed: events.csv [of] the shop has no column 'time'."
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "gbk", "utf-8"])
def test_a_terminal_of_any_encoding_gets_a_line_a_step(shop, encoding):
    code, said = shop.run(PYTHONIOENCODING=encoding)
    assert code == 0, said
    assert "UnicodeEncodeError" not in said and "Traceback" not in said
    steps = [line.split()[1] for line in said.splitlines() if line.split()[1:2] and line.split()[1] in STEPS]
    assert steps == list(STEPS)
    assert {line.split()[0] for line in said.splitlines() if len(line.split()) > 1 and line.split()[1] in STEPS} == {
        "✓" if encoding == "utf-8" else "+"
    }


def test_a_locale_without_letters_other_than_ascii_is_enough(shop):
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    shop.write("  # Café, 米\n")
    code, said = shop.run(**locale)
    assert code == 0, said
    code, said = shop.run("runs", "shop", **locale)
    assert code == 0 and shop.records()[0]["run"] in said


@pytest.mark.parametrize(
    "words, environment",
    [(("--no-color", "runs", "shop"), {}), (("runs", "--no-color", "shop"), {}), (("runs", "shop"), {"NO_COLOR": "1"})],
)
def test_without_colours_there_are_no_escapes(shop, words, environment, store):
    code, said = shop.run(*words, FORCE_COLOR="1", **environment)
    assert code == 0, said
    assert RUN in said and "\x1b" not in said


def test_no_colour_in_the_progress_where_none_is_asked_for(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert output.console().color_system is None
    monkeypatch.setenv("NO_COLOR", "")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert output.console().is_terminal


def test_numbers_as_json_are_plain_whatever_the_encoding(tmp_path):
    output.write_json({"title": "Café"}, str(tmp_path / "numbers.json"))
    assert json.loads((tmp_path / "numbers.json").read_bytes()) == {"title": "Café"}
