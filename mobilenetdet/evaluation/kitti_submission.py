"""Result files of KITTI's test frames, and the archive that its server takes.

What the server wants is said in the readme of KITTI's object development kit
(https://www.cvlibs.net/datasets/kitti/eval_object.php): a file NNNNNN.txt for each test frame, in
the format of the labels with the score behind, in the root of a zip archive.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mobilenetdet.config.classes import EVALUATED_CLASSES
from mobilenetdet.detections import Detections
from mobilenetdet.evaluation.metrics_file import describe_measured
from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.files.text import read_json, write_json
from mobilenetdet.findings import count_named, counted
from mobilenetdet.inference.exported import is_exported
from mobilenetdet.inference.loaded_detector import LoadedDetector
from mobilenetdet.inference.predict import detect_ahead
from mobilenetdet.kitti.labels import KittiObjects, read_objects, write_objects
from mobilenetdet.kitti.layout import KittiLayout
from mobilenetdet.media.sources import read_pictures

NUM_TEST_FRAMES = 7518
# Beside the result files: what has made them.
DETECTOR_FILE = "detector.json"
# Archives of all digits are twice as large. With two decimals of a pixel and six of a score the AP
# of 335 frames is up to 0.05 another one; with these it is the same.
_BOX_DECIMALS, _SCORE_DECIMALS = 3, 8
# Of every member, so that the same results are the same archive.
_DATE = (2012, 1, 1, 0, 0, 0)


def find_test_frames(layout: KittiLayout, num_frames: int = NUM_TEST_FRAMES) -> list[str]:
    """Returns the ids of the test frames, 000000 on.

    Args:
        layout: the testing half of a KITTI folder.
        num_frames: that there have to be.

    Raises:
        FileNotFoundError: there are no images, or frames are missing; names the first.
        ValueError: there are others.
    """
    wanted = [f"{index:06d}" for index in range(num_frames)]
    there = set(layout.frame_ids())
    remedy = f"the server wants {num_frames:,} frames, 000000 to {wanted[-1]}, and no other"
    if missing := [frame_id for frame_id in wanted if frame_id not in there]:
        what = f"test frames have no image in {layout.image_dir}"
        raise FileNotFoundError(f"{count_named(missing, num_frames, what)}; {remedy}")
    if others := sorted(there - set(wanted)):
        what = f"images in {layout.image_dir} are no test frames"
        raise ValueError(f"{count_named(others, len(there), what)}; {remedy}")
    return wanted


def check_classes(classes: Sequence[str]) -> list[str]:
    """Returns a line for each way in which the classes of a detector are not those of the server.

    Raises:
        ValueError: the server scores none of them.
    """
    known = {name.lower() for name in classes}
    scored = ", ".join(EVALUATED_CLASSES)
    absent = [name for name in EVALUATED_CLASSES if name.lower() not in known]
    if len(absent) == len(EVALUATED_CLASSES):
        raise ValueError(
            f"the detector knows {', '.join(classes)}; KITTI's server scores {scored} alone"
        )
    others = [name for name in classes if not _is_scored(name)]
    lines = [f"the detector knows no {name}, whose AP will be 0" for name in absent]
    return lines + [f"{name} is left out: the server scores {scored} alone" for name in others]


def describe_detector(
    model: LoadedDetector, layout: KittiLayout, frame_ids: Sequence[str]
) -> dict[str, Any]:
    """Returns what the result files depend on, ready for JSON: the detector and the images."""
    config, exported = model.config, None
    if is_exported(model.source):  # another precision of the same weights is another detector
        state = Path(model.source).stat()
        exported = f"{model.source}, {state.st_size} bytes, {state.st_mtime_ns}"
    images = map(layout.image_path, frame_ids)
    sizes = sorted((path.name, path.stat().st_size) for path in images)
    described = describe_measured(config, model.weights_hash, exported) | {
        "calibration": config.postprocess.calibration,
        "classes": model.classes,
        "images": hashlib.sha256(repr(sizes).encode()).hexdigest(),
    }
    return json.loads(json.dumps(described))  # lists where there were tuples, as in a file


class ResultFiles:
    """The result files of one detector, in a folder of their own.

    An interrupted call has left whole files, which the next one keeps: `detector.json` says which
    detector they are of.
    """

    def __init__(self, folder: OutputFolder, detector: dict[str, Any]) -> None:
        """Describes the files.

        Args:
            folder: for the files.
            detector: of `describe_detector`.
        """
        self._folder, self._detector = folder, detector

    def claim(self, frame_ids: Sequence[str], *, overwrite: bool) -> None:
        """Makes the folder that of the detector.

        Args:
            frame_ids: that will have files.
            overwrite: removes result files of another detector.

        Raises:
            FileExistsError: it holds those of another one, or files of others of these names.
        """
        folder = self._folder
        folder.refuse_foreign(map(_file_name, frame_ids))
        if not self.is_of_detector():
            if (folder.path / DETECTOR_FILE).exists() and not overwrite:
                raise FileExistsError(
                    f"{folder.path} holds the results of another detector, or of other images; "
                    "name another --output, or replace them with --overwrite"
                )
            folder.discard(folder.own_names())
            with folder.writing(DETECTOR_FILE) as path:
                write_json(path, self._detector)

    def is_of_detector(self) -> bool:
        """Returns whether the files that are there are of this detector."""
        path = self._folder.path / DETECTOR_FILE
        return path.is_file() and read_json(path, "remove the folder") == self._detector

    def missing(self, frame_ids: Sequence[str]) -> list[str]:
        """Returns the frames that have no file yet, as it was written."""
        own = set(self._folder.own_names())
        return [frame_id for frame_id in frame_ids if _file_name(frame_id) not in own]

    def add(self, frame_id: str, found: Detections) -> None:
        """Writes the file of a frame; one in which nothing was found gets an empty one.

        Raises:
            FileExistsError: a file of another is in the way.
        """
        with self._folder.writing(_file_name(frame_id), durable=False) as path:
            write_objects(path, _to_results(found))

    def archive(self, frame_ids: Sequence[str], path: Path) -> int:
        """Writes the archive, after every file was read and checked; returns the detections in it.

        Args:
            frame_ids: of all test frames.
            path: of the archive.

        Raises:
            FileNotFoundError: a frame has no file.
            ValueError: a file is damaged.
        """
        num_detections = 0
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for frame_id in frame_ids:
                file = self._folder.path / _file_name(frame_id)
                num_detections += _count_checked(file)
                info = zipfile.ZipInfo(file.name, _DATE)
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, file.read_bytes())
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
            if broken or archive.namelist() != list(map(_file_name, frame_ids)):
                raise ValueError(f"{path} is not as it was written ({broken}); is the disk sound?")
        return num_detections


def detect_test_frames(
    model: LoadedDetector,
    layout: KittiLayout,
    frame_ids: Sequence[str],
    results: ResultFiles,
    *,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Detects in frames and writes their result files; reading and detecting overlap.

    Args:
        model: the detector.
        layout: the testing half of a KITTI folder.
        frame_ids: those to detect in.
        results: gets a file each.
        progress: called with the number of frames that are done.

    Raises:
        ValueError: an image is damaged; names it.
    """
    paths = [layout.image_path(frame_id) for frame_id in frame_ids]
    pictures = read_pictures(paths, names=frame_ids)
    for done, (picture, found) in enumerate(detect_ahead(model, pictures), 1):
        results.add(picture.name, found)
        progress(done)


