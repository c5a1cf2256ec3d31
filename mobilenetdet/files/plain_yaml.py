"""YAML of strangers: no aliases, which can stand for more than a memory holds, no key twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any

import yaml

# What PyYAML raises where a tag does not fit its value: !!int '', !!bool maybe, !!timestamp abc.
_OF_TAGS = (LookupError, AttributeError, TypeError, ArithmeticError)


def parse_yaml(text: str) -> Any:
    """Returns what a YAML text holds.

    Raises:
        ValueError: it is no YAML, has an alias, or a key twice; the caller names the file.
    """
    try:
        return yaml.load(text, _PlainLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(str(error)) from None
    except _OF_TAGS as error:
        raise ValueError(f"a value is none of its tag ({error!r})") from None


def refuse_repeated(keys: Sequence[Any]) -> None:
    """Refuses keys of which two are the same; they may be anything that YAML can write.

    Raises:
        ValueError: there are two.
    """
    counts = Counter(map(repr, keys))
    if twice := [key for key, count in counts.items() if count > 1]:
        raise ValueError(f"{', '.join(twice)} comes twice; leave one of them out")


class _PlainLoader(yaml.SafeLoader):
    """Reads YAML in which no key comes twice and nothing is an alias."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuses an alias.

        Raises:
            ComposerError: there is one.
        """
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(
                None, None, "aliases (*NAME) are not read here; write the value out", mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Refuses a key that comes twice.

        Raises:
            ValueError: there is one.
        """
        refuse_repeated([self.construct_object(key, deep=True) for key, _ in node.value])
        return super().construct_mapping(node, deep)
