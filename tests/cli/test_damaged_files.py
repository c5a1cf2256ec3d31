"""Every kind of damage to a label or result file ends in one line that says where and what."""

import codecs
import gzip
import json
import re

import pytest

from mobilenetdet.cli.kitti_eval import main

CAR = "Car 0.00 0 -1.50 100.00 150.00 200.00 200.00 1.50 1.60 3.90 1.00 1.50 20.00 -1.50"
RESULT = "Car -1 -1 -10 100.00 150.00 200.00 200.00 -1 -1 -1 -1000 -1000 -1000 -10 0.90"
COLUMNS = (
    "type truncated occluded alpha left top right bottom height width length x y z rotation_y score"
)


def changed(line: str, name: str, word: str) -> bytes:
    """The line with one field replaced, after a good line."""
    words = line.split()
    words[COLUMNS.split().index(name)] = word
    return f"{line}\n{' '.join(words)}\n".encode()


# Kind of damage, content of the file, what the message says besides the path.
LABELS = [
    ("a comma instead of a point", changed(CAR, "left", "100,00"), ":2: left is '100,00'"),
    ("a word in a number's place", changed(CAR, "truncated", "no"), ":2: truncated is 'no'"),
    ("not a number", changed(CAR, "alpha", "nan"), ":2: alpha is 'nan'"),
    ("infinity", changed(CAR, "right", "inf"), ":2: right is 'inf'"),
    ("too large for a float", changed(CAR, "bottom", "1e999"), ":2: bottom is '1e999'"),
    ("a doubled sign", changed(CAR, "height", "--1.5"), ":2: height is '--1.5'"),
    ("a doubled point", changed(CAR, "width", "1..6"), ":2: width is '1..6'"),
    ("a hexadecimal number", changed(CAR, "length", "0x3"), ":2: length is '0x3'"),
    ("Python's digit groups", changed(CAR, "x", "1_0"), ":2: x is '1_0'"),
    ("digits of another script", changed(CAR, "y", "١"), ":2: y is '١'"),
    ("an exponent cut short", changed(CAR, "z", "2e"), ":2: z is '2e'"),
    ("Python's None", changed(CAR, "rotation_y", "None"), ":2: rotation_y is 'None'"),
    ("a share of occlusion", changed(CAR, "occluded", "0.5"), ":2: occluded is '0.5'"),
    ("an unknown occlusion", changed(CAR, "occluded", "4"), ":2: occluded is '4'"),
    ("truncation in percent", changed(CAR, "truncated", "30"), ":2: truncated is '30'"),
    ("negative truncation", changed(CAR, "truncated", "-0.3"), ":2: truncated is '-0.3'"),
    ("sides exchanged", changed(CAR, "right", "50"), ":2: box 100.00 150.00 50 200.00 has right"),
    ("upside down", changed(CAR, "bottom", "50"), ":2: box 100.00 150.00 200.00 50 has bottom"),
    (
        "a type of two words",
        changed(CAR, "type", "Person sitting"),
        ":2: 16 columns.*write Person_sitting$",
    ),
    ("CVAT's score", f"{CAR}\n{CAR} 1\n".encode(), ":2: 16 columns.*CVAT writes into labels, too"),
    (
        "KITTI's tracking labels",
        f"0 -1 {CAR}\n".encode(),
        ":1: 17 columns.*--format kitti_tracking",
    ),
    ("YOLO's labels", b"0 0.5 0.5 0.1 0.2\n", ":1: 5 columns.*YOLO's format.*--format yolo"),
    ("an absurd number", changed(CAR, "right", "1e308"), ":2: box 100.00 150.00 1e308 200.00 lies"),
    ("beyond any image", changed(CAR, "left", "-100001"), ":2: box -100001 150.00 200.00 200.00"),
    ("a place that float32 cannot hold", changed(CAR, "z", "1e300"), ":2: an angle, a size or a"),
    ("a line cut short", f"{CAR}\n{CAR[:40]}".encode(), ":2: 8 columns"),
    ("a column lost", f"{CAR.rsplit(' ', 1)[0]}\n".encode(), ":1: 14 columns"),
    ("a column too many", f"{CAR} 0.5 0.5\n".encode(), ":1: 17 columns"),
    ("commas between columns", CAR.replace(" ", ",").encode(), ":1: 1 column"),
    ("two lines run together", f"{CAR}{CAR}\n".encode(), ":1: 29 columns"),
    ("results among the labels", f"{CAR}\n{RESULT}\n".encode(), ":2: 16 columns"),
    ("a page of a web server", b"<html>\n<h1>404 not found</h1>", ":1: 1 column"),
    ("JSON", json.dumps([{"type": "Car"}]).encode(), ":1: 2 columns"),
    ("UTF-16", codecs.BOM_UTF16_LE + CAR.encode("utf-16-le"), ": .* in UTF-16; save it as UTF-8"),
    ("UTF-16 without a mark", CAR.encode("utf-16-be"), ": .* UTF-16; save it as UTF-8"),
    (
        "compressed",
        gzip.compress(CAR.encode()),
        ":1: byte 0x8b .* a KITTI label file",
    ),
    ("an image", b"\x89PNG\r\n\x1a\n", ":1: byte 0x89 is no UTF-8 text"),
    ("zeros of a failed disk", b"\0" * 512, ":1: 1 column"),
]
RESULTS = [
    ("no score", f"{CAR}\n".encode(), ":1: 15 columns"),
    ("a score that is no number", changed(RESULT, "score", "nan"), ":2: score is 'nan'"),
    ("a score without bound", changed(RESULT, "score", "-inf"), ":2: score is '-inf'"),
    ("a score in percent signs", changed(RESULT, "score", "90%"), ":2: score is '90%'"),
    ("a tensor printed", changed(RESULT, "left", "tensor(100.)"), ":2: left is 'tensor(100.)'"),
    ("brackets around the box", changed(RESULT, "left", "[100.00"), ":2: left is '[100.00'"),
    ("bytes printed", changed(RESULT, "truncated", "b'-1'"), ":2: truncated is \"b'-1'\""),
    ("a share of occlusion", changed(RESULT, "occluded", "0.5"), ":2: occluded is '0.5'"),
    ("an absurd number", changed(RESULT, "bottom", "1e308"), ":2: box 100.00 150.00 200.00 1e308"),
    ("an infinite side", changed(RESULT, "top", "-inf"), ":2: top is '-inf'"),
    (
        "sides exchanged",
        changed(RESULT, "right", "50"),
        ":2: box 100.00 150.00 50 200.00 has right",
    ),
    ("upside down", changed(RESULT, "bottom", "50"), ":2: box 100.00 150.00 200.00 50 has bottom"),
    ("a run cut short", f"{RESULT}\n{RESULT[:30]}".encode(), ":2: 7 columns"),
    ("only box and score", b"Car 100 150 200 200 0.9\n", ":1: 6 columns"),
    ("two scores", f"{RESULT} 0.9\n".encode(), ":1: 17 columns"),
]
CASES = [("labels", *row) for row in LABELS] + [("results", *row) for row in RESULTS]


