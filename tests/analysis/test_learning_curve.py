import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mobilenetdet.analysis.learning_curve import Point, read_point, refuse_other_scoring
from mobilenetdet.analysis.power_law import fit_power_law, student_t
from mobilenetdet.cli import learning_curve as command
from mobilenetdet.config.classes import DIFFICULTY_NAMES, EVALUATED_CLASSES
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.config.storage import to_json
from mobilenetdet.kitti.frames_seen import FramesSeen, write_frames_seen
from mobilenetdet.records.frame_hashes import hash_frames
from mobilenetdet.records.manifest import Manifest, Shard, manifest_path, write_manifest
from mobilenetdet.runs import RunDir, hash_weights

FRAMES = (100, 200, 400)
AP = {"Car": 80.0, "Cyclist": 50.0}


def test_a_power_law_is_found_again():
    law = fit_power_law(FRAMES, [100 - 80 * frames**-0.3 for frames in FRAMES])
    np.testing.assert_allclose((np.exp(law.log_scale), law.exponent), (80, 0.3))
    assert law.ap(800) == pytest.approx(100 - 80 * 800**-0.3)


@pytest.mark.parametrize("aps", [(10, 60), (60, 10)])
def test_runs_on_nearly_as_many_frames_give_a_steep_law_and_no_error(aps):
    law = fit_power_law((525, 526), aps)
    assert [law.ap(525), law.ap(526)] == pytest.approx(aps)
    assert {law.ap(1), law.ap(3712)} == {0.0, 100.0}


@pytest.mark.parametrize(
    ("frames", "aps", "message"),
    [((100, 100), (50, 51), "two different numbers"), ((100, 200), (50, 100), "nothing to")],
)
def test_what_cannot_be_fitted(frames, aps, message):
    with pytest.raises(ValueError, match=message):
        fit_power_law(frames, aps)


@pytest.mark.parametrize(
    ("confidence", "freedom", "expected"),  # of a printed table
    [(0.95, 1, 12.706), (0.5, 1, 1.0), (0.95, 2, 4.303), (0.9, 4, 2.132), (0.95, 10, 2.228)],
)
def test_the_values_of_student_are_those_of_the_tables(confidence, freedom, expected):
    assert student_t(confidence, freedom) == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize("num_runs", [3, 4, 6])
def test_another_run_lies_in_the_interval_as_often_as_it_says(num_runs):
    rng = np.random.default_rng(0)
    frames = np.geomspace(100, 600, num_runs).astype(int)
    inside = []
    for _ in range(400):
        noise = np.exp(rng.normal(0, 0.05, num_runs + 1))
        errors = 400 * np.array([*frames, 3712]) ** -0.4 * noise
        low, high = fit_power_law(frames, 100 - errors[:-1]).interval(3712, 0.8)
        inside.append(low <= 100 - errors[-1] <= high)
    assert np.mean(inside) == pytest.approx(0.8, abs=0.06)


def test_two_runs_have_no_interval_and_one_ends_at_0():
    assert fit_power_law((100, 200), (30, 40)).interval(400, 0.68) is None
    low, high = fit_power_law((130, 260, 525), (64.3, 63.8, 78.0)).interval(3712, 0.95)
    assert low == 0.0 and 99 < high < 100


@pytest.fixture
def runs(tmp_path):
    """Runs whose error halves with four times the frames, in all classes."""
    folders = []
    for frames in FRAMES:
        run, records = tmp_path / f"run_{frames}", tmp_path / f"records_{frames}"
        (run / "eval").mkdir(parents=True)
        records.mkdir()
        shard = Shard("train_000.tfrecord", frames, 0, num_bytes=0, source="", fingerprint=0)
        manifest = Manifest("train", num_shards=1, num_skipped=0, options={}, shards=(shard,))
        write_manifest(manifest_path(records, "train", partial=False), manifest)
        config = DetectionConfig()
        config = replace(config, data=replace(config.data, records_dir=str(records)))
        (run / "config.json").write_text(to_json(config))
        r40 = 100 - 60 * (100 / frames) ** 0.5
        ap = {name: {"R40": r40 * (name == "moderate")} for name in DIFFICULTY_NAMES}
        metrics = {
            "split": "val",
            "protocol": "current",
            "frames": 9,
            **dict.fromkeys(EVALUATED_CLASSES, ap),
        }
        (run / "eval/metrics.json").write_text(json.dumps(metrics))
        folders.append(run)
    return folders


