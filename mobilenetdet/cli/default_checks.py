"""tyro's check that a default is of the type of its option, without typeguard.

tyro asks typeguard about `int | None` and `tuple[str, ...]`, and that takes as long to import as a
small command takes to run. There is no public way around it: `_resolver.is_instance` is replaced
while a command line is parsed. A tyro without it checks by itself. Unlike typeguard, which looks at
the first item of a tuple or mapping, this looks at all.
"""

from __future__ import annotations

import contextlib
import types
from collections.abc import Callable, Iterator
from typing import Any, get_args, get_origin

_resolver: Any = None
with contextlib.suppress(ImportError):
    from tyro import _resolver

Check = Callable[[Any, Any], bool]


@contextlib.contextmanager
def quick_default_checks() -> Iterator[None]:
    """Replaces tyro's check of defaults in the `with` block by one that imports no typeguard."""
    general: Check | None = getattr(_resolver, "is_instance", None)
    if general is None:
        yield
        return
    _resolver.is_instance = lambda kind, value: _is_instance(kind, value, general)
    try:
        yield
    finally:
        _resolver.is_instance = general


def _is_instance(kind: Any, value: Any, general: Check) -> bool:
    """Whether a value is of a type: what holds others by its parts, all else by tyro."""
    if kind is None or kind is types.NoneType:
        return value is None
    parts = get_args(kind)
    if isinstance(kind, types.UnionType):
        return any(_is_instance(part, value, general) for part in parts)
    if get_origin(kind) is tuple and parts:
        if not isinstance(value, tuple):
            return False
        kinds = parts[:1] * len(value) if parts[1:] == (...,) else parts
        return len(kinds) == len(value) and all(
            _is_instance(part, each, general) for part, each in zip(kinds, value, strict=True)
        )
    if get_origin(kind) is dict and parts:
        return isinstance(value, dict) and all(
            _is_instance(parts[0], key, general) and _is_instance(parts[1], each, general)
            for key, each in value.items()
        )
    return general(kind, value)
