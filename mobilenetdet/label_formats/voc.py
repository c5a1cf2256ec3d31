"""PASCAL VOC: an XML file a picture, boxes in whole pixels that are counted from 1, ends included.

JPEGImages/NAME.jpg, Annotations/NAME.xml, ImageSets/Main/train.txt
(http://host.robots.ox.ac.uk/pascal/VOC/voc2012/devkit_doc.pdf). A box from pixel 1 to 10 is 0 to 10
here. Fractions are written and read as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

from mobilenetdet.config.type_names import DONT_CARE_TYPE, same
from mobilenetdet.files.names import unique_name
from mobilenetdet.files.text import read_text
from mobilenetdet.kitti.labels import KittiObjects
from mobilenetdet.kitti.layout import IMAGE_SUFFIXES
from mobilenetdet.label_formats.frame_names import split_names
from mobilenetdet.label_formats.image_search import find_picture
from mobilenetdet.label_formats.source_frame import (
    TOO_HARD,
    ImportOptions,
    Notes,
    SourceFrame,
    inside,
    known_attributes,
    make_objects,
    path_name,
    read_attributes,
)
from mobilenetdet.label_formats.xml_file import number_in, read_xml, xml_text

_SIDES = ("xmin", "ymin", "xmax", "ymax")
# Of parts of objects (heads, hands), which have boxes of their own.
_PARTS = "parts of objects (<part>) were left out"


def read_voc(source: Path, options: ImportOptions, notes: Notes) -> list[SourceFrame]:
    """Reads a folder of VOC's XML files.

    `difficult` objects, which VOC scores neither as hits nor as misses, get KITTI's occlusion 3,
    with which they do not count either. `truncated` and `occluded` become values that are no longer
    easy and still moderate, unless `<attributes>` say more, as `voc_annotation` writes them.

    Args:
        source: the folder that holds Annotations, or one of XML files.
        options: for the folder of the pictures.
        notes: takes what was changed or left out.

    Raises:
        FileNotFoundError: there are no such files.
        ValueError: a file is damaged; names it.
    """
    folder = source / "Annotations" if (source / "Annotations").is_dir() else source
    files = sorted(folder.rglob("*.xml")) if folder.is_dir() else []
    if not files:
        raise FileNotFoundError(f"{source} holds no Annotations/*.xml; name the folder that does")
    splits = _read_lists(source / "ImageSets/Main", notes)
    listed = {name for names in splits.values() for name in names}
    names_of = _list_names(files, folder)
    for name in sorted(listed - {name for names in names_of.values() for name in names}):
        notes.add("names in ImageSets/Main have no XML file, and were left out", name)
    frames = []
    for path in files:
        own = tuple(split for split, names in splits.items() if names & names_of[path])
        if splits and not own:
            notes.add("pictures are in no list of ImageSets/Main", path_name(path, folder))
        frames.append(_read_file(path, source, own, options, notes))
    _note_unlabelled({f.image for f in frames if isinstance(f.image, Path)}, notes)
    return frames


def _list_names(files: Sequence[Path], folder: Path) -> dict[Path, set[str]]:
    """Returns the names by which lists may mean each XML file: its path, or the end of it alone.

    Files of two folders may have one name, which says nothing then.
    """
    counts = Counter(path.stem for path in files)
    return {
        path: {path_name(path.with_suffix(""), folder)}
        | ({path.stem} if counts[path.stem] == 1 else set())
        for path in files
    }


def _read_lists(folder: Path, notes: Notes) -> dict[str, set[str]]:
    """Returns the names of each list; lists of one class, car_train.txt, say nothing new."""
    files = sorted(folder.glob("*.txt")) if folder.is_dir() else []
    lists: dict[str, set[str]] = {}
    for path in files:
        rows = [line.split() for line in read_text(path, "list of pictures").splitlines()]
        rows = [row for row in rows if row]
        if any(len(row) > 1 for row in rows):
            notes.add("lists of single classes in ImageSets/Main were not read", path.name)
            continue
        lists[path.stem] = {row[0] for row in rows}
    usual = split_names(name for name in lists if name != "trainval")
    return {usual.get(name, name): names for name, names in lists.items()}


def _read_file(
    path: Path, source: Path, splits: tuple[str, ...], options: ImportOptions, notes: Notes
) -> SourceFrame:
    root = read_xml(path, "annotation")
    image = _find_image(path, root, source, options)
    where = path_name(path, source)
    rows = [_read_object(each, where, notes) for each in root.iter("object")]
    sides = [root.findtext(f"size/{side}") for side in ("width", "height")]
    # Tools that do not know the size write 0.
    width, height = (int(number_in(side or "0", "size", where)) for side in sides)
    return SourceFrame(
        path_name(image, source),
        image,
        make_objects([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows]),
        splits,
        (width, height) if width and height else None,
    )


def _find_image(
    path: Path, root: ElementTree.Element, source: Path, options: ImportOptions
) -> Path:
    """Returns the picture of an XML file: the one it names, or the one of its own name."""
    name = (root.findtext("filename") or "").strip()
    folders = [source / "JPEGImages", source / "images", path.parent, source]
    if options.image_dir is not None:
        folders = [options.image_dir]
    own = PurePosixPath(path_name(path, source / "Annotations")).with_suffix("")
    # A name may begin with folders of another machine, and the folder of the XML file be another.
    names = [str(own.parent / name), name] if name else []
    asked = options.image_dir is not None
    tried = [find_picture(folder, each, asked=asked) for each in names for folder in folders]
    stems = [f"{stem}{suffix}" for stem in (own, path.stem) for suffix in IMAGE_SUFFIXES]
    tried += [inside(folder, each) for folder in folders for each in stems]
    return next((each for each in tried if each.is_file()), tried[0])


def _read_object(
    element: ElementTree.Element, where: str, notes: Notes
) -> tuple[str, list[float], dict[str, float]]:
    name = (element.findtext("name") or "").strip()
    box = element.find("bndbox")
    if not name or box is None:
        raise ValueError(f"{where}: an <object> without {'<bndbox>' if name else '<name>'}")
    if element.find("part") is not None:
        notes.add(_PARTS, where)
    sides = [number_in(box.findtext(side), side, where) for side in _SIDES]
    flags = {key: _flag(element.findtext(key)) for key in ("truncated", "occluded")}
    raw: dict[str, Any] = {key: value for key, value in flags.items() if value is not None}
    raw |= {
        each.findtext("name", ""): each.findtext("value")
        for each in element.iterfind("attributes/attribute")
    }
    attributes = read_attributes(raw, notes, where)
    difficult = _flag(element.findtext("difficult")) == "true" and not same(name, DONT_CARE_TYPE)
    if difficult and attributes.get("occluded") != TOO_HARD:
        notes.add("difficult objects do not count (occlusion 3)", where)
        attributes["occluded"] = TOO_HARD
    return name, [sides[0] - 1, sides[1] - 1, *sides[2:]], attributes


def _flag(text: str | None) -> str | None:
    """Returns "true" and "false" for 1 and 0, and anything else as it is."""
    text = (text or "").strip()
    return {"1": "true", "0": "false"}.get(text, text) or None


def _note_unlabelled(labelled: set[Path], notes: Notes) -> None:
    for folder in sorted({path.parent for path in labelled}):
        for path in sorted(folder.iterdir() if folder.is_dir() else ()):
            if path.suffix in IMAGE_SUFFIXES and path not in labelled:
                notes.add("pictures without labels were left out", path.name)


def voc_annotation(
    filename: str, size: tuple[int, int], objects: KittiObjects, folder: str = "JPEGImages"
) -> str:
    """Returns the XML text of a picture's labels.

    DontCare and what is too occluded to count is `difficult`. KITTI's other columns are
    `<attributes>`, as CVAT and datumaro write what VOC has no element for.

    Args:
        filename: of the picture.
        size: its width and height.
        objects: of the picture, without scores.
        folder: that the picture is in.
    """
    root = ElementTree.Element("annotation")
    _add(root, {"folder": folder, "filename": filename})
    _add(ElementTree.SubElement(root, "size"), {"width": size[0], "height": size[1], "depth": 3})
    _add(root, {"segmented": 0})
    rows = zip(objects.types.tolist(), objects.boxes_xyxy, known_attributes(objects), strict=True)
    for name, box, attributes in rows:
        _add_object(ElementTree.SubElement(root, "object"), name, box.tolist(), attributes)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def voc_results(
    results: Mapping[str, KittiObjects], names: Sequence[str], notes: Notes
) -> dict[str, str]:
    """Returns detections as VOC's devkit reads them, by file: lines of picture, score and box.

    Args:
        results: detections by frame id.
        names: of the classes, each of which has a file.
        notes: takes those that no file can be named after.
    """
    texts: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        own = unique_name(name.replace("/", "_"), taken)
        taken.add(own.lower())
        file = f"comp4_det_results_{own}.txt"
        if own != name:
            notes.add("classes after whose names no file is called", f"{name} is in {file}")
        texts[file] = _result_lines(results, name)
    return texts


def _result_lines(results: Mapping[str, KittiObjects], name: str) -> str:
    lines = []
    for frame_id, objects in results.items():
        of_class = objects[objects.types == name]
        for (left, top, right, bottom), score in zip(
            of_class.boxes_xyxy.tolist(), of_class.detection_scores.tolist(), strict=True
        ):
            sides = " ".join(_text(side) for side in (left + 1, top + 1, right, bottom))
            lines.append(f"{frame_id} {score!r} {sides}\n")
    return "".join(lines)


def _text(side: float) -> str:
    return f"{round(side, 9):.15g}"


def _add_object(
    element: ElementTree.Element, name: str, box: Sequence[float], attributes: dict[str, float]
) -> None:
    too_hard = attributes.get("occluded") == TOO_HARD or same(name, DONT_CARE_TYPE)
    flags: dict[str, object] = {
        k: int(attributes[k] > 0) for k in ("truncated", "occluded") if k in attributes
    }
    _add(element, {"name": name, "pose": "Unspecified", **flags, "difficult": int(too_hard)})
    left, top, right, bottom = box
    sides = zip(_SIDES, (left + 1, top + 1, right, bottom), strict=True)
    numbers = {side: _text(value) for side, value in sides}
    _add(ElementTree.SubElement(element, "bndbox"), numbers)
    parent = ElementTree.SubElement(element, "attributes") if attributes else element
    for key, value in attributes.items():
        _add(ElementTree.SubElement(parent, "attribute"), {"name": key, "value": repr(value)})


def _add(element: ElementTree.Element, texts: Mapping[str, object]) -> None:
    for tag, text in texts.items():
        ElementTree.SubElement(element, tag).text = xml_text(str(text), tag)
