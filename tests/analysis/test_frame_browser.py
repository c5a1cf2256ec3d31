import json
import re

import numpy as np
import pytest

from mobilenetdet.analysis.analyse import analyse
from mobilenetdet.analysis.error_types import NEAR_OVERLAP
from mobilenetdet.analysis.frame_browser import (
    MAX_PICTURES,
    BrowsedRun,
    browser_parts,
    pictured_frames,
)
from mobilenetdet.config.classes import EvalTask
from mobilenetdet.kitti.labels import KittiObjects


def parts_of(labels, detections, **options):
    thresholds = analyse(labels, detections, **options).thresholds
    frame_ids = [f"{index:06d}" for index in range(len(labels))]
    run = BrowsedRun("run", detections, thresholds)
    return list(browser_parts(frame_ids, labels, [run], **options))


def data_in(parts):
    text = re.search(r'id="frame-data">(.*)</script>', "".join(parts))[1]
    return json.loads(text)


def test_data_holds_boxes_and_what_decides_about_them(two_frames):
    data = data_in(parts_of(*two_frames))
    assert [data["types"], data["codes"]] == [["Car", "Pedestrian"], [0, 1]]
    first = data["frames"][0]
    assert first["gts"][0] == [0, 0, 0, 20, 10, 80, 50]  # type, occlusion, truncation, box
    run = first["runs"][0]
    assert run["dets"][0] == [0, 0.8, 40, 0, 20, 10, 80, 50]  # type, score, height, in DontCare
    assert run["pairs"] == [[0, 0, 1.0]]
    assert data["classes"][0]["limits"]["moderate"] == {
        "height": 25, "occlusion": 1, "truncation": 0.3,
    }  # fmt: skip
    assert data["runs"][0]["thresholds"] == [0.7, 0, 0]
    assert data["nearOverlap"] == NEAR_OVERLAP


def test_overlaps_and_scores_keep_every_digit(crowded_frames):
    labels, detections = crowded_frames
    data = data_in(parts_of(labels, detections))
    for frame, found in zip(data["frames"], detections, strict=True):
        assert [row[1] for row in frame["runs"][0]["dets"]] == found.scores.tolist()
        for det, gt, overlap in frame["runs"][0]["pairs"]:
            assert 0.1 < overlap <= 1
            box, other = frame["runs"][0]["dets"][det][4:], frame["gts"][gt][3:]
            assert box[0] < other[2] and other[0] < box[2]  # of this frame, and they do overlap


def test_only_dontcare_of_the_own_class_excuses_a_detection():
    car = KittiObjects.from_detections(["DontCare"], [[0, 0, 60, 100]], [0])
    labels = [KittiObjects(**{**vars(car), "scores": None})]
    boxes = [[0, 0, 100, 100]] * 3  # 60 % of it in DontCare
    found = [KittiObjects.from_detections(["Car", "Pedestrian", "Truck"], boxes, [1, 1, 1])]
    rows = data_in(parts_of(labels, found))["frames"][0]["runs"][0]["dets"]
    assert [row[3] for row in rows] == [0, 1, 0]


def test_classes_of_ones_own_bring_their_rules():
    task = EvalTask.of(["Van"], class_map={"Car": "Van"}, neighbours={"Van": ["Truck"]})
    empty = [KittiObjects.empty()], [KittiObjects.empty(with_scores=True)]
    data = data_in(parts_of(*empty, task=task))
    assert [entry["name"] for entry in data["classes"]] == ["Van"]
    assert data["classes"][0]["neighbours"] == [1] and data["frames"][0]["gts"] == []


def test_names_cannot_end_the_element(two_frames):
    labels, detections = two_frames
    run = BrowsedRun("</script><b>", detections, dict.fromkeys(("Car", "Pedestrian", "Cyclist"), 0))
    page = "".join(browser_parts(["<!--<script>", "b"], labels, [run]))
    assert "</script><b>" not in page and "<!--<script>" not in page
    assert data_in([page])["frames"][0]["id"] == "<!--<script>"


def test_pictures_are_small_and_know_their_size(two_frames):
    labels, detections = two_frames
    run = BrowsedRun("run", detections, dict.fromkeys(("Car", "Pedestrian", "Cyclist"), 0))
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (375, 1242, 3)).astype(np.uint8)
    page = "".join(browser_parts(["a", "b"], labels, [run], pictures=[("b", image)]))
    assert re.findall(r'id="(picture-\d+)" data-size="(.*?)"', page) == [("picture-1", "1242 375")]


def test_beyond_the_limit_frames_with_errors_keep_their_pictures():
    ids = [str(index) for index in range(MAX_PICTURES + 2)]
    errors = np.ones(len(ids), int)
    errors[[0, 7]] = 0
    kept = pictured_frames(ids, errors)
    assert len(kept) == MAX_PICTURES and not {"0", "7"} & set(kept)
    assert kept == sorted(kept, key=int)
    assert pictured_frames(["a", "b"], np.zeros(2, int)) == ["a", "b"]


@pytest.mark.parametrize("protocol", ["current", "pre2017"])
def test_protocol_is_told(two_frames, protocol):
    assert data_in(parts_of(*two_frames, protocol=protocol))["protocol"] == protocol