def test_runs_are_read_fitted_and_drawn(runs, capsys):
    assert command.main(["--run_dir", *map(str, reversed(runs)), "--num_frames", "1600"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:5]] == ["frames", "100", "200", "400", "1,600"]
    assert lines[3].split()[1:] == ["70.0"] * 4 and lines[4].split()[2:] == ["85.0"] * 4
    assert [line.split()[:2] for line in lines[5:7]] == [["68%", "from"], ["68%", "to"]]
    assert lines[5].split()[2:] == lines[6].split()[2:] == ["85.0"] * 4  # on the law, to the digit
    assert lines[7].split()[1:] == ["0.500"] * 3
    assert (runs[-1] / "learning_curve.png").read_bytes().startswith(b"\x89PNG")


def test_the_number_of_frames_is_that_of_the_training(runs, small_kitti):
    """The records of a run may be made again, of another number of frames."""
    records = small_kitti / "tfrecord"
    config = RunDir(runs[0]).read_config()
    config = replace(config, data=replace(config.data, records_dir=str(records)))
    (runs[0] / "config.json").write_text(to_json(config))
    path = runs[0] / "frames_seen.json"
    hashes = hash_frames(records, "train").values()
    before = FramesSeen(frozenset({"of the weights it began from"}))
    write_frames_seen(path, FramesSeen.of(hashes) | before)
    assert read_point(runs[0]).num_frames == len(hashes) == 8
    assert read_point(runs[0]).others == 1
    write_frames_seen(path, FramesSeen.of(hashes, num_train_frames=100))
    assert read_point(runs[0]).num_frames == 100
    write_frames_seen(path, FramesSeen(frozenset({"another"})))
    with pytest.raises(ValueError, match="tfrecord holds other training frames than .*run_100"):
        read_point(runs[0])


def test_a_run_without_evaluation_is_named(runs):
    (runs[1] / "eval/metrics.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"run_200/eval/metrics.json.*mobilenetdet eval"):
        command.main(["--run_dir", *map(str, runs)])


def test_runs_of_other_classes_are_not_compared(runs):
    path = runs[1] / "eval/metrics.json"
    metrics = json.loads(path.read_text())
    del metrics["Cyclist"]
    path.write_text(json.dumps(metrics))
    with pytest.raises(ValueError, match="runs of Car, Pedestrian, Cyclist and of Car, Pedestrian"):
        command.main(["--run_dir", *map(str, runs)])


@pytest.mark.parametrize(
    ("key", "values"),
    [("protocol", ("pre2017",)), ("frames", (10,)), ("frames_sha256", ("a", "b"))],
)
def test_two_runs_are_compared_beside_one_that_says_little(key, values):
    """As a metrics.json of an earlier version does."""
    values = (*values, None)[:2]
    pairs = zip("bc", values, strict=True)
    known = [Point(Path(name), 100, AP, {key: value}) for name, value in pairs]
    with pytest.raises(ValueError, match=rf"b and c were measured .*\({key} differs"):
        refuse_other_scoring([Point(Path("a"), 50, AP, {}), *known])


def test_the_order_of_the_classes_is_no_difference():
    turned = dict(reversed(AP.items()))
    refuse_other_scoring([Point(Path("a"), 50, AP, {}), Point(Path("b"), 60, turned, {})])


@pytest.mark.parametrize(
    ("key", "values"),
    [("protocol", ("pre2017",)), ("frames", (10,)), ("frames_sha256", ("a", "b"))],
)
def test_runs_that_were_not_measured_alike_are_not_compared(runs, key, values):
    for run, value in zip(runs, values, strict=False):
        path = run / "eval/metrics.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(ValueError, match=rf"run_100 and .*run_200 .* other rules \({key} differs"):
        command.main(["--run_dir", *map(str, runs)])


def test_what_the_curve_cannot_know_is_said(runs, capsys):
    seen = FramesSeen(frozenset({"a", "b", "c"}), num_train_frames=2)
    write_frames_seen(runs[1] / "frames_seen.json", seen)
    assert command.main(["--run_dir", *map(str, runs[:2])]) == 0
    said = capsys.readouterr().out
    assert "two runs fit exactly" in said and "from " not in said.split("exponent")[0]
    assert "run_200 was trained on 1 other frame, too, by the weights it began from or" in said
    assert "run_100 has not noted its frames; its records hold 100 frames" in said
    unknown = FramesSeen(frozenset({"a"}), complete=False)
    write_frames_seen(runs[1] / "frames_seen.json", replace(unknown, num_train_frames=2))
    assert command.main(["--run_dir", *map(str, runs[:2])]) == 0
    assert "run_200 began from weights whose frames nobody has noted" in capsys.readouterr().out
    with pytest.raises(ValueError, match="--confidence is 1; it must be above 0"):
        command.main(["--run_dir", *map(str, runs), "--confidence", "1"])


def edit_metrics(run, **changes):
    path = run / "eval/metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("image_size", ([384, 1248], [480, 1568])),
        ("postprocess", ({"mirror": True, "later": 1}, {"mirror": False})),
    ],
)
def test_runs_of_another_input_or_way_to_detections_are_not_compared(runs, name, values):
    for run, value in zip(runs, values, strict=False):
        edit_metrics(run, measured={name: value})
    with pytest.raises(ValueError, match=rf"{name}.* differs: .* and .*\); measure both alike"):
        command.main(["--run_dir", *map(str, runs)])


