import subprocess
import sys
from pathlib import Path

import pytest

from mobilenetdet.cli.kitti_split import main
from mobilenetdet.kitti.layout import KittiLayout

TOOL = Path(__file__).resolve().parents[2] / "tools/kitti_split.py"


@pytest.fixture
def root(tmp_path):
    for folder, suffix, count in (("image_2", "png", 10), ("label_2", "txt", 9)):
        (tmp_path / "training" / folder).mkdir(parents=True)
        for index in range(count):
            (tmp_path / "training" / folder / f"{index:06d}.{suffix}").touch()
    return tmp_path


@pytest.fixture
def read_only(root):
    """The frames of `root` as a folder in which nothing may be written; root may always write."""
    folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    yield root
    for folder in folders:
        folder.chmod(0o755)


def read_sets(root) -> dict[str, list[str]]:
    return {
        name: (root / f"ImageSets/{name}.txt").read_text().split()
        for name in ("trainval", "train", "val")
    }


def test_random_split_is_written_and_reported(root, capsys):
    assert main(["--kitti_root", str(root), "--val_fraction", "0.34"]) == 0
    sets = read_sets(root)
    assert (len(sets["train"]), len(sets["val"])) == (6, 3)
    assert sets["trainval"] == [f"{i:06d}" for i in range(9)]
    output = capsys.readouterr().out
    assert "9 frames with image and label" in output
    assert "000009: no label" in output
    assert "neighbouring frames" in output


@pytest.mark.parametrize("written", [0, 1, 2])
def test_a_call_that_was_broken_off_is_in_nobodys_way(root, monkeypatch, written):
    """Whatever split comes next: the lists that it left are known for its own."""
    main(["--kitti_root", str(root)])
    for seed in ("1", "2"):
        lists = []

        def write_until_killed(layout, name, ids, lists=lists):
            if len(lists) == written:
                raise KeyboardInterrupt
            lists.append(name)
            layout.image_set_path(name).write_text("\n".join(ids) + "\n")

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(KittiLayout, "write_image_set", write_until_killed)
            main(["--kitti_root", str(root), "--seed", seed])
    assert main(["--kitti_root", str(root), "--seed", "3"]) == 0
    (root / "ImageSets/val.txt").write_text("000001\n")
    with pytest.raises(FileExistsError, match="val.txt was not written by this command"):
        main(["--kitti_root", str(root), "--seed", "4"])


def test_fewer_training_frames_are_among_more(root):
    kept = []
    for number in ("2", "3"):
        main(["--kitti_root", str(root), "--method", "published", "--num_train", number])
        kept.append(read_sets(root))
    few, more = kept
    assert len(few["train"]) == 2 and set(few["train"]) < set(more["train"])
    assert few["val"] == more["val"] and len(few["trainval"]) == 2 + len(few["val"])


def test_more_training_frames_than_there_are(root):
    with pytest.raises(ValueError, match="num_train is 9, expected 1 to "):
        main(["--kitti_root", str(root), "--num_train", "9"])


def test_the_lists_of_a_read_only_data_set_go_elsewhere(read_only, tmp_path_factory):
    before = sorted(read_only.rglob("*"))
    lists = tmp_path_factory.mktemp("home") / "lists"
    arguments = ["--kitti_root", str(read_only), "--output_dir", str(lists)]
    assert main(arguments) == 0 and main([*arguments, "--seed", "1"]) == 0
    assert sorted(read_only.rglob("*")) == before
    names = {"train.txt", "val.txt", "trainval.txt", "kitti_split.json"}
    assert {path.name for path in lists.iterdir()} == names
    assert len((lists / "trainval.txt").read_text().split()) == 9
    (lists / "val.txt").write_text("000001\n")
    with pytest.raises(FileExistsError, match="lists/val.txt was not written by this command"):
        main([*arguments, "--seed", "2"])


def test_images_without_label_are_left_out_listed_or_refused(root, capsys):
    arguments = ["--kitti_root", str(root)]
    main(arguments)
    line = (
        "warning: 1 of 10 frames lack an image or a label and are left out (--unlabelled negative"
    )
    assert line in capsys.readouterr().out
    main([*arguments, "--unlabelled", "negative", "--strict"])
    assert "1 image without label: nothing is in them" in capsys.readouterr().out
    assert read_sets(root)["trainval"] == [f"{i:06d}" for i in range(10)]
    with pytest.raises(FileNotFoundError, match="1 of 10 images have no label .*skip.*: 000009"):
        main([*arguments, "--unlabelled", "error"])


def test_rendered_frames_leak_nothing(root, capsys):
    (root / "synthetic.json").write_text("{}")
    assert main(["--kitti_root", str(root)]) == 0
    assert "train and val share nothing" in capsys.readouterr().out


