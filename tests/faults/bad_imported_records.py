"""Data sets of other formats that become no records."""

from collections.abc import Callable

from faults.bad_images import png
from faults.bad_imports import coco, filled, into, records, yolo
from faults.user_folder import BadInput, bad

DRAW = ("--val_fraction", "0.5")


def to_records(make: Callable, *more: object) -> Callable:
    """The same, with records to make."""
    return lambda user: [*make(user), "--to", "records", *more]


TO_RECORDS: list[BadInput] = [
    bad("records of a source without parts", to_records(coco()), "does not say .*--val_fraction"),
    bad("records of one frame, divided", to_records(coco(), *DRAW), "1 frame cannot be split"),
    bad("a share of all", to_records(coco(), "--val_fraction", "1"), "val_fraction is 1"),
    bad("a share of NaN", to_records(coco(), "--val_fraction", "nan"), "val_fraction is nan"),
    bad("a part that is not there", to_records(yolo(), "--split", "val"), "no part val; it has tr"),
    bad(
        "records of half a picture",
        to_records(yolo(picture=png(9, 7)[:-6])),
        "train/a.png: the PNG image is cut off",
    ),
    bad(
        "records of pictures without object, skipped",
        to_records(yolo(label=""), "--unlabelled", "skip"),
        "no picture in .*data.yaml has an object; --unlabelled negative takes them",
    ),
    bad(
        "records of records cut off",
        to_records(records(lambda whole: whole[:-7])),
        "val.tfrecord: record . is cut off",
    ),
    bad("records into a filled folder", to_records(into(filled)), "mine is not empty; name a new"),
]

CASES: dict[str, list[BadInput]] = {"imports to records": TO_RECORDS}
