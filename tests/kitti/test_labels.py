import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mobilenetdet.kitti.labels import (
    KittiObjects,
    format_objects,
    parse_objects,
    read_objects,
    write_objects,
)
from mobilenetdet.kitti.value_checks import InvertedBoxError

CAR = "Car 0.88 3 -0.69 0.00 192.37 402.31 374.00 1.60 1.57 3.23 -2.70 1.74 3.68 -1.29"
DONT_CARE = "DontCare -1 -1 -10 800.38 163.67 825.45 184.07 -1 -1 -1 -1000 -1000 -1000 -10"
RESULT = "Car -1 -1 -10 387.63 181.54 423.81 203.12 -1 -1 -1 -1000 -1000 -1000 -10 0.9"


def changed(line: str, column: int, value: str) -> str:
    words = line.split()
    words[column] = value
    return " ".join(words)


def assert_equal(left: KittiObjects, right: KittiObjects) -> None:
    for name, array in vars(left).items():
        other = getattr(right, name)
        assert (array is None) == (other is None), name
        assert array is None or np.array_equal(array, other), name


def test_parse_puts_every_column_in_its_field():
    objects = parse_objects(f"{CAR}\n{DONT_CARE}\n", "000000.txt")
    assert objects.types.tolist() == ["Car", "DontCare"]
    assert objects.truncated.tolist() == [0.88, -1]
    assert objects.occluded.tolist() == [3, -1]
    assert objects.occluded.dtype == np.int64
    assert objects.alpha.tolist() == [-0.69, -10]
    assert objects.boxes_xyxy[0].tolist() == [0.0, 192.37, 402.31, 374.0]
    assert objects.dimensions_hwl[0].tolist() == [1.6, 1.57, 3.23]
    assert objects.locations_xyz[0].tolist() == [-2.7, 1.74, 3.68]
    assert objects.rotation_y.tolist() == [-1.29, -10]
    assert objects.scores is None


def test_parse_reads_scores_of_results():
    assert parse_objects(RESULT, "r.txt").scores.tolist() == [0.9]
    assert parse_objects(RESULT, "r.txt").detection_scores.tolist() == [0.9]


def test_labels_are_no_detections():
    with pytest.raises(ValueError, match="without scores; read them with with_scores=True"):
        _ = parse_objects(CAR, "r.txt").detection_scores


@pytest.mark.parametrize(
    "text",
    ["", "\n", "  \n\t\n", "\r\n"],
)
def test_empty_file_is_an_empty_frame(text):
    assert len(parse_objects(text, "empty.txt")) == 0
    assert parse_objects(text, "empty.txt").scores is None
    assert parse_objects(text, "empty.txt", with_scores=True).scores.shape == (0,)


@pytest.mark.parametrize(
    "text",
    [
        f"{CAR}\n\n{DONT_CARE}",  # blank line inside, no newline at the end
        f"\n{CAR}\r\n{DONT_CARE}\r\n",  # written on Windows
        f"{CAR}\r{DONT_CARE}\r",  # written on an old Mac
        f"  {CAR}\t\n{DONT_CARE}   \n".replace(" ", "   "),
    ],
)
def test_line_ends_and_blanks_do_not_matter(text):
    assert_equal(parse_objects(text, "a"), parse_objects(f"{CAR}\n{DONT_CARE}\n", "a"))


MALFORMED = [
    (CAR.rsplit(" ", 1)[0], ["14 columns", "15 (label)"]),
    (f"{RESULT} 1", ["17 columns", "16 (result"]),
    ("Car", ["1 column,"]),
    (CAR.replace(" ", ","), ["1 column,"]),
    ("<html>not found</html>", ["2 columns"]),
    (changed(CAR, 1, "abc"), ["truncated", "'abc'"]),
    (changed(CAR, 1, "1.5"), ["truncated", "'1.5'", "0 to 1"]),
    (changed(CAR, 1, "-0.5"), ["truncated", "'-0.5'"]),
    (changed(CAR, 2, "0.5"), ["occluded", "'0.5'", "0, 1, 2, 3"]),
    (changed(CAR, 2, "4"), ["occluded", "'4'"]),
    (changed(CAR, 2, "-2"), ["occluded", "'-2'"]),
    (changed(CAR, 2, "1e300"), ["occluded", "'1e300'"]),
    (changed(CAR, 3, "nan"), ["alpha", "'nan'", "finite"]),
    (changed(CAR, 4, "inf"), ["left", "'inf'"]),
    (changed(CAR, 5, "192,37"), ["top", "'192,37'"]),
    (changed(CAR, 6, "1e999"), ["right", "'1e999'"]),
    (changed(CAR, 7, "3_74"), ["bottom", "'3_74'"]),
    (changed(CAR, 6, "-1"), ["right '-1' < left '0.00'", "0.00 192.37 -1 374.00"]),
    (changed(CAR, 7, "192.36"), ["bottom '192.36' < top '192.37'", "left top right bottom"]),
    (changed(CAR, 8, "--1"), ["height", "'--1'"]),
    (changed(CAR, 9, "NaN"), ["width", "'NaN'"]),
    (changed(CAR, 10, "0x10"), ["length", "'0x10'"]),
    (changed(CAR, 11, "1..5"), ["x is", "'1..5'"]),
    (changed(CAR, 12, "1e"), ["y is", "'1e'"]),
    (changed(CAR, 13, "٣"), ["z is", "'٣'"]),
    (changed(CAR, 14, "None"), ["rotation_y", "'None'"]),
    (changed(RESULT, 15, "nan"), ["score", "'nan'"]),
    (changed(RESULT, 15, "-inf"), ["score", "'-inf'"]),
    (changed(RESULT, 2, "0.5"), ["occluded", "'0.5'", "result"]),
    (changed(RESULT, 2, "100"), ["occluded", "'100'", "result"]),
    (changed(RESULT, 2, "-100"), ["occluded", "'-100'", "result"]),
    (changed(RESULT, 2, "99"), None),
    (changed(RESULT, 2, "-99"), None),
    (changed(RESULT, 6, "100001"), ["far outside", "100001"]),
    (changed(CAR, 6, "100001"), ["far outside", "100001"]),
    (f"Person {changed(CAR, 0, 'sitting')}", ["truncated", "'sitting'"]),
    (changed(CAR, 0, "Straßenbahn"), None),  # any word is a type
    (changed(CAR, 0, "\x00"), ["the type '\\x00' is no name"]),
]


