"""Decoding, and letterboxing against drawn rectangles."""

import cv2
import numpy as np
import pytest

from mobilenetdet.boxes.letterbox import Letterbox
from mobilenetdet.data.letterbox_image import BORDER_GREY, letterbox_image
from mobilenetdet.records.encoded_image import decode_image


def encode(image, suffix=".png"):
    return cv2.imencode(suffix, image[..., ::-1])[1].tobytes()


def test_images_are_rgb():
    image = np.zeros((6, 9, 3), np.uint8)
    image[..., 0] = 200
    image[2, 3] = (1, 2, 3)
    assert (decode_image(encode(image), "frame 7") == image).all()


def test_grey_images_get_three_channels():
    grey = cv2.imencode(".png", np.full((5, 4), 90, np.uint8))[1].tobytes()
    assert decode_image(grey, "x").shape == (5, 4, 3)


@pytest.mark.parametrize("damage", ["empty", "text", "half a PNG", "half a JPEG"])
def test_damaged_images_are_named(damage):
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    png, jpeg = encode(image), encode(image, ".jpg")
    encoded = {"empty": b"", "text": b"hello" * 9}.get(damage)
    if encoded is None:
        encoded = png[: len(png) // 2] if "PNG" in damage else jpeg[: len(jpeg) // 2]
    with pytest.raises(ValueError, match=r"frame 000123.*cannot be decoded"):
        decode_image(encoded, "frame 000123")


@pytest.mark.parametrize(
    ("size", "network_size"),
    [
        ((375, 1242), (384, 1248)),  # KITTI's frames: enlarged a little
        ((370, 1224), (384, 1248)),
        ((374, 1238), (384, 1248)),
        ((376, 1241), (384, 1248)),
        ((1600, 900), (384, 1248)),  # a portrait photo: wide borders, shrunk by 4
        ((375, 1242), (192, 640)),  # shrunk by 2
        ((40, 60), (384, 1248)),  # enlarged much
        ((384, 1248), (384, 1248)),  # unchanged
    ],
)
def test_boxes_move_with_the_pixels(find_rectangle, size, network_size):
    height, width = size
    image = np.full((height, width, 3), BORDER_GREY, np.uint8)
    shares = np.array([[0.1, 0.2, 0.4, 0.7], [0.6, 0.5, 0.95, 0.9], [0.0, 0.0, 1.0, 1.0]])
    for box in np.round(shares * [width, height, width, height]).astype(int):
        left, top, right, bottom = box
        drawn = image.copy()
        drawn[top:bottom, left:right] = 255
        canvas, letterbox = letterbox_image(drawn, network_size)
        assert canvas.shape == (*network_size, 3)
        moved = letterbox.apply(box[None].astype(float))
        np.testing.assert_allclose(moved[0], find_rectangle(canvas), atol=0.5)
        np.testing.assert_allclose(letterbox.undo(moved)[0], box, atol=1e-6)
        restored = Letterbox.from_array(letterbox.to_array())
        np.testing.assert_allclose(restored.undo(moved)[0], box, atol=0.01)


@pytest.mark.parametrize("size", [(375, 1242), (900, 500), (100, 100), (10, 1000)])
def test_the_border_is_grey_and_a_row_of_a_batch_is_drawn_in_place(size):
    batch = np.zeros((3, 64, 192, 3), np.uint8)
    canvas, letterbox = letterbox_image(np.full((*size, 3), 255, np.uint8), (64, 192), out=batch[1])
    assert np.shares_memory(canvas, batch)
    height, width = letterbox.drawn_size
    assert (batch[1] == 255).all(axis=-1).sum() == height * width
    assert (batch[1] == BORDER_GREY).all(axis=-1).sum() == 64 * 192 - height * width
    assert (batch[[0, 2]] == 0).all()
