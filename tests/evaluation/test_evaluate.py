import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.detections import Detections
from mobilenetdet.evaluation import evaluation_files
from mobilenetdet.evaluation.evaluate import (
    Evaluation,
    calibrated,
    evaluate_split,
)
from mobilenetdet.evaluation.evaluation_files import write_evaluation
from mobilenetdet.evaluation.score_calibration import Calibration
from mobilenetdet.files.output_folder import MANIFEST_FILE, OutputFolder
from mobilenetdet.inference.detect_records import detect_records
from mobilenetdet.inference.keras_runtime import KerasRuntime
from mobilenetdet.inference.loaded_detector import LoadedDetector
from mobilenetdet.inference.runtimes import RawDetections
from mobilenetdet.kitti.ap_result import AveragePrecision, ClassAp
from mobilenetdet.kitti.frames_seen import FramesSeen, SeenInSplit
from mobilenetdet.kitti.labels import read_objects
from mobilenetdet.models.detector import build_detector
from mobilenetdet.records import detection_record
from mobilenetdet.records.encoded_image import decode_image
from mobilenetdet.records.frame_hashes import hash_frames
from mobilenetdet.records.shards import shard_paths


class Oracle:
    """A runtime that knows the answers, boxes in network pixels."""

    def __init__(self, config: DetectionConfig, answers: list[RawDetections]):
        self.image_size, self.classes = config.image_size, config.data.classes
        self.answers = iter(answers)

    def run(self, images: np.ndarray) -> RawDetections:
        return next(self.answers)


@pytest.fixture
def model(small_config: DetectionConfig) -> LoadedDetector:
    detector, _ = build_detector(small_config)
    return LoadedDetector(KerasRuntime(detector), small_config)


def evaluation_of(config: DetectionConfig, found: dict[str, Detections]) -> Evaluation:
    ap = AveragePrecision({"Car": ClassAp()}, protocol="current", num_frames=len(found))
    seen = SeenInSplit("val", len(found), (), complete=True)
    return Evaluation(config, "val", ap, {}, found, {}, seen)


def test_labels_come_from_the_records_as_the_files_have_them(
    model: LoadedDetector, small_kitti: Path
):
    frames = [detected.frame for detected in detect_records(model)]
    assert [frame.frame_id for frame in frames] == [f"{index:06d}" for index in range(8, 12)]
    for frame in frames:
        expected = read_objects(small_kitti / f"training/label_2/{frame.frame_id}.txt")
        np.testing.assert_array_equal(frame.objects.boxes_xyxy, expected.boxes_xyxy)
        assert list(frame.objects.types) == list(expected.types)
        image = (small_kitti / f"training/image_2/{frame.frame_id}.png").read_bytes()
        assert frame.encoded == image


@pytest.mark.parametrize("size", [(64, 192), (96, 192), (128, 384)])
def test_perfect_boxes_in_network_pixels_are_perfect_detections(
    small_config: DetectionConfig, size: tuple[int, int]
):
    """Ground truth, moved to the network input and back, must overlap itself entirely."""
    from mobilenetdet.data.pipeline import eval_batches

    height, width = size
    config = replace(
        small_config, data=replace(small_config.data, image_height=height, image_width=width)
    )
    answers = [
        RawDetections(
            batch["boxes"],
            np.where(batch["box_status"] == 1, 0.9, 0.0),
            np.where(batch["box_status"] == 1, batch["classes"], -1),
        )
        for batch in eval_batches(config, "val").as_numpy_iterator()
    ]
    model = LoadedDetector(Oracle(config, answers), config)
    for frame, found in detect_records(model, split="val"):
        wanted = frame.objects[frame.objects.types != "DontCare"]
        np.testing.assert_allclose(found.boxes_xyxy, wanted.boxes_xyxy, atol=1e-3)
        assert list(found.class_names) == list(wanted.types)


