"""Image headers against OpenCV's decoder, and every way a file may be damaged."""

import io
import zlib

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image

from mobilenetdet.records.encoded_image import ImageHeader, decode_image, image_header

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
        # A phone's film or depth map behind the picture.
        (JPEG + b"\0" * 5000 + b"ftypmp42" * 99, ImageHeader("jpeg", 37, 53)),
        (PNG + b"\0" * 5000, ImageHeader("png", 37, 53)),
    ],
)
def test_format_and_size(encoded, expected):
    assert image_header(encoded, "a")[:3] == expected[:3]


def save(suffix, mode, **parameters):
    buffer = io.BytesIO()
    Image.fromarray(IMAGE).convert(mode).save(buffer, suffix, **parameters)
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", ["png", "jpeg"])
@pytest.mark.parametrize("orientation", [None, 1, 3, 6, 8, 0, 99])
def test_an_orientation_is_found_and_obeyed(suffix, orientation):
    exif = Image.Exif()
    if orientation is not None:
        exif[ExifTags.Base.Orientation] = orientation
    encoded = save(suffix, "RGB", exif=exif)
    header = image_header(encoded, "a")
    upright = orientation not in (3, 6, 8)
    assert header[1:3] == (37, 53) and header.orientation == (1 if upright else orientation)
    stored = decode_image(encoded, "a", obey_orientation=False)
    assert stored.shape == (37, 53, 3)
    turns = {3: 2, 6: 3, 8: 1}.get(orientation, 0)  # quarters, counter-clockwise
    assert (decode_image(encoded, "a") == np.rot90(stored, turns)).all()


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


def test_a_preview_in_the_header_is_no_end():
    with_preview = JPEG[:2] + b"\xff\xe1\x00\x08" + b"Ex\xff\xd9if" + JPEG[2:]
    assert image_header(with_preview, "a")[1:3] == (37, 53)
    with pytest.raises(ValueError, match="JPEG image is cut off"):
        image_header(with_preview[: len(with_preview) // 2], "a")


@pytest.mark.parametrize("suffix", ["png", "jpeg", "webp", "bmp", "tiff"])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_every_colour_mode_decodes_as_rgb(suffix, mode):
    smooth = cv2.GaussianBlur(IMAGE, (0, 0), 5)
    picture = Image.fromarray(smooth).convert(mode)
    buffer = io.BytesIO()
    try:
        picture.save(buffer, suffix, **({"lossless": True} if suffix == "webp" else {}))
    except OSError:
        pytest.skip(f"no {suffix} of mode {mode}")
    expected = np.asarray(Image.open(io.BytesIO(buffer.getvalue())).convert("RGB"))
    decoded = decode_image(buffer.getvalue(), "a")
    assert decoded.dtype == np.uint8
    assert np.abs(decoded.astype(int) - expected).max() <= 2


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("shape", [(37, 53), (37, 53, 3)])
def test_deep_pictures_are_scaled_by_the_bits_that_they_use(suffix, bits, shape):
    values = np.random.default_rng(0).integers(0, 2**bits, shape).astype(np.uint16)
    values.flat[0] = 2**bits - 1
    decoded = decode_image(encode(suffix, image=values), "a")
    expected = (values >> (bits - 8)).reshape(37, 53, -1)[..., ::-1]
    assert decoded.dtype == np.uint8 and (decoded == np.broadcast_to(expected, (37, 53, 3))).all()


def test_real_numbers_are_named():
    encoded = encode(".tiff", image=np.full((4, 6), 0.25, np.float32))
    with pytest.raises(ValueError, match="^a: its pixels are float32 with a maximum of 0.25"):
        decode_image(encoded, "a")


def huge_png(side):
    """A PNG whose header alone is large."""

    def chunk(kind, content):
        checksum = zlib.crc32(kind + content).to_bytes(4, "big")
        return len(content).to_bytes(4, "big") + kind + content + checksum

    start = chunk(b"IHDR", side.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0]))
    return PNG[:8] + start + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def huge_jpeg(side):
    place = JPEG.index(b"\xff\xc0") + 5
    return JPEG[:place] + side.to_bytes(2, "big") * 2 + JPEG[place + 4 :]


@pytest.mark.parametrize("encoded", [huge_png(60000), huge_jpeg(60000)])
def test_huge_pictures_are_refused_before_they_are_decoded(encoded, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    for read in (decode_image, image_header):
        message = "^a: 60000x60000 pixels are more than 250 megapixels.*--max_megapixels"
        with pytest.raises(ValueError, match=message):
            read(encoded, "a")


def test_the_limit_can_be_set():
    with pytest.raises(ValueError, match="53x37 pixels are more than 0.001 megapixels"):
        decode_image(PNG, "a", max_megapixels=0.001)
    with pytest.raises(ValueError, match="a: .*cannot be decoded"):  # OpenCV has a limit, too
        decode_image(huge_png(60000), "a", max_megapixels=1e6)


def test_a_chunk_longer_than_its_file_is_refused_before_there_is_room_for_it():
    encoded = cv2.imencode(".png", np.full((7, 9), 120, np.uint8))[1].tobytes()
    place = encoded.index(b"IDAT") - 4
    long = encoded[:place] + b"\xff\xff\xff\xf0" + encoded[place + 4 :]
    with pytest.raises(
        ValueError, match="a.png: .* at byte 33 of 86, where it announces 4,294,967,280"
    ):
        decode_image(long, "a.png")
    assert decode_image(encoded + b"\xff" * 20, "a.png").shape == (7, 9, 3)
