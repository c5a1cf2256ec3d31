"""Image headers against OpenCV's decoder, and every way a file may be damaged."""

import io

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image

from mobilenetdet.records.encoded_image import ImageHeader, decode_image, find_damage, image_header

IMAGE = np.random.default_rng(0).integers(0, 255, (37, 53, 3)).astype(np.uint8)


def encode(suffix, *parameters, image=IMAGE):
    return cv2.imencode(suffix, image, list(parameters))[1].tobytes()


PNG, JPEG = encode(".png"), encode(".jpg")


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        (PNG, ImageHeader("png", 37, 53)),
        (JPEG, ImageHeader("jpeg", 37, 53)),
        (encode(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1), ImageHeader("jpeg", 37, 53)),
        (encode(".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 2), ImageHeader("jpeg", 37, 53)),
        (encode(".png", image=IMAGE[..., 0]), ImageHeader("png", 37, 53)),  # grey
        (encode(".jpg", image=IMAGE[:1, :1]), ImageHeader("jpeg", 1, 1)),
        # A comment and fill bytes before the frame.
        (JPEG[:2] + b"\xff\xfe\x00\x05abc\xff\xff" + JPEG[2:], ImageHeader("jpeg", 37, 53)),
        (JPEG + b"\0" * 16, ImageHeader("jpeg", 37, 53)),  # as some cameras end their files
        (PNG + b"\n", ImageHeader("png", 37, 53)),
    ],
)
def test_format_and_size(encoded, expected):
    assert image_header(encoded, "a")[:3] == expected[:3]


def save(suffix, mode, **parameters):
    buffer = io.BytesIO()
    Image.fromarray(IMAGE).convert(mode).save(buffer, suffix, **parameters)
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", ["png", "jpeg"])
@pytest.mark.parametrize(
    ("orientation", "sideways"), [(None, False), (1, False), (3, False), (6, True), (8, True)]
)
def test_an_orientation_that_swaps_the_sides(suffix, orientation, sideways):
    exif = Image.Exif()
    if orientation is not None:
        exif[ExifTags.Base.Orientation] = orientation
    encoded = save(suffix, "RGB", exif=exif)
    header = image_header(encoded, "a")
    assert header[1:3] == (37, 53) and header.sideways == sideways
    if suffix == "jpeg":  # OpenCV obeys the orientation of a JPEG
        decoded = decode_image(encoded, "a").shape[:2]
        assert (decoded != (37, 53)) == sideways


@pytest.mark.parametrize(
    ("suffix", "mode"), [("jpeg", "L"), ("jpeg", "CMYK"), ("png", "L"), ("png", "RGBA")]
)
def test_colour_modes(suffix, mode):
    assert image_header(save(suffix, mode), "a").mode == mode


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        (b"", "is empty"),
        (b"GIF89a....", "neither PNG nor JPEG"),
        (PNG[:20], "damaged image header"),
        (PNG[:8] + b"\0" * 40, "damaged image header"),
        (PNG[:-1], "PNG image is cut off"),
        (PNG[: len(PNG) // 2], "PNG image is cut off"),
        (PNG[:16] + b"\0" * 8 + PNG[24:], "damaged image header"),
        (JPEG[:2], "damaged image header"),
        (JPEG[:100], "damaged image header"),
        (JPEG[:-2], "JPEG image is cut off"),
        (JPEG[: len(JPEG) // 2], "JPEG image is cut off"),
        (JPEG[:2] + b"\xff\xda\x00\x04" + JPEG[2:], "damaged image header"),
    ],
)
def test_damage_names_the_file(encoded, message):
    with pytest.raises(ValueError, match=rf"^dir/000007\.png: .*{message}"):
        image_header(encoded, "dir/000007.png")


def test_real_frames(shared_dir):
    images = sorted((shared_dir / "kitti/training/image_2").iterdir())
    for path in images[:4] + images[-4:]:
        encoded = path.read_bytes()
        pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
        assert image_header(encoded, path.name)[1:3] == pixels.shape[:2]


@pytest.mark.parametrize("encoded", [PNG, JPEG, encode(".png", image=IMAGE[..., 0])])
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
