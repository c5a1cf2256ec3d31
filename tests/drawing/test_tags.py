"""Tags stay in the image and off each other."""

import numpy as np
import pytest

from mobilenetdet.drawing.tags import Tag, draw_tags, ink_on, text_size


def drawn_pixels(tags, size=(375, 1242)):
    canvas = np.zeros((*size, 3), np.uint8)
    draw_tags(canvas, tags, 1.0)
    return canvas.any(-1)


def tag(*rect, text="Car 0.93"):
    return Tag(text, (255, 200, 0), rect)


@pytest.mark.parametrize(
    "rect",
    [
        (100, 100, 200, 200),
        (0, 0, 50, 50),  # no room above
        (1200, 300, 1241, 374),  # none below or to the right
        (0, 0, 1241, 374),  # none outside the box
    ],
)
def test_the_whole_tag_is_in_the_image(rect):
    assert drawn_pixels([tag(*rect)]).sum() == drawn_pixels([tag(100, 100, 200, 200)]).sum()


def test_above_the_box_where_there_is_room():
    rows, columns = np.nonzero(drawn_pixels([tag(100, 100, 200, 200)]))
    assert rows.max() == 99 and columns.min() == 100


def test_tags_of_one_place_do_not_cover_each_other():
    one = drawn_pixels([tag(600, 150, 640, 200)]).sum()
    for count in (2, 4, 6):
        tags = [tag(600 + i, 150 + i, 640 + i, 200 + i) for i in range(count)]
        assert drawn_pixels(tags).sum() == count * one


def test_an_image_smaller_than_the_tag():
    assert drawn_pixels([tag(0, 0, 3, 3)], size=(4, 4)).all()


def test_text_reads_on_its_colour():
    assert ink_on((255, 255, 0)) < ink_on((200, 0, 0)) == (255, 255, 255)


def test_text_grows_with_scale():
    assert text_size("Car", 2.0) > text_size("Car", 1.0) > (0, 0)
