"""The letterbox of the page makes the pixels that OpenCV makes."""

import base64
import json
from importlib.resources import files

import numpy as np
import pytest
from fixtures.chromium import Chromium
from fixtures.exportable import picture

from mobilenetdet.boxes.letterbox import Letterbox
from mobilenetdet.data.letterbox_image import BORDER_GREY, letterbox_image

NETWORK = (64, 96)
# Height and width of pictures, and the share of bytes that may be a grey level from OpenCV's.
SIZES = [
    ((64, 96), 0),  # as the input is
    ((63, 95), 0),  # enlarged by little, as KITTI's frames are
    ((75, 248), 0),  # narrowed by little
    ((40, 30), 0),  # enlarged, grey at the sides
    ((5, 7), 0),  # enlarged a lot
    ((128, 192), 0),  # exactly half
    ((129, 200), 1e-3),  # just below half: averaged, in floats of another order
    ((256, 384), 0),  # a quarter, whole pixels
    ((301, 457), 1e-3),  # averaged over parts of pixels
    ((1, 300), 1e-3),  # a line: less than a row of the input
    ((1, 1), 0),
]


@pytest.fixture(scope="module")
def page(browser: Chromium) -> Chromium:
    """An empty page with the script."""
    browser.open("about:blank")
    source = (files("mobilenetdet.web") / "page/letterbox.js").read_text()
    # The strict mode of an evaluated text would keep its names to itself.
    browser.evaluate(source.replace('"use strict";', "", 1) + "\ntrue")
    return browser


@pytest.mark.parametrize(("size", "share"), SIZES)
def test_pixels_are_those_of_opencv(page: Chromium, size, share):
    image = picture(sum(size), size)
    expected, letterbox = letterbox_image(image, NETWORK)
    rgba = np.dstack([image, np.full(size, 255, np.uint8)])
    made = page.evaluate(f"""(() => {{
        const rgba = Uint8Array.from(atob("{base64.b64encode(rgba.tobytes()).decode()}"),
                                     (character) => character.charCodeAt(0));
        const {{ input, place }} = letterbox(
            rgba, {size[1]}, {size[0]}, {NETWORK[1]}, {NETWORK[0]}, {BORDER_GREY});
        return {{ input: btoa(String.fromCharCode(...input)), place }};
    }})()""")
    ours = np.frombuffer(base64.b64decode(made["input"]), np.uint8).reshape(expected.shape)
    place = made["place"]
    assert place["scale"] == letterbox.scale
    assert (place["left"], place["top"]) == (letterbox.offset_x, letterbox.offset_y)
    assert (place["drawnHeight"], place["drawnWidth"]) == letterbox.drawn_size
    # Boxes of an int8 network move by pixels where a tenth of the bytes is a grey level off.
    differences = np.abs(ours.astype(int) - expected)
    assert differences.max() <= 1
    assert (differences > 0).mean() <= share


def test_places_are_those_of_python_for_all_sizes(page: Chromium):
    rng = np.random.default_rng(0)
    sizes = [tuple(map(int, size)) for size in rng.integers(1, 2000, (200, 2))]
    made = page.evaluate(f"""{json.dumps(sizes)}.map(([height, width]) => {{
        const {{ scale, left, top, drawnHeight, drawnWidth }} =
            fitPicture(width, height, {NETWORK[1]}, {NETWORK[0]});
        return [scale, left, top, drawnHeight, drawnWidth];
    }})""")
    for size, place in zip(sizes, made, strict=True):
        fitted = Letterbox.fit(size, NETWORK)
        expected = [fitted.scale, fitted.offset_x, fitted.offset_y, *fitted.drawn_size]
        assert place == expected, size


def test_boxes_go_back_as_in_python(page: Chromium):
    boxes = np.array([[10.5, 20.25, 60.0, 50.0], [-5.0, -5.0, 200.0, 200.0]])
    letterbox = Letterbox.fit((75, 248), NETWORK)
    made = page.evaluate(f"""{json.dumps(boxes.tolist())}.map((box) =>
        undoLetterbox(box, fitPicture(248, 75, {NETWORK[1]}, {NETWORK[0]}), 248, 75))""")
    np.testing.assert_allclose(made, letterbox.undo(boxes), rtol=1e-12)