@pytest.mark.parametrize(
    ("column", "value", "word"), [(2, "0.5", "occluded"), (7, "-100001", "far outside")]
)
def test_inverted_boxes_that_are_allowed_hide_nothing_else(column, value, word):
    inverted = changed(RESULT, 6, "-5")
    assert len(parse_objects(inverted, "a", allow_inverted=True)) == 1
    with pytest.raises(ValueError, match=word):
        parse_objects(changed(inverted, column, value), "a", allow_inverted=True)


def test_the_line_of_a_wrong_type_is_named():
    lines = [CAR, changed(CAR, 0, "\x00"), CAR]
    with pytest.raises(ValueError, match="a:2: the type"):
        parse_objects("\n".join(lines), "a")


@pytest.mark.parametrize(("line", "words"), MALFORMED)
def test_malformed_line_is_named(line, words):
    if words is None:
        assert len(parse_objects(line, "a")) == 1
        return
    good = RESULT if len(line.split()) >= 16 else CAR
    with pytest.raises(ValueError) as error:
        parse_objects(f"\n{good}\n{line}\n{good}", "dir/000007.txt")
    assert "dir/000007.txt:3: " in str(error.value)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("text", "with_scores", "words"),
    [
        (f"{CAR}\n{RESULT}", None, ["a:2", "line 1 has 15", "not both"]),
        (f"{RESULT}\n{CAR}", None, ["a:2", "line 1 has 16"]),
        (CAR, True, ["a:1", "15 columns", "with score"]),
        (RESULT, False, ["a:1", "16 columns", "15 (label)"]),
    ],
)
def test_labels_and_results_are_not_mixed(text, with_scores, words):
    with pytest.raises(ValueError) as error:
        parse_objects(text, "a", with_scores=with_scores)
    for word in words:
        assert word in str(error.value)


# No size, over the borders of the image, at the ends of what is taken.
@pytest.mark.parametrize("box", ["10 10 10 10", "-40 -7.5 1300 380", "-1e5 -1e5 1e5 1e5"])
def test_result_boxes_stay_as_they_are(box):
    line = f"Car -1 -1 -10 {box} -1 -1 -1 -1000 -1000 -1000 -10 0.5"
    assert parse_objects(line, "r").boxes_xyxy[0].tolist() == [float(v) for v in box.split()]


@pytest.mark.parametrize("box", ["10 10 5 20", "10 10 20 5"])
def test_result_boxes_with_a_negative_side_are_taken_only_to_look_at_them(box):
    line = f"Car -1 -1 -10 {box} -1 -1 -1 -1000 -1000 -1000 -10 0.5"
    with pytest.raises(InvertedBoxError, match=rf"^r:1: box {box} has (right|bottom) '5' <"):
        parse_objects(line, "r")
    kept = parse_objects(line, "r", allow_inverted=True)
    assert kept.boxes_xyxy[0].tolist() == [float(v) for v in box.split()]


def test_label_box_without_size_is_read():
    assert len(parse_objects(changed(CAR, 6, "0.00"), "a")) == 1


def test_files_that_are_no_text_or_missing_are_named(tmp_path):
    (tmp_path / "image.txt").write_bytes(b"\x89PNG\xff")
    with pytest.raises(ValueError, match=r"image\.txt:1: byte 0x89"):
        read_objects(tmp_path / "image.txt")
    with pytest.raises(FileNotFoundError, match="absent"):
        read_objects(tmp_path / "absent.txt")


def test_byte_order_mark_is_not_part_of_the_type(tmp_path):
    (tmp_path / "a.txt").write_text(CAR, encoding="utf-8-sig")
    assert read_objects(tmp_path / "a.txt").types.tolist() == ["Car"]


