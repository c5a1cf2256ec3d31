"""COCO's average precision of KITTI detections, by pycocotools or a faster library of its kind."""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from mobilenetdet.config.classes import KITTI_TASK, EvalTask
from mobilenetdet.config.type_names import DONT_CARE_TYPE, same
from mobilenetdet.kitti.labels import KittiObjects

# COCOeval.stats in its order.
COCO_METRICS = (
    *("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large"),
    *("AR1", "AR10", "AR100", "AR_small", "AR_medium", "AR_large"),
)
_CLASS_METRICS = ("AP", "AP50", "AP75")
# Indices of the IoU thresholds 0.5 and 0.75 among 0.5, 0.55 .. 0.95.
_IOU_50, _IOU_75 = 0, 5


def coco_metrics(
    labels: Sequence[KittiObjects],
    detections: Sequence[KittiObjects],
    task: EvalTask = KITTI_TASK,
) -> dict[str, Any]:
    """Measures COCO's twelve metrics over the classes of a task, in percent.

    DontCare regions are crowd regions of every class, neighbours (Van for Car, Person_sitting for
    Pedestrian) of their class: detections with most of their area inside are no false alarms.
    All other objects count, however small or hidden; difficulties and minimum overlaps play no
    part.

    Args:
        labels: the labels of each frame, DontCare included.
        detections: the detections of the same frames, with scores; the 100 surest of a class and
            frame count.
        task: the classes, the types mapped to them and their neighbours.

    Returns:
        `{"library": "pycocotools", "AP": 47.1, "AP50": .., .., "classes": {"Car": {"AP": ..,
        "AP50": .., "AP75": ..}, ..}}`; None for what has no object.
    """
    library, run = _run(coco_truth(labels, task), coco_results(detections, task))
    metrics = {name: _percent(value) for name, value in zip(COCO_METRICS, run.stats, strict=False)}
    precisions = run.eval["precision"]  # [IoU, recall, class, area, detections]
    classes = {
        name: {
            metric: _mean_percent(precisions[chosen, :, index, 0, -1])
            for metric, chosen in zip(_CLASS_METRICS, (slice(None), _IOU_50, _IOU_75), strict=True)
        }
        for index, name in enumerate(task.names)
    }
    return {"library": library, **metrics, "classes": classes}


def format_coco(metrics: dict[str, Any]) -> str:
    """Lays COCO's metrics out for the terminal."""
    width = max(12, *(len(name) + 1 for name in metrics["classes"]))
    lines = [
        f"COCO AP in percent, by {metrics['library']}; all objects count, DontCare and neighbours "
        "are crowds",
        f"{'':{width}}" + "".join(f"{name:>10}" for name in COCO_METRICS[:6]),
        f"{'all':{width}}" + "".join(f"{_text(metrics[name]):>10}" for name in COCO_METRICS[:6]),
    ]
    for name, of_class in metrics["classes"].items():
        lines.append(
            f"{name:{width}}" + "".join(f"{_text(of_class[m]):>10}" for m in _CLASS_METRICS)
        )
    return "\n".join(lines)


def coco_truth(labels: Sequence[KittiObjects], task: EvalTask = KITTI_TASK) -> dict[str, Any]:
    """Writes labels as a COCO data set: images 1 to F, categories 1 to C, boxes x y width height.

    Returns:
        `{"images": [..], "categories": [..], "annotations": [..]}`.
    """
    annotations: list[dict[str, Any]] = []
    categories = _Categories(task)
    for image_id, frame in enumerate(labels, 1):
        for name, box in zip(frame.types.tolist(), frame.boxes_xyxy, strict=True):
            for category_id, is_crowd in categories[name.lower()]:
                x, y, width, height = _to_xywh(box)
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": image_id,
                        "category_id": category_id,
                        "bbox": [x, y, width, height],
                        "area": width * height,
                        "iscrowd": int(is_crowd),
                    }
                )
    return {
        "info": {},
        "images": [{"id": image_id} for image_id in range(1, len(labels) + 1)],
        "categories": [{"id": i, "name": name} for i, name in enumerate(task.names, 1)],
        "annotations": annotations,
    }


def coco_results(
    detections: Sequence[KittiObjects], task: EvalTask = KITTI_TASK
) -> list[dict[str, Any]]:
    """Writes detections in COCO's result format; types of no class are left out."""
    codes = {t: task.index(name) + 1 for t, name in task.class_of_type.items()}
    return [
        {
            "image_id": image_id,
            "category_id": codes[name.lower()],
            "bbox": _to_xywh(box),
            "score": float(score),
        }
        for image_id, frame in enumerate(detections, 1)
        for name, box, score in zip(
            frame.types.tolist(), frame.boxes_xyxy, frame.scores, strict=True
        )
        if name.lower() in codes
    ]


def _run(truth: dict[str, Any], found: list[dict[str, Any]]) -> tuple[str, Any]:
    """Returns the name of the library and its evaluation."""
    library, coco_class, eval_class = _library()
    # They print their progress.
    with contextlib.redirect_stdout(io.StringIO()):
        gt = coco_class()
        gt.dataset = truth
        gt.createIndex()
        if found:
            dt = gt.loadRes(found)
        else:
            dt = coco_class()
            dt.dataset = {**truth, "annotations": []}
            dt.createIndex()
        run = eval_class(gt, dt, "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return library, run


def _library() -> tuple[str, type, type]:
    """The fastest that is installed, as (name, COCO, COCOeval)."""
    if importlib.util.find_spec("faster_coco_eval"):
        from faster_coco_eval import COCO, COCOeval_faster

        return "faster-coco-eval", COCO, COCOeval_faster
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    return "pycocotools", COCO, COCOeval


class _Categories(dict[str, list[tuple[int, bool]]]):
    """The categories that a type (in lower case) belongs to, and whether as a crowd."""

    def __init__(self, task: EvalTask) -> None:
        super().__init__()
        self._task = task

    def __missing__(self, lowered: str) -> list[tuple[int, bool]]:
        own = self._task.class_of_type.get(lowered)
        found = []
        for category_id, entry in enumerate(self._task.classes, 1):
            beside = {name.lower() for name in entry.neighbours}
            if own == entry.name:
                found.append((category_id, False))
            elif same(lowered, DONT_CARE_TYPE) or {lowered, str(own).lower()} & beside:
                found.append((category_id, True))
        self[lowered] = found
        return found


def _to_xywh(box_xyxy: np.ndarray) -> list[float]:
    left, top, right, bottom = map(float, box_xyxy)
    return [left, top, right - left, bottom - top]


def _percent(value: float) -> float | None:
    return None if value < 0 else float(value) * 100


def _mean_percent(values: np.ndarray) -> float | None:
    values = values[values > -1]
    return float(values.mean()) * 100 if len(values) else None


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
