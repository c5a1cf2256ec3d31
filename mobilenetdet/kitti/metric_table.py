"""AP figures as they are printed, logged and written."""

from __future__ import annotations

from mobilenetdet.config.classes import DIFFICULTY_NAMES
from mobilenetdet.findings import counted
from mobilenetdet.kitti.ap_result import AveragePrecision, ClassAp, DifficultyAp
from mobilenetdet.kitti.average_precision import NUM_RECALL_STEPS, perfect_ap

MEASURES = ("R40", "R11")
_NAME_WIDTH = 12


def flat_metrics(ap: AveragePrecision) -> dict[str, float]:
    """Flattens AP into {"Car/moderate/R40": 72.7, ...}, the mean over the classes at the end."""
    return {
        f"{name}/{difficulty}/{measure}": measure_of(of_class[difficulty], measure)
        for name, of_class in _rows(ap).items()
        for difficulty in DIFFICULTY_NAMES
        for measure in MEASURES
    }


def measure_of(ap: DifficultyAp, measure: str) -> float:
    """Returns "R40" or "R11" of an AP, in percent."""
    return {"R40": ap.r40, "R11": ap.r11}[measure]


def format_metrics(ap: AveragePrecision) -> str:
    """Lays AP out as a table for the terminal: easy, moderate and hard, R40 and R11.

    A last line names the figures that cannot reach 100, since fewer than 41 objects count.
    """
    rows = _rows(ap)
    width = max(_NAME_WIDTH, *(len(name) + 1 for name in rows))
    heading = "".join(f"{m + ' ' + key:>14}" for m in MEASURES for key in DIFFICULTY_NAMES)
    lines = [
        f"KITTI 2D AP, {counted(ap.num_frames, 'frame')}, protocol {ap.protocol}, percent",
        f"{'':{width}}{heading}",
    ]
    for name, of_class in rows.items():
        values = "".join(
            f"{measure_of(of_class[key], m):14.2f}" for m in MEASURES for key in DIFFICULTY_NAMES
        )
        lines.append(f"{name:{width}}{values}{_note(of_class) if name in ap else ''}")
    return "\n".join(lines + ceilings(ap))


def _rows(ap: AveragePrecision) -> dict[str, ClassAp]:
    return {**ap.classes, "mean": ap.mean}


def _note(of_class: ClassAp) -> str:
    """Why the AP of a class is 0 whatever the detector is worth; it counts in the mean."""
    if all(of_class[key].num_objects == 0 for key in DIFFICULTY_NAMES):
        return "  (no object in these frames)"
    return "" if of_class.detected else "  (detected nowhere)"


def ceilings(ap: AveragePrecision) -> list[str]:
    """Returns a line for the figures that cannot reach 100, if fewer than 41 objects count."""
    found = []
    for name, of_class in ap.classes.items():
        counts = {key: of_class[key].num_objects for key in DIFFICULTY_NAMES}
        few = [
            f"{key} {perfect_ap(count)['R40']:g}"
            for key, count in counts.items()
            if count is not None and count < NUM_RECALL_STEPS
        ]
        found += [f"{name} {', '.join(few)}"] if few else []
    if not found:
        return []
    return [
        f"fewer than {NUM_RECALL_STEPS} objects count, so that R40 is at most: {'; '.join(found)}"
    ]
