"""Detections of pictures that are no records, with a model that finds what is red."""

import json
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from fixtures.red_finder import red_image

from mobilenetdet.detections import Detections
from mobilenetdet.files.output_folder import MANIFEST_FILE, OutputFolder
from mobilenetdet.inference import predict
from mobilenetdet.inference.predict import detect_pictures, predict_files
from mobilenetdet.kitti.labels import read_objects
from mobilenetdet.media.sources import Picture
from mobilenetdet.predictions.writer import PredictionWriter

BOX = np.array([40.0, 20.0, 80.0, 50.0])


def picture(name: str, size: tuple[int, int], box: np.ndarray | None) -> Picture:
    """A grey picture of (height, width) with a red box."""
    return Picture(name, Path(f"{name}.png"), red_image(size, box))


def detection(score: float) -> Detections:
    return Detections(BOX[None], [score], [0], ("Car",))


@pytest.mark.parametrize(("batch_size", "sizes"), [(1, {1}), (3, {3}), (8, {4})])
def test_boxes_are_in_pixels_of_the_picture(red_finder, batch_size: int, sizes: set[int]):
    given = [
        picture("wide", (64, 400), BOX),
        picture("tall", (300, 100), BOX),
        picture("empty", (64, 192), None),
        picture("large", (640, 1920), BOX * 10),
    ]
    model = red_finder(batch_size=batch_size)
    found = list(detect_pictures(model, iter(given)))
    assert [each.name for each, _ in found] == ["wide", "tall", "empty", "large"]
    for each, detections in found:
        if each.name == "empty":
            assert len(detections) == 0
            continue
        expected = BOX * (10 if each.name == "large" else 1)
        assert list(detections.class_names) == ["Car"]
        # One pixel of the network is so many of the picture.
        pixel = max(each.image.shape[0] / 64, each.image.shape[1] / 192)
        np.testing.assert_allclose(detections.boxes_xyxy[0], expected, atol=1.01 * pixel)
    # Every batch is as large as the first, so that one shape is compiled.
    assert set(model.runtime.batches) == {(size, 64, 192, 3) for size in sizes}


def test_no_more_pictures_are_read_than_a_batch_needs(red_finder):
    """A video may be longer than memory."""
    read = []

    def pictures():
        for index in range(10):
            read.append(index)
            yield picture(str(index), (64, 192), BOX)

    found = detect_pictures(red_finder(batch_size=2), pictures())
    for _ in range(3):
        next(found)
    assert len(read) == 4


def test_files_of_each_format(tmp_path: Path):
    formats = ["overlay", "kitti", "json"]
    with PredictionWriter(OutputFolder(tmp_path), formats, draw_score=0.5) as writer:
        for name, score in (("sure", 0.9), ("unsure", 0.2)):
            writer.add(picture(name, (64, 192), None), detection(score))
    entries = json.loads((tmp_path / "detections.json").read_text())
    assert [entry["name"] for entry in entries] == ["sure", "unsure"]
    assert entries[0]["source"] == "sure.png"
    assert entries[1] == {
        "name": "unsure",
        "source": "unsure.png",
        "width": 192,
        "height": 64,
        "detections": [{"class": "Car", "score": 0.2, "box_xyxy": BOX.tolist()}],
    }
    # Files hold every detection, pictures those that are likely enough.
    for name, score in (("sure", 0.9), ("unsure", 0.2)):
        assert read_objects(tmp_path / f"kitti/{name}.txt").scores.tolist() == [score]
    for name, is_drawn in (("sure", True), ("unsure", False)):
        overlay = cv2.imread(str(tmp_path / f"overlays/{name}.jpg"))[:64]  # without the strip
        assert (np.ptp(overlay) > 60) == is_drawn


def test_a_picture_too_large_for_an_overlay_has_its_other_files(tmp_path: Path):
    formats = ["overlay", "kitti", "json"]
    with PredictionWriter(OutputFolder(tmp_path), formats, draw_score=0.5) as writer:
        with pytest.raises(ValueError, match="too many for a .jpg file"):
            writer.add(picture("tall", (66_000, 3), None), detection(0.9))
    assert len(read_objects(tmp_path / "kitti/tall.txt")) == 1
    assert json.loads((tmp_path / "detections.json").read_text())[0]["name"] == "tall"


