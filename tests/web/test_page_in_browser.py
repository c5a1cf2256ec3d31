"""The page in a browser finds what Python finds, from a disk and from a server, and says errors."""

import base64
import functools
import gzip
import http.server
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from fixtures.chromium import Chromium
from fixtures.exportable import picture
from PIL import Image

import mobilenetdet as md
from mobilenetdet.deploy.export_plan import ExportPlan
from mobilenetdet.inference.exported import ExportedDetector
from mobilenetdet.web.web_page import export_web_pages
from mobilenetdet.web.web_runtime import WebRuntime

MAX_PIXELS, MAX_SCORE = 1.0, 1e-2


def need_onnx() -> None:
    """Skips a test where .onnx files cannot be written and run."""
    for package in ("onnx", "tf2onnx", "onnxruntime"):
        pytest.importorskip(package, reason=f"{package} is of the extra [export]")


@pytest.fixture(scope="module")
def page(small_detector, web_runtime: WebRuntime, tmp_path_factory) -> Path:
    """The page of a small detector."""
    need_onnx()
    folder = tmp_path_factory.mktemp("pages")
    (made,) = export_web_pages(small_detector("ssd"), folder, ExportPlan(), web_runtime)
    return made


@pytest.fixture(scope="module")
def in_python(small_detector, tmp_path_factory) -> ExportedDetector:
    """The same detector in Python."""
    need_onnx()
    folder = tmp_path_factory.mktemp("onnx")
    return md.load(small_detector("ssd").export(folder, formats=["onnx"])[0])


@pytest.fixture
def opened(browser: Chromium, page: Path) -> Chromium:
    """The page, opened from the disk; it stays open from test to test."""
    address = page.joinpath("index.html").as_uri()
    if browser.evaluate("location.href") == address:
        return browser
    return open_page(browser, address)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "a 'quoted' <b>.png"
    cv2.imwrite(str(path), picture(3, (75, 248))[..., ::-1])
    return path


def open_page(browser: Chromium, address: str) -> Chromium:
    browser.requests.clear()
    browser.open(address)
    state = "document.readyState === 'complete' && document.body.dataset.state"
    browser.wait_for(f"location.href === {json.dumps(address)} && {state} !== 'loading'")
    assert browser.evaluate("document.body.dataset.state") == "ready", error_of(browser)
    return browser


def error_of(browser: Chromium) -> str:
    return browser.evaluate("document.getElementById('error').textContent")


def show(browser: Chromium, path: Path) -> list[dict]:
    """Opens a picture in the page; returns all detections, the best first."""
    browser.evaluate("shown = null")
    browser.choose_files("#file", path)
    return browser.wait_for("shown?.allMs && shown.found")


def network_of(page: Path) -> bytes:
    """The .onnx file that a page runs."""
    packed = re.search(r'"network": "([^"]*)"', (page / "model.js").read_text())[1]
    return gzip.decompress(base64.b64decode(packed))


def assert_equal(found: list[dict], detector, path: Path, max_score: float = MAX_SCORE) -> None:
    """Each detection of either is one of the other, within a pixel and such a score."""
    strangers, _ = compare(found, detector, path, max_score)
    assert not strangers


def compare(found: list[dict], detector, path: Path, max_score: float) -> tuple[list, int]:
    """Detections of either that the other has not (box, score, class), and how many there are."""
    expected = detector.detect(path)
    theirs = (expected.boxes_xyxy, expected.scores, expected.class_ids)
    ours = tuple(np.array([each[key] for each in found]) for key in ("box", "score", "classIndex"))
    # One that is hardly kept by the one may hardly be dropped by the other: by its score, or as the
    # last of so many as there may be.
    settings = detector.config.postprocess
    full = [s.min() for _, s, _ in (theirs, ours) if len(s) == settings.max_detections]
    least = max(settings.score_threshold, *full, 0) + max_score
    assert (expected.scores > least).sum() > 3, "a picture with detections is needed"
    strangers, count = [], 0
    for these, those in ((theirs, ours), (ours, theirs)):
        for box, score, index in zip(*these, strict=True):
            alike = (those[2] == index) & (np.abs(those[1] - score) <= max_score)
            away = np.abs(those[0][alike] - box).max(axis=1, initial=0).min(initial=np.inf)
            count += score > least
            if score > least and away > MAX_PIXELS:
                strangers.append((box, score, index))
    return strangers, count


