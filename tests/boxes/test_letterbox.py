import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilenetdet.boxes.letterbox import Letterbox

NETWORK = (384, 1248)
image_sizes = st.tuples(st.integers(20, 2000), st.integers(20, 3000))
network_sizes = st.tuples(st.sampled_from([64, 192, 384]), st.sampled_from([64, 640, 1248]))


def test_example():
    letterbox = Letterbox.fit((100, 200), (64, 64))
    assert letterbox == Letterbox(0.32, 0.0, 16.0, 200, 100)
    assert letterbox.drawn_size == (32, 64)
    boxes = np.array([[0.0, 0, 200, 100], [100, 50, 200, 100]])
    np.testing.assert_allclose(letterbox.apply(boxes), [[0, 16, 64, 48], [32, 32, 64, 48]])


@pytest.mark.parametrize("image_size", [(375, 1242), (370, 1224), (374, 1238), (376, 1241)])
def test_kitti_frames_fill_the_network_input(image_size):
    letterbox = Letterbox.fit(image_size, NETWORK)
    drawn_height, drawn_width = letterbox.drawn_size
    assert drawn_height <= 384 and drawn_width <= 1248
    assert drawn_height == 384 or drawn_width == 1248
    # A pedestrian keeps its shape: one scale for both axes.
    (box,) = letterbox.apply(np.array([[600.0, 150, 630, 240]]))
    assert (box[3] - box[1]) / (box[2] - box[0]) == pytest.approx(3.0)


@given(image_sizes, network_sizes)
@settings(max_examples=100, deadline=None)
def test_the_image_lies_whole_and_centred_in_the_network_input(image_size, network_size):
    letterbox = Letterbox.fit(image_size, network_size)
    drawn = letterbox.drawn_size
    for side, offset, limit in zip(
        drawn, (letterbox.offset_y, letterbox.offset_x), network_size, strict=True
    ):
        assert 0 <= offset == int(offset)
        assert offset + side <= limit
        assert abs(offset - (limit - offset - side)) <= 1


@given(image_sizes, network_sizes, st.lists(st.floats(0, 1), min_size=4, max_size=4))
@settings(max_examples=100, deadline=None)
def test_boxes_survive_the_round_trip(image_size, network_size, corners):
    height, width = image_size
    x1, x2 = sorted(v * width for v in corners[:2])
    y1, y2 = sorted(v * height for v in corners[2:])
    boxes = np.array([[x1, y1, x2, y2]])
    letterbox = Letterbox.fit(image_size, network_size)
    np.testing.assert_allclose(letterbox.undo(letterbox.apply(boxes)), boxes, atol=1e-6)
    # The same after travelling in a batch as float32.
    travelled = Letterbox.from_array(letterbox.to_array())
    np.testing.assert_allclose(travelled.undo(letterbox.apply(boxes)), boxes, rtol=1e-6, atol=1e-3)


def test_undo_clips_to_the_image():
    letterbox = Letterbox.fit((100, 200), (64, 64))
    boxes = np.array([[-5.0, 0, 70, 64], [0, 0, 64, 10]])  # past it; in the rows above it
    np.testing.assert_array_equal(letterbox.undo(boxes), [[0, 0, 200, 100], [0, 0, 200, 0]])


def test_travels_as_an_array():
    array = Letterbox.fit((375, 1242), NETWORK).to_array()
    assert array.dtype == np.float32 and array.shape == (5,)
    restored = Letterbox.from_array(array)
    assert (restored.width, restored.height) == (1242, 375)
    assert isinstance(restored.width, int)
    np.testing.assert_array_equal(restored.to_array(), array)


def test_no_boxes():
    letterbox = Letterbox.fit((100, 200), (64, 64))
    assert letterbox.apply(np.zeros((0, 4))).shape == (0, 4)
    assert letterbox.undo(np.zeros((0, 4))).shape == (0, 4)


@pytest.mark.parametrize("image_size", [(0, 100), (100, 0), (-1, 5)])
def test_an_image_without_pixels_is_refused(image_size):
    with pytest.raises(ValueError, match=f"height {image_size[0]} and width {image_size[1]}"):
        Letterbox.fit(image_size, NETWORK)
