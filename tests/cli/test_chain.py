"""The commands one after the other, as a user gives them."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from mobilenetdet.cli import eval as eval_command
from mobilenetdet.cli import predict, train, visualize
from mobilenetdet.inference.loaded_detector import LoadedDetector
from mobilenetdet.kitti.labels import read_objects
from mobilenetdet.runs import open_run

SMALL = (
    "--preset squeezedet --train.epochs 1 --train.warmup_epochs 0.5 --train.eval_every 0 "
    "--model.alpha 0.25 --model.weights none --head.channels 16 "
    "--data.image_height 64 --data.image_width 192 --postprocess.score_threshold 0.0"
).split()


@pytest.fixture(scope="module")
def run_dir(small_kitti: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "small"
    records = ["--data.records_dir", str(small_kitti / "tfrecord")]
    assert train.main(["--run_dir", str(folder), *records, *SMALL]) == 0
    return folder


def test_train_leaves_config_weights_and_ap(run_dir: Path):
    assert open_run(run_dir).read_config().model.alpha == 0.25
    assert (run_dir / "eval/metrics.json").is_file()
    assert (run_dir / "best.weights.h5").is_file()
    assert (run_dir / "best_f1_scores.json").is_file()


def test_eval_says_how_many_frames_were_trained_on(run_dir: Path, tmp_path: Path, capsys):
    arguments = ["--run_dir", str(run_dir), "--output_dir", str(tmp_path), "--eval.num_overlays"]
    for split, count, line in (
        ("val", 0, "0 of 4 val frames were trained on\nKITTI 2D AP"),
        (
            "train",
            8,
            "warning: 8 of 8 train frames were trained on: 000000, 000001, 000002; AP on ",
        ),
    ):
        report = ["--report"] if split == "train" else []
        eval_command.main([*arguments, "0", "--split", split, *report])
        assert line in capsys.readouterr().out
        metrics = json.loads((tmp_path / "eval/metrics.json").read_text())
        assert metrics["frames_seen_in_training"] == count
    page = (tmp_path / "eval/report.html").read_text(encoding="utf-8")
    assert "training: 8 of 8 train frames were trained on" in page
    with pytest.raises(ValueError, match="strict(.|\n)*8 of 8 train frames were trained on"):
        eval_command.main([*arguments, "0", "--split", "train", "--strict"])


def test_eval_reads_the_config_of_the_run(run_dir: Path, tmp_path: Path, capsys):
    arguments = ["--run_dir", str(run_dir), "--output_dir", str(tmp_path), "--eval.num_overlays"]
    assert eval_command.main([*arguments, "2", "--eval.protocol", "pre2017"]) == 0
    assert "protocol pre2017" in capsys.readouterr().out
    assert json.loads((tmp_path / "eval/metrics.json").read_text())["protocol"] == "pre2017"
    assert (tmp_path / "overlays/montage.jpg").is_file()


@pytest.mark.slow
def test_eval_measures_the_scores_of_runs_that_have_none(run_dir: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(run_dir, run)
    scores = (run / "best_f1_scores.json").read_text()
    (run / "best_f1_scores.json").unlink()
    few = ["--run_dir", str(run), "--eval.num_overlays", "0"]
    assert eval_command.main([*few, "--score", "1"]) == 0
    assert not (run / "best_f1_scores.json").exists()
    assert eval_command.main([*few, "--eval.min_overlaps", "Car", "0.1"]) == 0
    assert not (run / "best_f1_scores.json").exists()  # by other rules
    assert eval_command.main([*few, "--score", "1"]) == 0
    assert not len(read_objects(run / "eval/detections/000009.txt"))  # one score for files, too
    assert eval_command.main(few) == 0
    assert len(read_objects(run / "eval/detections/000009.txt"))
    assert json.loads((run / "best_f1_scores.json").read_text()) == json.loads(scores)


def test_eval_explains_the_ap(run_dir: Path, tmp_path: Path, capsys):
    arguments = ["--run_dir", str(run_dir), "--output_dir", str(tmp_path), "--report", "--coco"]
    assert eval_command.main([*arguments, "--eval.num_overlays", "0"]) == 0
    report = (tmp_path / "eval/report.html").read_text(encoding="utf-8")
    assert report.count("<figure>") >= 4 and "split: val" in report
    assert "errors at difficulty moderate" in report  # a frame; after one epoch all have some
    assert report.count('data-size="192 64"') == 4  # every frame of the split can be looked at
    assert "COCO AP in percent" in capsys.readouterr().out
    assert "coco" in json.loads((tmp_path / "eval/metrics.json").read_text())
    analysis = json.loads((tmp_path / "eval/analysis.json").read_text())
    assert analysis["frames"] == len(analysis["frame_errors"]) == 4


def test_eval_on_another_input_size(run_dir: Path, tmp_path: Path):
    output = ["--output_dir", str(tmp_path), "--eval.num_overlays", "0"]
    asked = ["--data.image_height", "96", "--data.image_width", "288"]
    assert eval_command.main(["--run_dir", str(run_dir), *output, *asked]) == 0
    found = {
        size: read_objects(place / "eval/detections/000009.txt").boxes_xyxy
        for size, place in (("64", run_dir), ("96", tmp_path))
    }
    # Other anchors lie on other places of the picture, and all of them in it.
    assert len(found["96"]) > 0 and not np.array_equal(found["64"], found["96"])
    for boxes in found.values():  # the frames have 192x64 pixels
        assert boxes.min() >= 0 and (boxes.max(axis=0)[2:] <= (192, 64)).all()


@pytest.mark.slow
def test_eval_on_the_mirrored_images_too(small_kitti: Path, tmp_path: Path):
    # Two steps leave a network that says the same of every pixel.
    longer = "--train.epochs 8 --train.schedule constant --train.ema 0.5"
    options = " ".join(SMALL).replace("--train.epochs 1", longer).split()
    run_dir, found = tmp_path / "run", {}
    records = ["--data.records_dir", str(small_kitti / "tfrecord")]
    assert train.main(["--run_dir", str(run_dir), *records, *options]) == 0
    for mirror in ("True", "False"):
        output = ["--output_dir", str(tmp_path / mirror), "--eval.num_overlays", "0"]
        asked = ["--run_dir", str(run_dir), "--postprocess.mirror", mirror]
        assert eval_command.main([*asked, *output]) == 0
        found[mirror] = read_objects(tmp_path / mirror / "eval/detections/000009.txt").boxes_xyxy
    assert len(found["True"]) > 0 and not np.array_equal(found["True"], found["False"])


def test_eval_on_other_classes_is_refused(run_dir: Path):
    with pytest.raises(ValueError, match="data.classes is fixed by training"):
        eval_command.main(["--run_dir", str(run_dir), "--data.classes", "Car", "Van"])


@pytest.mark.parametrize("what", ["detections", "labels", "batches", "matches"])
def test_visualize(run_dir: Path, tmp_path: Path, what: str):
    arguments = ["--run_dir", str(run_dir), "--output_dir", str(tmp_path / what), "--what", what]
    assert visualize.main([*arguments, "--eval.num_overlays", "2"]) == 0
    assert (tmp_path / what / "montage.jpg").is_file()


def test_visualize_detects_in_the_frames_that_it_draws(run_dir, tmp_path, monkeypatch):
    detected = []
    detect = LoadedDetector.detect_images
    monkeypatch.setattr(
        LoadedDetector,
        "detect_images",
        lambda self, images: detect(self, (detected.append(1) or image for image in images)),
    )
    arguments = ["--run_dir", str(run_dir), "--output_dir", str(tmp_path / "out")]
    assert visualize.main([*arguments, "--frames", "000010"]) == 0
    assert len(detected) == 1 and (tmp_path / "out/000010.jpg").is_file()
    with pytest.raises(ValueError, match="not in the records of this split: frames 10"):
        visualize.main([*arguments, "--frames", "10"])


def test_visualize_labels_needs_no_run(small_kitti: Path, tmp_path: Path):
    records = ["--data.records_dir", str(small_kitti / "tfrecord"), "--frames", "000009"]
    folder = ["--run_dir", str(tmp_path / "none"), "--output_dir", str(tmp_path / "labels")]
    assert visualize.main(["--what", "labels", *records, *folder]) == 0
    assert (tmp_path / "labels/000009.jpg").is_file()


def test_visualize_matches_of_a_preset(small_kitti: Path, tmp_path: Path, monkeypatch):
    records = ["--data.records_dir", str(small_kitti / "tfrecord"), "--eval.num_overlays", "1"]
    monkeypatch.chdir(tmp_path)
    assert visualize.main(["--what", "matches", *records, "--preset", "quickstart"]) == 0
    assert not (tmp_path / "runs/ssd_fpn").exists()  # the pictures are not of that run
    picture = cv2.imread(str(tmp_path / "runs/quickstart/matches/batch_000.jpg"))
    assert picture.shape[1] == 640  # the input of the preset


def test_predict_writes_every_format_in_pixels_of_the_picture(run_dir: Path, tmp_path: Path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for index, size in enumerate([(64, 192), (300, 100), (90, 400)]):
        image = np.random.default_rng(index).integers(0, 255, (*size, 3)).astype(np.uint8)
        cv2.imwrite(str(pictures / f"photo{index}.png"), image)
    output = tmp_path / "out"
    arguments = [str(pictures), "--run_dir", str(run_dir), "--output_dir", str(output)]
    assert predict.main([*arguments, "--format", "overlay", "kitti", "json"]) == 0
    assert sorted(p.name for p in (output / "overlays").iterdir()) == [
        f"photo{index}.jpg" for index in range(3)
    ]
    entries = json.loads((output / "detections.json").read_text())
    assert [(e["name"], e["height"], e["width"]) for e in entries][1] == ("photo1", 300, 100)
    objects = read_objects(output / "kitti/photo1.txt")
    assert len(objects) == len(entries[1]["detections"]) > 0
    assert objects.boxes_xyxy[:, 2].max() <= 100 and objects.boxes_xyxy[:, 3].max() <= 300
    assert np.all(np.diff(objects.scores) <= 0)


FOREIGN = (
    "notes.txt",
    "mine.jpg",
    ".hidden",
    "best.weights.h5",
    "deep/er/data.bin",
    "eval/mine.txt",
)


@pytest.fixture
def folder_of_a_user(tmp_path: Path) -> Path:
    """Files of every kind, in places where commands write as well, an empty folder and a link."""
    root = tmp_path / "mine"
    for name in FOREIGN:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"mine: {name}")
    (root / "empty").mkdir()
    (root / "link").symlink_to(tmp_path)
    return root


def contents(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--run_dir", "ssd_fpn", "--preset", "ssd"],
            "--preset has no effect on --what detections",
        ),
        (["--what", "batches", "--split", "val"], "--split has no effect on --what batches"),
        (["--what", "labels", "--weights", "a.h5"], "--weights has no effect on --what labels"),
        (["--what", "labels", "--eval.num_overlays", "0"], "eval.num_overlays is 0: nothing"),
    ],
)
def test_visualize_refuses_options_without_effect(options, message):
    with pytest.raises(ValueError, match=message):
        visualize.main(options)


@pytest.mark.parametrize(
    "command",
    [*(pytest.param(name, marks=pytest.mark.slow) for name in ("eval", "predict")), "visualize"],
)
def test_a_folder_of_a_user_keeps_what_is_in_it(command, run_dir, folder_of_a_user, small_kitti):
    before = contents(folder_of_a_user)
    arguments = ["--run_dir", str(run_dir), "--output_dir", str(folder_of_a_user)]
    photo = small_kitti / "training/image_2/000009.png"
    calls = {
        "eval": (eval_command, [*arguments, "--report"], "eval/metrics.json"),
        "predict": (predict, [str(photo), *arguments], "overlays/000009.jpg"),
        "visualize": (visualize, [*arguments, "--what", "labels"], "montage.jpg"),
    }
    module, call, written = calls[command]
    for _ in range(2):  # what the first call wrote is replaced by the second
        assert module.main(call) == 0
        assert (folder_of_a_user / written).is_file()
        after = contents(folder_of_a_user)
        assert {path: after[path] for path in before} == before
    assert (folder_of_a_user / "empty").is_dir() and (folder_of_a_user / "link").is_symlink()
    # A name that the program would write, with a content that it has not written.
    (folder_of_a_user / written).write_text("of a user")
    with pytest.raises(FileExistsError, match=f"{Path(written).name} is there.*--overwrite"):
        module.main(call)
    assert (folder_of_a_user / written).read_text() == "of a user"
    assert module.main([*call, "--overwrite"]) == 0
    assert (folder_of_a_user / written).read_bytes() != b"of a user"


@pytest.mark.parametrize("what", ["detections", "labels"])
def test_a_run_directory_as_output_keeps_its_weights(run_dir: Path, tmp_path: Path, what: str):
    run = tmp_path / "run"
    shutil.copytree(run_dir, run)
    before = contents(run)
    arguments = ["--run_dir", str(run), "--output_dir", str(run)]
    assert visualize.main([*arguments, "--what", what, "--eval.num_overlays", "1"]) == 0
    assert eval_command.main([*arguments, "--eval.num_overlays", "1"]) == 0
    after = contents(run)
    for name in ("best.weights.h5", "last.weights.h5", "checkpoint.npz", "config.json"):
        assert after[run / name] == before[run / name]
    assert (run / "montage.jpg").is_file() and (run / "overlays/montage.jpg").is_file()


def test_weights_that_ship_go_by_name_and_are_not_written_to(small_kitti, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shipped = open_run("ssd_fpn").path
    before = contents(shipped)
    records = ["--data.records_dir", str(small_kitti / "tfrecord")]
    size = ["--data.image_height", "64", "--data.image_width", "192", "--eval.num_overlays", "1"]
    assert eval_command.main(["--run_dir", "ssd_fpn", *records, *size]) == 0
    assert contents(shipped) == before
    assert (tmp_path / "runs/pretrained/ssd_fpn/eval/metrics.json").is_file()


def test_the_old_place_of_the_weights_names_the_new_one():
    with pytest.raises(
        FileNotFoundError, match="moved into the package; its name will do: ssd_fpn"
    ):
        eval_command.main(["--run_dir", "data/pretrained/ssd_fpn"])


def test_predict_without_inputs_says_so(run_dir: Path):
    with pytest.raises(ValueError, match="name images"):
        predict.main(["--run_dir", str(run_dir)])


@pytest.mark.parametrize("command", [eval_command, predict, visualize])
def test_missing_run_names_the_remedy(command, tmp_path: Path):
    arguments = ["--run_dir", str(tmp_path / "none")]
    with pytest.raises(FileNotFoundError, match="mobilenetdet train"):
        command.main([*arguments, "photo.jpg"] if command is predict else arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--train.batchsize", "3"], "--train.batch_size"),
        (["--train.batch_size", "three"], "three"),
        (["--train.batch_size", "0"], "above 0"),
    ],
)
def test_bad_overrides_are_refused(arguments: list[str], words: str, capsys):
    with pytest.raises(SystemExit) as exit_info:
        train.main(arguments)
    assert exit_info.value.code == 2
    captured = capsys.readouterr()
    assert words in captured.err + captured.out


def test_unknown_preset_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean squeezedet"):
        train.main(["--preset", "squezedet"])


@pytest.mark.parametrize("command", [train, eval_command, visualize, predict])
def test_help_is_a_page(command, capsys):
    with pytest.raises(SystemExit) as exit_info:
        command.main(["--help"])
    assert exit_info.value.code == 0
    page = capsys.readouterr().out
    assert "--run_dir" in page and "--data.image_height" in page
