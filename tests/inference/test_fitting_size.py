"""Input sizes that fit the pictures."""

from dataclasses import replace

import numpy as np
import pytest
from fixtures.red_finder import RedRuntime, red_image

from mobilenetdet.inference.fitting_size import FittingDetector, fitting_sizes, nearest_size
from mobilenetdet.inference.loaded_detector import LoadedDetector

TRAINED = (480, 1568)


def test_sizes_are_few_and_take_about_as_long():
    sizes = fitting_sizes(TRAINED)
    assert sizes[0] == TRAINED and len(sizes) == 7
    for height, width in sizes:
        assert height % 32 == 0 and width % 32 == 0
        assert height * width == pytest.approx(TRAINED[0] * TRAINED[1], rel=0.06)


@pytest.mark.parametrize(
    ("picture", "size"),
    [
        ((375, 1242), TRAINED),  # KITTI
        ((1080, 3840), TRAINED),
        ((4000, 3000), (992, 736)),
        ((3000, 4000), (736, 992)),
        ((1080, 1920), (640, 1152)),
        ((1920, 1080), (1152, 640)),
        ((500, 500), (864, 864)),
        ((9000, 100), (1152, 640)),
        ((100, 9000), TRAINED),
    ],
)
def test_the_nearest_aspect_is_taken(picture: tuple[int, int], size: tuple[int, int]):
    assert nearest_size(fitting_sizes(TRAINED), picture) == size


def test_a_small_input_keeps_a_stride():
    assert min(side for size in fitting_sizes((32, 32)) for side in size) == 32


@pytest.fixture
def fitting(small_config):
    """A detector of red boxes for any size, and the sizes that were loaded."""
    loaded = []

    def load(size: tuple[int, int]) -> LoadedDetector:
        loaded.append(size)
        data = replace(small_config.data, image_height=size[0], image_width=size[1])
        config = replace(small_config, data=data, eval=replace(small_config.eval, batch_size=2))
        return LoadedDetector(RedRuntime(config), config, "red")

    return FittingDetector(load, (64, 192)), loaded


def test_a_small_object_in_a_portrait_is_found_in_an_input_of_its_shape(fitting):
    """It covers less than half of a pixel of the trained input, and all of one that fits."""
    detector, loaded = fitting
    box = np.array([300.0, 900.0, 316.0, 916.0])
    portrait = red_image((1600, 1200), box)
    trained = detector.first
    assert len(next(trained.detect_images([portrait]))) == 0
    (found,) = detector.detect_fitted([detector.letterbox(portrait)])
    np.testing.assert_allclose(found.boxes_xyxy[0], box, atol=15)
    assert loaded == [(64, 192), (128, 96)]


def test_mixed_sizes_keep_their_order_and_load_once(fitting):
    detector, loaded = fitting
    shapes = [(375, 1242), (4000, 3000), (4000, 3000), (4000, 3000), (375, 1242), (1000, 1000)]
    boxes = [np.array([0.1, 0.1, 0.3 + 0.1 * place, 0.6]) for place in range(len(shapes))]
    images = [
        red_image(shape, box * (shape[::-1] * 2)) for shape, box in zip(shapes, boxes, strict=True)
    ]
    found = list(detector.detect_fitted(map(detector.letterbox, images)))
    widths = [
        float(each.boxes_xyxy[0, 2]) / shape[1] for each, shape in zip(found, shapes, strict=True)
    ]
    np.testing.assert_allclose(widths, [box[2] for box in boxes], atol=0.02)
    assert len(loaded) == len(set(loaded)) == 3
    # Batches that are not full go one by one.
    portrait = detector._models[128, 96].runtime
    assert [shape[0] for shape in portrait.batches] == [2, 1]
    assert detector.describe_sizes() == "128x96 (3), 64x192 (2), 96x96 (1)"
