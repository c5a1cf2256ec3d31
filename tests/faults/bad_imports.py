"""Data sets of other formats that are damaged, lie, or were made to do harm."""

import json
import os
from collections.abc import Callable
from pathlib import Path

from faults.bad_images import png
from faults.user_folder import BadInput, UserFolder, bad

BOX = [1, 1, 5, 4]
OBJECT = (
    "<object><name>Car</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>4</ymax>"
    "</bndbox></object>"
)
TRACK = "{} 0 Car 0 0 -1.5 1 1 5 4 1.5 1.6 3.9 1 1.5 20 -1.5\n"
# Nine lines that stand for a thousand million names.
LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)
ENTITIES = '<!DOCTYPE a [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


def importing(user: UserFolder, label_format: str, source: Path, *more: object) -> list:
    return ["import", source, user.out, "--format", label_format, *more]


def coco(content: dict | str | bytes | None = None, **parts) -> Callable:
    """A COCO file with other parts, or another content."""

    def make(user: UserFolder) -> list:
        user.file("in/a.png", png(9, 7))
        whole = {
            "images": [{"id": 1, "file_name": "a.png", "width": 9, "height": 7}],
            "categories": [{"id": 1, "name": "Car"}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": BOX}],
        }
        text = json.dumps(whole | parts) if content is None else content
        return importing(user, "coco", user.file("in/a.json", text))

    return make


def coco_box(box: object) -> Callable:
    return coco(annotations=[{"id": 1, "image_id": 1, "category_id": 1, "bbox": box}])


def coco_name(name: object) -> Callable:
    return coco(images=[{"id": 1, "file_name": name}])


def coco_picture(content: bytes) -> Callable:
    def make(user: UserFolder) -> list:
        argv = coco()(user)
        user.file("in/a.png", content)
        return argv

    return make


def yolo(
    data: str | None = None,
    label: str | bytes = "0 .5 .5 .2 .2\n",
    picture: bytes = png(9, 7),
) -> Callable:
    def make(user: UserFolder) -> list:
        user.file("in/images/train/a.png", picture)
        user.file("in/labels/train/a.txt", label)
        text = data or "names: [Car]\n"
        return importing(user, "yolo", user.file("in/data.yaml", f"{text}\ntrain: images/train\n"))

    return make


def yolo_lost_label(user: UserFolder) -> list:
    argv = yolo()(user)
    path = user.root / "in/labels/train/a.txt"
    path.unlink()
    path.symlink_to("gone.txt")
    return argv


def yolo_classes(user: UserFolder) -> list:
    argv = yolo()(user)
    argv[1].unlink()
    user.file("in/classes.txt", "Car\n\nVan\n")
    return importing(user, "yolo", user.root / "in")


def voc(body: str = OBJECT, before: str = "", name: str = "a.png") -> Callable:
    def make(user: UserFolder) -> list:
        user.file("in/JPEGImages/a.png", png(9, 7))
        text = f"{before}<annotation><filename>{name}</filename>{body}</annotation>"
        user.file("in/Annotations/a.xml", text)
        return importing(user, "voc", user.root / "in")

    return make


def cvat(shapes: str, name: str = "a.png") -> Callable:
    def make(user: UserFolder) -> list:
        user.file("in/images/a.png", png(9, 7))
        text = f'<annotations><image name="{name}" width="9" height="7">{shapes}</image>'
        user.file("in/annotations.xml", f"{text}</annotations>")
        return importing(user, "cvat", user.root / "in")

    return make


def tracking(text: str) -> Callable:
    def make(user: UserFolder) -> list:
        user.file("in/training/image_02/0000/000000.png", png(9, 7))
        user.file("in/training/label_02/0000.txt", text)
        return importing(user, "kitti_tracking", user.root / "in")

    return make


def records(change: Callable[[bytes], bytes]) -> Callable:
    def make(user: UserFolder) -> list:
        whole = max(user.records.glob("val_*.tfrecord"), key=lambda p: p.stat().st_size)
        return importing(
            user, "tf_records", user.file("in/val.tfrecord", change(whole.read_bytes()))
        )

    return make


def label_map(text: str) -> Callable:
    def make(user: UserFolder) -> list:
        argv = records(lambda whole: whole)(user)
        return [*argv, "--label_map", user.file("map.pbtxt", text)]

    return make


def pipe(user: UserFolder) -> list:
    argv = voc()(user)
    os.mkfifo(user.root / "in/Annotations/b.xml")
    return argv


def into(place: Callable[[UserFolder], object]) -> Callable:
    def make(user: UserFolder) -> list:
        argv = coco()(user)
        argv[2] = place(user)
        return argv

    return make


def filled(user: UserFolder) -> Path:
    return user.file("mine/notes.txt", "mine").parent


def linked(user: UserFolder) -> Path:
    path = user.root / "link"
    path.symlink_to(filled(user))
    return path


COCO = [
    bad("coco: cut off", coco('{"images": ['), "a.json is damaged .*write it again"),
    bad("coco: brackets", coco("[" * 100_000), "a.json is damaged .*recursion"),
    bad("coco: UTF-16", coco("{}".encode("utf-16")), "a.json: .*UTF-16; save it as UTF-8"),
    bad("coco: results", coco("[]"), "a.json is a list, as results with scores are"),
    bad("coco: a number of 5,000 digits", coco("9" * 5000), "a.json is damaged"),
    bad("coco: two images of one id", coco(images=[{"id": 1, "file_name": "a.png"}] * 2), "one id"),
    bad("coco: an annotation of no image", coco(images=[]), "annotation 1 is of no image"),
    bad("coco: an id that is a list", coco(images=[{"id": [1]}]), r"id is \[1\] in .*write a num"),
    bad(
        "coco: a box of NaN", coco_box([float("nan"), 1, 2, 3]), "box of object 1 is nan .*numbers"
    ),
    bad("coco: a box beyond numbers", coco_box([1e308, 1, 1e308, 3]), "box of object 1 is 1e"),
    bad("coco: a box of text", coco_box("1234"), "annotation 1: bbox is '1234'; it must be x, y"),
    bad("coco: a box of names", coco_box({"1": 1, "2": 2, "3": 3, "4": 4}), "1: bbox is {'1'"),
    bad("coco: a box of 400 digits", coco_box([10**400, 1, 2, 3]), "annotation 1: bbox is "),
    bad("coco: a name that leads out", coco_name("../../etc/passwd"), "outside of .*--image_dir"),
    bad("coco: a name from the root", coco_name("/etc/passwd"), "'/etc/passwd' .* outside of"),
    bad("coco: a name with a line break", coco_name("a\nerror: b.png"), r"such as a\\nerror: b"),
    bad("coco: half a character", coco(categories=[{"id": 1, "name": "x\ud800"}]), "is no name of"),
    bad(
        "coco: a class that steers a terminal",
        coco(categories=[{"id": 1, "name": "a\x1b[2J"}]),
        r"'a\\x1b\[2J' is no name of a class",
    ),
    bad("coco: half a picture", coco_picture(png(9, 7)[:-6]), "a.png: the PNG image is cut off"),
    bad("coco: a picture of text", coco_picture(b"<html>"), "a.png: cannot be decoded"),
]
YOLO = [
    bad("yolo: aliases", yolo(f"{LAUGHS}names: [*a9]"), "data.yaml is no YAML .*aliases"),
    bad("yolo: aliases in a path", yolo(f"{LAUGHS}names: [a]\npath: *a9"), "yaml is no YAML"),
    bad("yolo: an empty number", yolo("names: [!!int '']"), "data.yaml is no YAML .*its tag"),
    bad("yolo: no time", yolo("names: [!!timestamp abc]"), "data.yaml is no YAML .*its tag"),
    bad("yolo: no flag", yolo("names: [!!bool abc]"), "data.yaml is no YAML .*its tag"),
    bad("yolo: no date", yolo("names: [2001-99-99]"), "data.yaml is no YAML .*month"),
    bad("yolo: code", yolo("names: !!python/object/apply:os.getcwd []"), "is no YAML .*constr"),
    bad(
        "yolo: two names of a class", yolo("names: {0: Car, 0: Van}"), "is no YAML .*0 comes twice"
    ),
    bad("yolo: a flag for a name", yolo("names: [no]"), 'class 0 is False.*quotes: "no"'),
    bad("yolo: a list for a name", yolo("names: [[a]]"), "names must be a list, or names by numb"),
    bad("yolo: half a number", yolo("names: {0.5: a}"), "names by number, and not 0.5"),
    bad("yolo: a class of NaN", yolo(label="nan .5 .5 .1 .1"), "a.txt:1: class nan"),
    bad(
        "yolo: a share of NaN", yolo(label="0 nan .5 .1 .1"), "a.txt:1: nan .5 .1 .1 are no shares"
    ),
    bad("yolo: pixels", yolo(label="0 400 200 10 10"), "are no shares of the picture"),
    bad("yolo: a score", yolo(label="0 .5 .5 .1 .1 .9"), "as detections with their score have"),
    bad("yolo: bytes", yolo(label=b"\xe9"), "a.txt:1: byte 0xe9 is no UTF-8"),
    bad("yolo: a label that is gone", yolo_lost_label, "a.txt: no such file"),
    bad("yolo: a blank line of classes", yolo_classes, "classes.txt:2: a blank line"),
]
XML = [
    bad("voc: entities", voc(before=ENTITIES), "a.xml declares a document type"),
    bad("voc: an entity of another file", voc(before=OUTSIDE), "a.xml declares a document type"),
    bad("voc: cut off", voc("<object>"), "a.xml is no XML"),
    bad("voc: another root", voc(before="<a>"), "a.xml is no XML"),
    bad("voc: depth", voc("<a>" * 100_000), "a.xml is no XML"),
    bad(
        "voc: a side of NaN",
        voc(OBJECT.replace(">1<", ">nan<", 1)),
        "xmin is 'nan'; it must be a n",
    ),
    bad(
        "voc: a side beyond all", voc(OBJECT.replace(">1<", ">1e300<", 1)), "xmin is '1e300'; it m"
    ),
    bad("voc: a size beyond all", voc("<size><width>1e300</width></size>"), "size is '1e300'"),
    bad("voc: a name that leads out", voc(name="../../a.png"), "outside of .*--image_dir"),
    bad("voc: a pipe", pipe, "b.xml is no regular file"),
    bad("cvat: a turn without end", cvat('<box label="a" rotation="inf"/>'), "xtl is None"),
    bad(
        "cvat: an ellipse beyond all",
        cvat('<ellipse label="a" cx="1e308" cy="1" rx="1e308" ry="1"/>'),
        "cx is '1e308'; it must be a number",
    ),
    bad("cvat: a name that leads out", cvat("", "../../a.png"), "outside of .*--image_dir"),
    bad("cvat: points that are none", cvat('<polygon label="a" points="1;2"/>'), "points of a pol"),
]
SEQUENCES = [
    bad(
        "tracking: a frame of 5,000 digits", tracking(TRACK.format("9" * 5000)), "0000.txt:1: 17 c"
    ),
    bad("tracking: a frame below 0", tracking(TRACK.format(-1)), "0000.txt:1: .*frame, track"),
    bad("tracking: a column too few", tracking(TRACK.format(0)[:-6]), "0000.txt:1: 16 columns"),
    bad(
        "tracking: NaN",
        tracking(TRACK.format(0).replace("1 1 5", "nan 1 5")),
        "txt:1: left is 'nan'",
    ),
    bad(
        "tracking: reversed",
        tracking(TRACK.format(0).replace("1 1 5", "8 1 5")),
        "right '5' < left",
    ),
    bad("records: cut off", records(lambda whole: whole[:-7]), "val.tfrecord: record . is cut off"),
    bad("records: another bit", records(lambda w: w[:40] + b"\xff" + w[41:]), "is cut off or dam"),
    bad("records: an endless one", records(lambda w: b"\xff" * 8 + w[8:]), "is cut off or damaged"),
    bad("records: text", records(lambda whole: b"hello" * 99), "is cut off or damaged"),
    bad("records: nothing", records(lambda whole: b""), "holds no picture; is it of the format"),
    bad("a label map of nothing", label_map(""), "map.pbtxt holds no item"),
    bad(
        "a label map of 5,000 digits",
        label_map(f"item {{ id: {'9' * 5000} name: 'a' }}"),
        "an item",
    ),
    bad(
        "a label map with two names of a class",
        label_map("item { id: 1 name: 'a' } item { id: 1 name: 'b' }"),
        "map.pbtxt: class 1 is a and b; take one",
    ),
]
PLACES = [
    bad("into a filled folder", into(filled), "mine is not empty; name a new folder"),
    bad("into a file", into(lambda u: u.file("mine.txt", "mine")), "mine.txt is a file"),
    bad("below a file", into(lambda u: u.file("mine.txt", "mine") / "a"), "mine.txt is a file"),
    bad("into a link", into(linked), "link is a link; name a new folder"),
    bad("into the source", into(lambda u: u.root / "in"), "in is not empty; name a new folder"),
    bad("into a name of 300 bytes", into(lambda u: u.root / ("x" * 300)), "file name too long"),
    bad("into a device", into(lambda u: "/dev/full"), "/dev/full is a file; name a new folder"),
]

CASES: dict[str, list[BadInput]] = {
    "imports": [*COCO, *YOLO, *XML, *SEQUENCES],
    "places of imports": PLACES,
}
