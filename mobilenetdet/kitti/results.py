"""A detector's result files beside the labels of the same frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mobilenetdet.kitti.labels import KittiObjects, read_objects

_MAX_NAMED = 5


@dataclass(frozen=True, eq=False)
class ResultSet:
    """The frames that a detector is scored on.

    Attributes:
        frame_ids: of the F frames.
        labels: their objects, F entries in the same order.
        detections: what was detected in them, F entries.
        without_result: frames that have no result file; nothing is detected in them.
        not_scored: result files, without suffix, of frames that are not among these.
    """

    frame_ids: list[str]
    labels: list[KittiObjects]
    detections: list[KittiObjects]
    without_result: list[str]
    not_scored: list[str]


def read_result_set(
    label_dir: Path, result_dir: Path, frame_ids: Sequence[str] | None = None
) -> ResultSet:
    """Read labels NNNNNN.txt and results NNNNNN.txt.

    Args:
        label_dir: folder of the labels, such as training/label_2.
        result_dir: folder of the results.
        frame_ids: the frames of the split; by default every frame that has a result file.

    Raises:
        FileNotFoundError: a folder does not exist or is empty, or a frame has no label.
        ValueError: a file is damaged; names file, line and field.
    """
    with_result = _frame_files(result_dir, "results")
    frame_ids = sorted(with_result) if frame_ids is None else list(frame_ids)
    labels = read_labels(label_dir, frame_ids)
    detections = [
        read_objects(result_dir / f"{frame_id}.txt", with_scores=True)
        if frame_id in with_result
        else KittiObjects.empty(with_scores=True)
        for frame_id in frame_ids
    ]
    scored = set(frame_ids)
    return ResultSet(
        frame_ids,
        labels,
        detections,
        without_result=[frame_id for frame_id in frame_ids if frame_id not in with_result],
        not_scored=sorted(with_result - scored),
    )


def read_labels(label_dir: Path, frame_ids: Sequence[str] | None = None) -> list[KittiObjects]:
    """Read label files, by default all of a folder in the order of their names.

    Raises:
        FileNotFoundError: the folder does not exist or is empty, or a frame has no label.
        ValueError: a file is damaged; names file, line and field.
    """
    labelled = _frame_files(label_dir, "labels")
    frame_ids = sorted(labelled) if frame_ids is None else frame_ids
    unlabelled = [frame_id for frame_id in frame_ids if frame_id not in labelled]
    if unlabelled:
        raise FileNotFoundError(
            f"{label_dir} has no label for {len(unlabelled):,} of {len(frame_ids):,} frames "
            f"({name_some(unlabelled)}); is this the folder of the split's labels?"
        )
    return [
        read_objects(label_dir / f"{frame_id}.txt", with_scores=False) for frame_id in frame_ids
    ]


def name_some(names: Sequence[str]) -> str:
    """List the first few names.

    Example: six frames become "000001, 000002, 000003, 000004, 000005 and 1 more".
    """
    shown = ", ".join(names[:_MAX_NAMED])
    rest = len(names) - _MAX_NAMED
    return f"{shown} and {rest:,} more" if rest > 0 else shown


def _frame_files(folder: Path, kind: str) -> set[str]:
    if not folder.is_dir():
        raise FileNotFoundError(f"the folder of the {kind}, {folder}, does not exist")
    found = {path.stem for path in folder.iterdir() if path.suffix == ".txt"}
    if not found:
        inside = next((path.parent for path in sorted(folder.glob("*/*.txt"))), None)
        hint = f"; did you mean {inside}?" if inside else ""
        raise FileNotFoundError(f"{folder} holds no {kind} (NNNNNN.txt){hint}")
    return found
