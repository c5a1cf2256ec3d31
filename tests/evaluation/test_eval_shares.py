"""An evaluation by several jobs, which must be that of one call to the last digit."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.evaluation.eval_shares import (
    SHARE_FILE,
    detect_share,
    merge_shares,
    read_share,
    write_share,
)
from mobilenetdet.evaluation.evaluate import check_split, evaluate_split
from mobilenetdet.evaluation.evaluation_files import write_evaluation
from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.inference.detect_records import detect_records
from mobilenetdet.inference.keras_runtime import KerasRuntime
from mobilenetdet.inference.loaded_detector import LoadedDetector
from mobilenetdet.kitti.frames_seen import FramesSeen
from mobilenetdet.models.detector import build_detector
from mobilenetdet.system.job_share import JobShare

HASH = "0123456789abcdef"


@pytest.fixture(scope="module")
def detector() -> dict:
    """Keeps the one detector of all tests: building takes longer than detecting."""
    return {}


def load(config: DetectionConfig, batch_size: int, cache: dict) -> LoadedDetector:
    if "detector" not in cache:
        cache["detector"], _ = build_detector(config)
    config = replace(config, eval=replace(config.eval, batch_size=batch_size))
    runtime = KerasRuntime(cache["detector"])
    return LoadedDetector(runtime, config, "mine", FramesSeen(), HASH)


def write_jobs(model: LoadedDetector, split: str, count: int, folder: Path) -> list[Path]:
    places = [folder / str(JobShare(index, count)) for index in range(count)]
    for index, place in enumerate(places):
        seen = check_split(model, split=split)
        result = detect_share(model, JobShare(index, count), seen)
        assert write_share(result, OutputFolder(place)) == place / SHARE_FILE
    return places


@pytest.mark.parametrize(
    ("split", "batch_size", "count"),
    [
        ("train", 3, 2),  # batches of 3, 3 and 2
        ("val", 4, 3),  # one batch: two jobs have nothing to do
        ("val", 16, 2),  # one batch that is not full
        ("val", 1, 4),  # a frame each
    ],
)
def test_jobs_together_are_one_call_to_the_last_digit(
    small_config: DetectionConfig, detector, tmp_path: Path, split, batch_size, count
):
    model = load(small_config, batch_size, detector)
    single = evaluate_split(model, split=split, keep=2)
    jobs = write_jobs(model, split, count, tmp_path)
    merged = merge_shares(jobs[::-1], model.config, split, HASH, keep=2)
    assert merged.ap.to_dict() == single.ap.to_dict()
    assert merged.ap.context == single.ap.context and merged.engine.startswith("Keras")
    assert merged.images == single.images and merged.seen == single.seen
    for frame_id, found in single.detections.items():
        for name in ("boxes_xyxy", "scores", "class_ids"):
            np.testing.assert_array_equal(
                getattr(merged.detections[frame_id], name), getattr(found, name)
            )
    files = []
    for name, evaluation in (("single", single), ("merged", merged)):
        folder = OutputFolder(tmp_path / name)
        write_evaluation(evaluation, folder)
        written = sorted(path for path in folder.path.rglob("*.*") if path.suffix)
        files.append({path.relative_to(folder.path): path.read_bytes() for path in written})
    assert files[0] == files[1] and Path("metrics.json") in files[0]


def test_shares_are_whole_batches_and_each_frame_is_in_one(small_config, detector):
    model = load(small_config, 3, detector)
    shares = [
        [frame.frame_id for frame, _ in detect_records(model, split="train", share=JobShare(i, 2))]
        for i in range(2)
    ]
    assert [len(each) for each in shares] == [3, 5]
    whole = [frame.frame_id for frame, _ in detect_records(model, split="train")]
    assert shares[0] + shares[1] == whole


@pytest.fixture
def jobs(small_config: DetectionConfig, detector, tmp_path_factory, tmp_path: Path) -> list[Path]:
    """Folders of two jobs that a test may change."""
    if "jobs" not in detector:
        folder = tmp_path_factory.mktemp("jobs")
        write_jobs(load(small_config, 2, detector), "val", 2, folder)
        detector["jobs"] = folder
    folder = Path(shutil.copytree(detector["jobs"], tmp_path / "jobs"))
    return sorted(folder.iterdir())


def merge(jobs: list[Path], config: DetectionConfig, split: str = "val", weights: str = HASH):
    config = replace(config, eval=replace(config.eval, batch_size=2))
    return merge_shares(jobs, config, split, weights)


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (lambda jobs: jobs[:1], "the job 1-of-2 is missing"),
        (lambda jobs: [*jobs, jobs[0]], "the job"),
        (lambda jobs: [jobs[0].parent], "does not exist: the job has not ended"),
    ],
    ids=["missing", "named twice", "no job"],
)
def test_all_jobs_are_needed_once(jobs, small_config, of, said):
    chosen = of(jobs)
    if len(chosen) == 3:  # the same folder twice is one; a copy of it is another
        chosen[2] = Path(shutil.copytree(jobs[0], jobs[0].with_name("copy")))
        said = "is of the same job as"
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        merge(chosen, small_config)


def test_jobs_of_another_array_are_refused(jobs, small_config, detector, tmp_path: Path):
    others = write_jobs(load(small_config, 2, detector), "val", 3, tmp_path / "three")
    with pytest.raises(ValueError, match="not of the same array of 2 jobs"):
        merge([*jobs, others[2]], small_config)


def test_another_detector_split_or_input_is_refused(jobs, small_config):
    assert merge(jobs, small_config).ap.num_frames == 4
    with pytest.raises(ValueError, match=r"differs: weights\)"):
        merge(jobs, small_config, weights="f" * 16)
    with pytest.raises(ValueError, match=r"differs: split\)"):
        merge(jobs, small_config, split="train")
    larger = replace(small_config, data=replace(small_config.data, image_height=96))
    with pytest.raises(ValueError, match=r"differs: image_size\)"):
        merge(jobs, larger)


def test_jobs_of_other_scores_or_other_batches_are_refused(
    jobs, small_config, detector, tmp_path: Path
):
    """Calibrated in some frames alone, scores have another order; batches divide the frames."""
    model = load(small_config, 2, detector)
    calibration = ((0.5, 3.0),) * len(model.classes)
    post = replace(model.config.postprocess, calibration=calibration)
    evaluation = replace(model.config.eval, batch_size=1)
    for name, config in (
        ("calibration", replace(model.config, postprocess=post)),
        ("eval.batch_size", replace(model.config, eval=evaluation)),
    ):
        other = LoadedDetector(model.runtime, config, "mine", FramesSeen(), HASH)
        places = write_jobs(other, "val", 2, tmp_path / name)
        with pytest.raises(ValueError, match=rf"1-of-2/share.json .*differs: {name}\)"):
            merge([jobs[0], places[1]], small_config)
        assert merge_shares(places, config, "val", HASH).ap.num_frames == 4


def test_jobs_of_two_engines_are_refused(jobs, small_config):
    path = jobs[1] / SHARE_FILE
    values = json.loads(path.read_text())
    values["measured"]["engine"] = "LiteRT 2.3"
    path.write_text(json.dumps(values))
    with pytest.raises(ValueError, match=r"1-of-2/share.json is of another .*engine"):
        merge(jobs, small_config)


def test_other_records_are_refused(jobs, small_config):
    path = jobs[0] / SHARE_FILE
    path.write_text(path.read_text().replace('"records": "', '"records": "0'))
    with pytest.raises(ValueError, match="other records than val"):
        merge(jobs, small_config)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda values: values.pop("frames"), "damaged"),
        (lambda values: values.update(share=["a", 2]), "damaged"),
        (lambda values: values.update(split="../val"), "damaged"),
        (lambda values: values["frames"].append("../../secret"), "damaged"),
        (lambda values: values["frames"].pop(), "is in none of"),
        (lambda values: values["frames"].append("000999"), "000999"),
    ],
)
def test_damage_is_named(jobs, small_config, damage, said):
    path = jobs[0] / SHARE_FILE
    values = json.loads(path.read_text())
    damage(values)
    path.write_text(json.dumps(values))
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        merge(jobs, small_config)


def test_a_job_that_is_stopped_leaves_no_share(small_config, detector, tmp_path, monkeypatch):
    """Its old share.json must not speak for the files of two calls."""
    model = load(small_config, 2, detector)
    result = detect_share(model, JobShare(0, 2), check_split(model))
    folder = OutputFolder(tmp_path)
    write_share(result, folder)
    assert read_share(tmp_path, model.classes).seen == result.seen

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("mobilenetdet.evaluation.eval_shares.write_detections", stop)
    with pytest.raises(KeyboardInterrupt):
        write_share(result, folder)
    with pytest.raises(FileNotFoundError, match="has not ended"):
        read_share(tmp_path, model.classes)