def test_every_frame_is_detected_once_whatever_the_batch_size(model: LoadedDetector):
    done: list[int] = []
    results = []
    for batch_size in (1, 3):
        config = replace(model.config, eval=replace(model.config.eval, batch_size=batch_size))
        frames = detect_records(replace(model, config=config), progress=done.append)
        results.append({frame.frame_id: found for frame, found in frames})
    assert list(results[0]) == list(results[1]) == [f"{index:06d}" for index in range(8, 12)]
    assert done == [1, 2, 3, 4, 3, 4]
    for frame_id in results[0]:
        scores = [np.sort(result[frame_id].scores)[-5:] for result in results]
        np.testing.assert_allclose(*scores, atol=1e-4)


def test_evaluate_split_scores_what_it_found(model: LoadedDetector):
    evaluation = evaluate_split(model)
    assert evaluation.ap.num_frames == 4 and evaluation.split == "val"
    assert list(evaluation.detections) == list(evaluation.labels)
    assert evaluation.images == {}


def test_records_and_split_can_be_named(model: LoadedDetector, small_kitti: Path):
    elsewhere = replace(model.config, data=replace(model.config.data, records_dir="nowhere"))
    moved = replace(model, config=elsewhere)
    with pytest.raises(FileNotFoundError, match="no records of val in nowhere"):
        evaluate_split(moved)
    evaluation = evaluate_split(moved, small_kitti / "tfrecord", "train")
    assert evaluation.ap.num_frames == 8
    assert evaluation.config.data.records_dir == str(small_kitti / "tfrecord")


def test_frames_that_were_trained_on_are_counted(
    model: LoadedDetector, small_kitti: Path, tmp_path: Path
):
    hashes = list(hash_frames(small_kitti / "tfrecord", "val").values())
    for seen, count in (
        (None, None),
        (FramesSeen(), 0),
        (FramesSeen.of(hashes[1:]), 3),
        (FramesSeen(complete=False), None),
    ):
        evaluation = evaluate_split(replace(model, frames_seen=seen))
        path = write_evaluation(evaluation, OutputFolder(tmp_path))
        metrics = json.loads(path.read_text())
        assert (metrics["frames_seen_in_training"], metrics["frames"]) == (count, 4)
        assert list(AveragePrecision.from_dict(metrics)) == list(evaluation.ap)
        if count:
            assert evaluation.seen.frame_ids == ("000009", "000010", "000011")


def test_a_frame_twice_in_the_records_is_refused(model: LoadedDetector, small_kitti, tmp_path):
    records = tmp_path / "tfrecord"
    shutil.copytree(small_kitti / "tfrecord", records)
    manifest = json.loads((records / "val.json").read_text())
    shutil.copy(records / "val_000.tfrecord", records / "val_001.tfrecord")
    manifest["shards"][1]["num_bytes"] = manifest["shards"][0]["num_bytes"]
    (records / "val.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"val_001.*frame 000008 is in .*val_000.*--overwrite"):
        evaluate_split(model, records)


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        (0, []),
        (2, ["000008", "000010"]),
        (99, ["000008", "000009", "000010", "000011"]),
        (["000011", "000009"], ["000009", "000011"]),
    ],
)
def test_images_are_kept_as_they_are_encoded(model: LoadedDetector, small_kitti, keep, kept):
    images = evaluate_split(model, keep=keep).images
    assert list(images) == kept
    for frame_id, encoded in images.items():
        assert encoded == (small_kitti / f"training/image_2/{frame_id}.png").read_bytes()


def test_a_frame_to_keep_that_is_not_there_is_named(model: LoadedDetector):
    def never(*args, **options):
        pytest.fail("detected before the frames to keep were looked for")
        yield

    with pytest.raises(ValueError, match="split: frames 000001"):
        evaluate_split(model, keep=["000008", "000001"], detect=never)


@pytest.fixture
def bytes_read() -> Callable[[], int]:
    """A function: the bytes that this process has read from files so far, TensorFlow included."""
    path = Path("/proc/self/io")
    if not path.is_file():
        pytest.skip("this system does not count what a process reads")
    return lambda: int(path.read_text().split("rchar: ")[1].split()[0])


