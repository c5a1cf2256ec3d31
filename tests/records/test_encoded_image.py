"""Image headers against OpenCV's decoder, and every way a file may be damaged."""

import cv2
import numpy as np
import pytest

from mobilenetdet.records.encoded_image import ImageHeader, image_header

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
    assert image_header(encoded, "a") == expected


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        (b"", "is empty"),
        (b"GIF89a....", "neither PNG nor JPEG"),
        (PNG[:20], "damaged PNG header"),
        (PNG[:8] + b"\0" * 40, "damaged PNG header"),
        (PNG[:-1], "PNG image is cut off"),
        (PNG[: len(PNG) // 2], "PNG image is cut off"),
        (PNG[:16] + b"\0" * 8 + PNG[24:], "0x0 pixels"),
        (JPEG[:2], "damaged JPEG header"),
        (JPEG[:100], "damaged JPEG header"),
        (JPEG[:-2], "JPEG image is cut off"),
        (JPEG[: len(JPEG) // 2], "JPEG image is cut off"),
        (JPEG[:2] + b"\xff\xda\x00\x04" + JPEG[2:], "damaged JPEG header"),
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
        assert image_header(encoded, path.name)[1:] == pixels.shape[:2]
