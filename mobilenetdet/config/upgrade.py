"""Settings of earlier versions: where they are now.

`RENAMED` serves config files and command lines. Up to format 1 both heads shared the sections model
and loss, so that a file holds settings that its head does not use; these are left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from mobilenetdet.config.anchor_shapes import SQUEEZEDET_ANCHORS
from mobilenetdet.config.heads import ClassLoss, Head
from mobilenetdet.config.model import Suppression
from mobilenetdet.config.schema import TAG, field_types, kinds_of

# Former dotted key, and the present one.
RENAMED = {
    "model.head": "head.kind",
    "model.head_blocks": "head.blocks",
    "model.head_channels": "head.channels",
    "model.dropout": "head.dropout",
    "loss.box_loss": "head.box_loss",
    "loss.box": "head.box_weight",
    "loss.confidence_positive": "head.confidence_positive_weight",
    "loss.confidence_negative": "head.confidence_negative_weight",
    "loss.negative_normaliser": "head.negative_normaliser",
    "loss.classification": "head.class_weight",
    "loss.class_loss": "head.class_loss.kind",
    "loss.focal_alpha": "head.class_loss.alpha",
    "loss.focal_gamma": "head.class_loss.gamma",
    "loss.hard_negatives": "head.class_loss.hard_negatives",
    "postprocess.nms_iou": "postprocess.suppression.max_iou",
    "postprocess.soft_nms_sigma": "postprocess.suppression.sigma",
    "postprocess.soft_nms_rounds": "postprocess.suppression.rounds",
    "eval.overlay_score": "eval.drawing_score",
}
# Former keys that say together what one key says now.
REPLACED = dict.fromkeys(
    ("model.strides", "model.anchors", "model.anchors_per_stride"), "model.levels"
)
# Former keys that are gone, with the reason; 0 switched them off.
REMOVED = {
    "augment.mosaic": "mosaics of frames cost AP in every run",
    "augment.safe_crop": "crops that keep every object whole cost AP in every run",
}
_SUPPRESSION, _CLASS_LOSS = "postprocess.suppression", "head.class_loss"
# What a key that a file of format 1 leaves out meant, where today's default is another.
_FORMER_SSD = {
    "head.blocks": 2,
    "head.channels": 512,
    "head.box_loss": "squared",
    "head.box_weight": 20.0,
    "head.class_weight": 3.0,
    "head.class_loss.kind": "focal",
}


def upgrade_detection(tree: Mapping[str, Any], *, whole: bool = True) -> dict[str, Any]:
    """Rewrites the tree of a detection config with today's keys; keys of today stay as they are.

    Args:
        tree: section name to a mapping of its settings, of any format.
        whole: whether the tree is a config, so that what it leaves out has a default; otherwise it
            changes some settings of another config.

    Raises:
        ValueError: a setting that is gone is in use, or a change names one that says only a part of
            what its successor does; says which.
    """
    rest, former = _divide(tree)
    if not former:
        return rest
    _refuse_removed(former)
    if whole and former.get("eval.overlay_score") == 0.5:  # the former default
        del former["eval.overlay_score"]
    moved = {new: former[old] for old, new in RENAMED.items() if old in former}
    if replaced := [old for old in REPLACED if old in former]:
        if not whole:  # what it leaves out is not that of the config which it changes
            raise ValueError(replaced_text(replaced[0]))
        moved["model.levels"] = _levels(former)
    if f"{_SUPPRESSION}.sigma" in moved:
        _choose_suppression(moved)
    if whole:
        moved = _used_by_its_kind(moved)
    for key, value in moved.items():
        _put(rest, key.split("."), value)
    return rest


def replaced_text(key: str) -> str:
    """Says what to write instead of a key of `REPLACED`."""
    return (
        f"{key} is part of {REPLACED[key]} now: STRIDE:WIDTHxHEIGHT,... for each level, as "
        "`mobilenetdet fit_anchors` prints them"
    )


def _divide(tree: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Takes the former keys out; returns a copy of the rest, and their values by dotted key."""
    rest: dict[str, Any] = {}
    former: dict[str, Any] = {}
    for name, settings in tree.items():
        if not isinstance(settings, Mapping):
            rest[name] = settings
            continue
        known = {
            key: f"{name}.{key}"
            for key in settings
            if any(f"{name}.{key}" in table for table in (RENAMED, REPLACED, REMOVED))
        }
        former |= {dotted: settings[key] for key, dotted in known.items()}
        left = {key: value for key, value in settings.items() if key not in known}
        if left or not known:
            rest[name] = left
    return rest, former


