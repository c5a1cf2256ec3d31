import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mobilenetdet.cli.kitti_eval import main
from mobilenetdet.drawing import write_image

ROOT = Path(__file__).resolve().parents[2]
COMMAND = ("-m", "mobilenetdet", "kitti_eval")
LABEL = "{} 0.00 0 -1.50 {}.00 150.00 {}.00 200.00 1.50 1.60 3.90 1.00 1.50 20.00 -1.50\n"
RESULT = "{} -1 -1 -10 {}.00 150.00 {}.00 200.00 -1 -1 -1 -1000 -1000 -1000 -10 0.{}\n"


@pytest.fixture
def folders(tmp_path):
    label_dir, result_dir = tmp_path / "label_2", tmp_path / "results"
    label_dir.mkdir()
    result_dir.mkdir()
    for i in range(45):
        rows = [("Car", 10 + i, 200 + i), ("Pedestrian", 400, 430), ("Cyclist", 600, 660)]
        label, result = "", ""
        for row in rows:
            label += LABEL.format(*row)
            result += RESULT.format(*row, 50 + i)
        (label_dir / f"{i:06d}.txt").write_text(label)
        (result_dir / f"{i:06d}.txt").write_text(result)
    return label_dir, result_dir


def arguments(folders, *more: object) -> list[str]:
    label_dir, result_dir = folders
    return ["--label_dir", str(label_dir), "--result_dir", str(result_dir), *map(str, more)]


def test_figures_are_printed_written_and_drawn(folders, tmp_path, capsys):
    out, plots = tmp_path / "out" / "ap.json", tmp_path / "plots"
    assert main(arguments(folders, "--json", out, "--plots", plots, "--strict")) == 0
    output = capsys.readouterr().out
    assert "45 frames, protocol current" in output and "warning" not in output
    metrics = json.loads(out.read_text())
    classes = ["Car", "Pedestrian", "Cyclist"]
    assert list(metrics) == ["task", "frames_sha256", "protocol", "frames", *classes, "mean"]
    assert metrics["task"]["Car"]["min_overlap"] == 0.7
    assert metrics["task"]["Pedestrian"]["neighbours"] == ["Person_sitting"]
    ids = "".join(f"{index:06d}\n" for index in range(45))
    assert metrics["frames_sha256"] == hashlib.sha256(ids.encode()).hexdigest()
    assert metrics["Car"]["moderate"]["R40"] == metrics["Car"]["easy"]["R11"] == 100
    assert metrics["Car"]["hard"]["precision41"] == [1] * 41
    assert len(list(plots.glob("*.png"))) == 4
    assert (plots / "precision_recall.png").read_bytes().startswith(b"\x89PNG")


def test_errors_are_printed_with_what_to_do(folders, capsys):
    _, result_dir = folders
    for index in range(0, 45, 2):
        (result_dir / f"{index:06d}.txt").write_text(RESULT.format("Car", 10 + index, 200, 9))
    assert main(arguments(folders, "--errors")) == 0
    output = capsys.readouterr().out
    assert "Errors at difficulty moderate" in output and "23 (+" in output
    assert re.search(
        r"Pedestrian: errors of kind missed \(\d+, counted from .*\) cost most", output
    )


def test_report_holds_the_worst_frames(folders, tmp_path, capsys):
    label_dir, result_dir = folders
    (result_dir / "000004.txt").write_text("")
    images = tmp_path / "image_2"
    write_image(images / "000004.png", np.zeros((300, 700, 3), np.uint8))
    report = tmp_path / "report.html"
    assert main(arguments(folders, "--report", report, "--image_dir", images)) == 0
    assert "000004: 3 errors at difficulty moderate" in report.read_text(encoding="utf-8")
    assert str(report) in capsys.readouterr().out
    (images / "000004.png").unlink()
    with pytest.raises(FileNotFoundError, match="frame 000004 has no image"):
        main(arguments(folders, "--report", report, "--image_dir", images))


