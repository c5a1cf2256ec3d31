"""What counts for one class at one difficulty: objects, detections and pairs of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mobilenetdet.config.classes import Difficulty
from mobilenetdet.kitti.assignment import PackedFrames, assign_greedily, type_codes

PROTOCOLS = ("current", "pre2017")
# The official program takes scores at or below this for "no detection".
_NO_SCORE = -10_000_000.0


@dataclass(frozen=True, eq=False)
class Selection:
    """What counts of N objects, M detections and P pairs for one class at one difficulty.

    Attributes:
        scores: [M].
        gt_counts: [N] bool, objects that are hit or missed.
        det_counts: [M] bool, detections that are hits or false alarms.
        det_in_dontcare: [M] bool, detections that are no false alarms where they lie.
        frames: [P] frame of each pair that may be made.
        gts: [P] its object; pairs are in the order of the objects, then of the detections.
        dets: [P] its detection.
        overlaps: [P] its intersection over union.
    """

    scores: np.ndarray
    gt_counts: np.ndarray
    det_counts: np.ndarray
    det_in_dontcare: np.ndarray
    frames: np.ndarray
    gts: np.ndarray
    dets: np.ndarray
    overlaps: np.ndarray

    @classmethod
    def of(
        cls, packed: PackedFrames, *, class_name: str, difficulty: Difficulty, protocol: str
    ) -> Selection:
        """Sorts objects and detections into those that count, are ignored, or play no part."""
        entry, code = packed.task[class_name], packed.task.index(class_name)
        own = packed.gt_types == code
        gt_takes_part = own.copy()
        for neighbour in entry.neighbours:
            gt_takes_part |= packed.gt_types == type_codes(packed.task)[neighbour]
        heights = packed.gt_boxes[3] - packed.gt_boxes[1]
        det_heights = np.trunc(np.abs(packed.det_boxes[1] - packed.det_boxes[3]))
        small = det_heights < difficulty.min_height
        if protocol == "pre2017":
            small = np.zeros_like(small)
        tall = heights >= difficulty.min_height
        easy_enough = (packed.gt_occluded <= difficulty.max_occlusion) & (
            packed.gt_truncated <= difficulty.max_truncation
        )
        det_counts = (packed.det_types == code) & ~small
        pairs = gt_takes_part[packed.pair_gts] & (packed.pair_overlaps > entry.min_overlap)
        pairs &= (det_counts | small)[packed.pair_dets]
        return cls(
            scores=packed.det_scores,
            gt_counts=own & tall & easy_enough,
            det_counts=det_counts,
            det_in_dontcare=packed.det_dontcare > entry.min_overlap,
            frames=packed.pair_frames[pairs],
            gts=packed.pair_gts[pairs],
            dets=packed.pair_dets[pairs],
            overlaps=packed.pair_overlaps[pairs],
        )

    def assign_by_score(self) -> np.ndarray:
        """Returns which pairs are made if each object takes the highest score, [P] bool."""
        available = (self.scores[self.dets] > _NO_SCORE).astype(np.uint64)
        return self._assign(-self.scores[self.dets], available).astype(bool)

    def assign_by_overlap(self, available: np.ndarray) -> np.ndarray:
        """Returns at which thresholds each pair is made, [P] uint64.

        Args:
            available: [P] uint64; bit t is set where the pair's detection reaches threshold t.
        """
        counts = self.det_counts[self.dets]
        # Overlaps are above 0. Ignored detections come last, in the order of the file.
        return self._assign(np.where(counts, -self.overlaps, 0.0), available)

    def _assign(self, preference: np.ndarray, available: np.ndarray) -> np.ndarray:
        order = np.lexsort((preference, self.gts))  # stable: ties keep the order of the file
        made = np.empty_like(available)
        gts, dets, frames = self.gts[order], self.dets[order], self.frames[order]
        made[order] = assign_greedily(gts, dets, frames, available[order])
        return made
