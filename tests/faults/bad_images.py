"""Pictures and videos, as a user gives them to be detected in or as a data set."""

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
from faults.user_folder import UserFolder, bad, converting
from PIL import Image


def png(width: int = 64, height: int = 48, *, depth: int = 8, pixels: bytes | None = None) -> bytes:
    """A grey PNG by hand; its header may lie."""

    def chunk(name: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + crc

    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    pixels = bytes(height * (1 + width * depth // 8)) if pixels is None else pixels
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def jpeg(orientation: int | None = None) -> bytes:
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 255, (48, 64, 3), np.uint8))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def deep(kind: type, ending: str) -> bytes:
    """A picture whose pixels are 16-bit or real numbers."""
    values = np.linspace(0, 4000, 48 * 64).reshape(48, 64).astype(kind)
    return cv2.imencode(ending, values)[1].tobytes()


def video(path: Path) -> bytes:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    rng = np.random.default_rng(0)
    for _ in range(12):
        writer.write(rng.integers(0, 255, (48, 64, 3), np.uint8))
    writer.release()
    content = path.read_bytes()
    path.unlink()
    return content


def predict(user: UserFolder, *inputs, more: tuple = ()) -> list:
    size = ["--data.image_height", "64", "--data.image_width", "192"]
    return ["predict", *inputs, "--run_dir", user.run, "--output_dir", user.out, *size, *more]


def picture(content: bytes, name: str = "bad.png", *more):
    """Detects in a folder of a good picture and another."""

    def make(user: UserFolder) -> list:
        user.file("photos/good.png", png())
        user.file(f"photos/{name}", content)
        return predict(user, user.root / "photos", more=more)

    return make


def cut_video(name: str):
    def make(user: UserFolder) -> list:
        content = video(user.root / "whole.avi")
        return predict(user, user.file(name, content[: len(content) // 2]))

    return make


def frame(content: bytes, *more, ending: str = ".png"):
    """Converts a data set of which one image is something else."""

    def make(user: UserFolder) -> list:
        (user.images / "000009.png").unlink()
        (user.images / f"000009{ending}").write_bytes(content)
        argv = ["tf_convert_data", "--dataset_root", user.kitti, "--output_dir", user.out]
        return [*argv, *more]

    return make


HUGE_JPEG = b"\xff\xd8\xff\xc0\x00\x11\x08\xea\x60\xea\x60\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01"
ONE = ("1 of 2 pictures could not be read: ",)
GOES_ON = {"code": 1, "writes": ("out",)}
IS_FINE = {"code": 0, "writes": ("out",)}

PICTURES = [
    bad("a PNG cut off", picture(png()[:-20]), *ONE, "bad.png .*cut off after", **GOES_ON),
    bad("a JPEG cut off", picture(jpeg()[:-300], "a.jpg"), *ONE, "a.jpg .*cut off", **GOES_ON),
    bad("an empty picture", picture(b""), *ONE, "bad.png .its 0 bytes cannot", **GOES_ON),
    bad("a page for a picture", picture(b"<html>"), *ONE, "bad.png .*cannot be", **GOES_ON),
    bad(
        "a header of 60000x60000",
        picture(png(60000, 60000, pixels=b"")),
        *ONE,
        "bad.png .60000x60000 pixels are more than 250 megapixels",
        "--max_megapixels",
        **GOES_ON,
    ),
    bad(
        "a JPEG header of 60000x60000",
        picture(HUGE_JPEG + b"\xff\xda" + bytes(9) + b"\xff\xd9", "a.jpg"),
        *ONE,
        "a.jpg .60000x60000",
        **GOES_ON,
    ),
    bad(
        "a header of 2^31 pixels",
        picture(png(2**31 - 1, 1, pixels=b"")),
        *ONE,
        "megapixels",
        **GOES_ON,
    ),
    bad("a header without pixels", picture(png(0, 0)), *ONE, "bad.png", **GOES_ON),
    bad(
        "real numbers for pixels",
        picture(deep(np.float32, ".tiff"), "bad.tiff"),
        *ONE,
        "bad.tiff .its pixels are float32 with a maximum of 4000",
        "save it with 8 or 16 bits",
        **GOES_ON,
    ),
    bad("16 bits", picture(deep(np.uint16, ".png")), "objects in 2 pictures", **IS_FINE),
    bad("a phone's turned picture", picture(jpeg(6), "a.jpg"), "in 2 pictures", **IS_FINE),
    bad("bytes behind the end", picture(jpeg() + bytes(999), "a.JPEG"), "in 2 pictures", **IS_FINE),
    bad(
        "damaged EXIF data",
        picture(jpeg(6).replace(b"Exif\0\0MM", b"Exif\0\0\xff\xff"), "a.jpg"),
        "in 2 pictures",
        **IS_FINE,
    ),
    bad(
        "a name that clears the screen",
        picture(b"none", "a\x1b[2J.png"),
        *ONE,
        r"a\\x1b\[2J.png",
        **GOES_ON,
    ),
    bad("a name of two lines", picture(png(), "a\nb.png"), "in 2 pictures", **IS_FINE),
    bad(
        "a picture that is none, with --max_megapixels",
        picture(png(100, 100), "bad.png", "--max_megapixels", "0.005"),
        *ONE,
        "100x100 pixels are more than 0.005 megapixels",
        **GOES_ON,
    ),
    bad(
        "a video cut off", cut_video("cut.avi"), "of 12 frames could be decoded|no frame", **GOES_ON
    ),
    bad(
        "a video that is none",
        lambda u: predict(u, u.file("none.mp4", b"\0\0\0\x18ftypmp42")),
        "none.mp4 .no frame of this video can be decoded: it is cut off after 12 of 24 bytes",
        **GOES_ON,
    ),
    bad(
        "a video beyond --max_megapixels",
        lambda u: predict(
            u, u.file("a.avi", video(u.root / "b.avi")), more=("--max_megapixels", "0.001")
        ),
        "a.avi .64x48 pixels are more than 0.001 megapixels",
        **GOES_ON,
    ),
    bad(
        "a picture that is nowhere",
        lambda u: predict(u, u.root / "nowhere.jpg"),
        "nowhere.jpg is no file, no folder and no glob",
    ),
    bad(
        "a text to detect in",
        lambda u: predict(u, u.file("notes.txt", "")),
        "notes.txt is neither an image nor a video; known are .jpg",
    ),
    bad(
        "a folder without pictures",
        lambda u: predict(u, u.labels),
        "no image or video in .*label_2",
    ),
    bad("nothing to detect in", lambda u: predict(u), "name images, folders, globs or videos"),
    bad(
        "an overlay over a file of another",
        lambda u: (u.file("out/overlays/good.jpg", "mine"), picture(png(), "later.png")(u))[1],
        "good.jpg is there, and not as this program has written it",
        "--overwrite",
    ),
]

FRAMES = [
    bad("a frame cut off", frame(png()[:-20]), "000009.png: the PNG image is cut off", "copy"),
    bad("an empty frame", frame(b""), "000009.png: neither PNG nor JPEG: the file is empty"),
    bad("a BMP named PNG", frame(b"BM" + bytes(99)), "000009.png: neither PNG nor JPEG: .*b'BM"),
    bad("a frame of 60000x60000", frame(png(60000, 60000, pixels=b"")), "000009.png: 60000x60000"),
    bad(
        "a turned frame",
        frame(jpeg(6), ending=".jpg"),
        r"1 of 4 images are turned by their EXIF orientation: 000009.jpg \(6\)",
        "--exif_orientation obey .*ignore",
    ),
    bad(
        "a turned frame whose labels are meant as seen",
        frame(jpeg(6), "--exif_orientation", "obey", ending=".jpg"),
        "val: 4 frames",
        **IS_FINE,
    ),
    bad("a frame named .JPEG", frame(jpeg(), ending=".JPEG"), "val: 4 frames", **IS_FINE),
    bad(
        "a frame whose pixels are damaged, with --verify",
        frame(png(pixels=b"short"), "--verify"),
        "1 of 4 images of val are damaged: 000009.png",
        "replace them, or take them out",
    ),
]

CASES = {"pictures and videos": PICTURES, "frames of a data set": converting(FRAMES)}
