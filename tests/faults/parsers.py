"""Every parser of files and command lines, with whole files to change."""

import io
import json
import socket
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from faults.bad_images import deep, jpeg, png, video
from faults.user_folder import CAR, RESULT
from fixtures.records import serialize_frame

from mobilenetdet.classification.array_pickle import load_array_pickle
from mobilenetdet.classification.config import ClassifierConfig
from mobilenetdet.classification.image_folders import find_images
from mobilenetdet.classification.records import read_labels
from mobilenetdet.cli import kitti_eval
from mobilenetdet.cli.config_options import parse_level
from mobilenetdet.cli.options import parse
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.config.storage import read_changes, read_config, to_json, with_changes
from mobilenetdet.drawing.history_plots import plot_history
from mobilenetdet.files.folder_lock import folder_lock
from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.files.text import read_json, read_text
from mobilenetdet.kitti.ap_result import AveragePrecision
from mobilenetdet.kitti.frames_seen import read_frames_seen
from mobilenetdet.kitti.labels import format_objects, read_objects
from mobilenetdet.kitti.layout import parse_frame_ids
from mobilenetdet.kitti.splits import read_drive_mapping
from mobilenetdet.media.video import read_frames
from mobilenetdet.models.weight_file import check_weight_file, read_weight_file
from mobilenetdet.records.detection_record import decode_record
from mobilenetdet.records.encoded_image import decode_image, image_header
from mobilenetdet.records.manifest import read_manifest
from mobilenetdet.records.tfrecord import decode_example, read_records, record_lengths
from mobilenetdet.records.verify_images import find_damage
from mobilenetdet.runs import RunDir
from mobilenetdet.training.checkpoint import read_state


@dataclass(frozen=True)
class WholeFiles:
    """Folders with whole files: a KITTI root, a run, a root of class folders, weight files."""

    kitti: Path
    run: Path
    classes: Path
    weights: Sequence[Path]
    scratch: Path

    def of(self, *names: str) -> list[bytes]:
        """Contents of some files of the KITTI root or the run."""
        paths = [folder / name for name in names for folder in (self.kitti, self.run)]
        return [path.read_bytes() for path in paths if path.is_file()]


@dataclass(frozen=True)
class Parser:
    """A parser.

    Attributes:
        file: name of the file that it reads.
        seeds: contents that it reads without complaint.
        parse: reads the file; may raise what becomes one message.
    """

    file: str
    seeds: Callable[[WholeFiles], list[bytes]]
    parse: Callable[[Path], object]


def _read_labels_and_results(path: Path) -> None:
    objects = read_objects(path)
    if len(objects):
        format_objects(objects)


def _decode(path: Path) -> None:
    decode_image(path.read_bytes(), str(path), max_megapixels=1)


def _read_records(path: Path) -> None:
    for read in (record_lengths, lambda p: list(read_records(p))):
        try:
            read(path)
        except ValueError:
            pass


def _read_example(path: Path) -> None:
    decode_example(path.read_bytes())
    decode_record(path.read_bytes())


def _read_config(path: Path) -> None:
    for kind in (DetectionConfig, ClassifierConfig):
        try:
            read_config(path, kind)
        except ValueError:
            pass


def _read_changes(path: Path) -> None:
    with_changes(DetectionConfig(), read_changes(path), str(path))


def _read_run(path: Path) -> None:
    (path.parent / "config.json").write_text(to_json(DetectionConfig()))
    RunDir(path.parent).read_config()


def _read_weights(path: Path) -> None:
    try:
        check_weight_file(path)
    finally:
        read_weight_file(path)


def _read_options(path: Path) -> None:
    """Words of a command line, one a line."""
    words = path.read_bytes().decode(errors="replace").split("\n")
    parse(kitti_eval.Options, [word for word in words if word not in ("-h", "--help")]).task()


def _read_level(path: Path) -> None:
    parse_level(path.read_bytes().decode(errors="replace"))


def _read_lock(path: Path) -> None:
    with folder_lock(path.parent):
        pass


def _read_mapping(path: Path) -> None:
    (path.parent / "train_rand.txt").write_text("1,2,1")
    read_drive_mapping(path.parent)


def _pictures(files: WholeFiles) -> list[bytes]:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (12, 16, 3), np.uint8)
    endings = (".bmp", ".webp", ".tiff", ".ppm", ".png", ".jpg")
    encoded = [cv2.imencode(ending, image)[1].tobytes() for ending in endings]
    return [*encoded, png(9, 7), jpeg(6), deep(np.uint16, ".png"), deep(np.uint16, ".tiff")]


def _records(files: WholeFiles) -> list[bytes]:
    return files.of(*(f"tfrecord/val_00{index}.tfrecord" for index in range(4)))


def _examples(files: WholeFiles) -> list[bytes]:
    paths = [files.kitti / f"tfrecord/train_00{index}.tfrecord" for index in range(8)]
    frames = [decode_record(payload) for path in paths for payload in read_records(path)]
    # With tiny images, so that changes meet the rest.
    return [
        serialize_frame(frame.frame_id, png(9, 7), "png", (7, 9), frame.objects) for frame in frames
    ]


def _states(files: WholeFiles) -> list[bytes]:
    progress = {"epoch": 1, "best": 0.5, "history": [{"epoch": 1, "loss": 2.0}]}
    progress |= {"facts": {"steps": 2, "records": "ab", "measured_by": "cd"}}
    arrays = {"model_0000": np.ones((2, 3), np.float32), "ema_0000": np.zeros(2, np.float32)}
    seeds = []
    for save in (np.savez, np.savez_compressed):
        buffer = io.BytesIO()
        save(buffer, **arrays, progress=np.array(json.dumps(progress)))
        seeds.append(buffer.getvalue())
    return seeds