def test_other_results_are_shown_beside(folders, tmp_path, capsys):
    _, result_dir = folders
    other = tmp_path / "run/eval/detections"
    other.mkdir(parents=True)
    (other / "000004.txt").write_text(RESULT.format("Car", 14, 204, 50))
    report = tmp_path / "report.html"
    asked = ["--report", report, "--compare", tmp_path / "run"]
    assert main(arguments(folders, *asked)) == 0
    assert "44 of 45 frames have no result file in" in capsys.readouterr().out
    page = report.read_text(encoding="utf-8")
    assert f'"name":"{tmp_path / "run"}"' in page and "found by A, missed by B" in page
    assert f"<th>{tmp_path / 'run'}</th><th>R40 easy</th>" in page  # and its AP
    with pytest.raises(ValueError, match="nothing is done while there are warnings"):
        main(arguments(folders, *asked, "--strict"))


@pytest.mark.parametrize(
    "change, told",
    [
        ({"--compare": "nope"}, "nope: no result files NNNNNN.txt to compare with"),
        ({"--compare": "others"}, "others holds no result of these 45 frames, such as 000000.txt"),
        ({"--compare": "others", "--report": None}, "give --report, too"),
    ],
)
def test_results_that_cannot_be_compared_are_refused(folders, tmp_path, monkeypatch, change, told):
    monkeypatch.chdir(tmp_path)
    Path("others").mkdir()
    Path("others/999999.txt").write_text("")
    asked = {"--report": "report.html", **change}
    words = [word for pair in asked.items() if pair[1] for word in pair]
    with pytest.raises((ValueError, FileNotFoundError), match=told):
        main(arguments(folders, *words))
    assert not Path("report.html").exists()


def test_a_report_spells_names_that_are_no_utf8(folders, tmp_path):
    odd = tmp_path / os.fsdecode(b"labels\xff")
    folders[0].rename(odd)
    report = tmp_path / "report.html"
    assert main(arguments((odd, folders[1]), "--report", report)) == 0
    assert r"labels\udcff" in report.read_text(encoding="utf-8")


def test_coco_is_measured_beside(folders, tmp_path, capsys):
    out = tmp_path / "ap.json"
    assert main(arguments(folders, "--coco", "--json", out)) == 0
    assert "COCO AP in percent" in capsys.readouterr().out
    assert json.loads(out.read_text())["coco"]["AP"] == pytest.approx(100)


def test_frames_and_protocol_are_chosen(folders, tmp_path, capsys):
    frames = tmp_path / "val.txt"
    frames.write_text("000003\n000004\n")
    main(arguments(folders, "--frames", frames, "--protocol", "pre2017"))
    output = capsys.readouterr().out
    assert "2 frames, protocol pre2017" in output
    assert "warning: 43 of 45 result files are of no frame of the split, left out: 000000" in output


def test_warnings_are_errors_if_strict(folders):
    _, result_dir = folders
    (result_dir / "000000.txt").write_text(RESULT.format("Lorry", 10, 200, 7))
    with pytest.raises(ValueError, match="'Lorry'"):
        main(arguments(folders, "--strict"))


def test_boxes_of_width_and_height_are_refused_with_what_they_are(folders):
    _, result_dir = folders
    for path in result_dir.iterdir():
        rows = [line.split() for line in path.read_text().splitlines()]
        for row in rows:
            row[6], row[7] = (f"{float(row[i + 2]) - float(row[i]):.2f}" for i in (4, 5))
        path.write_text("".join(" ".join(row) + "\n" for row in rows))
    with pytest.raises(ValueError) as error:
        main(arguments(folders))
    first, *more = str(error.value).splitlines()
    box = "box 400.00 150.00 30.00 50.00 has right '30.00' < left '400.00'"
    assert first == f"{result_dir / '000000.txt'}:2: {box}; the order is left top right bottom"
    assert len(more) == 1 and "read as left top width height they would fit 135" in more[0]


def test_frames_whose_files_are_left_out_count_as_empty(folders, tmp_path, capsys):
    label_dir, result_dir = folders
    for index in range(1, 45, 2):
        (result_dir / f"{index:06d}.txt").unlink()
    out, frames = tmp_path / "ap.json", tmp_path / "all.txt"
    frames.write_text("".join(f"{index:06d}\n" for index in range(45)))
    warning = "22 of 45 frames have no result file, counted as empty: 000001, 000003, 000005"
    for more, hints in (([], 1), (["--frames", frames], 0)):
        assert main(arguments(folders, "--json", out, *more)) == 0
        printed = capsys.readouterr().out
        assert f"warning: {warning}\n" in printed
        assert printed.count("frames of a split" if more else "name those of a split") == hints
        # 23 of 45 objects are found, each without a false alarm: 23 precisions of 41 are 1.
        car = json.loads(out.read_text())["Car"]["easy"]
        assert (car["num_objects"], sum(car["precision41"])) == (45, 21)
        with pytest.raises(ValueError, match=warning):
            main(arguments(folders, "--strict", *more))


