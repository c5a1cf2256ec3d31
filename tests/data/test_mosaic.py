from dataclasses import replace

import numpy as np
import pytest

from mobilenetdet.boxes.box_status import DONT_CARE, IGNORED, OBJECT
from mobilenetdet.config.detection import AugmentConfig
from mobilenetdet.data.mosaic import add_mosaics
from mobilenetdet.data.targets import Targets

HEIGHT, WIDTH, COUNT = 96, 160, 4
CONFIG = AugmentConfig(mosaic=1.0, min_box_size=2.0, min_visibility=0.5)
# Grey levels that say which frame a pixel comes from.
LEVELS = np.array([10, 60, 110, 160], np.uint8)


def batch() -> tuple[np.ndarray, list[Targets]]:
    """Frames of one grey level, with brighter objects of the class of their number."""
    images = np.broadcast_to(LEVELS[:, None, None, None], (COUNT, HEIGHT, WIDTH, 3)).copy()
    rng = np.random.default_rng(0)
    targets = []
    for index in range(COUNT):
        corners = rng.integers((0, 0), (WIDTH - 30, HEIGHT - 30), (5, 2))
        boxes = np.concatenate([corners, corners + rng.integers(8, 30, (5, 2))], axis=1)
        for left, top, right, bottom in boxes:
            images[index, top:bottom, left:right] = LEVELS[index] + 20
        classes = np.full(5, index, np.int32)
        box_status = np.array([OBJECT] * 4 + [DONT_CARE], np.int32)
        targets.append(Targets(boxes.astype(np.float32), classes, box_status, index))
    return images, targets


def mosaics(seed: int = 0, config: AugmentConfig = CONFIG) -> tuple[np.ndarray, list[Targets]]:
    images, targets = batch()
    seeds = [(seed, 0, index) for index in range(COUNT)]
    found = add_mosaics(images, targets, seeds, config, min_height=4.0)
    return images, found


def test_every_pixel_stays_where_it_was_in_one_of_the_frames():
    originals, _ = batch()
    num_frames = []
    for seed in range(10):
        images, _ = mosaics(seed)
        for image in images:
            matches = (originals == image).all(axis=-1)  # [frames, H, W]
            assert matches.any(axis=0).all()
            num_frames.append(matches.any(axis=(1, 2)).sum())
    assert max(num_frames) == 4 and np.mean(num_frames) > 2


def test_boxes_are_those_of_the_quarter_that_they_lie_in():
    _, originals = batch()
    num_cut = 0
    for seed in range(20):
        images, found = mosaics(seed)
        for image, targets in zip(images, found, strict=True):
            for box, klass in zip(targets.boxes_xyxy, targets.classes, strict=True):
                left, top, right, bottom = box.astype(int)
                inside = image[top:bottom, left:right, 0]
                assert (inside == LEVELS[klass] + 20).mean() > 0.95  # objects, all of that frame
                own = originals[klass].boxes_xyxy
                num_cut += not (own == box).all(axis=1).any()
    assert num_cut > 10


def test_what_a_seam_leaves_little_of_is_ignored():
    _, originals = batch()
    kinds_of_cut = []
    for seed in range(40):
        _, found = mosaics(seed)
        for targets in found:
            for box, klass, kind in zip(
                targets.boxes_xyxy, targets.classes, targets.box_status, strict=True
            ):
                holders = [
                    own
                    for own, old in zip(
                        originals[klass].boxes_xyxy, originals[klass].box_status, strict=True
                    )
                    if old == OBJECT and (own[:2] <= box[:2]).all() and (own[2:] >= box[2:]).all()
                ]
                if kind == DONT_CARE or len(holders) != 1:
                    continue
                share = np.prod(box[2:] - box[:2]) / np.prod(holders[0][2:] - holders[0][:2])
                high_enough = box[3] - box[1] >= 4
                assert (kind == OBJECT) == (share >= 0.5 - 1e-4 and high_enough)
                kinds_of_cut.append(kind)
    assert OBJECT in kinds_of_cut and IGNORED in kinds_of_cut


def test_the_same_seed_gives_the_same_and_dropped_boxes_stay_counted():
    first, second, other = mosaics(3), mosaics(3), mosaics(4)
    np.testing.assert_array_equal(first[0], second[0])
    assert (first[0] != other[0]).any()
    assert [targets.num_dropped for targets in first[1]] == [0, 1, 2, 3]


def test_without_it_frames_stay_as_they_are():
    images, targets = batch()
    kept = images.copy()
    found = add_mosaics(images, targets, [(0,)] * COUNT, replace(CONFIG, mosaic=0.0), min_height=4)
    assert found == targets
    np.testing.assert_array_equal(images, kept)


@pytest.mark.parametrize("probability", [0.3, 0.8])
def test_frames_are_chosen_by_chance(probability):
    originals, _ = batch()
    config = replace(CONFIG, mosaic=probability)
    changed = [(mosaics(s, config)[0] != originals).any(axis=(1, 2, 3)) for s in range(100)]
    # Now and then all quarters come from the frame itself.
    assert np.mean(changed) == pytest.approx(probability, abs=0.08)
