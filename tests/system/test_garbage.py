"""No garbage is looked for in the block, and all is as before behind it."""

import gc

import pytest

from mobilenetdet.system.garbage import garbage_left_alone


@pytest.mark.parametrize("enabled", [True, False])
def test_the_search_goes_on_as_it_was(enabled: bool):
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with pytest.raises(KeyError), garbage_left_alone():
            assert not gc.isenabled()
            raise KeyError
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()
