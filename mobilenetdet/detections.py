"""What a detector found in one image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mobilenetdet.kitti.labels import KittiObjects


@dataclass(frozen=True)
class Detections:
    """Boxes, scores and classes of one image, the best score first.

    Attributes:
        boxes_xyxy: float64 [N, 4], pixels of the original image, half-open.
        scores: float64 [N], 0 to 1.
        classes: int64 [N], index into the config's classes.

    Raises:
        ValueError: the arrays do not fit together.
    """

    boxes_xyxy: np.ndarray
    scores: np.ndarray
    classes: np.ndarray

    def __post_init__(self) -> None:
        """Checks the shapes."""
        count = len(self.scores)
        shapes = (self.boxes_xyxy.shape, self.scores.shape, self.classes.shape)
        if shapes != ((count, 4), (count,), (count,)):
            raise ValueError(f"boxes, scores and classes have shapes {shapes}; want (N, 4), N, N")

    def __len__(self) -> int:
        """Number of detections."""
        return len(self.scores)

    def __getitem__(self, index: np.ndarray | slice) -> Detections:
        """Selects detections by mask, slice or index array."""
        return Detections(self.boxes_xyxy[index], self.scores[index], self.classes[index])

    def above(self, score: float) -> Detections:
        """Keeps the detections with at least this score."""
        return self[self.scores >= score]


def to_kitti(detections: Detections, classes: tuple[str, ...]) -> KittiObjects:
    """Names the classes of detections, for result files and for scoring."""
    types = np.array(classes)[detections.classes]
    return KittiObjects.from_detections(types, detections.boxes_xyxy, detections.scores)
