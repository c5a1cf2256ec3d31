"""The archive for KITTI's server, from rendered and drawn test frames."""

import importlib
import re
import shlex
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from fixtures.red_finder import red_image

from mobilenetdet.cli import kitti_submission
from mobilenetdet.cli.kitti_submission import Options
from mobilenetdet.kitti.labels import parse_objects, read_objects

PAGE = Path(__file__).resolve().parents[2] / "docs/kitti_server.md"
NUM_FRAMES = 5
EMPTY = "000002"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A KITTI root with five test frames of KITTI's size; nothing is in the third."""
    folder = tmp_path / "KITTI/testing/image_2"
    folder.mkdir(parents=True)
    for index in range(NUM_FRAMES):
        box = None if f"{index:06d}" == EMPTY else np.array([100 + index, 120, 400, 260])
        cv2.imwrite(str(folder / f"{index:06d}.png"), red_image((375, 1242), box)[..., ::-1])
    return tmp_path / "KITTI"


@pytest.fixture
def submit(root, tmp_path, red_finder, monkeypatch):
    """Gives submit(*options): the command, with a detector that finds what is red."""
    detectors = []

    def load(*_, **__):
        detectors.append(red_finder(batch_size=2))
        return detectors[-1]

    monkeypatch.setattr(kitti_submission, "load_for_engine", load)
    words = ["--run_dir", "ssd_fpn_025", "--kitti_root", str(root)]
    words += ["--output", str(tmp_path / "results.zip"), "--num_frames", str(NUM_FRAMES)]

    def submit(*options: str) -> int:
        assert kitti_submission.main([*words, *options]) == 0
        return sum(batch[0] for batch in detectors[-1].runtime.batches)

    submit.words = words
    return submit


def test_kittis_number_of_frames_is_the_default():
    assert Options().num_frames == 7518 and Options().output == Path("results.zip")


def test_every_frame_has_a_file_in_the_root_of_the_archive(submit, tmp_path, capsys):
    assert submit() >= NUM_FRAMES
    with zipfile.ZipFile(tmp_path / "results.zip") as archive:
        names = archive.namelist()
        texts = {name: archive.read(name).decode() for name in names}
    assert names == [f"{index:06d}.txt" for index in range(NUM_FRAMES)]
    assert texts[f"{EMPTY}.txt"] == ""
    for index, name in enumerate(names):
        if name != f"{EMPTY}.txt":
            found = parse_objects(texts[name], name, with_scores=True)
            assert found.types.tolist() == ["Car"] and found.scores == pytest.approx(0.9)
            # The input is 6.5 times smaller than the frame.
            expected = [[100 + index, 120, 400, 260]]
            np.testing.assert_allclose(found.boxes_xyxy, expected, atol=7)
            # Fields as the devkit's reader takes them apart: type, whole numbers, box, score.
            words = texts[name].split()
            assert words[1:4] == ["-1", "-1", "-10"] and words[8:11] == ["-1"] * 3
            assert all(2 <= len(word.partition(".")[2]) <= 3 for word in words[4:8])
            assert words[11:15] == [*["-1000"] * 3, "-10"]
    printed = capsys.readouterr().out
    assert f"{tmp_path / 'results.zip'}: 5 frames, 4 detections, 0.0 MB" in printed
    assert "a trial: the server wants 7,518 frames" in printed
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] != ".") == [
        *("KITTI", "results", "results.zip")
    ]


def test_an_interrupted_call_goes_on_where_it_was(submit, tmp_path, monkeypatch, capsys):
    submit()
    first = (tmp_path / "results.zip").read_bytes()
    (tmp_path / "results.zip").unlink()
    for name in ("000001.txt", "000003.txt"):
        (tmp_path / "results" / name).unlink()
    capsys.readouterr()
    assert submit() == 2  # a batch with the two
    assert "results: 3 frames of an earlier call kept" in capsys.readouterr().out
    assert (tmp_path / "results.zip").read_bytes() == first
    assert submit() == 0
    assert (tmp_path / "results.zip").read_bytes() == first


