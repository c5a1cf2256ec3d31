"""Boxes are where the pixels are, whatever was done to the frame."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from mobilenetdet.config.detection import AugmentConfig
from mobilenetdet.data.augment import Augmenter

GREY = 127  # also the colour that Affine leaves behind
NOTHING = {
    name: 0.0
    for name in (
        "flip",
        "crop",
        "shift_scale",
        "colour",
        "hue_saturation",
        "cutout",
    )
}
HEIGHT, WIDTH = 150, 500


def only(**probabilities):
    return Augmenter(AugmentConfig(**(NOTHING | probabilities)))


def draw(box, *, blur=0.0):
    image = np.full((HEIGHT, WIDTH, 3), GREY, np.uint8)
    left, top, right, bottom = box
    image[top:bottom, left:right] = 255
    return cv2.GaussianBlur(image, (0, 0), blur) if blur else image


@pytest.mark.parametrize(
    "settings",
    [
        {"flip": 1.0},
        {"crop": 1.0},
        {"shift_scale": 1.0, "shift": 0.1, "scale": 0.0},
        {"shift_scale": 1.0, "shift": 0.0, "scale": 0.4},
        {"shift_scale": 1.0, "shift": 0.1, "scale": 0.4},
        {"flip": 1.0, "crop": 1.0, "shift_scale": 1.0},
    ],
)
def test_boxes_move_with_the_pixels(find_rectangle, settings):
    augmenter = only(**settings)
    # Blurred, because samples of a sharp edge give its place to a quarter pixel only, and scaling
    # about a centre that is half a pixel off moves boxes by less than that.
    margin = 6
    # One in the middle, two far off the centre, where a wrong centre of scaling shows most.
    for box in ([230, 60, 290, 100], [40, 20, 101, 55], [445, 105, 480, 131]):
        seen = 0
        for seed in range(30):
            image, boxes = augmenter(draw(box, blur=1.5), np.array([box], float), seed=(seed,))
            height, width = image.shape[:2]
            limits = [width - margin, height - margin] * 2
            if (boxes[0] > margin).all() and (boxes[0] < limits).all():  # else there is no edge
                seen += 1
                np.testing.assert_allclose(boxes[0], find_rectangle(image), atol=0.05)
        assert seen > 0


def test_a_cut_box_never_lies_on_grey(find_rectangle):
    """What a crop has cut off must not come back as border: the box would be longer than seen."""
    augmenter = only(crop=1.0, shift_scale=1.0, flip=1.0, shift=0.2, scale=0.3)
    box = [0, 0, WIDTH, HEIGHT]
    for seed in range(50):
        image, boxes = augmenter(draw(box), np.array([box], float), seed=(seed,))
        height, width = image.shape[:2]
        shown = np.clip(boxes[0], 0, [width, height] * 2)
        np.testing.assert_allclose(shown, find_rectangle(image), atol=0.5)


def test_a_box_that_is_cut_ends_at_the_border_of_the_pixels(find_rectangle):
    augmenter = only(crop=1.0)
    box = [100, 30, 400, 120]
    for seed in range(25):
        image, boxes = augmenter(draw(box), np.array([box], float), seed=(seed,))
        height, width = image.shape[:2]
        np.testing.assert_allclose(
            np.clip(boxes[0], 0, [width, height] * 2), find_rectangle(image), atol=1e-3
        )


def test_flip_twice_is_the_identity():
    augmenter = only(flip=1.0)
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (37, 101, 3), np.uint8)
    boxes = np.hstack([corners := rng.uniform(-20, 100, (9, 2)), corners + 15])
    once = augmenter(image, boxes, seed=(0,))
    twice = augmenter(*once, seed=(1,))
    assert (once[0] == image[:, ::-1]).all()
    assert (twice[0] == image).all()
    np.testing.assert_allclose(twice[1], boxes, atol=1e-4)


def test_crops_keep_the_aspect_and_the_smallest_side():
    augmenter = only(crop=1.0, crop_min_scale=0.5)
    image = draw([0, 0, 10, 10])
    shapes = [augmenter(image, np.zeros((0, 4)), seed=(s,))[0].shape for s in range(100)]
    heights, widths = np.array(shapes)[:, :2].T
    assert np.abs(heights / widths - HEIGHT / WIDTH).max() < 0.01
    assert widths.min() >= WIDTH // 2
    assert widths.min() < 0.55 * WIDTH
    assert widths.max() > 0.95 * WIDTH


@pytest.mark.parametrize(
    "boxes",
    [
        [[10.2, 20.7, 60.9, 80.1], [300.4, 5.5, 340.3, 40.6]],
        [[0.0, 0.0, 500.0, 150.0]],  # the whole frame
        [[-30.0, 100.0, 20.0, 170.0]],  # past the border
        [[600.0, 10.0, 700.0, 90.0]],  # outside
        [[250.0, 75.0, 250.0, 75.0]],  # without area
    ],
)
def test_crops_keep_all_boxes_in_their_order_and_size(boxes):
    augmenter = only(crop=1.0, crop_min_scale=0.1)
    boxes = np.array(boxes)
    for seed in range(50):
        _, moved = augmenter(draw([0, 0, 1, 1]), boxes, seed=(seed,))
        sizes = moved[:, 2:] - moved[:, :2]
        np.testing.assert_allclose(sizes, boxes[:, 2:] - boxes[:, :2], atol=1e-3)
        np.testing.assert_allclose(np.diff(moved, axis=0), np.diff(boxes, axis=0), atol=1e-3)


def test_colours_change_and_boxes_do_not():
    box = [40, 20, 101, 55]
    augmenter = only(colour=1.0, hue_saturation=1.0)
    image, boxes = augmenter(draw(box), np.array([box], float), seed=(3,))
    assert (image != draw(box)).any()
    np.testing.assert_allclose(boxes, [box], atol=1e-4)


def painted(settings: dict, boxes: np.ndarray, seed: int, is_object=None) -> np.ndarray:
    """Which pixels cutout has changed, bool [H, W]."""
    image = np.full((HEIGHT, WIDTH, 3), GREY, np.uint8)
    augmenter = only(**settings)
    found, moved = augmenter(image, boxes, seed=(seed,), is_object=is_object)
    np.testing.assert_allclose(moved, boxes, atol=1e-4)
    return (found != GREY).any(-1)


def test_cutout_paints_a_part_of_each_object_and_nothing_else():
    boxes = np.array([[40.0, 20.0, 101.0, 55.0], [200.0, 30.0, 240.0, 140.0], [-30, 60, 30, 120]])
    shares = []
    for seed in range(40):
        changed = painted({"cutout": 1.0, "cutout_size": 0.5}, boxes, seed)
        for left, top, right, bottom in np.clip(boxes, 0, None).astype(int):
            inside = changed[top:bottom, left:right]
            shares.append(inside.mean())
            # One rectangle: all that lies between its first and last row and column.
            if inside.any():
                rows, columns = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
                hole = inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
                assert hole.mean() > 0.95  # noise may be grey by chance
            changed[top:bottom, left:right] = False
        assert not changed.any()
    assert 0.02 < np.mean(shares[::3]) < 0.2 and max(shares[::3]) < 0.3


def test_cutout_never_hides_an_object_behind_another():
    # A rectangle of the large box would cover the small one now and then.
    boxes = np.array([[50.0, 20.0, 250.0, 140.0], [140.0, 60.0, 160.0, 90.0]])
    covered = []
    for seed in range(200):
        changed = painted({"cutout": 1.0, "cutout_size": 0.6}, boxes, seed)
        covered.append(changed[60:90, 140:160].mean())
    assert 0 < max(covered) <= 2 * 0.4  # one rectangle of each box, up to 0.36 and rounding


def test_cutout_takes_objects_by_chance_and_leaves_regions():
    boxes = np.array([[40.0, 20.0, 101.0, 55.0], [200.0, 30.0, 240.0, 140.0]])
    hits = [painted({"cutout": 0.5}, boxes, seed)[20:55, 40:101].any() for seed in range(200)]
    assert 0.35 < np.mean(hits) < 0.65
    region = painted({"cutout": 1.0}, boxes, 0, is_object=np.array([False, True]))
    assert not region[20:55, 40:101].any() and region.any()


@pytest.mark.parametrize(
    "boxes",
    [
        np.zeros((0, 4)),
        [[0.0, 0.0, 500.0, 150.0]],
        [[-5.0, -5.0, 505.0, 155.0]],
        [[499.5, 149.5, 500.0, 150.0]],
        [[700.0, 300.0, 800.0, 400.0]],
        [[20.0, 20.0, 20.0, 20.0]],
    ],
)
def test_every_box_comes_through_everything(boxes):
    everything = dict.fromkeys(NOTHING, 1.0)
    augmenter = Augmenter(AugmentConfig(**everything))
    for seed in range(10):
        image, moved = augmenter(draw([0, 0, 9, 9]), np.array(boxes), seed=(seed,))
        assert image.dtype == np.uint8
        assert moved.dtype == np.float32
        assert moved.shape == np.shape(boxes)
        assert np.isfinite(moved).all()
        assert (moved[:, 2:] >= moved[:, :2]).all()


@pytest.mark.parametrize("name", [*NOTHING, None])
def test_no_warning_whatever_is_switched_on(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        only(**({name: 1.0} if name else {}))(draw([5, 5, 9, 9]), np.ones((1, 4)), seed=(0,))


def test_frames_depend_on_their_seed_alone_in_any_thread():
    augmenter = Augmenter(AugmentConfig(crop=0.3, hue_saturation=0.3))
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (60, 200, 3), np.uint8)
    boxes = np.array([[20.0, 10.0, 70.0, 50.0], [100.0, 20.0, 190.0, 55.0]])

    def outcome(index):
        moved_image, moved = augmenter(image, boxes, seed=(7, 1, index))
        return moved_image.tobytes(), moved.tobytes()

    one_by_one = [outcome(index) for index in range(200)]
    with ThreadPoolExecutor(8) as pool:
        at_once = list(pool.map(outcome, reversed(range(200))))
    assert at_once[::-1] == one_by_one
    assert len(set(one_by_one)) > 100


def test_seeds_of_epochs_differ():
    augmenter = Augmenter(AugmentConfig(crop=1.0))
    image, boxes = draw([40, 20, 101, 55]), np.array([[40.0, 20.0, 101.0, 55.0]])
    moved = {augmenter(image, boxes, seed=(0, epoch, 5))[1].tobytes() for epoch in range(20)}
    assert len(moved) == 20


def test_the_input_stays_as_it_was():
    image, boxes = draw([40, 20, 101, 55]), np.array([[40.0, 20.0, 101.0, 55.0]])
    kept_image, kept_boxes = image.copy(), boxes.copy()
    augmenter = Augmenter(AugmentConfig(**dict.fromkeys(NOTHING, 1.0)))
    for seed in range(5):
        augmenter(image, boxes, seed=(seed,))
    assert (image == kept_image).all()
    assert (boxes == kept_boxes).all()
