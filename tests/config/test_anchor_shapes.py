import pytest

from mobilenetdet.config.anchor_shapes import default_shapes, scaled


def test_default_boxes_of_the_docstring():
    assert default_shapes((20, 80), ((1, 4),)) == [((20, 20), (40, 10), (40, 40))]


def test_default_boxes_have_the_area_of_their_size_and_the_ratio_asked_for():
    ratios = ((1, 2, 1 / 2), (1, 2, 1 / 2, 3, 1 / 3))
    levels = default_shapes((30, 60, 111), ratios)
    assert [len(shapes) for shapes in levels] == [4, 6]
    for size, shapes, of_map in zip((30, 60), levels, ratios, strict=True):
        for (width, height), ratio in zip(shapes, of_map, strict=False):
            assert width * height == pytest.approx(size**2)
            assert width / height == pytest.approx(ratio)
    # SSD300's second map: a square of sqrt(60 * 111).
    assert levels[1][-1] == pytest.approx((81.6, 81.6), abs=0.01)


def test_one_size_more_than_maps():
    with pytest.raises(ValueError, match="2 sizes for 2 maps; give one more"):
        default_shapes((20, 80), ((1,), (1,)))


def test_scaled():
    assert scaled(((10, 20),), 0.5) == ((5, 10),)