@pytest.fixture(scope="module")
def server(page: Path) -> Iterator[str]:
    """Address of a plain server of the page's folder."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            """Says nothing."""

    handler = functools.partial(Quiet, directory=str(page))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/index.html"
        running.shutdown()


def test_from_a_disk_it_finds_what_python_finds(opened: Chromium, in_python, photo: Path):
    assert_equal(show(opened, photo), in_python, photo)
    outside = [each for each in opened.requests if not each.startswith(("file:", "blob:", "data:"))]
    assert not outside
    assert photo.name in opened.evaluate("document.getElementById('title').textContent")


def test_from_a_server_it_finds_the_same(browser: Chromium, server: str, in_python, photo: Path):
    assert_equal(show(open_page(browser, server), photo), in_python, photo)
    with pytest.raises(AssertionError, match="Failed to fetch"):
        browser.evaluate("fetch('config.js')")  # not even its own server is asked


@pytest.mark.parametrize("size", [(30, 50), (300, 470)])
def test_small_and_large_pictures(opened: Chromium, in_python, tmp_path: Path, size):
    cv2.imwrite(str(tmp_path / "a.png"), picture(5, size)[..., ::-1])
    assert_equal(show(opened, tmp_path / "a.png"), in_python, tmp_path / "a.png")


def test_pictures_are_turned_as_the_camera_was_held(opened: Chromium, tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    Image.fromarray(picture(4, (80, 60))).save(tmp_path / "a.jpg", exif=exif, quality=98)
    show(opened, tmp_path / "a.jpg")
    packed = opened.evaluate("""(() => {
        const { data } = frame.getContext("2d").getImageData(0, 0, frame.width, frame.height);
        return btoa(String.fromCharCode(...data));
    })()""")
    expected = cv2.imread(str(tmp_path / "a.jpg"))[..., ::-1]
    assert expected.shape == (60, 80, 3)
    rgba = np.frombuffer(base64.b64decode(packed), np.uint8).reshape(60, 80, 4)
    # Decoders of JPEG may round differently.
    assert np.abs(rgba[..., :3].astype(int) - expected).max() <= 2


def test_the_slider_chooses_what_is_listed(opened: Chromium, photo: Path):
    found = show(opened, photo)
    rows = "document.querySelectorAll('#detections tbody tr').length"
    assert opened.evaluate(rows) == sum(
        each["score"] >= 0.1 for each in found
    )  # the detector's own
    middle = found[len(found) // 2]["score"]
    opened.evaluate(f"""(() => {{ const slider = document.getElementById("score");
        slider.value = {middle}; slider.dispatchEvent(new Event("input")); }})()""")
    lowest = opened.evaluate("oneScore")
    assert abs(lowest - middle) <= 0.01
    assert opened.evaluate(rows) == sum(each["score"] >= lowest for each in found)
    opened.evaluate("document.getElementById('own-scores').click()")
    assert opened.evaluate(rows) == sum(each["score"] >= 0.1 for each in found)


def test_what_is_no_picture_is_said_and_the_page_lives_on(
    opened: Chromium, in_python, photo: Path, tmp_path: Path
):
    (tmp_path / "notes.png").write_text("no picture")
    opened.choose_files("#file", tmp_path / "notes.png")
    opened.wait_for("document.body.dataset.state === 'failed'")
    assert "notes.png is no picture that this browser can read" in error_of(opened)
    assert_equal(show(opened, photo), in_python, photo)
    assert opened.evaluate("document.getElementById('error').hidden")


def test_a_damaged_detector_is_said(browser: Chromium, page: Path, tmp_path: Path):
    for path in page.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    # gzip of nothing, in base64
    (tmp_path / "model.js").write_text('const MODEL = {network: "H4sIAAAAAAACAwMAAAAAAAAAAAA="};')
    browser.open((tmp_path / "index.html").as_uri())
    browser.wait_for("document.body?.dataset.state === 'failed'")
    assert error_of(browser).startswith("This did not work: ")
    assert browser.evaluate("document.getElementById('choose').disabled")


def test_the_webcam_is_watched_until_something_else_is_opened(
    browser: Chromium, server: str, photo: Path
):
    open_page(browser, server)
    browser.evaluate("document.getElementById('camera').click()")
    first = browser.wait_for("shown?.name === 'webcam' && shown.allMs")
    assert browser.wait_for(f"shown.allMs && shown.allMs !== {first}")
    assert browser.evaluate("!document.getElementById('pause').hidden")
    show(browser, photo)
    assert browser.evaluate("video.srcObject === null")
    assert browser.evaluate("document.getElementById('pause').hidden")


def test_without_a_camera_the_remedy_is_said(browser: Chromium, server: str):
    open_page(browser, server)
    browser.evaluate("""navigator.mediaDevices.getUserMedia = () =>
        Promise.reject(new DOMException("no", "NotAllowedError"))""")
    browser.evaluate("document.getElementById('camera').click()")
    browser.wait_for("document.body.dataset.state === 'failed'")
    assert "the camera was refused" in error_of(browser)
    assert "python3 -m http.server" in error_of(browser)


@pytest.mark.slow
def test_a_video_is_shown_frame_by_frame(opened: Chromium, tmp_path: Path):
    path = tmp_path / "a.webm"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"VP80"), 5, (96, 64))
    if not writer.isOpened():
        pytest.skip("OpenCV writes no WebM here")
    for seed in range(10):
        writer.write(picture(seed)[..., ::-1])
    writer.release()
    opened.evaluate("shown = null")
    opened.choose_files("#file", path)
    opened.wait_for("shown?.name === 'a.webm' && video.currentTime > 0.5 && shown.found.length")
    opened.evaluate("document.getElementById('pause').click()")
    assert opened.evaluate("video.paused")
    assert opened.evaluate("document.getElementById('pause').textContent") == "Play"
    assert not opened.evaluate("document.getElementById('position-row').hidden")


@pytest.fixture(scope="module")
def real_pages(web_runtime: WebRuntime, shared_dir: Path, tmp_path_factory) -> dict[str, Path]:
    """Pages of a detector that ships, by precision."""
    need_onnx()
    plan = ExportPlan(
        precisions=("float32", "int8"),
        calibration_images=shared_dir / "kitti/training/image_2",
        num_calibration_images=20,
    )
    folder = tmp_path_factory.mktemp("real")
    return dict(
        zip(
            plan.precisions,
            export_web_pages(md.load("ssd_fpn_025"), folder, plan, web_runtime),
            strict=True,
        )
    )


@pytest.mark.slow
@pytest.mark.parametrize("frame", ["000005.png", "004139.jpg"])
def test_the_detector_that_ships_on_a_real_frame(
    browser: Chromium, real_pages, shared_dir: Path, tmp_path: Path, frame
):
    photo = shared_dir / "kitti/training/image_2" / frame
    found, detector = in_page_and_python(browser, real_pages["float32"], photo, tmp_path)
    assert_equal(found, detector, photo, max_score=1e-3)


@pytest.mark.slow
def test_int8_on_a_real_frame(browser: Chromium, real_pages, shared_dir: Path, tmp_path: Path):
    photo = shared_dir / "kitti/training/image_2/004139.jpg"
    found, detector = in_page_and_python(browser, real_pages["int8"], photo, tmp_path)
    # Kernels round differently, and where boxes are nearly tied suppression may keep another.
    strangers, count = compare(found, detector, photo, max_score=0.03)
    assert len(strangers) <= 0.1 * count, strangers


def in_page_and_python(
    browser: Chromium, page: Path, photo: Path, folder: Path
) -> tuple[list[dict], ExportedDetector]:
    """What a page finds, and the file that it runs in Python."""
    found = show(open_page(browser, (page / "index.html").as_uri()), photo)
    (folder / "detector.onnx").write_bytes(network_of(page))
    return found, md.load(folder / "detector.onnx")
