"""The classes of a detector, and the rules by which each of them is scored.

`EvalTask` is the one place that says which classes there are, which labelled types count as them,
which types are ignored beside them, how much a box must overlap, and what is easy, moderate and
hard. AP, COCO's AP, calibration, analysis, tables, plots and colours go by it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeVar

from mobilenetdet.config.type_names import (
    DONT_CARE_TYPE,
    by_class,
    check_choice,
    check_class_map,
    check_class_names,
    same,
)

# What KITTI's benchmark scores.
EVALUATED_CLASSES = ("Car", "Pedestrian", "Cyclist")
# Types beside a class that are neither learnt as the class nor false alarms if taken for it.
NEIGHBOURS = {"Car": ("Van",), "Pedestrian": ("Person_sitting",)}
# A detection overlaps an object if their intersection over union is strictly above this.
MIN_OVERLAPS = {"Car": 0.7, "Pedestrian": 0.5, "Cyclist": 0.5}
# What another class takes that no overlap is given for: 0.7 for rigid, large objects, as for Car.
_OVERLAP_OF_VEHICLES, _OVERLAP_OF_OTHERS = 0.7, 0.5
_VEHICLES = frozenset(
    "car van truck tram bus minibus coach lorry pickup trailer caravan camper train taxi suv "
    "vehicle ambulance tractor".split()
)
# Lowest height in pixels, highest occlusion, highest truncation.
Limits = tuple[float, int, float]
AllLimits = tuple[Limits, Limits, Limits]


@dataclass(frozen=True)
class Difficulty:
    """Which objects count: one of easy, moderate and hard.

    Attributes:
        name: easy, moderate or hard.
        min_height: lowest height of a box that still counts, pixels of the original image.
        max_occlusion: highest `occluded` value that still counts.
        max_truncation: highest `truncated` value that still counts.
    """

    name: str
    min_height: float
    max_occlusion: int
    max_truncation: float


EASY = Difficulty("easy", min_height=40, max_occlusion=0, max_truncation=0.15)
MODERATE = Difficulty("moderate", min_height=25, max_occlusion=1, max_truncation=0.30)
HARD = Difficulty("hard", min_height=25, max_occlusion=2, max_truncation=0.50)
# KITTI's.
DIFFICULTIES: tuple[Difficulty, ...] = (EASY, MODERATE, HARD)
DIFFICULTY_NAMES = tuple(difficulty.name for difficulty in DIFFICULTIES)


@dataclass(frozen=True)
class EvalClass:
    """How one class is scored.

    Attributes:
        name: of the class.
        min_overlap: intersection over union that a hit must exceed.
        neighbours: types that absorb a detection of the class without counting.
        mapped_types: other types that are learnt and scored as the class.
        difficulties: easy, moderate and hard.
        overlap_is_guess: nobody has said the overlap, neither KITTI nor the config.
    """

    name: str
    min_overlap: float
    neighbours: tuple[str, ...] = ()
    mapped_types: tuple[str, ...] = ()
    difficulties: tuple[Difficulty, ...] = DIFFICULTIES
    overlap_is_guess: bool = False

    def difficulty(self, name: str) -> Difficulty:
        """Returns the limits that go by a name: easy, moderate or hard.

        Raises:
            ValueError: another name.
        """
        check_choice("difficulty", name, DIFFICULTY_NAMES)
        return self.difficulties[DIFFICULTY_NAMES.index(name)]


@dataclass(frozen=True)
class EvalTask:
    """The classes that are scored, in the order of their indices. Names compare in any case."""

    classes: tuple[EvalClass, ...]

    @classmethod
    def of(
        cls,
        names: Sequence[str] = EVALUATED_CLASSES,
        *,
        class_map: Mapping[str, str] | None = None,
        neighbours: Mapping[str, Sequence[str]] | None = None,
        min_overlaps: Mapping[str, float] | None = None,
        difficulties: Mapping[str, AllLimits] | None = None,
    ) -> EvalTask:
        """Makes a task; whatever is not said of a class is as KITTI has it.

        Args:
            names: of the classes.
            class_map: class that a type is learnt and scored as, by type.
            neighbours: types that are ignored beside a class, by class. KITTI's are Van for Car
                and Person_sitting for Pedestrian. A type that is mapped to a class is none.
            min_overlaps: intersection over union that a hit must exceed, by class. Otherwise
                KITTI's, or a guess: 0.7 for vehicles, 0.5 for the rest.
            difficulties: limits of easy, moderate and hard, by class.

        Raises:
            ValueError: a name is no class, is used twice or cannot be used, or a value is out of
                range; names the setting, the value and the nearest name.

        Example: `EvalTask.of(["Car"])["car"].min_overlap` is 0.7.
        """
        check_class_names(names)
        mapped = check_class_map(names, class_map or {})
        beside = by_class("neighbours", names, neighbours or {})
        overlaps = by_class("min_overlaps", names, min_overlaps or {})
        limits = by_class("difficulties", names, difficulties or {})
        return cls(
            tuple(
                EvalClass(
                    name=name,
                    min_overlap=_min_overlap(name, overlaps),
                    neighbours=_neighbours(name, beside, mapped),
                    mapped_types=tuple(t for t, target in mapped.items() if same(target, name)),
                    difficulties=_difficulties(name, limits),
                    overlap_is_guess=name not in overlaps and _known(name, MIN_OVERLAPS) is None,
                )
                for name in names
            )
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The classes' names."""
        return tuple(entry.name for entry in self.classes)

    @property
    def lowest_overlap(self) -> float:
        """The lowest of the classes' minimum overlaps."""
        return min(entry.min_overlap for entry in self.classes)

    @property
    def class_of_type(self) -> dict[str, str]:
        """The class that a type is scored as, by the type in lower case."""
        own = {entry.name.lower(): entry.name for entry in self.classes}
        mapped = {t.lower(): entry.name for entry in self.classes for t in entry.mapped_types}
        return own | mapped

    @property
    def known_types(self) -> tuple[str, ...]:
        """Every type that plays a part, DontCare the last."""
        mapped = [t for entry in self.classes for t in entry.mapped_types]
        beside = [t for entry in self.classes for t in entry.neighbours]
        return tuple(dict.fromkeys((*self.names, *mapped, *beside, DONT_CARE_TYPE)))

    def __getitem__(self, name: str) -> EvalClass:
        """Returns how a class is scored.

        Raises:
            ValueError: there is no such class; names the nearest.
        """
        return self.classes[self.index(name)]

    def __iter__(self) -> Iterator[EvalClass]:
        """Iterates over the classes."""
        return iter(self.classes)

    def __len__(self) -> int:
        """Returns the number of classes."""
        return len(self.classes)

    def __contains__(self, name: object) -> bool:
        """Returns whether a class of this name, in any case, is scored."""
        return str(name).lower() in {entry.name.lower() for entry in self.classes}

    def index(self, name: str) -> int:
        """Returns the place of a class.

        Raises:
            ValueError: there is no such class; names the nearest.
        """
        lowered = [entry.name.lower() for entry in self.classes]
        if name.lower() not in lowered:
            check_choice("class", name, self.names)
        return lowered.index(name.lower())

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Returns how each class is scored, ready for JSON."""
        return {
            entry.name: {
                "min_overlap": entry.min_overlap,
                "neighbours": list(entry.neighbours),
                "mapped_types": list(entry.mapped_types),
                "difficulties": {
                    each.name: [each.min_height, each.max_occlusion, each.max_truncation]
                    for each in entry.difficulties
                },
            }
            for entry in self.classes
        }

    def guesses(self, setting: str = "eval.min_overlaps") -> list[str]:
        """Returns a line to print for each minimum overlap that nobody has said, in `setting`."""
        guessed: dict[float, list[str]] = {}
        for entry in self.classes:
            if entry.overlap_is_guess:
                guessed.setdefault(entry.min_overlap, []).append(entry.name)
        return [
            f"minimum overlap of {', '.join(names)}: {overlap:g} (a guess; set {setting})"
            for overlap, names in guessed.items()
        ]


Known = TypeVar("Known")


def _listed(value: Any) -> Sequence[Any]:
    """Returns a sequence as it is, and for anything else an empty one."""
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _known(name: str, table: Mapping[str, Known]) -> Known | None:
    return next((value for key, value in table.items() if same(key, name)), None)


def _min_overlap(name: str, overlaps: Mapping[str, float]) -> float:
    if name in overlaps:
        if not (isinstance(overlaps[name], Real) and 0 <= overlaps[name] < 1):
            raise ValueError(
                f"min_overlaps of {name} is {overlaps[name]!r}; it must be 0 or more and below 1"
            )
        return overlaps[name]
    guess = _OVERLAP_OF_VEHICLES if name.lower() in _VEHICLES else _OVERLAP_OF_OTHERS
    known = _known(name, MIN_OVERLAPS)
    return guess if known is None else known


def _neighbours(
    name: str, beside: Mapping[str, Sequence[str]], mapped: Mapping[str, str]
) -> tuple[str, ...]:
    taken = {type_name.lower() for type_name in mapped}
    if name not in beside:
        return tuple(t for t in _known(name, NEIGHBOURS) or () if t.lower() not in taken)
    types = beside[name]
    is_list = isinstance(types, Collection) and not isinstance(types, str)
    if not (is_list and all(isinstance(type_name, str) for type_name in types)):
        raise ValueError(f"neighbours of {name} are {types!r}; they must be a list of types")
    for type_name in types:
        if type_name.lower() in taken:
            raise ValueError(
                f"neighbours of {name}: {type_name} is mapped to a class by class_map; take it "
                "out of one of the two"
            )
        if same(type_name, name) or same(type_name, DONT_CARE_TYPE):
            raise ValueError(f"neighbours of {name}: {type_name} cannot be one")
    return tuple(dict.fromkeys(types))


def _difficulties(name: str, limits: Mapping[str, AllLimits]) -> tuple[Difficulty, ...]:
    if name not in limits:
        return DIFFICULTIES
    rows = _listed(limits[name])
    numbers = [isinstance(limit, Real) for row in rows for limit in _listed(row)]
    if [len(_listed(row)) for row in rows] != [3, 3, 3] or not all(numbers):
        raise ValueError(
            f"difficulties of {name}: {limits[name]!r}; give three limits each for easy, moderate "
            "and hard: a lowest height, a highest occlusion and a highest truncation"
        )
    for height, occlusion, truncation in limits[name]:
        if not (0 <= height < math.inf and 0 <= occlusion <= 3 and 0 <= truncation <= 1):
            raise ValueError(
                f"difficulties of {name}: {height:g} {occlusion} {truncation:g}; a lowest height "
                "of 0 or more, a highest occlusion of 0 to 3 and a highest truncation of 0 to 1"
            )
    return tuple(
        Difficulty(difficulty, *of_one)
        for difficulty, of_one in zip(DIFFICULTY_NAMES, limits[name], strict=True)
    )


KITTI_TASK = EvalTask.of()