@pytest.mark.parametrize(
    ("which", "kind", "content", "message"), CASES, ids=[f"{c[0]}: {c[1]}" for c in CASES]
)
def test_damage_is_named(tmp_path, which, kind, content, message):
    for folder, line in (("labels", CAR), ("results", RESULT)):
        (tmp_path / folder).mkdir()
        for frame in range(3):
            (tmp_path / folder / f"{frame:06d}.txt").write_text(f"{line}\n")
    path = tmp_path / which / "000001.txt"
    path.write_bytes(content)
    folders = ["--label_dir", str(tmp_path / "labels"), "--result_dir", str(tmp_path / "results")]
    with pytest.raises(ValueError) as error:
        main(folders)
    assert re.match(re.escape(str(path)) + re.sub(r"[][()]", r"\\\g<0>", message), str(error.value))


def test_at_least_thirty_kinds_are_tried():
    assert len({kind for _, kind, _, _ in CASES}) >= 30


def test_a_byte_order_mark_is_fine(tmp_path, capsys):
    for folder, line in (("labels", CAR), ("results", RESULT)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "000000.txt").write_bytes(codecs.BOM_UTF8 + line.encode())
    (tmp_path / "list.txt").write_bytes(codecs.BOM_UTF8 + b"000000\r\n")
    folders = ["--label_dir", str(tmp_path / "labels"), "--result_dir", str(tmp_path / "results")]
    assert main([*folders, "--frames", str(tmp_path / "list.txt")]) == 0
    assert "1 frame" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"000000.png\n", ":1: '000000.png' is no frame id; .*; write 000000$"),
        (b"image_2/000000.JPG\n", ":1: .* is the name of a file; write 000000$"),
        (b"my frame\n", ":1: 'my frame' is not one frame id; .*without spaces"),
        ("000000\n".encode("utf-16"), ": .* UTF-16; save it as UTF-8"),
    ],
)
def test_lists_of_another_shape(tmp_path, content, message):
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(str(path)) + message):
        main(["--result_dir", str(tmp_path), "--frames", str(path)])


def test_folders_and_names_of_another_shape(tmp_path):
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "000021.txt").write_text(CAR)
    (tmp_path / "list.txt").write_text("21\n")
    folders = ["--label_dir", str(labels), "--result_dir", str(labels)]
    with pytest.raises(FileNotFoundError, match="; write 000021 instead of 21$"):
        main([*folders, "--frames", str(tmp_path / "list.txt")])
    (labels / "classes.txt").write_text("Car\n")
    with pytest.raises(ValueError, match=r"classes\.txt:1: .*move it out of the folder"):
        main(["--label_dir", str(labels), "--self_check"])
    (tmp_path / "results.zip").write_bytes(b"PK")
    with pytest.raises(FileNotFoundError, match=r"results\.zip is an archive; unpack it"):
        main(["--label_dir", str(labels), "--result_dir", str(tmp_path / "results.zip")])
