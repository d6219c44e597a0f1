"""A run ends as it should however it is ended, and nothing of it works on, holds the lock or lies about."""

import contextlib
import os
import pty
import signal

import psutil
import pytest
from toy_shop import until

STEP = "build_samples"


def amid_a_step(shop):
    """A run that is amid a step, which has started a process of its own; and all of its processes."""
    shop.toy.hold(STEP)
    shop.toy.start_child(STEP)
    begun = shop.start()
    shop.until_running(STEP)
    until(lambda: (shop.toy.folder / "child.txt").exists())
    family = begun.family()
    assert shop.toy.child() in [process.pid for process in family]
    return begun, family


def are_gone(family):
    return not [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_to_the_run_ends_all_of_its_processes_and_is_told_as_ctrl_c_is(shop, number):
    begun, family = amid_a_step(shop)
    begun.send(number)
    assert begun.ended() == 128 + number
    assert are_gone(family)
    assert "is asked to end" in begun.said and "What is done is kept" in begun.said and "Traceback" not in begun.said
    (record,) = shop.records()
    assert record["state"] == "cancelled"
    assert not list(shop.temporary.iterdir())
    assert not (shop.store / "recommenders/shop/work/tmp").exists()


def test_a_run_that_is_killed_takes_its_processes_along_and_the_next_one_says_what_became_of_it(shop):
    begun, family = amid_a_step(shop)
    begun.send(signal.SIGKILL)  # and nobody has waited for it yet
    until(lambda: are_gone(family))
    begun.ended()
    shop.toy.let_go()
    code, said = shop.run()
    assert code == 0, said
    assert "↺ load_data" in said
    records = {record["state"]: record for record in shop.records()}  # of one second their order is their names'
    assert len(shop.records()) == 2 and "done" in records
    assert "broken off" in records["failed"]["failure"]["message"]
    assert not (shop.store / "recommenders/shop/work/tmp").exists()


def test_no_second_run_begins_while_anything_of_the_first_still_works(shop):
    begun, family = amid_a_step(shop)
    others = [process for process in family if process.pid != shop.toy.child()]
    for process in others:
        process.suspend()  # so that none of them sees to the rest
    begun.send(signal.SIGKILL)
    begun.ended()
    for process in others:
        process.kill()
    orphan = psutil.Process(shop.toy.child())
    assert orphan.is_running()
    try:
        code, said = shop.run()
        assert code == 2
        assert "Another run of 'shop' is going on" in said
    finally:
        orphan.kill()
    shop.toy.let_go()
    until(lambda: are_gone([orphan]))
    assert shop.run()[0] == 0


def test_a_pipeline_that_is_killed_leaves_no_step_behind(shop):
    begun, family = amid_a_step(shop)
    pipeline = next(process for process in family if process.ppid() == begun.process.pid)
    pipeline.kill()
    assert begun.ended() == 1
    assert f"Step {STEP} ended without a word" in begun.said
    assert are_gone(family)


def test_a_terminal_that_is_closed_ends_the_run(shop):
    shop.write()
    shop.toy.hold(STEP)
    command, environment = shop.command("run", "-f", "recommender.yaml")
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(shop.folder)
        os.execve(command[0], command, environment)
    shop.until_running(STEP)
    family = psutil.Process(child).children(recursive=True)
    os.close(terminal)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child, 0)
    assert family and are_gone(family)
    assert shop.records()[-1]["state"] == "cancelled"


def test_a_run_leaves_no_folder_in_the_temporary_folder(shop):
    code, said = shop.run()
    assert code == 0, said
    assert not list(shop.temporary.iterdir())