def test_long_reports_are_cut_after_twenty_frames(root, capsys):
    for index in range(100, 125):
        (root / f"training/label_2/{index:06d}.txt").touch()
    main(["--kitti_root", str(root)])
    output = capsys.readouterr().out
    assert output.count(": no ") == 20
    assert "and 6 more" in output


@pytest.mark.parametrize("name", ["train", "val", "trainval"])
def test_lists_of_others_are_replaced_only_with_overwrite(root, name):
    (root / "ImageSets").mkdir()
    path = root / f"ImageSets/{name}.txt"
    path.write_text("000004\n000002\n")
    arguments = ["--kitti_root", str(root)]
    with pytest.raises(FileExistsError, match=rf"{name}\.txt was not written .*--overwrite"):
        main(arguments)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert path.read_text() == "000004\n000002\n"
    main([*arguments, "--overwrite"])
    assert len(read_sets(root)["trainval"]) == 9


def test_records_of_former_lists_are_said(root, capsys):
    """Else `eval` would measure the former frames, and nothing would say so."""
    arguments = ["--kitti_root", str(root), "--seed"]
    main([*arguments, "0"])
    records = root / "tfrecord"
    records.mkdir()
    (records / "val.json").touch()
    main([*arguments, "0"])  # the lists stay as they are
    assert "still holds" not in capsys.readouterr().out
    main([*arguments, "1"])
    assert f"{records} still holds the frames of the former val: give" in capsys.readouterr().out


def test_own_lists_are_replaced_unless_edited(root):
    arguments = ["--kitti_root", str(root), "--seed"]
    main([*arguments, "0"])
    first = read_sets(root)
    (root / "ImageSets/kitti_split.json").unlink()
    main([*arguments, "0"])  # the lists would stay as they are
    main([*arguments, "1"])
    assert read_sets(root) != first
    (root / "ImageSets/val.txt").write_text("000004\n")
    with pytest.raises(
        FileExistsError, match=r"val\.txt was not written by this command, or edited"
    ):
        main([*arguments, "2"])


def test_published_split_keeps_what_is_present(root, capsys):
    (root / "training/image_2/900000.jpg").touch()
    (root / "training/label_2/900000.txt").touch()
    main(["--kitti_root", str(root), "--method", "published"])
    sets = read_sets(root)
    assert sets["train"] == ["000000", "000003", "000007"]
    assert sets["val"] == ["000001", "000002", "000004", "000005", "000006", "000008"]
    output = capsys.readouterr().out
    assert "3,709 of the published split's 3,712 train frames are absent" in output
    assert "1 frames are in neither side" in output


def test_drive_split_uses_the_devkit(root, capsys):
    mapping = root / "devkit_object/mapping"
    mapping.mkdir(parents=True)
    drives = "".join(f"2011_09_26 drive_{i % 2} {i:010d}\n" for i in range(10))
    (mapping / "train_mapping.txt").write_text(drives)
    (mapping / "train_rand.txt").write_text(",".join(str(i) for i in range(1, 11)))
    main(["--kitti_root", str(root), "--method", "drive"])
    sets = read_sets(root)
    even = ["000000", "000002", "000004", "000006", "000008"]
    assert even in (sets["train"], sets["val"])
    assert "0 drives on both sides" in capsys.readouterr().out
    main(["--kitti_root", str(root), "--devkit_dir", str(root / "devkit_object")])
    assert "2 drives on both sides" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "drive"], r"train_mapping\.txt.*devkit_object\.zip"),
        (["--devkit_dir", "/absent"], "/absent"),
        (["--val_fraction", "2"], "val_fraction is 2"),
    ],
)
def test_bad_options_are_named(root, arguments, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        main(["--kitti_root", str(root), *arguments])
    assert not (root / "ImageSets").exists()


def test_images_without_labels_and_published_without_frames_are_refused(tmp_path):
    (tmp_path / "training/image_2").mkdir(parents=True)
    (tmp_path / "training/image_2/900000.png").touch()
    with pytest.raises(FileNotFoundError, match=r"data_object_label_2\.zip"):
        main(["--kitti_root", str(tmp_path)])
    (tmp_path / "training/label_2").mkdir()
    (tmp_path / "training/label_2/900000.txt").touch()
    with pytest.raises(ValueError, match="none of the published split's train frames"):
        main(["--kitti_root", str(tmp_path), "--method", "published"])


def call_tool(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOOL), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_tool_runs_from_anywhere(root):
    done = call_tool("--kitti_root", ".", cwd=root)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert len(read_sets(root)["trainval"]) == 9


def test_tool_ends_with_one_line_and_code_2(tmp_path):
    done = call_tool(cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: data/KITTI/training/image_2 does not exist")
    assert done.stderr.count("\n") == 1
    help_page = call_tool("--help", cwd=tmp_path).stdout
    for word in ("--kitti_root", "published", "--val_fraction", "--seed", "--devkit_dir"):
        assert word in help_page