def test_a_stop_amid_detecting_leaves_whole_files_and_no_archive(submit, tmp_path, monkeypatch):
    from mobilenetdet.evaluation.kitti_submission import ResultFiles

    add = ResultFiles.add

    def stop_at_third(self, frame_id, found):
        if frame_id == "000003":
            raise KeyboardInterrupt
        add(self, frame_id, found)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ResultFiles, "add", stop_at_third)
        submit()
    assert not (tmp_path / "results.zip").exists()
    assert len(list((tmp_path / "results").glob("0*.txt"))) == 3
    assert submit() == 2


def test_results_of_another_detector_are_refused(submit, root, tmp_path, red_finder, monkeypatch):
    submit()
    before = (tmp_path / "results.zip").read_bytes()
    other = red_finder()
    changed = replace(other.config.postprocess, score_threshold=0.2)
    other = replace(other, config=replace(other.config, postprocess=changed))
    monkeypatch.setattr(kitti_submission, "load_for_engine", lambda *_, **__: other)
    for gone in ((), ("results/detector.json",)):
        for name in gone:
            (tmp_path / name).unlink()
        with pytest.raises(FileExistsError, match="of another detector.*--overwrite"):
            submit()
        assert (tmp_path / "results.zip").read_bytes() == before
    assert kitti_submission.main([*submit.words, "--overwrite"]) == 0
    assert sum(batch[0] for batch in other.runtime.batches) >= NUM_FRAMES


def test_other_images_are_not_taken_for_the_same(submit, root):
    submit()
    cv2.imwrite(str(root / "testing/image_2/000004.png"), red_image((375, 1242), None))
    with pytest.raises(FileExistsError, match="of another detector or other images"):
        submit()


@pytest.mark.parametrize("name", ["results.zip", "results/000001.txt"])
def test_files_of_others_stay(submit, tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(FileExistsError, match=f"{name} is there"):
        submit()
    assert (tmp_path / name).read_text() == "mine"


def test_an_edited_result_is_not_packed(submit, tmp_path):
    submit()
    path = tmp_path / "results/000001.txt"
    path.write_text(path.read_text().replace("Car", "Van"))
    with pytest.raises(FileExistsError, match=r"000001\.txt is there, and not as this program"):
        submit()
    submit("--overwrite")
    assert read_objects(path).types.tolist() == ["Car"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (["--num_frames", "7"], FileNotFoundError, r"2 of 7 test frames have no image in .*000005"),
        (["--num_frames", "3"], ValueError, "2 of 5 images in .* are no test frames: 000003"),
        (["--num_frames", "0"], ValueError, "num_frames is 0"),
        (["--output", "results"], ValueError, "--output is results; the server takes a .zip"),
        (["--kitti_root", "/absent"], FileNotFoundError, "/absent/testing/image_2 does not"),
        (["--run_dir", "runs/absent"], FileNotFoundError, "runs/absent"),
    ],
)
def test_what_cannot_become_a_submission_ends_before_the_work(
    submit, tmp_path, options, error, message
):
    with pytest.raises(error, match=message):
        submit(*options)
    assert not (tmp_path / "results").exists()


def test_a_damaged_image_is_named(submit, root, tmp_path):
    (root / "testing/image_2/000003.png").write_bytes(b"none")
    with pytest.raises(ValueError, match=r"000003\.png"):
        submit()
    assert not (tmp_path / "results.zip").exists()


@pytest.mark.slow
def test_the_trial_of_the_page_runs(tmp_path, monkeypatch):
    """The whole command, with weights that ship."""
    lines = re.findall(r"^    (.+)", PAGE.read_text(), re.MULTILINE)
    trial = [shlex.split(line) for line in lines if "trial" in line]
    monkeypatch.chdir(tmp_path)
    assert [words[0] for words in trial] == ["mobilenetdet", "mv", "mobilenetdet"]
    for program, *words in trial:
        if program == "mv":
            Path(words[0]).rename(words[1])
        else:
            module = importlib.import_module(f"mobilenetdet.cli.{words[0]}")
            assert module.main(words[1:]) == 0
    with zipfile.ZipFile("trial.zip") as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    assert list(texts) == ["000000.txt", "000001.txt", "000002.txt"]
    found = [parse_objects(text, name, with_scores=True) for name, text in texts.items()]
    assert all(len(each) > 5 for each in found)
    for each in found:
        assert (each.boxes_xyxy >= 0).all() and (each.boxes_xyxy <= [1242, 375] * 2).all()