def _refuse_removed(former: Mapping[str, Any]) -> None:
    for key, reason in REMOVED.items():
        if former.get(key):
            raise ValueError(
                f"{key} is {former[key]!r}, but the option is gone: {reason}; remove the key, or "
                "set it to 0"
            )


def _levels(former: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Divides the anchors among the strides; what does not fit is left for validation to refuse."""
    strides: Sequence[int] = former.get("model.strides", (16,))
    anchors = former.get("model.anchors", SQUEEZEDET_ANCHORS)
    counts = former.get("model.anchors_per_stride") or (len(anchors),)
    if len(counts) != len(strides) or sum(counts) != len(anchors):
        raise ValueError(
            f"model.anchors_per_stride is {counts!r}; it must divide {len(anchors)} anchors among "
            f"{len(strides)} strides (today: model.levels)"
        )
    ends = list(itertools.accumulate(counts))
    return [
        {"stride": stride, "anchors": list(anchors[end - count : end])}
        for stride, count, end in zip(strides, counts, ends, strict=True)
    ]


def _choose_suppression(moved: dict[str, Any]) -> None:
    """A sigma of 0 meant greedy suppression."""
    soft = bool(moved[f"{_SUPPRESSION}.sigma"])
    moved[f"{_SUPPRESSION}.{TAG}"] = "soft" if soft else "greedy"
    unused = ("max_iou",) if soft else ("sigma", "rounds")
    for name in unused:
        moved.pop(f"{_SUPPRESSION}.{name}", None)


def _used_by_its_kind(moved: Mapping[str, Any]) -> dict[str, Any]:
    """Names the kinds that were defaults, and leaves out the settings that these do not use."""
    kept = dict(moved)
    if _holds(kept, _SUPPRESSION):
        kept.setdefault(f"{_SUPPRESSION}.{TAG}", "greedy")
        kept = _fields_of_kind(kept, _SUPPRESSION, kinds_of(Suppression))
    if _holds(kept, "head"):
        kept.setdefault(f"head.{TAG}", "squeezedet")
        if kept[f"head.{TAG}"] == "ssd":
            kept = _FORMER_SSD | kept
            kept = _fields_of_kind(kept, _CLASS_LOSS, kinds_of(ClassLoss))
        kept = _fields_of_kind(kept, "head", kinds_of(Head))
    return kept


def _holds(moved: Mapping[str, Any], group: str) -> bool:
    return any(key.startswith(f"{group}.") for key in moved)


def _fields_of_kind(
    moved: Mapping[str, Any], group: str, kinds: Mapping[str, type]
) -> dict[str, Any]:
    """Leaves out the settings of a group that its kind does not have."""
    kind = kinds.get(moved[f"{group}.{TAG}"])
    if kind is None:  # for validation to refuse
        return dict(moved)
    fields = [f"{group}.{name}" for name in field_types(kind)]
    return {
        key: value
        for key, value in moved.items()
        if not key.startswith(f"{group}.")
        or any(key == field or key.startswith(f"{field}.") for field in fields)
    }


def _put(tree: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Sets a leaf unless the tree has it already under its present name."""
    *groups, leaf = path
    for group in groups:
        tree[group] = dict(tree.get(group, {}))
        tree = tree[group]
    tree.setdefault(leaf, value)