def test_only_what_is_asked_for_is_written(tmp_path: Path):
    writer = PredictionWriter(OutputFolder(tmp_path / "out"), ["kitti"], draw_score=0.5)
    writer.add(picture("one", (64, 192), None), detection(0.9))
    writer.close()
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"kitti", MANIFEST_FILE}


def test_files_of_others_stay_and_are_not_written_over(tmp_path: Path):
    (tmp_path / "overlays").mkdir()
    (tmp_path / "overlays/mine.jpg").write_text("mine")
    (tmp_path / "detections.json").write_text("of another program")
    with pytest.raises(FileExistsError, match=r"detections\.json is there.*--overwrite"):
        PredictionWriter(OutputFolder(tmp_path), ["json"], draw_score=0.5)
    for _ in range(2):  # the second call replaces what the first has written
        writer = PredictionWriter(OutputFolder(tmp_path), ["overlay"], draw_score=0.5)
        writer.add(picture("one", (64, 192), None), detection(0.9))
        with pytest.raises(FileExistsError, match=r"mine\.jpg"):
            writer.add(picture("mine", (64, 192), None), detection(0.9))
    assert (tmp_path / "overlays/mine.jpg").read_text() == "mine"
    assert (tmp_path / "overlays/one.jpg").is_file()


def test_what_is_done_is_there_while_it_goes_on_and_after_a_failure(tmp_path: Path):
    path = tmp_path / "detections.json"
    with pytest.raises(RuntimeError, match="the power is gone"):
        with PredictionWriter(OutputFolder(tmp_path), ["json"], draw_score=0.5) as writer:
            for count in range(1, 4):
                writer.add(picture(str(count), (64, 192), None), detection(0.9))
                # Valid at any moment; the first picture is in it at once, others soon.
                assert 1 <= len(json.loads(path.read_text())) <= count
            raise RuntimeError("the power is gone")
    assert [entry["name"] for entry in json.loads(path.read_text())] == ["1", "2", "3"]


def test_scores_by_class_and_a_lowest_score_for_the_files(tmp_path: Path):
    found = Detections(np.stack([BOX] * 3), [0.9, 0.4, 0.4], [0, 0, 1], ("Car", "Van"))
    scores = {"Car": 0.5, "Van": 0.3}
    assert found.above(scores).class_names.tolist() == ["Car", "Van"]
    with pytest.raises(ValueError, match="no score is given for the class Van"):
        found.above({"Car": 0.5})
    folder = OutputFolder(tmp_path)
    with PredictionWriter(folder, ["kitti", "json"], draw_score=scores, file_score=0.5) as writer:
        writer.add(picture("one", (64, 192), None), found)
    assert read_objects(tmp_path / "kitti/one.txt").scores.tolist() == [0.9]
    (entry,) = json.loads((tmp_path / "detections.json").read_text())
    assert [each["score"] for each in entry["detections"]] == [0.9]


# Seconds after which a test that waits has failed.
PATIENCE = 20


def photos(folder: Path, count: int) -> list[Path]:
    """Pictures of a red box, each one at another place."""
    folder.mkdir()
    paths = [folder / f"{index:02d}.png" for index in range(count)]
    for index, path in enumerate(paths):
        cv2.imwrite(str(path), red_image((64, 192), BOX + [2 * index, 0] * 2)[..., ::-1])
    return paths


def refuse(path: Path, error: Exception) -> None:
    pytest.fail(f"{path}: {error}")


@pytest.mark.parametrize("batch_size", [1, 4])
def test_files_are_written_in_their_order(red_finder, tmp_path: Path, batch_size: int):
    files, done = photos(tmp_path / "in", 9), []
    folder = OutputFolder(tmp_path / "out")
    with PredictionWriter(folder, ["json", "overlay"], draw_score=0.5) as writer:
        model = red_finder(batch_size=batch_size)
        counts = predict_files(
            model, files, writer, on_fault=refuse, progress=lambda n, _: done.append(n)
        )
    assert counts == (9, 9) and done == list(range(1, 10))
    entries = json.loads((tmp_path / "out/detections.json").read_text())
    assert [entry["name"] for entry in entries] == [path.stem for path in files]
    lefts = [entry["detections"][0]["box_xyxy"][0] for entry in entries]
    np.testing.assert_allclose(lefts, 40 + 2 * np.arange(9), atol=1e-3)
    assert len(list((tmp_path / "out/overlays").iterdir())) == 9


