import copy
import dataclasses
import json
import pickle

import pytest

from mobilenetdet.config.frozen import FrozenMapping, freeze


def test_equal_mappings_have_one_hash_whatever_the_order():
    first, second = freeze({"a": [1, 2], "b": ()}), freeze({"b": [], "a": (1, 2)})
    assert first == second == {"a": (1, 2), "b": ()} and hash(first) == hash(second)
    assert hash(freeze({"a": [[1, 2]]})) != hash(freeze({"a": [[1, 3]]}))


@pytest.mark.parametrize(
    "change",
    [
        lambda mapping: mapping.update(b=2),
        lambda mapping: mapping.setdefault("b", 2),
        lambda mapping: mapping.pop("a"),
        lambda mapping: mapping.clear(),
        lambda mapping: mapping.__setitem__("a", 2),
        lambda mapping: mapping.__delitem__("a"),
        lambda mapping: mapping.__ior__({"b": 2}),
    ],
)
def test_changes_are_refused(change):
    mapping = freeze({"a": 1})
    with pytest.raises(TypeError, match="cannot be changed"):
        change(mapping)
    assert mapping == {"a": 1}


def test_copies_are_frozen_and_equal():
    mapping = freeze({"a": (1, 2)})
    for copied in (copy.deepcopy(mapping), copy.copy(mapping), pickle.loads(pickle.dumps(mapping))):
        assert copied == mapping and isinstance(copied, FrozenMapping)


def test_a_dataclass_of_it_is_written_as_json():
    @dataclasses.dataclass(frozen=True)
    class Section:
        overlaps: FrozenMapping

    tree = dataclasses.asdict(Section(freeze({"Bus": 0.7})))
    assert json.loads(json.dumps(tree)) == {"overlaps": {"Bus": 0.7}}
