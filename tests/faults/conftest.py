"""Fixtures of the tests that disturb commands."""

from faults.world import fork_server, pristine_world, world

__all__ = ["fork_server", "pristine_world", "world"]
