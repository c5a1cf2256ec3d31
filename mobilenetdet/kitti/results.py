"""A detector's result files beside the labels of the same frames, and their AP."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mobilenetdet.config.classes import KITTI_TASK, EvalTask
from mobilenetdet.files.names import to_path
from mobilenetdet.files.text import read_text, why_no_file
from mobilenetdet.findings import count_named, refuse_findings
from mobilenetdet.kitti.ap_result import AveragePrecision, describe_scoring
from mobilenetdet.kitti.average_precision import evaluate_detections
from mobilenetdet.kitti.format_hints import known_id_hint
from mobilenetdet.kitti.labels import KittiObjects, read_objects
from mobilenetdet.kitti.layout import check_frame_id, parse_frame_ids
from mobilenetdet.kitti.metric_table import ceilings

_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".xz", ".bz2")


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

    def missing_results(self) -> list[str]:
        """Returns a line that counts and names the frames without result file, if there are any."""
        what = "frames have no result file, counted as empty"
        names = self.without_result
        return [count_named(names, len(self.frame_ids), what)] if names else []


def kitti_ap(
    label_dir: str | os.PathLike[str],
    result_dir: str | os.PathLike[str],
    frames: Sequence[str] | str | os.PathLike[str] | None = None,
    classes: Sequence[str] | EvalTask | None = None,
    protocol: str = "current",
    *,
    strict: bool = False,
) -> AveragePrecision:
    """Measures KITTI's official 2D average precision of a detector's result files.

    Args:
        label_dir: folder of the label files NNNNNN.txt, such as training/label_2.
        result_dir: folder of the result files NNNNNN.txt, 16 columns, the last of them the score.
        frames: ids of the frames to score, or the path of a list with one id a line; by default
            every frame that has a label file. In one without result file nothing is detected.
        classes: names of the classes, or a whole task; by default KITTI's three.
        protocol: "current", or "pre2017" for the rules before April 2017.
        strict: makes errors of the warnings.

    Warns:
        UserWarning: what looks wrong (frames without result file, boxes in another order, doubled
            detections, types that nothing is scored as, ...), a line each, as `kitti_eval` does;
            and figures that cannot reach 100 since fewer than 41 objects count.

    Raises:
        FileNotFoundError: a folder or the list does not exist, or a frame has no label.
        ValueError: a file is damaged, the protocol is no such thing, or neither KITTI nor any
            object or detection has a class; or something looks wrong, and `strict`.
    """
    task = KITTI_TASK if classes is None else classes
    task = task if isinstance(task, EvalTask) else EvalTask.of(task)
    results = read_result_set(
        to_path(label_dir, "label_dir"), to_path(result_dir, "result_dir"), read_frame_ids(frames)
    )
    # Not at the top: these checks are of what this module reads.
    from mobilenetdet.kitti.result_checks import check_results, refuse_unknown_classes

    refuse_unknown_classes(results, task)
    findings = check_results(results, task)
    if strict:
        refuse_findings(findings)
    for line in findings:
        warnings.warn(line, stacklevel=2)
    ap = score_results(results, task, protocol)
    for line in ceilings(ap):
        warnings.warn(line, stacklevel=2)
    return ap


def score_results(results: ResultSet, task: EvalTask, protocol: str) -> AveragePrecision:
    """Measures the AP of results, with what it depends on; see `evaluate_detections`."""
    ap = evaluate_detections(results.labels, results.detections, task=task, protocol=protocol)
    return replace(ap, context=describe_scoring(task, results.frame_ids))


def read_frame_ids(frames: Sequence[str] | str | os.PathLike[str] | None) -> list[str] | None:
    """Returns ids of frames, read from a list with one id a line if a path is given.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line is no id; names file and line.
    """
    if frames is None:
        return None
    if isinstance(frames, str | os.PathLike):
        path = Path(frames)
        if not path.is_file():
            raise FileNotFoundError(f"the list of frames, {path}, {why_no_file(path)}")
        ids, source = parse_frame_ids(read_text(path, "list of frames"), str(path)), str(path)
    elif not isinstance(frames, Iterable):
        raise ValueError(f"frames is {frames!r}; it must be a list of ids or the path of one")
    else:
        ids, source = [check_frame_id(str(frame_id), "frames") for frame_id in frames], "frames"
    if not ids or len(set(ids)) < len(ids):
        what = "names no frame" if not ids else "names a frame twice"
        raise ValueError(f"{source} {what}; name each frame to score once")
    return ids


def read_result_set(
    label_dir: Path,
    result_dir: Path,
    frame_ids: Sequence[str] | None = None,
    *,
    allow_inverted: bool = False,
) -> ResultSet:
    """Reads labels NNNNNN.txt and results NNNNNN.txt.

    Args:
        label_dir: folder of the labels, such as training/label_2.
        result_dir: folder of the results.
        frame_ids: the frames of the split; by default every frame that has a label file. One
            without result file counts as empty: a detector that leaves such files out would
            otherwise be scored on the frames that suit it.
        allow_inverted: takes detections with right < left or bottom < top, to find out what they
            are.

    Raises:
        FileNotFoundError: a folder does not exist or is empty, or a frame has no label.
        ValueError: a file is damaged; names file, line and field.
    """
    with_result = _frame_files(result_dir, "results")
    if frame_ids is None:
        labelled = _frame_files(label_dir, "labels")
        _refuse_unlabelled(sorted(with_result), labelled, label_dir)
        frame_ids = sorted(labelled)
    frame_ids = list(frame_ids)
    return ResultSet(
        frame_ids,
        read_label_files(label_dir, frame_ids),
        _read_results(result_dir, frame_ids, with_result, allow_inverted),
        without_result=[frame_id for frame_id in frame_ids if frame_id not in with_result],
        not_scored=sorted(with_result - set(frame_ids)),
    )


def read_result_files(
    result_dir: Path, frame_ids: Sequence[str]
) -> tuple[list[KittiObjects], list[str]]:
    """Reads results NNNNNN.txt of some frames without their labels.

    Args:
        result_dir: folder of the results.
        frame_ids: the frames.

    Returns:
        What was detected in each frame, and the frames that have no result file.

    Raises:
        FileNotFoundError: the folder does not exist or is empty.
        ValueError: a file is damaged; names file, line and field.
    """
    with_result = _frame_files(result_dir, "results")
    missing = [frame_id for frame_id in frame_ids if frame_id not in with_result]
    return _read_results(result_dir, frame_ids, with_result), missing


def _read_results(
    result_dir: Path,
    frame_ids: Sequence[str],
    with_result: set[str],
    allow_inverted: bool = False,
) -> list[KittiObjects]:
    return [
        read_objects(
            result_dir / f"{frame_id}.txt", with_scores=True, allow_inverted=allow_inverted
        )
        if frame_id in with_result
        else KittiObjects.empty(with_scores=True)
        for frame_id in frame_ids
    ]


def read_label_files(label_dir: Path, frame_ids: Sequence[str] | None = None) -> list[KittiObjects]:
    """Reads label files, by default all of a folder in the order of their names.

    Raises:
        FileNotFoundError: the folder does not exist or is empty, or a frame has no label.
        ValueError: a file is damaged; names file, line and field.
    """
    labelled = _frame_files(label_dir, "labels")
    frame_ids = sorted(labelled) if frame_ids is None else frame_ids
    _refuse_unlabelled(frame_ids, labelled, label_dir)
    return [
        read_objects(label_dir / f"{frame_id}.txt", with_scores=False) for frame_id in frame_ids
    ]


def _refuse_unlabelled(frame_ids: Sequence[str], labelled: set[str], label_dir: Path) -> None:
    unlabelled = [frame_id for frame_id in frame_ids if frame_id not in labelled]
    if unlabelled:
        what = f"frames have no label in {label_dir}"
        hint = known_id_hint(unlabelled, labelled)
        raise FileNotFoundError(
            count_named(unlabelled, len(frame_ids), what)
            + (hint or "; is this the folder of the split's labels?")
        )


def _frame_files(folder: Path, kind: str) -> set[str]:
    if folder.is_file():
        what = "an archive; unpack it, and name" if folder.suffix in _ARCHIVES else "a file; name"
        raise FileNotFoundError(f"{folder} is {what} the folder that the {kind} are in")
    if not folder.is_dir():
        raise FileNotFoundError(f"the folder of the {kind}, {folder}, does not exist")
    # A name that starts with a dot is a file of the system: macOS' ._000000.txt.
    found = {
        path.stem
        for path in folder.iterdir()
        if path.suffix == ".txt" and not path.name.startswith(".")
    }
    if not found:
        inside = next((path.parent for path in sorted(folder.glob("*/*.txt"))), None)
        hint = f"; did you mean {inside}?" if inside else ""
        raise FileNotFoundError(f"{folder} holds no {kind} (NNNNNN.txt){hint}")
    return found
