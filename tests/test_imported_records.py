"""Records of other formats' data sets are those that a KITTI folder in between would give."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from fixtures.label_folders import draw_picture, frame_table
from fixtures.od_api_records import example_of, write_od_api_records

from mobilenetdet.cli import eval as eval_command
from mobilenetdet.cli import import_labels, kitti_split, tf_convert_data, train
from mobilenetdet.imported_records import Division, import_records
from mobilenetdet.kitti import frames_seen
from mobilenetdet.kitti.frames_seen import FramesSeen, frame_hashes, write_frames_seen
from mobilenetdet.kitti.labels import read_objects
from mobilenetdet.kitti.layout import KittiLayout
from mobilenetdet.label_formats.source_frame import ImportOptions
from mobilenetdet.records.detection_record import read_frames
from mobilenetdet.records.frame_hashes import hash_frames
from mobilenetdet.records.manifest import read_manifest
from mobilenetdet.records.shards import shard_paths
from mobilenetdet.records.tfrecord import write_record
from mobilenetdet.runs import RunDir


@pytest.fixture(scope="module")
def od_api(small_kitti: Path, tmp_path_factory) -> Path:
    """The frames of `small_kitti` as records of the Object Detection API."""
    return write_od_api_records(small_kitti, tmp_path_factory.mktemp("od_api") / "in")


def to_records(source: Path, out: Path, *more: str, label_format: str = "tf_records") -> None:
    words = [str(source), str(out), "--format", label_format, "--to", "records"]
    assert import_labels.main([*words, *more]) == 0


def by_kitti_folder(source: Path, folder: Path, *more: str, label_format="tf_records") -> Path:
    """Returns the records that import and tf_convert_data make."""
    assert import_labels.main([str(source), str(folder), "--format", label_format, *more]) == 0
    return folder / "tfrecord"


def assert_same_records(one: Path, other: Path, splits=("train", "val")) -> None:
    for split in splits:
        first, second = (read_manifest(folder / f"{split}.json") for folder in (one, other))
        assert first.fingerprint == second.fingerprint and first.num_frames > 0
        paths = [shard_paths(folder, split) for folder in (one, other)]
        assert [path.name for path in paths[0]] == [path.name for path in paths[1]]
        for mine, theirs in zip(*paths, strict=True):
            assert mine.read_bytes() == theirs.read_bytes()


def test_records_are_those_of_the_two_steps(od_api, small_kitti, tmp_path, capsys):
    to_records(od_api, tmp_path / "records", "--class_map", "pedestrian", "Walker")
    told = capsys.readouterr().out
    two_steps = by_kitti_folder(od_api, tmp_path / "kitti", "--class_map", "pedestrian", "Walker")
    assert tf_convert_data.main(["--dataset_root", str(tmp_path / "kitti")]) == 0
    assert_same_records(tmp_path / "records", two_steps)
    assert re.search(r"Pedestrian +\d+  Walker +\d+", told) and "train: 8 frames, " in told
    assert "groups (group_of) became DontCare" in told and "val: 4 frames, " in told
    # As the labels are, but for what the records do not hold.
    layout = KittiLayout(small_kitti)
    for split in ("train", "val"):
        for frame in read_frames(shard_paths(tmp_path / "records", split)):
            objects = read_objects(layout.label_path(frame.frame_id))
            np.testing.assert_allclose(frame.objects.boxes_xyxy, objects.boxes_xyxy, atol=2e-3)
            assert frame.encoded == layout.image_path(frame.frame_id).read_bytes()


def test_a_draw_is_that_of_kitti_split(od_api, tmp_path):
    draw = ["--val_fraction", "0.25", "--seed", "3"]
    to_records(od_api, tmp_path / "records", *draw)
    two_steps = by_kitti_folder(od_api, tmp_path / "kitti")
    kitti_split.main(["--kitti_root", str(tmp_path / "kitti"), "--overwrite", *draw])
    tf_convert_data.main(["--dataset_root", str(tmp_path / "kitti")])
    assert_same_records(tmp_path / "records", two_steps)
    assert {row[2] for row in frame_table(tmp_path / "records")} == {"train", "val"}


def test_other_formats_become_records_too(tmp_path, capsys):
    """With a picture that is written anew, a turned one, a clipped box, and a part for all."""
    from PIL import Image

    names = ["1.png", "2.bmp", "3.jpg"]
    for index, name in enumerate(names):
        draw_picture(tmp_path / f"in/{name}", seed=index)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(tmp_path / "in/3.jpg").save(tmp_path / "in/3.jpg", exif=exif)
    boxes = [[10, 10, 50, 50], [150, 20, 100, 50], [20, 20, 30, 30]]
    content = {
        "images": [{"id": i, "file_name": name} for i, name in enumerate(names)],
        "categories": [{"id": 1, "name": "fire hydrant"}],
        "annotations": [
            {"image_id": i, "bbox": box, "category_id": 1} for i, box in enumerate(boxes)
        ],
    }
    (tmp_path / "in/instances_train.json").write_text(json.dumps(content))
    content["images"] = content["images"][:1]
    content["annotations"] = content["annotations"][:1]
    (tmp_path / "in/instances_val.json").write_text(json.dumps(content))
    more = ["--exif_orientation", "obey"]
    to_records(tmp_path / "in", tmp_path / "records", *more, label_format="coco")
    output = capsys.readouterr()
    two_steps = by_kitti_folder(tmp_path / "in", tmp_path / "kitti", *more, label_format="coco")
    told_there = [line for line in capsys.readouterr().out.splitlines() if line[:5] == "note:"]
    tf_convert_data.main(["--dataset_root", str(tmp_path / "kitti")])
    assert_same_records(tmp_path / "records", two_steps)
    assert [line for line in output.out.splitlines() if line[:5] == "note:"] == told_there
    assert "warning: 1 of 1 frames of val are in train, too: 1; AP on them flatters" in output.out
    assert frame_table(tmp_path / "records")[0] == ["1", "1.png", "train val"]


def write_examples(path: Path, *changes: dict) -> Path:
    """Writes records with one box each, with changes."""
    usual = {
        "encoded": [draw_picture(path.parent / "picture.jpg").read_bytes()],
        "object/class/text": [b"car"],
        **{f"object/bbox/{side}": [0.25] for side in ("xmin", "ymin")},
        **{f"object/bbox/{side}": [0.75] for side in ("xmax", "ymax")},
    }
    with path.open("wb") as file:
        for index, change in enumerate(changes):
            values = usual | {"filename": [f"{index}.jpg".encode()]} | change
            write_record(file, [example_of(values)])
    return path


EMPTY = {"object/class/text": []} | {
    f"object/bbox/{side}": [] for side in ("xmin", "ymin", "xmax", "ymax")
}


@pytest.mark.parametrize("unlabelled", ["negative", "skip", "error"])
@pytest.mark.parametrize("to", ["kitti", "records"])
def test_pictures_without_object_are_taken_as_told(tmp_path, unlabelled, to, capsys):
    path = write_examples(tmp_path / "train.record", {}, EMPTY, {})
    words = [str(path), str(tmp_path / "out"), "--format", "tf_records", "--to", to]
    words += ["--unlabelled", unlabelled]
    if unlabelled == "error":
        with pytest.raises(ValueError, match=r"1 of 3 pictures have no object; .*: 1.jpg"):
            import_labels.main(words)
        assert not (tmp_path / "out").exists()
        return
    import_labels.main(words)
    told, (num, empty) = capsys.readouterr().out, ((3, 1) if unlabelled == "negative" else (2, 0))
    assert f": {num} frames ({empty} without object), 2 objects" in told
    assert ("pictures without object were left out: 1 (1.jpg)" in told) == (unlabelled == "skip")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoded": [b"GIF89a" * 9]}, "0.jpg: cannot be decoded"),
        ({"encoded": [b"\xff\xd8" * 9]}, r"0.jpg: damaged image header \(.*\); replace"),
        ({"object/bbox/xmin": [float("nan")]}, "0.jpg: the box of object 1 is nan"),
        ({"object/class/text": [], "object/class/label": [1]}, "--label_map FILE.pbtxt"),
    ],
)
def test_what_cannot_be_a_record_is_named_and_nothing_is_left(tmp_path, change, message):
    path = write_examples(tmp_path / "train.record", change)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ValueError, match=message):
        import_records("tf_records", path, tmp_path / "out", ImportOptions({}))
    assert sorted(tmp_path.iterdir()) == before


def test_parts_are_chosen_and_named(tmp_path, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("pets_train.record-00000-of-00001", "pets_extra.record", ".tfrecord"):
        write_examples(folder / name, {"filename": [name.encode()]})
    to_records(folder, tmp_path / "out", "--split", "train")
    assert [path.name for path in (tmp_path / "out").glob("*.tfrecord")] == ["train_000.tfrecord"]
    assert "pictures of no part of the data set were left out: 1 (" in (
        told := capsys.readouterr().out
    )
    assert "there are no records of val: name those there are with --data.train_split" in told
    with pytest.raises(ValueError, match="has no part test; it has pets_extra, train"):
        to_records(folder, tmp_path / "other", "--split", "train", "test")
    alone = write_examples(tmp_path / ".tfrecord", {}, {})
    with pytest.raises(ValueError, match="does not say what is for training, .*; .*--val_fraction"):
        to_records(alone, tmp_path / "other")
    named = write_examples(tmp_path / "Import.record", {}, {})
    with pytest.raises(ValueError, match="is called Import, and import.json tells of the import"):
        to_records(named, tmp_path / "other")
    both = tmp_path / "both"
    both.mkdir()
    for name in ("import.record", "train.record"):
        write_examples(both / name, {"filename": [name.encode()]})
    with pytest.raises(ValueError, match="name the other parts with --split"):
        to_records(both, tmp_path / "other")
    to_records(both, tmp_path / "chosen", "--split", "train")
    assert read_manifest(tmp_path / "chosen/train.json").num_frames == 1
    division = Division(val_fraction=0.5)
    made = import_records(
        "tf_records", named, tmp_path / "other", ImportOptions({}), division=division
    )
    assert made.report.splits == {"train": 1, "val": 1}


def test_pictures_that_are_to_train_and_to_measure_on_are_told(tmp_path):
    """Each record is a frame of its own, whatever picture is in it."""
    (tmp_path / "in").mkdir()
    other = {"encoded": [draw_picture(tmp_path / "other.jpg", seed=1).read_bytes()]}
    write_examples(tmp_path / "in/train.record", {})
    write_examples(tmp_path / "in/val.record", {}, other)
    made = import_records("tf_records", tmp_path / "in", tmp_path / "out", ImportOptions({}))
    assert made.overlaps == ["1 of 2 frames of val are in train, too: 0; AP on them flatters"]
    assert [row[0] for row in frame_table(tmp_path / "out")] == ["0", "0_2", "1"]


def test_the_account_has_all_options_by_which_the_records_are_made_again(tmp_path):
    path = write_examples(tmp_path / "my records", *[{}] * 3, EMPTY)
    label_map = tmp_path / "map.pbtxt"
    label_map.write_text("item { id: 1 name: 'car' }")
    words = ["--class_map", "car", "Car", "--label_map", str(label_map)]
    words += ["--val_fraction", "0.5", "--seed", "7", "--unlabelled", "skip"]
    words += ["--exif_orientation", "ignore"]
    to_records(path, tmp_path / "out", *words)
    account = json.loads((tmp_path / "out/import.json").read_text())
    assert account == account | {
        **{"format": "tf_records", "to": "records", "source": str(path)},
        **{"split": [], "val_fraction": 0.5, "seed": 7},
        **{"class_map": {"car": "Car"}, "image_dir": None, "label_map": str(label_map)},
        **{"skip_missing_images": False, "unlabelled": "skip", "exif_orientation": "ignore"},
        "splits": {"train": 1, "val": 2},
    }
    hint = read_manifest(tmp_path / "out/val.json").repair_hint(tmp_path / "out")
    assert f"`mobilenetdet import '{path}' FOLDER --format tf_records" in hint


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--to records --image_files copy", "image_files has no effect on --to records"),
        ("--val_fraction 0.5", "val_fraction has no effect on --to kitti; it goes with --to rec"),
        ("--split train", "split has no effect on --to kitti"),
        ("--to records --seed 3", "seed has no effect without --val_fraction"),
    ],
)
def test_options_without_effect_are_refused(tmp_path, words, message):
    label_format = "coco" if "image_files" in words else "tf_records"
    with pytest.raises(ValueError, match=message):
        import_labels.main([str(tmp_path), "out", "--format", label_format, *words.split()])


def test_nothing_of_the_user_is_overwritten(od_api, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="is not empty; name a new folder"):
        to_records(od_api, tmp_path)
    to_records(od_api, tmp_path / "out")
    with pytest.raises(FileExistsError, match=r"holds an import already, see .*import\.json"):
        to_records(od_api, tmp_path / "out")
    with pytest.raises(FileExistsError, match=r"made of .*in; name another --output_dir"):
        kitti = by_kitti_folder(od_api, tmp_path / "kitti").parent
        words = ["--dataset_root", str(kitti), "--output_dir", str(tmp_path / "out")]
        tf_convert_data.main([*words, "--num_shards", "3"])


def test_damage_is_found_and_the_remedy_is_the_import(od_api, tmp_path):
    remedy = rf"`mobilenetdet import {od_api} FOLDER --format tf_records --to records` and the "
    remedy += rf"options that {tmp_path}/out/import.json lists"
    to_records(od_api, tmp_path / "out")
    path = shard_paths(tmp_path / "out", "train")[1]
    content = path.read_bytes()
    path.write_bytes(shard_paths(tmp_path / "out", "train")[0].read_bytes())
    with pytest.raises(ValueError, match=rf"(bytes and was written|already; ).*{remedy}"):
        hash_frames(tmp_path / "out", "train")
    path.write_bytes(content[:-1])
    with pytest.raises(ValueError, match=f"bytes and was written with .*; .*{remedy}"):
        shard_paths(tmp_path / "out", "train")
    path.unlink()
    with pytest.raises(FileNotFoundError, match=f"is gone, and .* lists it; .*{remedy}"):
        shard_paths(tmp_path / "out", "train")


def test_frames_that_weights_were_trained_on_are_named(od_api, tmp_path, monkeypatch, small_kitti):
    layout = KittiLayout(small_kitti)
    to_records(od_api, tmp_path / "first")
    frames = list(read_frames(shard_paths(tmp_path / "first", "val")))
    run = RunDir(tmp_path / "shipped")
    run.path.mkdir()
    hashes = [frame_hashes(each.frame_id, each.objects) for each in frames[:3]]
    write_frames_seen(run.frames_seen_file, FramesSeen.of(hashes))
    monkeypatch.setattr(frames_seen, "shipped_weights", lambda: {"ours": run})
    made = import_records("tf_records", od_api, tmp_path / "out", ImportOptions({}))
    (line,) = made.seen
    assert "3 of 4 val frames were trained on" in line and "ours" in line
    assert len(layout.read_image_set("val")) == 4


def test_a_detector_is_trained_and_measured_on_them(od_api, tmp_path):
    """As a reader of docs/own_data.md does."""
    with pytest.raises(FileNotFoundError, match="mobilenetdet import .* --to records"):
        train.main(["--run_dir", str(tmp_path / "run"), "--data.records_dir", str(od_api)])
    to_records(od_api, tmp_path / "records")
    run = tmp_path / "run"
    small = "--model.alpha 0.25 --model.weights none --head.channels 16 --train.epochs 1"
    size = "--data.image_height 64 --data.image_width 192 --eval.num_overlays 0"
    options = ["--preset", "squeezedet", "--data.records_dir", str(tmp_path / "records")]
    assert train.main(["--run_dir", str(run), *options, *small.split(), *size.split()]) == 0
    (row,) = csv.DictReader((run / "metrics.csv").open())
    assert float(row["loss"]) > 0
    assert eval_command.main(["--run_dir", str(run), "--output_dir", str(tmp_path / "eval")]) == 0
    metrics = json.loads((tmp_path / "eval/eval/metrics.json").read_text())
    assert metrics["split"] == "val"
