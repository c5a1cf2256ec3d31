"""Files that were made to do harm: no code runs, nothing is written outside, memory is bounded."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from faults.bad_records import evaluate
from faults.bad_weights import predict, resume
from faults.hostile_files import (
    Trap,
    archive_with_links,
    bomb,
    external_h5,
    filled_h5,
    keras_with_lambda,
    linked_h5,
    npz_with_objects,
    npz_with_shape,
    virtual_h5,
)
from faults.test_fuzz import peak_memory
from faults.user_folder import CAR, RESULT, exit_code, snapshot

from mobilenetdet.classification.array_pickle import load_array_pickle
from mobilenetdet.classification.image_folders import find_images
from mobilenetdet.cli.errors import tell
from mobilenetdet.files.names import check_file_name
from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.files.text import read_text
from mobilenetdet.media.picture_names import name_pictures
from mobilenetdet.models.weight_file import check_weight_file, read_weight_file
from mobilenetdet.system.terminal_text import printable
from mobilenetdet.training.callbacks import write_history
from mobilenetdet.training.checkpoint import read_state

MEMORY = 300_000_000


@pytest.fixture
def memory_is_bounded():
    before = peak_memory()
    yield
    assert peak_memory() - before < MEMORY


@pytest.fixture
def trap(tmp_path) -> Trap:
    """Unpickling it makes a file."""
    trap = Trap(tmp_path / "sprung")
    yield trap
    assert not trap.path.exists()


HOSTILE_STATES = {
    "pickled objects": npz_with_objects,
    "a bomb": lambda path, trap: bomb(path, "model_0000.npy"),
    "an array of 2^45 numbers": npz_with_shape,
    "a pickle": lambda path, trap: path.write_bytes(pickle.dumps(trap)),
}


@pytest.mark.parametrize("kind", HOSTILE_STATES)
def test_states(kind, tmp_path, trap, memory_is_bounded):
    path = tmp_path / "checkpoint.npz"
    HOSTILE_STATES[kind](path, trap)
    with pytest.raises(ValueError, match="checkpoint.npz is damaged, or not the state of a run"):
        read_state(path)


HOSTILE_WEIGHTS = {
    "a link to another file": (linked_h5, "is a link; weights need none"),
    "values in another file": (external_h5, "are in another file"),
    "values of other files": (virtual_h5, "are in another file"),
    "an array of 2^45 numbers": (filled_h5, "in memory; no weights are so"),
    "a bomb": (lambda path: bomb(path, "model.weights.h5"), "in memory; no weights are so"),
    "a pickle": (lambda path: path.write_bytes(pickle.dumps(Trap(path))), "not a Keras"),
}


@pytest.mark.parametrize("kind", HOSTILE_WEIGHTS)
@pytest.mark.parametrize("read", [read_weight_file, check_weight_file])
def test_weights(kind, read, tmp_path, memory_is_bounded):
    make, message = HOSTILE_WEIGHTS[kind]
    path = tmp_path / "a.h5"
    make(path)
    with pytest.raises(ValueError, match=message):
        read(path)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_layer_with_code_is_not_made(suffix, tmp_path, trap):
    path = keras_with_lambda(tmp_path / f"a{suffix}", trap.path)
    check_weight_file(path)
    assert list(read_weight_file(path)) == ["dense"]


def test_pickles_of_data_sets_run_nothing(tmp_path, trap):
    path = tmp_path / "data_batch_1"
    path.write_bytes(pickle.dumps({b"data": trap}, protocol=2))
    with pytest.raises(ValueError, match="asks for .*, which arrays do not need"):
        load_array_pickle(path)


@pytest.mark.faults
@pytest.mark.parametrize("command", [predict, resume, evaluate])
def test_a_run_directory_whose_places_are_links(command, user_folder, tmp_path, capfd):
    """Weights and state as they should be, and links in the places of what is written."""
    outside = tmp_path / "outside"
    (outside / "detections").mkdir(parents=True)
    for name in ("metrics.json", "000008.txt", "montage.jpg", "detections/000008.txt"):
        (outside / name).write_text("mine")
    argv = command(user_folder)
    (user_folder.run / "eval/metrics.json").unlink()
    (user_folder.run / "eval").rmdir()
    for name in ("eval", "overlays", "tensorboard", "export", "packed"):
        place = user_folder.run / name
        if place.is_dir():
            shutil.rmtree(place)
        place.symlink_to(outside)
    before = snapshot(outside)
    if command is evaluate:
        place = argv.index("--output_dir")
        argv = argv[:place] + argv[place + 2 :]  # into the run itself
    code = exit_code(argv)
    told = capfd.readouterr().err
    assert "Traceback" not in told and code == (0 if command is predict else 2), told
    assert snapshot(outside) == before


def test_a_folder_inside_of_an_output_that_is_a_link(tmp_path):
    outside, out = tmp_path / "outside", tmp_path / "out"
    outside.mkdir()
    out.mkdir()
    (outside / "a.txt").write_text("mine")
    (out / "detections").symlink_to(outside)
    content = b"mine"
    line = ["detections/a.txt", len(content), zlib.crc32(content)]
    (out / ".mobilenetdet").write_text(json.dumps(line))  # says that it is an own file
    folder = OutputFolder(out, overwrite=True)
    folder.discard(["detections/a.txt"])
    with pytest.raises(FileExistsError, match="detections is a link to another folder"):
        folder.refuse_foreign(["detections/b.txt"])
    assert [path.name for path in outside.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("name", ["../victim.txt", "/etc/victim.txt", "a/../../victim.txt", "."])
def test_a_list_of_own_files_that_names_others(tmp_path, name):
    victim = tmp_path / "victim.txt"
    victim.write_text("mine")
    out = tmp_path / "out"
    out.mkdir()
    line = json.dumps([name, 4, zlib.crc32(b"mine")])
    (out / ".mobilenetdet").write_text(f"{line}\n{'[' * 5000}\n")
    folder = OutputFolder(out)
    with folder.replacing("*") as staging:
        (staging / "new.txt").write_text("ours")
    folder.discard([name])
    assert victim.read_text() == "mine"


def test_archives_are_only_read(tmp_path):
    path = archive_with_links(tmp_path / "train.tar")
    before = snapshot(tmp_path)
    images = find_images(tmp_path, "train")
    assert {image.name for image in images} == {"a.JPEG", "evil.JPEG"}
    assert snapshot(tmp_path) == before and path.is_file()


@pytest.mark.parametrize("name", ["a\nb", "\x1b[2J", "\x9b31m", "\u202egnp.exe", "..", "a/b", ""])
def test_names_that_are_none(name):
    with pytest.raises(ValueError, match="no name"):
        check_file_name(name, "an archive")


def test_names_of_pictures_stay_in_one_folder():
    files = [Path(name) for name in ("..png", "a\x1b[2J.png", "\u202egnp.png", "...jpg", "x" * 999)]
    for name in name_pictures([Path("in") / file for file in files]):
        assert check_file_name(name, "a picture") == name


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("\x9b31mred", "\\x9b31mred"),
        ("\u202egnp", "\\u202egnp"),
        (os.fsdecode(b"a\xff"), "a\\udcff"),
        ("Grün 車 a\nb", "Grün 車 a\nb"),
    ],
)
def test_what_is_printed_steers_no_terminal(text, shown, capsys):
    assert printable(text) == shown
    tell(ValueError(text), "predict")
    assert capsys.readouterr().err == f"error: {shown}\n"


def test_devices_are_not_read_for_ever(tmp_path):
    os.mkfifo(tmp_path / "000000.txt")
    (tmp_path / "000001.txt").symlink_to("/dev/zero")
    for name in ("000000.txt", "000001.txt"):
        with pytest.raises(ValueError, match="is no regular file"):
            read_text(tmp_path / name)


def test_a_report_escapes_names(tmp_path, capsys):
    script = "<script>alert(1)"
    labels, results = tmp_path / "labels", tmp_path / "<b>results"
    for folder, line in ((labels, CAR.format(10)), (results, RESULT.format(10, 0.5))):
        folder.mkdir()
        (folder / "<i>frame.txt").write_text(line.replace("Car", script))
    report = tmp_path / "report.html"
    scored = ["--label_dir", labels, "--result_dir", results, "--classes", script]
    assert exit_code(["kitti_eval", *scored, "--report", report]) == 0
    page = report.read_text(encoding="utf-8")
    # Those of the page itself begin a line, or say what they hold.
    assert page.count("<script") == page.count("<script>\n") + page.count('<script type="')
    assert script not in page and "<b>results" not in page and "<i>frame" not in page
    assert "&lt;script&gt;alert(1)" in page and "&lt;b&gt;results" in page


def test_names_are_no_mathematics_in_plots(tmp_path, capsys):
    labels, results = tmp_path / "labels", tmp_path / "results"
    for folder, line in ((labels, CAR.format(10)), (results, RESULT.format(10, 0.5))):
        folder.mkdir()
        (folder / "000000.txt").write_text(line.replace("Car", r"$\frac{"))
    scored = ["--label_dir", labels, "--result_dir", results, "--classes", r"$\frac{"]
    assert exit_code(["kitti_eval", *scored, "--plots", tmp_path / "plots"]) == 0


def test_a_table_holds_no_formulas(tmp_path):
    name = "val/=cmd|' C'!A0/moderate/R40"
    write_history([{"epoch": 1, "loss": 2.0, name: 3.0}], tmp_path / "metrics.csv")
    cells = (tmp_path / "metrics.csv").read_text().replace("\n", ",").split(",")
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


@pytest.mark.faults
def test_settings_of_keras_for_other_programs(tmp_path, small_kitti):
    home = tmp_path / "keras"
    home.mkdir()
    settings = {"backend": "torch", "image_data_format": "channels_first", "floatx": "float16"}
    (home / "keras.json").write_text(json.dumps(settings))
    photo = small_kitti / "training/image_2/000000.png"
    command = [sys.executable, "-m", "mobilenetdet", "predict", photo, "--output_dir", tmp_path]
    command += ["--engine", "keras"]  # else a file that was exported earlier needs no Keras
    environment = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    done = subprocess.run(
        command, env=environment | {"KERAS_HOME": str(home)}, capture_output=True, text=True
    )
    assert done.returncode == 0 and "in 1 picture" in done.stdout
    assert "names the backend torch; going on with tensorflow" in done.stderr


def test_weights_of_float16_are_fine(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("layers/dense/vars")
        group["0"] = np.ones((3, 4), np.float16)
    assert list(read_weight_file(tmp_path / "a.h5"))