def _tars(files: WholeFiles) -> list[bytes]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("n01/a.JPEG", "n02/b.JPEG"):
            member = tarfile.TarInfo(name)
            member.size = 3
            archive.addfile(member, io.BytesIO(b"abc"))
    return [buffer.getvalue()]


def _pickles(files: WholeFiles) -> list[bytes]:
    import pickle

    batch = {b"data": np.zeros((2, 4), np.uint8), b"labels": [1, 2]}
    return [pickle.dumps(batch, protocol=number) for number in (0, 2, 4)]


def _videos(files: WholeFiles) -> list[bytes]:
    return [video(files.scratch / "whole.avi")]


def _texts(*texts: str) -> Callable[[WholeFiles], list[bytes]]:
    return lambda files: [text.encode() for text in texts]


_LEVELS = _texts("8:10x20,30x15", "16:36x37", "128:1e3x.5")
_OPTIONS = _texts(
    "--class_map\nVan\nCar\nTruck\nCar",
    "--neighbours\nCar\nVan,Truck\n--min_overlaps\nCar\n0.5",
    "--classes\nCar\nVan\n--difficulties\nCar\n40\n0\n.15\n25\n1\n.3\n25\n2\n.5",
)
_YAML = _texts(
    "train:\n  epochs: 3\n  learning_rate: 1e-3\nmodel: {alpha: 0.5}\n",
    "head:\n  kind: ssd\n  class_loss: {kind: softmax}\ndata:\n  classes: [Car, Van]\n",
    "data: {class_map: {Van: Car}, neighbours: {Car: [Truck]}}\n",
)
_LOCK = {"pid": 999_999, "boot": "", "since": "2026-01-01T10:00:00"}
_FORMER = sorted((Path(__file__).parents[1] / "config/format_1").glob("*.json"))

PARSERS: dict[str, Parser] = {
    "label and result lines": Parser(
        "000000.txt",
        _texts(CAR.format(3) * 3, RESULT.format(3, 0.5) * 2, "\ufeff" + CAR.format("-1.5e1")),
        _read_labels_and_results,
    ),
    "lists of frames": Parser(
        "val.txt",
        _texts("000001\n000002\n", "\ufeff000001\r\n"),
        lambda path: parse_frame_ids(read_text(path), str(path)),
    ),
    "image headers": Parser(
        "a.png",
        lambda files: [png(9, 7), jpeg()],
        lambda path: image_header(path.read_bytes(), str(path)),
    ),
    "images": Parser("a.png", _pictures, _decode),
    "checks of images": Parser(
        "a.png", _pictures, lambda path: find_damage(path.read_bytes(), str(path))
    ),
    "EXIF data": Parser(
        "a.jpg",
        lambda files: [jpeg(6), jpeg(3)],
        lambda path: image_header(path.read_bytes(), str(path)),
    ),
    "TFRecord frames": Parser("a.tfrecord", _records, _read_records),
    "Example messages": Parser("a.tfrecord", _examples, _read_example),
    "manifests": Parser(
        "val.json",
        lambda files: files.of("tfrecord/val.json"),
        read_manifest,
    ),
    "frames_seen.json": Parser(
        "frames_seen.json", lambda files: files.of("frames_seen.json"), read_frames_seen
    ),
    "configs": Parser("config.json", lambda files: files.of("config.json"), _read_config),
    "configs of format 1": Parser(
        "config.json", lambda files: [path.read_bytes() for path in _FORMER], _read_config
    ),
    "config files": Parser("mine.yaml", _YAML, _read_changes),
    "calibration.json": Parser(
        "calibration.json", lambda files: files.of("calibration.json"), _read_run
    ),
    "best_f1_scores.json": Parser(
        "best_f1_scores.json", lambda files: files.of("best_f1_scores.json"), _read_run
    ),
    "metrics.json": Parser(
        "metrics.json",
        lambda files: files.of("eval/metrics.json"),
        lambda path: AveragePrecision.from_dict(read_json(path, "")),
    ),
    "metrics.csv": Parser(
        "metrics.csv",
        lambda files: files.of("metrics.csv"),
        lambda path: plot_history(path, path.with_suffix(".png")),
    ),
    "states": Parser("checkpoint.npz", _states, read_state),
    "weight files": Parser(
        "a.h5", lambda files: [path.read_bytes() for path in files.weights], _read_weights
    ),
    "options": Parser("options.txt", _OPTIONS, _read_options),
    "levels": Parser("level.txt", _LEVELS, _read_level),
    "lists of own files": Parser(
        ".mobilenetdet",
        _texts('["a.jpg", 3, 5]\n["b/c.txt", 1, 2]\n'),
        lambda path: OutputFolder(path.parent).is_own("a.jpg"),
    ),
    "locks": Parser(
        ".mobilenetdet.lock",
        lambda files: [json.dumps(_LOCK | {"host": socket.gethostname()}).encode()],
        _read_lock,
    ),
    "pickles": Parser("batch", _pickles, load_array_pickle),
    "archives": Parser("train.tar", _tars, lambda path: find_images(path.parent, "train")),
    "lists of classes": Parser(
        "labels.txt", _texts("n01\ttench\nn02\tgoldfish\n"), lambda path: read_labels(path.parent)
    ),
    "drives": Parser("train_mapping.txt", _texts("d s 0000000001\nd s 2\n"), _read_mapping),
    "videos": Parser("a.avi", _videos, lambda path: list(read_frames(path))),
}
