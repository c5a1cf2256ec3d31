"""Labels, lists of frames, and the folders that they are in."""

import codecs
from collections.abc import Callable

from faults.user_folder import CAR, UserFolder, bad, converting


def convert(user: UserFolder, *more) -> list:
    return ["tf_convert_data", "--dataset_root", user.kitti, "--output_dir", user.out, *more]


def lost(name: str, *more) -> Callable:
    """Converts a folder in which a file is missing."""

    def make(user: UserFolder) -> list:
        (user.kitti / name).unlink()
        return convert(user, *more)

    return make


def bad_label(content: bytes | str, *more) -> Callable:
    """Converts a folder in which one label file holds something else."""

    def make(user: UserFolder) -> list:
        data = content.encode() if isinstance(content, str) else content
        (user.labels / "000002.txt").write_bytes(data)
        return convert(user, *more)

    return make


def bad_list(content: bytes | str, *more) -> Callable:
    """Converts a folder whose list of frames holds something else."""

    def make(user: UserFolder) -> list:
        data = content.encode() if isinstance(content, str) else content
        (user.kitti / "ImageSets/val.txt").write_bytes(data)
        return convert(user, *more)

    return make


def box(left: str = "10", right: str = "70.00") -> str:
    return CAR.format(left).replace("70.00", right)


LABELS = [
    bad(
        "a box with a side of 1e308",
        bad_label(box(right="1e308")),
        r"000002.txt:1: box .*1e308",
        "lies far outside of any image; pixels",
    ),
    bad(
        "a box with a side of NaN",
        bad_label(box("nan")),
        "000002.txt:1: left is 'nan'",
        "finite number",
    ),
    bad("an infinite box", bad_label(box("-inf")), "000002.txt:1: left is '-inf'", "finite number"),
    bad(
        "sides exchanged",
        bad_label(box("90")),
        "000002.txt:1: box 90",
        "right '70.00' < left '90'",
        "left top right bottom",
    ),
    bad(
        "CVAT's 16th column",
        bad_label(CAR.format(10).rstrip() + " 1\n"),
        "000002.txt:1: 16 columns",
        "CVAT",
        "remove it",
    ),
    bad(
        "tracking's 17 columns",
        bad_label("0 2 " + CAR.format(10)),
        "000002.txt:1: 17 columns",
        "tracking labels",
        "mobilenetdet import --format kitti_tracking",
    ),
    bad(
        "a type of two words",
        bad_label(CAR.format(10).replace("Car", "Person sitting")),
        "000002.txt:1: 16 columns",
        "write Person_sitting",
    ),
    bad(
        "YOLO's labels",
        bad_label("0 0.5 0.5 0.1 0.2\n"),
        "000002.txt:1: 5 columns",
        "YOLO's format: .*mobilenetdet import --format yolo",
    ),
    bad(
        "UTF-16 with a mark",
        bad_label(codecs.BOM_UTF16_LE + CAR.format(1).encode("utf-16-le")),
        "000002.txt: .*UTF-16; save it as UTF-8",
    ),
    bad(
        "Latin-1",
        bad_label(CAR.format(10).replace("Car", "Stra\xdfe").encode("latin-1")),
        "000002.txt:1: byte 0xdf is no UTF-8",
        "save it as UTF-8",
    ),
    bad(
        "a type that clears the screen",
        bad_label(CAR.format(10).replace("Car", "Car\x1b[2J")),
        r"000002.txt:1: the type 'Car\\x1b\[2J' is no name",
    ),
    bad(
        "a type of a megabyte",
        bad_label(CAR.format(10).replace("Car", "C" * 10**6)),
        "000002.txt:1: the type 'CCC",
        "up to 100 characters",
    ),
    bad("half a line", bad_label(CAR.format(10)[:30]), "000002.txt:1: . columns, expected 15"),
    bad(
        "occlusion of another data set",
        bad_label(CAR.format(10).replace(" 0 ", " 7 ", 1)),
        "000002.txt:1: occluded is '7'",
        "-1, 0, 1, 2, 3",
    ),
    bad(
        "a label that was lost",
        lost("training/label_2/000009.txt"),
        "1 of the 4 frames of val",
        "000009: no label",
        "--unlabelled skip",
        "--unlabelled negative",
    ),
    bad(
        "an image that was lost",
        lost("training/image_2/000009.png"),
        "000009: no image",
        "--skip_missing_images",
    ),
    bad(
        "a byte order mark",
        bad_label(codecs.BOM_UTF8 + CAR.format(10).encode()),
        "train: 8 frames",
        code=0,
        writes=("out",),
    ),
    bad(
        "ends of lines of Windows",
        bad_label(CAR.format(10).replace("\n", "\r\n")),
        "train: 8 frames",
        code=0,
        writes=("out",),
    ),
    bad(
        "background images without label",
        lost("training/label_2/000009.txt", "--unlabelled", "negative"),
        "val: 4 frames",
        code=0,
        writes=("out",),
    ),
]

LISTS = [
    bad(
        ".png in a list",
        bad_list("000008.png\n"),
        "val.txt:1: '000008.png' is no frame id",
        "write 000008",
    ),
    bad(
        "paths in a list",
        bad_list("image_2/000008.PNG\n"),
        "val.txt:1: .*name of a file; write 000008",
    ),
    bad(
        "21 for 000021",
        bad_list("8\n9\n"),
        "2 of the 4|2 of the 2 frames of val",
        "write 000008 instead of 8",
    ),
    bad(
        "names with spaces",
        bad_list("my frame\n"),
        "val.txt:1: 'my frame' is not one frame id",
        "rename",
    ),
    bad(
        "a frame id twice",
        bad_list("000008\n000009\n000008\n"),
        "val.txt:3: frame 000008 is already on line 1",
    ),
    bad(
        "a list in UTF-16",
        bad_list("000008\n".encode("utf-16")),
        "val.txt: .*UTF-16; save it as UTF-8",
    ),
    bad(
        "an id that is a path",
        bad_list("../../escaped\n"),
        r"val.txt:1: '../../escaped' is no frame id",
        "begins with a dot",
    ),
    bad(
        "an id that begins with a dot",
        bad_list(".hidden\n"),
        "val.txt:1: '.hidden' is no frame id",
        "begins with a dot",
    ),
    bad(
        "an id with an escape sequence",
        bad_list("0000\x1b[2J08\n"),
        "val.txt:1: .*control character",
    ),
    bad(
        "an id of a kilobyte",
        bad_list("8" * 1000),
        "val.txt:1: '888.*' is no frame id",
        "longer than 200 bytes",
    ),
    bad("an empty list", bad_list("\n\n"), "val.txt lists no frame with image and label"),
    bad(
        "a list of frames that are nowhere",
        bad_list("999998\n999999\n"),
        "2 of the 2 frames of val",
        "999998: no image, no label",
    ),
    bad("no list", lost("ImageSets/val.txt"), "val.txt does not exist", "kitti_split.py"),
    bad(
        "a list with a byte order mark",
        bad_list(codecs.BOM_UTF8 + b"000008\r\n"),
        "val: 1 frame",
        code=0,
        writes=("out",),
    ),
    bad(
        "validation frames among those of training",
        bad_list("000000\n000008\n"),
        "warning: 1 of 2 frames of val.txt are in train.txt, too: 000000",
        "flatters",
        code=0,
        writes=("out",),
    ),
    bad(
        "the same, with --strict",
        bad_list("000000\n000008\n", "--strict"),
        r"warnings \(strict\)",
        "1 of 2 frames of val.txt are in train.txt",
    ),
]

CASES = {"labels": converting(LABELS), "lists of frames": LISTS}
