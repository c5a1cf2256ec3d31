"""The frames that weights have seen, and how many of them are in a split."""

import itertools
import json

import numpy as np
import pytest

from mobilenetdet.kitti.frames_seen import (
    FramesSeen,
    frame_hashes,
    read_frames_seen,
    seen_in_split,
    write_frames_seen,
)
from mobilenetdet.kitti.labels import KittiObjects, parse_objects

LINE = "{} 0.00 0 -1.57 {} 12.50 30.25 40.00 1.5 1.6 3.9 0.1 1.6 10.0 -1.50\n"


def objects(*rows):
    return parse_objects("".join(LINE.format(*row) for row in rows), "label")


def test_a_frame_goes_by_its_id_and_its_labels():
    car, van = ("Car", "10.00"), ("Van", "20.00")
    known, by_labels = frame_hashes("000001", objects(car, van))
    assert len(known) == 12 and int(known, 16) >= 0
    assert frame_hashes("000001", objects(van, car)) == (known, by_labels)
    renumbered, same_labels = frame_hashes("000002", objects(car, van))
    assert renumbered != known and same_labels == by_labels
    others = [
        frame_hashes("000001", objects(car, ("Van", "21.00"))),
        frame_hashes("000001", objects(car, ("Tram", "20.00"))),
        # Too little to tell a frame by.
        frame_hashes("000001", objects(car)),
        frame_hashes("000001", objects(car, ("DontCare", "20.00"))),
        frame_hashes("000001", KittiObjects.empty()),
    ]
    assert [len(hashes) for hashes in others] == [2, 2, 1, 1, 1]
    found = [known, by_labels, renumbered, *itertools.chain.from_iterable(others)]
    assert len(set(found)) == len(found)


def test_renumbered_frames_are_known_and_counted_once():
    of_frame = {i: objects(("Car", f"{i}.00"), ("Van", "20.00")) for i in (10, 20, 30)}
    trained = {f"{i:06d}": frame_hashes(f"{i:06d}", of_frame[i]) for i in (10, 20)}
    seen = FramesSeen.of(trained.values())
    assert seen.num_frames == 2
    assert repr(seen) == "FramesSeen(2 frames, complete=True)"
    renamed = {f"9000{i}": frame_hashes(f"9000{i}", of_frame[i]) for i in (20, 30)}
    assert seen_in_split(seen, renamed, "val").frame_ids == ("900020",)
    # What earlier versions have noted has no hashes of labels alone.
    former = FramesSeen(frozenset(own[0] for own in trained.values()))
    assert seen_in_split(former, trained, "val").count == 2
    assert seen_in_split(former, renamed, "val").count == 0


def test_the_id_of_a_frame_without_labels_says_nothing_alone():
    """Pictures without objects of two data sets have the same ids."""
    car, empty = objects(("Car", "10.00")), KittiObjects.empty()
    seen = FramesSeen.of([frame_hashes("000001", empty), frame_hashes("000002", car)])
    for other, expected in ((objects(("Car", "11.00")), ()), (car, ("000001", "000002"))):
        hashes = {"000001": frame_hashes("000001", empty), "000002": frame_hashes("000002", other)}
        assert seen_in_split(seen, hashes, "val").frame_ids == expected


@pytest.mark.parametrize("left", [20.0, 20.004, 1 / 3, 100.0 / 7])
def test_what_records_round_off_does_not_count(left):
    exact = objects(("Car", "10.00"))
    exact.boxes_xyxy[0, 0] = left
    width = np.float32(1242.0)
    kept = objects(("Car", "10.00"))
    kept.boxes_xyxy[0, 0] = np.round(float(np.float32(left / width)) * 1242, 3)
    assert frame_hashes("000001", kept) == frame_hashes("000001", exact)


@pytest.mark.parametrize(
    ("seen", "count", "line"),
    [
        (FramesSeen(), 0, "0 of 4 val frames were trained on"),
        (FramesSeen(frozenset("bdz")), 2, "2 of 4 val frames were trained on: 000002, 000004"),
        (
            FramesSeen(frozenset("b"), complete=False),
            1,
            "at least 1 of 4 val frames were trained on: 000002",
        ),
        (FramesSeen(frozenset("z"), complete=False), None, "not known how many of 4 val frames"),
        (None, None, "not known how many of 4 val frames"),
    ],
)
def test_frames_of_a_split_are_counted(seen, count, line):
    hashes = {"000001": "a", "000002": "b", "000003": "c", "000004": "d"}
    found = seen_in_split(seen, hashes, "val")
    assert found.count == count and str(found).startswith(line)
    assert found.findings() == ([f"{line}; AP on them flatters"] if count else [])


def test_frames_of_two_trainings_add_up():
    first, second = FramesSeen(frozenset("ab")), FramesSeen(frozenset("bc"), complete=False)
    assert first | second == FramesSeen(frozenset("abc"), complete=False)


def test_the_record_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "seen.json"
    assert read_frames_seen(path) is None
    seen = FramesSeen(frozenset({"0a", "0b"}), complete=False)
    write_frames_seen(path, seen)
    assert read_frames_seen(path) == seen
    assert json.loads(path.read_text())["frames"] == 2


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"hashes": "abc", "complete": true}', '{"hashes": [1], "complete": 1}'],
)
def test_a_damaged_record_is_named(tmp_path, text):
    path = tmp_path / "seen.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"seen\.json does not list .*inspect_records"):
        read_frames_seen(path)
