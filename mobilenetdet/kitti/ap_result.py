"""An average precision, class by class and difficulty by difficulty, as one typed result."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mobilenetdet.config.classes import DIFFICULTY_NAMES, EvalTask
from mobilenetdet.config.type_names import check_choice, nearest
from mobilenetdet.findings import counted
from mobilenetdet.kitti.changed_rules import changed_rules

if TYPE_CHECKING:
    import pandas


# What metrics.json says beside the AP: how many of its frames the weights were trained on, or null.
SEEN_KEY = "frames_seen_in_training"
# How the classes are scored, the frames that were, their split, and the detector.
TASK_KEY, FRAMES_KEY, SPLIT_KEY, MEASURED_KEY = "task", "frames_sha256", "split", "measured"
_CONTEXT_KEYS = (SPLIT_KEY, SEEN_KEY, TASK_KEY, FRAMES_KEY, MEASURED_KEY)
# The rules of today.
DEFAULT_PROTOCOL = "current"
# The mean over the classes; no class has this name.
MEAN_KEY = "mean"


def describe_scoring(task: EvalTask, frame_ids: Sequence[str]) -> dict[str, Any]:
    """Returns what an AP depends on beside labels and detections, ready for JSON.

    Args:
        task: the classes and how each is scored.
        frame_ids: of the frames that were scored.

    Returns:
        task, and frames_sha256: of the sorted ids, one a line, as `sort | sha256sum` makes it of
        the list.
    """
    lines = "".join(f"{frame_id}\n" for frame_id in sorted(frame_ids))
    return {TASK_KEY: task.to_dict(), FRAMES_KEY: hashlib.sha256(lines.encode()).hexdigest()}


@dataclass(frozen=True)
class DifficultyAp:
    """AP at one difficulty.

    Attributes:
        r40: mean precision over 40 recall steps (1/40 .. 1), in percent.
        r11: mean precision over 11 recall steps (0, 0.1 .. 1), in percent.
        num_objects: objects that count; None where nobody has counted them.
        precisions: interpolated precision, 0 to 1, at the 41 recalls 0, 1/40 .. 1; may be empty.
    """

    r40: float = 0.0
    r11: float = 0.0
    num_objects: int | None = None
    precisions: tuple[float, ...] = field(default=(), repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Returns R11, R40, num_objects and precision41, ready for JSON."""
        return {
            "R11": self.r11,
            "R40": self.r40,
            "num_objects": self.num_objects,
            "precision41": list(self.precisions),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DifficultyAp:
        """Reads what `to_dict` returns; R11, counts and precisions may be absent.

        Raises:
            ValueError: an AP is no percentage.
        """
        r40, r11 = float(values["R40"]), float(values.get("R11", 0.0))
        for name, ap in (("R40", r40), ("R11", r11)):
            if not 0 <= ap <= 100 + 1e-6:
                raise ValueError(f"{name} is {ap:g}, and an AP is 0 to 100")
        num_objects = values.get("num_objects")
        if num_objects is not None and not (type(num_objects) is int and num_objects >= 0):
            raise ValueError(f"num_objects is {num_objects!r}, and is a number of objects")
        return cls(
            r40=r40,
            r11=r11,
            num_objects=num_objects,
            precisions=tuple(map(float, values.get("precision41", ()))),
        )


@dataclass(frozen=True)
class ClassAp:
    """AP of one class, or the mean over classes.

    Attributes:
        easy: objects that are near, visible and whole.
        moderate: those that KITTI ranks detectors by.
        hard: smaller, hidden and cut objects as well.
        detected: some frame has a detection of the class; if none has, every AP is 0.
    """

    easy: DifficultyAp = DifficultyAp()
    moderate: DifficultyAp = DifficultyAp()
    hard: DifficultyAp = DifficultyAp()
    detected: bool = True

    def __getitem__(self, difficulty: str) -> DifficultyAp:
        """Returns the AP at easy, moderate or hard.

        Raises:
            ValueError: another name.
        """
        check_choice("difficulty", difficulty, DIFFICULTY_NAMES)
        return getattr(self, difficulty)


@dataclass(frozen=True, repr=False)
class AveragePrecision(Mapping[str, ClassAp]):
    """KITTI's 2D average precision by class; names compare in any case.

    Attributes:
        classes: by name, in the order of the task.
        protocol: "current" or "pre2017".
        num_frames: frames that were scored.
        context: what the figures depend on beside these, ready for JSON: task and frames_sha256;
            where a detector was evaluated also split, frames_seen_in_training and measured.

    Example:
        `ap["Car"].moderate.r40`, `ap.mean.moderate.r40`.
    """

    classes: dict[str, ClassAp]
    protocol: str
    num_frames: int
    context: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __getitem__(self, class_name: str) -> ClassAp:
        """Returns the AP of a class.

        Raises:
            KeyError: there is no such class; names the nearest.
        """
        spelled = {name.lower(): name for name in self.classes}
        if class_name.lower() not in spelled:
            hint = nearest(class_name, self.classes)
            raise KeyError(f"no class {class_name!r} among {', '.join(self.classes)}{hint}")
        return self.classes[spelled[class_name.lower()]]

    def __iter__(self) -> Iterator[str]:
        """Iterates over the names of the classes."""
        return iter(self.classes)

    def __len__(self) -> int:
        """Returns the number of classes."""
        return len(self.classes)

    def __contains__(self, class_name: object) -> bool:
        """Returns whether a class was scored."""
        return str(class_name).lower() in {name.lower() for name in self.classes}

    def __repr__(self) -> str:
        """Says the moderate R40 of each class and their mean, and what is unusual about them."""
        rows = {**self.classes, MEAN_KEY: self.mean}
        figures = ", ".join(f"{name} {ap.moderate.r40:.2f}" for name, ap in rows.items())
        notes = [counted(self.num_frames, "frame")]
        if seen := self.context.get(SEEN_KEY):
            notes.append(f"{seen:,} of them trained on")
        if self.protocol != DEFAULT_PROTOCOL:
            notes.append(f"protocol {self.protocol}")
        if changed_rules(self.context.get(TASK_KEY, {})):
            notes.append("by other rules than KITTI's")
        return f"AveragePrecision({', '.join(notes)}, moderate R40: {figures})"

    @property
    def mean(self) -> ClassAp:
        """The mean over the classes; one that is detected nowhere, or has no object, counts 0."""
        of_difficulties = {
            name: DifficultyAp(
                r40=float(np.mean([ap[name].r40 for ap in self.classes.values()])),
                r11=float(np.mean([ap[name].r11 for ap in self.classes.values()])),
            )
            for name in DIFFICULTY_NAMES
        }
        return ClassAp(**of_difficulties, detected=any(ap.detected for ap in self.classes.values()))

    def to_dict(self) -> dict[str, Any]:
        """Returns everything, ready for JSON; `from_dict` reads it back equal.

        Returns:
            `{"protocol": .., "frames": n, "Car": {"easy": {"R11": .., "R40": .., "num_objects": ..,
            "precision41": [..]}, "moderate": .., "hard": ..}, .., "mean": {"easy": {"R11": ..,
            "R40": ..}, ..}}` and the context; a class that is detected nowhere is None, and counts
            0 in the mean.
        """
        by_class = {
            name: {key: ap[key].to_dict() for key in DIFFICULTY_NAMES} if ap.detected else None
            for name, ap in self.classes.items()
        }
        mean = {
            key: {"R11": self.mean[key].r11, "R40": self.mean[key].r40} for key in DIFFICULTY_NAMES
        }
        by_class = {**by_class, MEAN_KEY: mean}
        measured = {"protocol": self.protocol, "frames": self.num_frames}
        return {**self.context, **measured, **by_class}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> AveragePrecision:
        """Reads what `to_dict` returns, such as metrics.json; other keys are left out.

        Raises:
            ValueError: it is no such thing; names the key that is absent.
        """
        try:
            protocol, num_frames = values["protocol"], values["frames"]
            names = _class_names(values)
            classes = {
                name: ClassAp(detected=False) if values[name] is None else _class_ap(values[name])
                for name in names
            }
            if not classes:
                raise ValueError("no class in them")
            context = {key: values[key] for key in _CONTEXT_KEYS if key in values}
            return cls(classes, protocol=protocol, num_frames=num_frames, context=context)
        except KeyError as error:
            raise ValueError(f"not the metrics of an evaluation: no {error} in them") from None
        except (TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"not the metrics of an evaluation: {error}") from None

    def to_pandas(self) -> pandas.DataFrame:
        """Returns one row for each class and difficulty, with R40, R11 and num_objects.

        Raises:
            ImportError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise ImportError("to_pandas needs pandas: pip install pandas") from None
        rows = [
            (name, key, ap[key].r40, ap[key].r11, ap[key].num_objects)
            for name, ap in self.classes.items()
            for key in DIFFICULTY_NAMES
        ]
        columns = ["class", "difficulty", "R40", "R11", "num_objects"]
        return pandas.DataFrame(rows, columns=columns)


def _class_names(values: Mapping[str, Any]) -> list[str]:
    """The classes that were scored; files of earlier versions do not list them."""
    if TASK_KEY in values:
        return list(values[TASK_KEY])
    return [
        name
        for name, value in values.items()
        if name not in (SEEN_KEY, MEAN_KEY)
        and (value is None or (isinstance(value, dict) and "moderate" in value))
    ]


def _class_ap(of_class: Mapping[str, Any]) -> ClassAp:
    easy, moderate, hard = (DifficultyAp.from_dict(of_class[key]) for key in DIFFICULTY_NAMES)
    return ClassAp(easy, moderate, hard)
