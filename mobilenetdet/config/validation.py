"""How every section checks its fields when it is made."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict

# A key that a section does not have is refused.
STRICT = ConfigDict(extra="forbid")


def require(holds: bool, key: str, value: Any, rule: str) -> None:
    """Refuses a value.

    Raises:
        ValueError: the rule does not hold; names the key, the value and the rule.
    """
    if not holds:
        raise ValueError(f"{key} is {value!r}; it must be {rule}")
