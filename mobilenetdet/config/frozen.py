"""A mapping that cannot be changed and has a hash, for fields of configs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class FrozenMapping(dict[Key, Value]):
    """A dict that refuses changes; JSON and `dataclasses.asdict` take it as the dict that it is."""

    def __hash__(self) -> int:  # type: ignore[override]
        """Returns the same for equal mappings, whatever the order of their keys."""
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and unpickles by the constructor, since items cannot be set."""
        return type(self), (dict(self),)

    def _refuse(self, *args: object, **kwargs: object) -> NoReturn:
        raise TypeError(f"a config cannot be changed; replace the mapping {dict(self)}")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse


def freeze(mapping: Mapping[Key, Any]) -> FrozenMapping[Key, Any]:
    """Returns a mapping that cannot be changed; lists in it become tuples, at any depth."""
    return FrozenMapping({key: _freeze_value(value) for key, value in mapping.items()})


def _freeze_value(value: Any) -> Any:
    return tuple(map(_freeze_value, value)) if isinstance(value, list | tuple) else value
