"""Counting what is in records."""

import cv2
import numpy as np
import pytest

from mobilenetdet.analysis.record_summary import ClassSummary, draw_sample, summarize
from mobilenetdet.kitti.labels import KittiObjects
from mobilenetdet.records.detection_record import RecordFrame


def frame(frame_id, *objects, image_format="png"):
    types = [name for name, *_ in objects]
    boxes = np.array([box for _, *box in objects], float)
    encoded = cv2.imencode(".png", np.zeros((50, 100, 3), np.uint8))[1].tobytes()
    detections = KittiObjects.from_detections(types, boxes, np.zeros(len(types)))
    return RecordFrame(frame_id, encoded, image_format, 50, 100, detections)


FRAMES = [
    frame("000000", ("Car", 0, 0, 100, 50), ("car", 10, 10, 20, 20)),  # on the border: inside
    frame("000001", ("Car", -0.5, 0, 10, 10), ("Elk", 90, 40, 100.5, 50)),
    frame("000002", ("DontCare", 0, 0, 5, 5)),
    frame("000003", image_format="jpeg"),
    frame("000003", ("Van", 10, 10, 10, 30)),
]


def test_summary():
    summary = summarize(iter(FRAMES))
    assert summary.num_frames == 5
    assert summary.num_image_bytes == 5 * len(FRAMES[0].encoded)
    assert list(summary.classes)[0] == "Car"
    assert summary.classes["Car"] == ClassSummary(3, 2, 1, 0, 10.0)
    assert summary.classes["Elk"] == ClassSummary(1, 1, 1, 0, 10.0)
    assert summary.classes["Van"] == ClassSummary(1, 1, 0, 1, 20.0)
    assert summary.image_sizes == {(100, 50, "png"): 4, (100, 50, "jpeg"): 1}
    assert summary.empty_frames == ["000003"]
    assert summary.dont_care_frames == ["000002"]
    assert summary.repeated_frames == ["000003"]


def test_nothing_at_all():
    summary = summarize([])
    assert (summary.num_frames, summary.classes, summary.image_sizes) == (0, {}, {})
    assert draw_sample([], 0, 4) == []


@pytest.mark.parametrize(("num_frames", "expected"), [(1, 1), (2, 2), (5, 5), (99, 5), (0, 0)])
def test_a_sample_has_as_many_frames_as_asked_for(num_frames, expected):
    pictures = draw_sample(iter(FRAMES), len(FRAMES), num_frames)
    assert len(pictures) == expected
    assert all(picture.shape[1] == 100 and picture.dtype == np.uint8 for picture in pictures)