def describe_archive(num_frames: int, num_detections: int, num_bytes: int) -> str:
    """Says what is in an archive.

    Example: "7,518 frames, 120,000 detections, 3.1 MB".
    """
    content = f"{counted(num_frames, 'frame')}, {counted(num_detections, 'detection')}"
    return f"{content}, {num_bytes / 1e6:.1f} MB"


def _file_name(frame_id: str) -> str:
    return f"{frame_id}.txt"


def _is_scored(name: str) -> bool:
    return name.lower() in {known.lower() for known in EVALUATED_CLASSES}


def _to_results(found: Detections) -> KittiObjects:
    """The lines of a result file: what the server scores, rounded."""
    own = found[[index for index, name in enumerate(found.class_names) if _is_scored(name)]]
    objects = own.to_kitti()
    return dataclasses.replace(
        objects,
        boxes_xyxy=objects.boxes_xyxy.round(_BOX_DECIMALS),
        scores=objects.detection_scores.round(_SCORE_DECIMALS),
    )


def _count_checked(path: Path) -> int:
    """Reads a result file as `kitti_eval` does; returns the number of its detections."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; give the same command again")
    objects = read_objects(path, with_scores=True)
    if other := next((name for name in objects.types.tolist() if not _is_scored(name)), None):
        raise ValueError(f"{path} has a {other}, which the server does not score; remove the file")
    return len(objects)