def test_reading_detecting_and_writing_overlap(red_finder, tmp_path: Path, monkeypatch):
    """The network waits for the next picture to be read, the writer for the network to go on."""
    files, model = photos(tmp_path / "in", 3), red_finder(batch_size=1)
    events = {name: threading.Event() for name in ("second is read", "second is detected")}
    letterbox, run = type(model).letterbox, model.runtime.run

    def read(self, image):
        if model.runtime.reads == 1:
            events["second is read"].set()
        model.runtime.reads += 1
        return letterbox(self, image)

    def detect(images):
        if not model.runtime.batches:
            assert events["second is read"].wait(PATIENCE)
        found = run(images)
        if len(model.runtime.batches) == 2:
            events["second is detected"].set()
        return found

    class Writer(PredictionWriter):
        def add(self, picture, found):
            assert events["second is detected"].wait(PATIENCE)
            super().add(picture, found)

    model.runtime.reads, model.runtime.run = 0, detect
    monkeypatch.setattr(type(model), "letterbox", read)
    with Writer(OutputFolder(tmp_path / "out"), ["json"], draw_score=0.5) as writer:
        assert predict_files(model, files, writer, on_fault=refuse) == (3, 3)


def test_few_pictures_are_in_memory(red_finder, tmp_path: Path, monkeypatch):
    """A video may be longer than memory, and the writer slower than all else."""
    alive, most, lock = 0, 0, threading.Lock()
    read_pictures = predict.read_pictures

    def counted(*args, **more):
        nonlocal alive, most
        for each in read_pictures(*args, **more):
            with lock:
                alive += 1
                most = max(most, alive)
            yield each

    class Writer(PredictionWriter):
        def add(self, picture, found):
            nonlocal alive
            threading.Event().wait(0.01)
            with lock:
                alive -= 1

    monkeypatch.setattr(predict, "read_pictures", counted)
    with Writer(OutputFolder(tmp_path / "out"), [], draw_score=0.5) as writer:
        files = photos(tmp_path / "in", 30)
        assert predict_files(red_finder(batch_size=1), files, writer, on_fault=refuse)[0] == 30
    # Two wait behind the reader, two before the writer, and each of the three has one.
    assert most <= 7


def test_an_interruption_keeps_what_was_detected(red_finder, tmp_path: Path):
    files, model = photos(tmp_path / "in", 9), red_finder(batch_size=1)
    run = model.runtime.run

    def interrupted(images):
        if len(model.runtime.batches) == 5:
            raise KeyboardInterrupt
        return run(images)

    model.runtime.run = interrupted
    folder = OutputFolder(tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        with PredictionWriter(folder, ["json", "kitti"], draw_score=0.5) as writer:
            predict_files(model, files, writer, on_fault=refuse)
    entries = json.loads((tmp_path / "out/detections.json").read_text())
    assert [entry["name"] for entry in entries] == [path.stem for path in files[:5]]
    assert len(list((tmp_path / "out/kitti").iterdir())) == 5
    assert not [path for path in (tmp_path / "out").rglob("*.*") if path.suffix == ".tmp"]
    assert not {"read ahead", "call behind"} & {each.name for each in threading.enumerate()}


def test_faults_of_reading_and_writing_are_told_and_the_rest_goes_on(red_finder, tmp_path: Path):
    files = photos(tmp_path / "in", 4)
    files[1].write_bytes(b"no png")
    told = {}

    class Writer(PredictionWriter):
        def add(self, picture, found):
            if picture.source == files[2]:
                raise ValueError("too wide for a JPEG")
            super().add(picture, found)

    with Writer(OutputFolder(tmp_path / "out"), ["json"], draw_score=0.5) as writer:
        counts = predict_files(red_finder(), files, writer, on_fault=told.__setitem__)
    assert counts.pictures == 3 and sorted(told) == files[1:3]
    entries = json.loads((tmp_path / "out/detections.json").read_text())
    assert [entry["name"] for entry in entries] == ["00", "03"]


def test_a_file_of_another_in_the_way_ends_it(red_finder, tmp_path: Path):
    files = photos(tmp_path / "in", 6)
    (tmp_path / "out/kitti").mkdir(parents=True)
    (tmp_path / "out/kitti/01.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"01\.txt is there"):
        with PredictionWriter(OutputFolder(tmp_path / "out"), ["kitti"], draw_score=0.5) as writer:
            predict_files(red_finder(batch_size=1), files, writer, on_fault=refuse)
    assert (tmp_path / "out/kitti/01.txt").read_text() == "mine"
