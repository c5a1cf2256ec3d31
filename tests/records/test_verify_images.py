"""Images that are decoded only to find out whether they can be."""

import cv2
import numpy as np
import pytest

from mobilenetdet.records.verify_images import find_damage, refuse_damaged_images

IMAGE = np.random.default_rng(0).integers(0, 255, (37, 53, 3)).astype(np.uint8)
PNG, GREY = (cv2.imencode(".png", image)[1].tobytes() for image in (IMAGE, IMAGE[..., 0]))
JPEG = cv2.imencode(".jpg", IMAGE)[1].tobytes()


@pytest.mark.parametrize("encoded", [PNG, JPEG, GREY])
def test_whole_images_have_no_damage(encoded):
    assert find_damage(encoded, "a.png") == ""


@pytest.mark.parametrize("place", [0, 20, 30, 100, len(PNG) // 2, len(PNG) - 6])
def test_a_changed_byte_of_a_png_is_damage(place):
    changed = bytearray(PNG)
    changed[place] ^= 0xFF
    assert find_damage(bytes(changed), "a.png")


def test_a_lost_end_is_damage():
    for encoded in (PNG, JPEG):
        assert "cut off" in find_damage(encoded[: len(encoded) // 2], "a")


def test_all_are_counted_and_the_first_are_described(tmp_path):
    paths = [tmp_path / f"{index:06d}.png" for index in range(30)]
    for index, path in enumerate(paths):
        path.write_bytes(PNG if index % 5 else PNG[:-20] + PNG[-15:])
    refuse_damaged_images(paths[1:5], "train")
    with pytest.raises(ValueError) as error:
        refuse_damaged_images(paths, "train", num_workers=2)
    first, *lines, last = str(error.value).splitlines()
    assert first == "6 of 30 images of train are damaged: 000000.png, 000005.png, 000010.png"
    assert [line.split(": ")[0] for line in lines] == [f"  {path}" for path in paths[::5]]