def test_an_ap_of_weights_that_are_gone_is_refused(runs):
    (runs[0] / "best.weights.h5").write_bytes(b"later weights")
    edit_metrics(runs[0], measured={"weights": "0123456789abcdef"})
    with pytest.raises(ValueError, match="is of other weights .*mobilenetdet eval --run_dir"):
        read_point(runs[0])
    edit_metrics(runs[0], measured={"weights": hash_weights(runs[0] / "best.weights.h5")})
    assert read_point(runs[0]).num_frames == 100


def test_a_run_is_one_point(runs):
    with pytest.raises(ValueError, match="run_100 is named twice; each is one point"):
        command.main(["--run_dir", *map(str, [*runs, runs[0] / "../run_100"])])


@pytest.mark.parametrize(
    ("r40", "message"),
    [(float("nan"), "eval/metrics.json: .*R40 is nan"), (101, "R40 is 101, and an AP is 0 to 100")]
    + [(100, "Car: an AP of 100 percent leaves nothing to predict; leave that run out")],
)
def test_an_ap_that_is_none_or_perfect_is_named(runs, r40, message):
    ap = {name: {"R40": r40} for name in DIFFICULTY_NAMES}
    edit_metrics(runs[2], Car=ap)
    with pytest.raises(ValueError, match=message):
        command.main(["--run_dir", *map(str, runs)])


def test_a_curve_that_falls_and_a_small_class_are_said(runs, capsys):
    for run, r40 in zip(runs, (60, 30, 10), strict=True):
        ap = {name: {"R40": r40, "num_objects": 11} for name in DIFFICULTY_NAMES}
        edit_metrics(run, Car=ap, frames_seen_in_training=3)
    assert command.main(["--run_dir", *map(str, runs), "--confidence", "0.999999999"]) == 0
    said = capsys.readouterr().out
    assert "Car: AP does not rise with the frames; the forecast means nothing" in said
    assert "Car: measured on 11 objects, which give an AP of 25 at most" in said
    assert "run_100 was trained on 3 frames that it is measured on" in said
    assert "99.9999999% from" in said
    rows = [line.split() for line in said.splitlines() if line.startswith(("3,712", "99.99"))]
    # Car: no forecast is below nothing, and of so sure an interval little is left out.
    assert [row[2] for row in rows] == ["0.0", "0.0", "100.0"]


@pytest.mark.parametrize("num_frames", ["0", "-5", str(10**30)])
def test_a_forecast_is_of_some_frames(runs, num_frames):
    with pytest.raises(ValueError, match=f"--num_frames is {num_frames}; it must be 1 to "):
        command.main(["--run_dir", *map(str, runs), "--num_frames", num_frames])


@pytest.mark.parametrize("count", [-5, 10**30, True, "8"])
def test_a_number_of_frames_that_is_none_is_refused(runs, count):
    path = runs[0] / "frames_seen.json"
    path.write_text(json.dumps({"hashes": [], "complete": True, "train_frames": count}))
    with pytest.raises(ValueError, match="does not list the frames"):
        read_point(runs[0])
