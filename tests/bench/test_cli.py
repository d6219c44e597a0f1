"""What the benchmark of the command line says of a log that it makes itself."""

from shoploop.bench import cli


def test_of_describe_it_says_what_it_read_and_what_that_took():
    said = cli.describe(3_000)
    assert said["events"] == 3_000
    assert said["file_bytes"] > 3_000 * 20
    assert said["seconds"] > 0 and said["cpu_seconds"] > 0
    assert 50 * 2**20 < said["peak_rss_bytes"] < 50 * 2**30


def test_a_log_is_drawn_by_its_seed():
    assert cli._log(500, seed=1).equals(cli._log(500, seed=1))
    assert not cli._log(500, seed=1).equals(cli._log(500, seed=2))
