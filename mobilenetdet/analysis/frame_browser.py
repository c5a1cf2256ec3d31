"""The part of a report that shows every frame of a split, filtered and sorted in the browser.

The page gets boxes and the pairs of them that overlap; `frame_matching.js` makes of them what
`error_types` does, at any score and difficulty. Pictures are strings that are decoded when they are
looked at.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import cv2
import numpy as np

from mobilenetdet.analysis.analyse import EXPLAINED
from mobilenetdet.analysis.error_types import NEAR_OVERLAP
from mobilenetdet.config.classes import DIFFICULTY_NAMES, KITTI_TASK, EvalTask
from mobilenetdet.config.type_names import DONT_CARE_TYPE
from mobilenetdet.drawing import encode_jpeg
from mobilenetdet.kitti.assignment import PackedFrames, pack_frames, type_codes
from mobilenetdet.kitti.average_precision import AveragePrecision
from mobilenetdet.kitti.labels import KittiObjects

# Pictures in one file: at most so many, of this width in pixels and this JPEG quality. In the order
# of their number: 335 frames of KITTI take 10 MB, 3,769 take 70 MB.
_PICTURES = ((500, 720, 55), (4000, 560, 50))
MAX_PICTURES = _PICTURES[-1][0]
_BOX_DECIMALS = 1


@dataclass(frozen=True, eq=False)
class BrowsedRun:
    """What one detector has found in the frames.

    Attributes:
        name: stands beside its pictures.
        detections: of each frame, with scores.
        thresholds: by class, the score from which on detections count as made.
        ap: of these detections, where it is to stand beside that of a report.
    """

    name: str
    detections: Sequence[KittiObjects]
    thresholds: Mapping[str, float]
    ap: AveragePrecision | None = None


def pictured_frames(frame_ids: Sequence[str], frame_errors: np.ndarray) -> list[str]:
    """Returns the frames that get a picture, in their order: all, or those with the most errors.

    Args:
        frame_ids: of the F frames.
        frame_errors: [F] see `Analysis`.
    """
    worst = np.argsort(-frame_errors, kind="stable")[:MAX_PICTURES]
    return [frame_ids[index] for index in sorted(worst.tolist())]


def browser_parts(
    frame_ids: Sequence[str],
    labels: Sequence[KittiObjects],
    runs: Sequence[BrowsedRun],
    *,
    pictures: Iterable[tuple[str, np.ndarray]] = (),
    task: EvalTask = KITTI_TASK,
    protocol: str = "current",
) -> Iterator[str]:
    """Yields HTML of the browser, piece by piece: the pictures of a split do not fit into memory.

    Args:
        frame_ids: of the F frames.
        labels: F entries, DontCare included.
        runs: one, or two to be compared.
        pictures: (frame id, uint8 [H, W, 3] RGB) of frames in any order; see `pictured_frames`.
        task: the classes and how each is scored.
        protocol: "current" or "pre2017".
    """
    yield _read("frame_browser.html")
    data = _page_data(frame_ids, labels, runs, task=task, protocol=protocol)
    # A name may hold what ends the element.
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    yield f'<script type="application/json" id="frame-data">{text}</script>\n'
    places = {frame_id: place for place, frame_id in enumerate(frame_ids)}
    number = min(len(frame_ids), MAX_PICTURES)
    width, quality = next((w, q) for limit, w, q in _PICTURES if number <= limit)
    for frame_id, image in pictures:
        encoded = encode_jpeg(_shrink(image, width), quality=quality)
        yield (
            f'<script type="text/plain" id="picture-{places[frame_id]}" '
            f'data-size="{image.shape[1]} {image.shape[0]}">'
            f"{base64.b64encode(encoded).decode('ascii')}</script>\n"
        )
    yield f"<script>\n{_read('frame_matching.js')}</script>\n"
    yield f"<script>\n{_read('frame_browser.js')}</script>\n"


def _read(name: str) -> str:
    return (resources.files("mobilenetdet.analysis") / name).read_text(encoding="utf-8")


def _shrink(image: np.ndarray, width: int) -> np.ndarray:
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    if width >= image.shape[1]:
        return image
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def _page_data(
    frame_ids: Sequence[str],
    labels: Sequence[KittiObjects],
    runs: Sequence[BrowsedRun],
    *,
    task: EvalTask,
    protocol: str,
) -> dict[str, Any]:
    """Returns all that the page knows of the frames, ready for JSON."""
    found = [
        frame.types.tolist() for each in (labels, *(r.detections for r in runs)) for frame in each
    ]
    types = sorted({name for names in found for name in names})
    places = {name: place for place, name in enumerate(types)}
    of_runs = [list(_run_rows(labels, run.detections, places, task)) for run in runs]
    rows = zip(frame_ids, labels, *of_runs, strict=True)
    return {
        "types": types,
        "codes": [type_codes(task)[name] for name in types],
        "dontCare": type_codes(task)[DONT_CARE_TYPE],
        "classes": [_class_rules(task, name) for name in task.names],
        "difficulties": DIFFICULTY_NAMES,
        "explained": EXPLAINED,
        "nearOverlap": NEAR_OVERLAP,
        "protocol": protocol,
        "runs": [
            {"name": run.name, "thresholds": [run.thresholds[name] for name in task.names]}
            for run in runs
        ],
        "frames": [
            {"id": frame_id, "gts": _gt_rows(objects, places), "runs": of_frame}
            for frame_id, objects, *of_frame in rows
        ],
    }


def _class_rules(task: EvalTask, name: str) -> dict[str, Any]:
    entry = task[name]
    return {
        "name": name,
        "minOverlap": entry.min_overlap,
        "neighbours": [type_codes(task)[neighbour] for neighbour in entry.neighbours],
        "limits": {
            each.name: {
                "height": each.min_height,
                "occlusion": each.max_occlusion,
                "truncation": each.max_truncation,
            }
            for each in entry.difficulties
        },
    }


def _gt_rows(objects: KittiObjects, places: Mapping[str, int]) -> list[list[float]]:
    columns = zip(
        objects.types.tolist(),
        objects.occluded.tolist(),
        objects.truncated.tolist(),
        objects.boxes_xyxy.tolist(),
        strict=True,
    )
    return [[places[name], occluded, truncated, *box] for name, occluded, truncated, box in columns]


def _run_rows(
    labels: Sequence[KittiObjects],
    detections: Sequence[KittiObjects],
    places: Mapping[str, int],
    task: EvalTask,
) -> Iterator[dict[str, list[list[float]]]]:
    """Yields detections and pairs of each frame; what decides about a match is exact."""
    min_overlap = min(NEAR_OVERLAP, task.lowest_overlap)
    packed = pack_frames(labels, detections, task=task, min_overlap=min_overlap)
    # The protocol cuts heights to whole pixels.
    heights = np.trunc(np.abs(packed.det_boxes[3] - packed.det_boxes[1])).astype(int)
    in_dontcare = _in_dontcare(packed, task).astype(int)
    gt_starts = np.cumsum([0, *map(len, labels)])
    det_starts = np.cumsum([0, *map(len, detections)])
    pair_starts = np.searchsorted(packed.pair_frames, np.arange(len(labels) + 1))
    for index, frame in enumerate(detections):
        dets = slice(det_starts[index], det_starts[index + 1])
        columns = (
            [places[name] for name in frame.types.tolist()],
            packed.det_scores[dets].tolist(),
            heights[dets].tolist(),
            in_dontcare[dets].tolist(),
            *packed.det_boxes[:, dets].round(_BOX_DECIMALS).tolist(),
        )
        pairs = slice(pair_starts[index], pair_starts[index + 1])
        pair_columns = (
            (packed.pair_dets[pairs] - det_starts[index]).tolist(),
            (packed.pair_gts[pairs] - gt_starts[index]).tolist(),
            packed.pair_overlaps[pairs].tolist(),
        )
        yield {
            "dets": [list(row) for row in zip(*columns, strict=True)],
            "pairs": [list(row) for row in zip(*pair_columns, strict=True)],
        }


def _in_dontcare(packed: PackedFrames, task: EvalTask) -> np.ndarray:
    """Returns which detections [M] a DontCare region excuses; of other types none."""
    # The last is for types that play no part, whose number is -1.
    overlaps = np.full(len(task.known_types) + 1, np.inf)
    overlaps[: len(task)] = [entry.min_overlap for entry in task]
    return packed.det_dontcare > overlaps[packed.det_types]