def test_official_lines_come_back_letter_by_letter():
    text = f"{CAR}\n{DONT_CARE}\n"
    assert format_objects(parse_objects(text, "a")) == text
    text = RESULT.replace("0.9", "0.9000") + "\n"
    assert format_objects(parse_objects(text, "r")) == text


def test_all_real_labels_come_back_letter_by_letter(shared_dir):
    with zipfile.ZipFile(shared_dir / "kitti_labels/label_2_all_7481.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".txt")]
        assert len(names) == 7481
        for name in names[::5]:
            text = archive.read(name).decode()
            assert format_objects(parse_objects(text, name)) == text


finite = st.floats(-1e6, 1e6) | st.sampled_from([-1.0, -10.0, -1000.0, 0.0, -0.0, 0.1 + 0.2])
pixels = st.floats(-5e4, 5e4) | st.sampled_from([0.0, -0.0, 0.1 + 0.2])


@st.composite
def results(draw) -> KittiObjects:
    n = draw(st.integers(0, 4))
    types = draw(st.lists(st.sampled_from(["Car", "Person_sitting", "x" * 40]), min_size=n))[:n]
    corners = draw(hnp.arrays(np.float64, (n, 2), elements=pixels))
    sides = draw(hnp.arrays(np.float64, (n, 2), elements=st.floats(0, 5e4)))
    boxes = np.concatenate([corners, corners + sides], axis=1)
    return KittiObjects.from_detections(
        types, boxes, draw(hnp.arrays(np.float64, n, elements=finite))
    )


@given(results())
def test_results_read_back_equal(objects):
    assert_equal(parse_objects(format_objects(objects), "r", with_scores=True), objects)


@given(
    numbers=hnp.arrays(np.float64, (3, 8), elements=finite),
    corner=hnp.arrays(np.float64, (3, 2), elements=pixels),
    size=hnp.arrays(np.float64, (3, 2), elements=st.floats(0, 5e4)),
)
def test_labels_read_back_equal(numbers, corner, size):
    objects = KittiObjects(
        types=np.array(["Car", "Van", "DontCare"]),
        truncated=np.array([0.0, 1 / 3, -1.0]),
        occluded=np.array([0, 3, -1]),
        alpha=numbers[:, 0],
        boxes_xyxy=np.concatenate([corner, corner + size], axis=1),
        dimensions_hwl=numbers[:, 1:4],
        locations_xyz=numbers[:, 4:7],
        rotation_y=numbers[:, 7],
    )
    assert_equal(parse_objects(format_objects(objects), "a"), objects)


def test_write_is_atomic_and_reads_back(tmp_path):
    objects = parse_objects(RESULT, "r")
    write_objects(tmp_path / "000000.txt", objects)
    assert_equal(read_objects(tmp_path / "000000.txt"), objects)
    broken = KittiObjects.from_detections(["Car"], [[0, 0, 1, np.nan]], [0.5])
    with pytest.raises(ValueError, match="object 0: bottom is nan"):
        write_objects(tmp_path / "000000.txt", broken)
    assert [path.name for path in tmp_path.iterdir()] == ["000000.txt"]
    assert_equal(read_objects(tmp_path / "000000.txt"), objects)


@pytest.mark.parametrize("name", ["", "Person sitting", " Car", "Car\n"])
def test_format_refuses_types_that_are_not_one_word(name):
    with pytest.raises(ValueError, match="one word"):
        format_objects(KittiObjects.from_detections([name], [[0, 0, 1, 1]], [0.5]))


def test_selection_keeps_all_fields_together():
    objects = parse_objects(f"{RESULT}\n{RESULT.replace('Car', 'Van')}\n", "r")
    for index in (objects.types == "Van", slice(1, 2), np.array([1]), 1, -1):
        selected = objects[index]
        assert selected.types.tolist() == ["Van"]
        assert selected.scores.shape == (1,)
        assert selected.boxes_xyxy.shape == (1, 4)
    assert [len(one) for one in objects] == [1, 1]
    assert len(objects[[]]) == 0


@pytest.mark.parametrize("with_scores", [False, True])
def test_empty_has_every_shape(with_scores):
    empty = KittiObjects.empty(with_scores=with_scores)
    assert len(empty) == 0
    assert empty.boxes_xyxy.shape == (0, 4)
    assert (empty.scores is not None) == with_scores
    assert format_objects(empty) == ""


def test_detections_fill_the_unknown_fields():
    objects = KittiObjects.from_detections(["Car"], np.float32([[1, 2, 3, 4]]), np.float32([0.5]))
    line = "Car -1 -1 -10 1.00 2.00 3.00 4.00 -1 -1 -1 -1000 -1000 -1000 -10 0.5000\n"
    assert format_objects(objects) == line
    assert len(KittiObjects.from_detections([], [], [])) == 0


def test_arrays_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="1 types, 2 boxes and 1 scores"):
        KittiObjects.from_detections(["Car"], np.zeros((2, 4)), [0.5])
    with pytest.raises(ValueError, match=r"alpha has shape \(2,\), expected \(0,\)"):
        KittiObjects(**{**vars(KittiObjects.empty()), "alpha": np.zeros(2)})