def test_self_check_needs_labels_alone(folders, capsys):
    assert main(["--label_dir", str(folders[0]), "--self_check"]) == 0
    assert capsys.readouterr().out.count("R40 100.00  R11 100.00") == 9


def test_results_are_asked_for(folders):
    with pytest.raises(ValueError, match="--result_dir is missing"):
        main(["--label_dir", str(folders[0])])


def test_damaged_files_end_with_one_line(folders):
    _, result_dir = folders
    path = result_dir / "000001.txt"
    path.write_text(RESULT.format("Car", 10, "x", 5))
    command = [sys.executable, *COMMAND, *arguments(folders)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr == f"error: {path}:1: right is 'x.00', expected a finite number\n"


@pytest.mark.parametrize("protocol", ["current", "pre2017"])
def test_command_gives_what_the_official_program_gives(shared_dir, tmp_path, protocol):
    case = shared_dir / "golden/kitti_eval/rgb_detector_val"
    with zipfile.ZipFile(case / "detections.zip") as archive:
        archive.extractall(tmp_path)
    with zipfile.ZipFile(shared_dir / "kitti_labels/label_2_all_7481.zip") as archive:
        archive.extractall(tmp_path)
    folders = (tmp_path / "label_2", tmp_path / "data")
    out = tmp_path / "ap.json"
    more = ("--frames", case / "frames.txt", "--protocol", protocol, "--json", out)
    assert main(arguments(folders, *more)) == 0
    expected = json.loads((case / "expected.json").read_text())[protocol]
    metrics = json.loads(out.read_text())
    for name, levels in expected.items():
        for level, values in levels.items():
            for measure in ("R11", "R40"):
                assert metrics[name][level][measure] == pytest.approx(values[measure], abs=1e-6)


def test_files_of_the_user_are_not_replaced_unless_asked_for(folders, tmp_path):
    mine = {
        option: tmp_path / name for option, name in (("--json", "a.json"), ("--report", "r.html"))
    }
    mine["--plots"] = tmp_path / "plots"
    mine["--plots"].mkdir()
    files = [mine["--json"], mine["--report"], mine["--plots"] / "scores.png"]
    for path in files:
        path.write_text("mine")
    for option, path in mine.items():
        with pytest.raises(FileExistsError, match=r"is there.*--overwrite"):
            main(arguments(folders, option, path))
    assert [path.read_text() for path in files] == ["mine"] * 3
    asked = [word for option, path in mine.items() for word in (option, str(path))]
    assert main(arguments(folders, *asked, "--overwrite")) == 0
    # Its own files it may replace.
    assert main(arguments(folders, "--json", mine["--json"])) == 0
    assert all(path.stat().st_size > 100 for path in files)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--classes", "Cra"],
            r"no object and no detection is of type Cra; did you mean Car\? There",
        ),
        (["--json", "."], r"\. is a folder; name a file in it"),
        (
            ["--report", "a.html", "--image_dir", "nope"],
            "the folder of --image_dir, nope, does not",
        ),
        (["--frames", "nope.txt"], "the list of frames, nope.txt, does not exist"),
    ],
)
def test_mistakes_are_told_before_the_work(folders, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, OSError), match=message):
        main(arguments(folders, *options))
    assert not (tmp_path / "a.html").exists()


def test_difficulties_of_a_class_are_chosen(folders, tmp_path):
    """The objects of the fixture are 50 pixels high: with 51 asked for, none counts as easy."""
    path = tmp_path / "ap.json"
    for height, counted in ((40, 45), (51, 0)):
        limits = [str(height), *"0 0.15 25 1 0.3 25 2 0.5".split()]
        main(arguments(folders, "--difficulties", "Car", *limits, "--json", path))
        figures = json.loads(path.read_text())
        assert figures["Car"]["easy"]["num_objects"] == counted
        assert (
            figures["Car"]["moderate"]["num_objects"]
            == figures["Cyclist"]["easy"]["num_objects"]
            == 45
        )
