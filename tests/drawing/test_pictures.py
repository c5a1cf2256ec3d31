"""Montages and picture files."""

import cv2
import numpy as np
import pytest

from mobilenetdet.drawing import montage, write_image


def plain(height, width, value=255):
    return np.full((height, width, 3), value, np.uint8)


@pytest.mark.parametrize(
    ("count", "columns", "rows"), [(1, 3, 1), (2, 2, 1), (3, 2, 2), (4, 2, 2), (7, 3, 3)]
)
def test_equal_cells(count, columns, rows):
    picture = montage([plain(50, 100)] * count, columns=columns, width=400)
    assert picture.shape[1:] == (400, 3)
    bright = picture.min(-1) == 255
    assert cv2.connectedComponents(bright.astype(np.uint8))[0] - 1 == count
    columns_used = np.diff(np.r_[0, bright.any(0).astype(int)]) == 1
    rows_used = np.diff(np.r_[0, bright.any(1).astype(int)]) == 1
    assert (columns_used.sum(), rows_used.sum()) == (min(count, columns), rows)


def test_the_docstrings_example():
    picture = montage([plain(375, 1242)] * 4, columns=2, width=1600)
    assert (picture.min(-1) == 255).sum() == 4 * 239 * 791


def test_images_of_other_shapes_are_fitted_whole():
    images = [plain(375, 1242), plain(375, 1242), plain(900, 100)]
    picture = montage(images, columns=3, width=1200)
    assert picture.shape[0] < 200  # one tall image does not stretch the others
    assert cv2.connectedComponents((picture.min(-1) == 255).astype(np.uint8))[0] - 1 == 3


def test_captions_stand_below_and_are_cut():
    bare = montage([plain(50, 100, 0)] * 2, width=300)
    captioned = montage([plain(50, 100, 0)] * 2, width=300, captions=["000001", "long " * 30])
    assert captioned.shape[0] > bare.shape[0]
    assert (captioned[-20:] > 100).any() and not (captioned[:, -4:] > 100).any()


@pytest.mark.parametrize(
    "arguments", [{"images": []}, {"columns": 0}, {"width": 10}, {"captions": ["one"]}]
)
def test_what_cannot_be_laid_out_is_refused(arguments):
    with pytest.raises(ValueError, match="images in|captions for"):
        montage(**({"images": [plain(5, 5)] * 2, "columns": 2, "width": 100} | arguments))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG"])
def test_files_hold_rgb(tmp_path, suffix):
    path = tmp_path / "new" / f"a{suffix}"
    image = plain(16, 16) * np.array([1, 0, 0], np.uint8)  # red
    write_image(path, image)
    read = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    np.testing.assert_allclose(read.astype(int), image, atol=3)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a\.gif: cannot write '\.gif'"):
        write_image(tmp_path / "a.gif", plain(4, 4))