def test_each_record_is_read_once_and_each_image_decoded_once(
    model: LoadedDetector, small_kitti: Path, bytes_read, monkeypatch
):
    from mobilenetdet.data import preprocess

    decoded = []

    def counted(encoded: bytes, source: str) -> np.ndarray:
        decoded.append(source)
        return decode_image(encoded, source)

    monkeypatch.setattr(preprocess, "decode_image", counted)
    monkeypatch.setattr(detection_record, "read_records", lambda path: pytest.fail("a second pass"))
    evaluate_split(model, split="train", keep=2)  # imports and compiles
    decoded.clear()
    paths = shard_paths(small_kitti / "tfrecord", "train")
    size, before = sum(path.stat().st_size for path in paths), bytes_read()
    evaluation = evaluate_split(model, split="train", keep=2)
    read = bytes_read() - before
    assert len(evaluation.images) == 2 and size > 100_000
    assert sorted(decoded) == [f"frame {index:06d}" for index in range(8)]
    assert size <= read < 1.5 * size


def test_evaluation_is_written_whole_and_replaces_the_old_one(
    small_config: DetectionConfig, tmp_path: Path
):
    classes = ("Car", "Pedestrian")
    found = {
        "000001": Detections([[1.0, 2, 3, 4]], [0.5], [1], classes),
        "000002": Detections.empty(classes),
    }
    older = evaluation_of(small_config, {"999999": Detections.empty(classes)})
    write_evaluation(older, OutputFolder(tmp_path))
    (tmp_path / "detections/notes.txt").write_text("of a user")
    folder = OutputFolder(tmp_path)
    with folder.writing("report.html") as report:  # of the older one
        report.write_text("63.9")
    path = write_evaluation(evaluation_of(small_config, found), folder, more={"coco": {"AP": 1}})
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        MANIFEST_FILE,
        "detections",
        "metrics.json",
    ]
    assert sorted(p.name for p in (tmp_path / "detections").iterdir()) == [
        "000001.txt",
        "000002.txt",
        "notes.txt",
    ]
    read = read_objects(tmp_path / "detections/000001.txt")
    assert (str(read.types[0]), float(read.scores[0])) == ("Pedestrian", 0.5)
    metrics = json.loads(path.read_text())
    assert (metrics["split"], metrics["frames"], metrics["coco"]) == ("val", 2, {"AP": 1})


def test_a_failure_keeps_the_old_evaluation(small_config, tmp_path: Path, monkeypatch):
    found = {"000001": Detections.empty(("Car",)), "000002": Detections.empty(("Car",))}
    evaluation = evaluation_of(small_config, found)
    write_evaluation(evaluation, OutputFolder(tmp_path))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def fail(path, objects):
        if path.stem == "000002":
            raise KeyboardInterrupt

    monkeypatch.setattr(evaluation_files, "write_objects", fail)
    with pytest.raises(KeyboardInterrupt):
        write_evaluation(evaluation, OutputFolder(tmp_path))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_calibrated_scores_go_by_class_and_are_sorted_again(small_config: DetectionConfig):
    found = Detections(np.arange(12.0).reshape(3, 4), [0.9, 0.6, 0.5], [0, 1, 0], ("Car", "Van"))
    lines = [Calibration(1.0, -10.0), Calibration(1.0, 0.0)]
    result = calibrated(evaluation_of(small_config, {"000001": found}), lines)
    scores = result.detections["000001"].scores
    assert result.detections["000001"].class_ids.tolist() == [1, 0, 0]
    # The log odds of 0.9 and 0.5 are ln 9 and 0.
    np.testing.assert_allclose(scores, [0.6, 9 / (9 + np.e**10), 1 / (1 + np.e**10)])
    np.testing.assert_array_equal(result.detections["000001"].boxes_xyxy[0], [4, 5, 6, 7])
