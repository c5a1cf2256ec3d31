"""AP figures as they are printed, logged and written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from mobilenetdet.atomic_write import atomic_write
from mobilenetdet.kitti.average_precision import NUM_RECALL_STEPS, perfect_ap
from mobilenetdet.kitti.labels import DIFFICULTIES, EVALUATED_CLASSES

MEASURES = ("R40", "R11")


def flat_metrics(metrics: dict[str, Any]) -> dict[str, float]:
    """Flatten AP into {"Car/moderate/R40": 72.7, ...} and add the mean over the classes.

    A class that is detected nowhere counts 0.

    Args:
        metrics: as `average_precision.evaluate_detections` gives it.
    """
    flat = {
        f"{name}/{level.name}/{measure}": metrics[name][level.name][measure]
        if metrics.get(name)
        else 0.0
        for name in EVALUATED_CLASSES
        for level in DIFFICULTIES
        for measure in MEASURES
    }
    for level in DIFFICULTIES:
        for measure in MEASURES:
            values = [flat[f"{name}/{level.name}/{measure}"] for name in EVALUATED_CLASSES]
            flat[f"mean/{level.name}/{measure}"] = float(np.mean(values))
    return flat


def format_metrics(metrics: dict[str, Any]) -> str:
    """Lay AP out as a table for the terminal: easy, moderate and hard, R40 and R11.

    A last line names the figures that cannot reach 100, since fewer than 41 objects count.
    """
    flat = flat_metrics(metrics)
    levels = [level.name for level in DIFFICULTIES]
    heading = "".join(f"{m + ' ' + level:>14}" for m in MEASURES for level in levels)
    lines = [
        f"KITTI 2D AP, {metrics['frames']:,} frames, protocol {metrics['protocol']}, percent",
        f"{'':12}{heading}",
    ]
    for name in (*EVALUATED_CLASSES, "mean"):
        values = "".join(
            f"{flat[f'{name}/{level}/{m}']:14.2f}" for m in MEASURES for level in levels
        )
        note = "  (detected nowhere)" if name != "mean" and not metrics.get(name) else ""
        lines.append(f"{name:12}{values}{note}")
    return "\n".join(lines + _ceilings(metrics))


def _ceilings(metrics: dict[str, Any]) -> list[str]:
    """Says which figures cannot reach 100 since too few objects count."""
    found = []
    for name in EVALUATED_CLASSES:
        counts = {
            level.name: (metrics.get(name) or {}).get(level.name, {}).get("num_objects")
            for level in DIFFICULTIES
        }
        few = [
            f"{level} {perfect_ap(count)['R40']:g}"
            for level, count in counts.items()
            if count is not None and count < NUM_RECALL_STEPS
        ]
        found += [f"{name} {', '.join(few)}"] if few else []
    if not found:
        return []
    return [
        f"fewer than {NUM_RECALL_STEPS} objects count, so that R40 is at most: {'; '.join(found)}"
    ]


def write_metrics(path: Path, metrics: dict[str, Any]) -> None:
    """Write AP as JSON; a reader sees the old file or the new one, never a part."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(metrics, indent=2) + "\n")
