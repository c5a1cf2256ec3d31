"""What was found in a picture: one type for prediction, drawing, evaluation and writing."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from mobilenetdet.kitti.labels import KittiObjects

# Of scores and of pixels in JSON.
_SCORE_DECIMALS, _BOX_DECIMALS = 6, 2


@dataclass(frozen=True, eq=False, repr=False)
class Detections:
    """Boxes, scores and classes of one picture, as a rule the best score first.

    Attributes:
        boxes_xyxy: float64 [N, 4], pixels of the picture, half-open.
        scores: float64 [N], 0 to 1.
        class_ids: int64 [N], places in `classes`.
        classes: the names of all classes that the detector knows.

    Raises:
        ValueError: the arrays do not fit together or are not finite, or a class id is not one of
            the classes.

    Example:
        `found.above(0.5).class_names` are the names of the detections that score 0.5 or more.
    """

    boxes_xyxy: np.ndarray
    scores: np.ndarray
    class_ids: np.ndarray
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        """Makes arrays of what was given, and checks them."""
        if isinstance(self.classes, str):
            raise ValueError(f"classes is the text {self.classes!r}; it must be a list of names")
        for name in ("boxes_xyxy", "scores", "class_ids"):
            object.__setattr__(self, name, _finite(name, getattr(self, name)))
        broken = self.class_ids[self.class_ids % 1 > 0]
        if len(broken):
            raise ValueError(f"class_ids has {broken[0]}; all must be whole numbers")
        object.__setattr__(self, "class_ids", self.class_ids.astype(np.int64))
        object.__setattr__(self, "classes", tuple(map(str, self.classes)))
        shapes = (self.boxes_xyxy.shape, self.scores.shape, self.class_ids.shape)
        count = self.scores.shape[0] if self.scores.ndim else 0
        if shapes != ((count, 4), (count,), (count,)):
            raise ValueError(f"boxes, scores and classes have shapes {shapes}; want (N, 4), N, N")
        wrong = self.class_ids[(self.class_ids < 0) | (self.class_ids >= len(self.classes))]
        if len(wrong):
            raise ValueError(
                f"class id {wrong[0]} is none of the {len(self.classes)} classes "
                f"{', '.join(self.classes)} (0 to {len(self.classes) - 1})"
            )

    @classmethod
    def empty(cls, classes: Sequence[str]) -> Detections:
        """Returns the detections of a picture in which nothing was found."""
        return cls(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64), tuple(classes))

    @classmethod
    def from_kitti(cls, objects: KittiObjects, classes: Sequence[str] | None = None) -> Detections:
        """Makes detections of the lines of a result file.

        Args:
            objects: with scores.
            classes: names of the classes, compared in any case; by default the types of the
                objects, in the order in which they occur.

        Raises:
            ValueError: the objects have no scores, or a type is none of the classes.
        """
        if not isinstance(objects, KittiObjects):
            raise ValueError(
                f"objects are {type(objects).__name__} and must be KittiObjects, as "
                "mobilenetdet.kitti.labels.read_objects(PATH) reads them"
            )
        if objects.scores is None:
            raise ValueError("labels have no scores; detections come from result files")
        types = objects.types.tolist()
        names = tuple(dict.fromkeys(types)) if classes is None else tuple(classes)
        places = {name.lower(): place for place, name in enumerate(names)}
        for name in types:
            if name.lower() not in places:
                near = difflib.get_close_matches(name, names, n=1)
                hint = f" (did you mean {near[0]}?)" if near else ""
                raise ValueError(f"type {name!r} is none of the classes {', '.join(names)}{hint}")
        ids = [places[name.lower()] for name in types]
        return cls(objects.boxes_xyxy, objects.scores, np.array(ids, np.int64), names)

    @property
    def class_names(self) -> np.ndarray:
        """The class of each detection, str [N]."""
        return np.array(self.classes, dtype=str)[self.class_ids]

    def __repr__(self) -> str:
        """Says how many there are of each class, as "Detections(3: 2 Car, 1 Cyclist)"."""
        counts = np.bincount(self.class_ids, minlength=len(self.classes)).tolist()
        named = [f"{n} {name}" for n, name in zip(counts, self.classes, strict=True) if n]
        return f"Detections({len(self)}{': ' if named else ''}{', '.join(named)})"

    def __len__(self) -> int:
        """Returns the number of detections."""
        return len(self.scores)

    def __getitem__(self, index: int | slice | Sequence[int] | np.ndarray) -> Detections:
        """Returns the detections that a mask, a slice, an integer array or one integer selects."""
        if isinstance(index, int | np.integer):
            index = [index]
        return Detections(
            self.boxes_xyxy[index], self.scores[index], self.class_ids[index], self.classes
        )

    def above(self, score: float | Mapping[str, float]) -> Detections:
        """Returns the detections with at least this score.

        Args:
            score: one for all classes, or one for each class by its name.

        Raises:
            ValueError: a class has none, or one is no number of 0 to 1.

        Example: `found.above(0.5)`, `found.above({"Car": 0.43, "Pedestrian": 0.33})`.
        """
        if not isinstance(score, Mapping):
            return self[self.scores >= _checked_score(score)]
        if missing := [name for name in self.classes if name not in score]:
            raise ValueError(f"no score is given for the class {', '.join(missing)}")
        lowest = np.array([_checked_score(score[name]) for name in self.classes], float)
        return self[self.scores >= lowest[self.class_ids]]

    def to_kitti(self) -> KittiObjects:
        """Returns the lines of a result file."""
        return KittiObjects.from_detections(self.class_names, self.boxes_xyxy, self.scores)

    def to_json(self) -> list[dict[str, Any]]:
        """Returns one dict a detection, of plain Python types.

        Example: `[{"class": "Car", "score": 0.9, "box_xyxy": [1.0, 2.0, 30.0, 40.0]}]`.
        """
        return [
            {"class": str(name), "score": round(float(score), _SCORE_DECIMALS), "box_xyxy": box}
            for name, score, box in zip(
                self.class_names,
                self.scores,
                self.boxes_xyxy.round(_BOX_DECIMALS).tolist(),
                strict=True,
            )
        ]


def _finite(name: str, values: object) -> np.ndarray:
    array = np.asarray(values, float)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has {array[~np.isfinite(array)][0]}; all must be finite")
    return array


def _checked_score(score: Any) -> float:
    """Returns a lowest score.

    Raises:
        ValueError: it is no number, or not 0 to 1.
    """
    if not (isinstance(score, Real) and 0 <= float(score) <= 1):
        raise ValueError(f"the lowest score is {score!r}; it must be a number, 0 to 1")
    return float(score)
