"""Garbage collection is off in the block, and as before behind it."""

import gc

import pytest

from mobilenetdet.system.garbage_collection import gc_paused


@pytest.mark.parametrize("enabled", [True, False])
def test_collection_goes_on_as_before(enabled: bool):
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with pytest.raises(KeyError), gc_paused():
            assert not gc.isenabled()
            raise KeyError
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()
