import dataclasses

import pytest
from pydantic import TypeAdapter, ValidationError

from mobilenetdet.config.validation import (
    ImageSide,
    NonNegativeInt,
    Positive,
    Share,
    fault_text,
    require,
    section,
)


@section("a.b")
class Example:
    """A section."""

    side: ImageSide = 32
    share: Share = 0.5
    count: NonNegativeInt = 0
    factors: tuple[Positive, ...] = (1.0,)

    def __post_init__(self) -> None:
        """Checks two fields together."""
        require(self.count < 9 or self.share > 0, "a.b.count", self.count, "below 9 without share")


@section("a.b")
class Longer(Example):
    """A section with one field more."""

    name: str = "x"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"side": 0}, "a.b.side is 0; it must be above 0"),
        ({"side": 33}, "a.b.side is 33; it must be a multiple of 32"),
        ({"share": 1.5}, "a.b.share is 1.5; it must be at most 1"),
        ({"share": -1}, "a.b.share is -1; it must be 0 or more"),
        ({"share": float("nan")}, "a.b.share is nan; it must be a finite number"),
        ({"share": float("inf")}, "a.b.share is inf; it must be a finite number"),
        ({"factors": (1, 0)}, "a.b.factors.1 is 0; it must be above 0"),
        ({"count": "many"}, "a.b.count: Input should be a valid integer, unable to parse"),
        ({"count": 9, "share": 0}, "a.b.count is 9; it must be below 9 without share"),
        ({"cuont": 1}, "unknown key a.b.cuont"),
    ],
)
@pytest.mark.parametrize("kind", [Example, Longer])
def test_faults_name_key_value_and_rule(kind, values, message):
    with pytest.raises(ValueError) as error:
        kind(**values)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


def test_every_fault_has_a_line():
    with pytest.raises(ValueError) as error:
        Example(1, 2)
    assert str(error.value).splitlines() == [
        "a.b.side is 1; it must be a multiple of 32",
        "a.b.share is 2; it must be at most 1",
    ]


def test_sections_are_frozen_hashable_and_checked_when_replaced():
    made = Longer(side=64, name="y")
    assert made == dataclasses.replace(Longer(name="y"), side=64)
    assert hash(made) == hash(Longer(side=64, name="y"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.side = 32
    with pytest.raises(ValueError, match="a.b.side is 5"):
        dataclasses.replace(made, side=5)


def test_values_take_the_type_of_their_field():
    made = Example(share=1, factors=[2])
    assert made.factors == (2.0,) and isinstance(made.share, float)


def test_faults_of_a_tree_have_their_whole_path():
    with pytest.raises(ValidationError) as error:
        TypeAdapter(dict[str, Example]).validate_python({"one": {"side": 31}})
    (fault,) = error.value.errors()
    assert fault_text(fault) == "one.side is 31; it must be a multiple of 32"
