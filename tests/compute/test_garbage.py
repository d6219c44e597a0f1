"""Garbage is not looked for while a process loads what stays, and is afterwards."""

import gc

import pytest

from shoploop.compute.garbage import collecting_nothing


def test_garbage_is_looked_for_again_also_where_loading_failed():
    was = gc.isenabled()
    try:
        with pytest.raises(OSError), collecting_nothing():
            assert not gc.isenabled()
            raise OSError("not there")
        assert gc.isenabled()
    finally:
        gc.enable() if was else gc.disable()
