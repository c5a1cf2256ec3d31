"""What to do about an AP, read off its analysis by rules that are written down here."""

from __future__ import annotations

from mobilenetdet.analysis.analyse import EXPLAINED, Analysis
from mobilenetdet.analysis.error_types import (
    BACKGROUND,
    CLASSIFICATION,
    CORRECT,
    LOCALISATION,
    MISSED,
    REPEATED,
)
from mobilenetdet.findings import counted
from mobilenetdet.kitti.average_precision import NUM_RECALL_STEPS, perfect_ap

# What usually helps; whether it does here, a run has to show.
_REMEDIES = {
    LOCALISATION: (
        "boxes are near but not close enough: a box loss on the overlap (giou, ciou), a finer "
        "stride or a larger input, longer training"
    ),
    CLASSIFICATION: (
        "it takes one class for another: more frames of the rarer class, a higher weight of the "
        "class loss; see the confusion matrix"
    ),
    BACKGROUND: (
        "it sees objects where none is labelled: look at the worst frames first, since some may "
        "be real objects without a label; then more varied frames, or a higher weight of anchors "
        "without an object"
    ),
    REPEATED: (
        "one object is found several times: stronger suppression, in greedy NMS by a lower "
        "postprocess.suppression.max_iou, in soft-NMS by a lower postprocess.suppression.sigma"
    ),
    MISSED: (
        "the points are what objects cost that are not found at any score: see which parts are "
        "missing, and whether an anchor fits them"
    ),
}
# Costs and shares below these are not worth a line.
_MIN_COST, _POOR_RECALL = 1.0, 0.6
# Parts with fewer of the objects matter little, those with more are the class itself.
_MIN_SHARE, _MAX_SHARE = 0.1, 0.6


def advise(analysis: Analysis) -> list[str]:
    """Says where the AP is lost and what usually helps.

    For each class: the kind of error that costs most R40; the parts of the objects, between a
    tenth and six tenths of them, of which less than 60 % are found; and whether there are too few
    objects for an AP.

    Returns:
        Sentences, at least one for each class.
    """
    return [line for name in analysis.task.names for line in _advise_class(analysis, name)]


def _advise_class(analysis: Analysis, name: str) -> list[str]:
    of_class = analysis.curves[name]
    if of_class is None:
        return [f"{name}: detected nowhere. Does the detector know the class?"]
    curve = of_class[EXPLAINED]
    if curve.num_objects == 0:
        return [f"{name}: no object counts at difficulty {EXPLAINED}; the AP says nothing."]
    lines = []
    if curve.num_objects < NUM_RECALL_STEPS:
        lines.append(
            f"{name}: {counted(curve.num_objects, 'object')}, too few for an AP; even a perfect "
            f"detector would get {perfect_ap(curve.num_objects)['R40']:g}."
        )
    costs = analysis.error_costs[name]
    kind = max(costs, key=lambda kind: costs[kind])
    if costs[kind] >= _MIN_COST:
        count = analysis.error_counts[EXPLAINED][name][kind]
        remedy = f"{_REMEDIES[kind][0].upper()}{_REMEDIES[kind][1:]}"
        counted_from = f"{count:,}, counted from score {analysis.thresholds[name]:.2f} on"
        lines.append(
            f"{name}: errors of kind {kind} ({counted_from}) cost most, {costs[kind]:.1f} of the "
            f"{100 - curve.r40:.1f} points of R40 that are missing. {remedy}."
        )
    else:
        correct = analysis.error_counts[EXPLAINED][name][CORRECT]
        lines.append(
            f"{name}: no kind of error costs more than a point of R40 ({curve.r40:.1f}; {correct:,}"
            " objects found)."
        )
    return lines + _poor_parts(analysis, name)


def _poor_parts(analysis: Analysis, name: str) -> list[str]:
    poor = []
    for property_name, by_class in analysis.parts.items():
        num_objects = sum(part.num_objects for part in by_class[name])
        for part in by_class[name]:
            matters = _MIN_SHARE * num_objects <= part.num_objects <= _MAX_SHARE * num_objects
            if matters and part.num_objects >= NUM_RECALL_STEPS and part.recall < _POOR_RECALL:
                found = f"{100 * part.recall:.0f} % of {part.num_objects:,}"
                poor.append(f"{property_name} {part.part.name} ({found})")
    return [f"{name}: found too seldom, at any score, are {', '.join(poor)}."] if poor else []
