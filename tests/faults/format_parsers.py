"""Parsers of other formats, of predictions and of the results of jobs; see `parsers.py`."""

import json
from collections.abc import Callable
from pathlib import Path

from faults.bad_images import png
from faults.bad_imports import OBJECT, TRACK
from faults.parsers import Parser, WholeFiles

from mobilenetdet.annotation.cvat_images import write_cvat
from mobilenetdet.annotation.label_studio import labelling_interface, write_label_studio
from mobilenetdet.annotation.predicted_frames import read_predicted
from mobilenetdet.evaluation.eval_shares import read_share
from mobilenetdet.kitti.labels import format_objects
from mobilenetdet.label_formats.cleaning import clean_objects, type_map
from mobilenetdet.label_formats.coco import read_coco, read_ids
from mobilenetdet.label_formats.cvat import read_cvat
from mobilenetdet.label_formats.frame_names import frame_ids
from mobilenetdet.label_formats.kitti_tracking import read_kitti_tracking
from mobilenetdet.label_formats.source_frame import ImportOptions, Notes, join_repeated
from mobilenetdet.label_formats.tf_records import read_label_map, read_tf_records
from mobilenetdet.label_formats.voc import read_voc
from mobilenetdet.label_formats.yolo import read_yolo
from mobilenetdet.label_formats.yolo_data_set import read_data_set

_SIZE = (9, 7)


def _texts(*texts: object) -> Callable[[WholeFiles], list[bytes]]:
    contents = [text if isinstance(text, str) else json.dumps(text) for text in texts]
    return lambda files: [content.encode() for content in contents]


def _import(read: Callable, source: Path) -> None:
    """Reads labels and makes of them what would be written."""
    picture = (source if source.is_dir() else source.parent) / "a.png"
    if not picture.exists():
        picture.write_bytes(png(*_SIZE))
    notes = Notes()
    frames = join_repeated(read(source, ImportOptions({}, picture.parent), notes), notes)
    types = type_map((str(n) for f in frames for n in f.objects.types), {}, notes)
    frame_ids([frame.name for frame in frames])
    for frame in frames:
        format_objects(clean_objects(frame, _SIZE, types, notes)).encode()
    notes.lines()


def _of_folder(read: Callable) -> Callable[[Path], None]:
    return lambda path: _import(read, path.parent)


def _read_yolo(path: Path) -> None:
    """A label file or the attributes, beside one picture and its data.yaml."""
    (path.parent / "data.yaml").write_text("train: .\nnames: [Car, Van]\n")
    if path.suffix == ".json":
        (path.parent / "a.txt").write_text("0 .5 .5 .2 .2\n")
    _import(read_yolo, path.parent / "data.yaml")


def _read_data_set(path: Path) -> None:
    (path.parent / "a.png").write_bytes(png(*_SIZE))
    read_data_set(path, None, Notes())


def _read_tracking(path: Path) -> None:
    folder = path.parent / "training/label_02"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / path.name).write_bytes(path.read_bytes())
    _import(read_kitti_tracking, path.parent)


def _read_predictions(path: Path) -> None:
    frames = read_predicted(path)
    labelling_interface(frames)
    write_label_studio(frames, path.with_name("tasks.json"))
    write_cvat(frames, path.with_name("draft.xml"))


def _records(files: WholeFiles) -> list[bytes]:
    return files.of(*(f"tfrecord/val_00{index}.tfrecord" for index in range(4)))


_BOXES = [
    {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 4], "iscrowd": 0},
    {"image_id": 2, "category_id": 1, "bbox": [0.5, 1e3, -5, 4], "attributes": {"occluded": 2}},
]
_COCO = {
    "images": [{"id": i, "file_name": "a.png", "width": 9, "height": 7} for i in (1, 2)],
    "categories": [{"id": 1, "name": "Car"}],
    "annotations": _BOXES,
}
_VOC = f"<annotation><filename>a.png</filename><size><width>9</width></size>{OBJECT}</annotation>"
_SHAPES = (
    '<box label="Car" xtl="1" ytl="1" xbr="5" ybr="4" rotation="30" occluded="1">'
    '<attribute name="alpha">1.5</attribute></box>'
    '<polygon label="Car" points="1,2;3,4;5,1"/><ellipse label="a" cx="4" cy="3" rx="2" ry="1"/>'
    '<mask label="a" left="1" top="1" width="3" height="2"/>'
)
_CVAT = f'<annotations><image name="a.png" width="9" height="7">{_SHAPES}</image></annotations>'
_PREDICTED = {
    "source": "/in/a.png",
    "width": 9,
    "height": 7,
    "detections": [{"class": "Car", "score": 0.9, "box_xyxy": [1, 1.5, 5, 4]}],
}
_SHARE = {
    "share": [0, 2],
    "split": "val",
    "records": "ab",
    "measured": {"engine": "Keras", "exported": None},
    "seen": {"num_frames": 4, "frame_ids": ["000001"], "complete": True},
    "frames": [],
}
_ATTRIBUTES = {"a": {"lines": [{"truncated": 0.5}], "dont_care": [[0, 0, 0.5, 0.5]]}}

FORMATS: dict[str, Parser] = {
    "COCO files": Parser("a.json", _texts(_COCO), lambda path: _import(read_coco, path)),
    "ids of COCO": Parser(
        "a.json", _texts(_COCO | {"images": _COCO["images"][:1]}), lambda path: read_ids(path)
    ),
    "data.yaml": Parser(
        "data.yaml",
        _texts("path: .\ntrain: .\nnames: {0: Car, 1: 'no'}\n", "train: [., .]\nnames: [Car, 4]\n"),
        _read_data_set,
    ),
    "YOLO labels": Parser("a.txt", _texts("0 .5 .5 .2 .2\n1 .1 .1 .9 .1 .5 .9\n"), _read_yolo),
    "YOLO attributes": Parser("kitti_attributes.json", _texts(_ATTRIBUTES), _read_yolo),
    "VOC files": Parser("a.xml", _texts(_VOC), _of_folder(read_voc)),
    "CVAT files": Parser("annotations.xml", _texts(_CVAT), _of_folder(read_cvat)),
    "tracking labels": Parser(
        "0000.txt", _texts(TRACK.format(0) + "\n" + TRACK.format(3) * 2), _read_tracking
    ),
    "records of others": Parser(
        "a.tfrecord", _records, lambda path: _import(read_tf_records, path)
    ),
    "label maps": Parser(
        "a.pbtxt", _texts("item { id: 1 name: 'Car' }\nitem {\n id: 2 name: 'x' }"), read_label_map
    ),
    "predictions": Parser("detections.json", _texts([_PREDICTED]), _read_predictions),
    "results of jobs": Parser(
        "share.json", _texts(_SHARE), lambda path: read_share(path.parent, ("Car",))
    ),
}
