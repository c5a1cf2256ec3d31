"""Run directories, and who may name their files."""

import ast
import shutil
from pathlib import Path

import pytest

from mobilenetdet import runs
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.config.storage import to_json
from mobilenetdet.exported_places import beside_exported, find_exported
from mobilenetdet.runs import (
    RunDir,
    find_detector_weights,
    is_run,
    open_run,
    shipped_weights,
)

PACKAGE = Path(runs.__file__).parent
# Names of files; and of folders, which are also words and count where a path is put together.
FILES = {
    value
    for name, value in vars(runs).items()
    if name.isupper() and name.endswith(("_FILE", "_WEIGHTS", "_PLOT")) and "." in value
}
FOLDERS = {value for name, value in vars(runs).items() if name.isupper() and name.endswith("_DIR")}
# The card of a run and the readme of anything else have one name; of what a classifier writes,
# only the run's own files are named there.
ELSEWHERE = {"README.md", "metrics.json"}


def _texts(tree: ast.AST) -> list[str]:
    """String constants but for docstrings."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
    ]


def _joined(tree: ast.AST) -> list[str]:
    """String constants that stand behind the slash of a path."""
    return [
        node.right.value
        for node in ast.walk(tree)
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Div)
        and isinstance(node.right, ast.Constant)
    ]


def test_the_names_are_those_that_runs_have():
    assert {"config.json", "best.weights.h5", "checkpoint.npz", "metrics.csv"} < FILES
    assert {"eval", "overlays", "tensorboard", "detections"} < FOLDERS


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_no_other_module_spells_them(path: Path):
    if path == Path(runs.__file__):
        return
    tree = ast.parse(path.read_text())
    words = {word for text in _texts(tree) for word in text.replace("/", " ").split()}
    assert not words & (FILES - ELSEWHERE)
    assert not {part for text in _joined(tree) for part in str(text).split("/")} & FOLDERS


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text(to_json(DetectionConfig()))
    return folder


def test_results_of_a_file_that_ships_go_where_those_of_its_weights_go(tmp_path: Path):
    assert beside_exported(tmp_path / "a.tflite").path == tmp_path / "a_tflite"
    own = Path("runs/pretrained/ssd_fpn/detector_int8_tflite")
    assert beside_exported(Path("ssd_fpn/detector_int8.tflite")).path == own
    shipped = find_exported("ssd_fpn/detector_int8.tflite")
    assert shipped.is_file() and beside_exported(shipped).path == own


def test_a_run_is_found_by_its_path(run_dir: Path):
    assert is_run(run_dir) and is_run(str(run_dir)) and not is_run(run_dir.parent)
    run = open_run(run_dir)
    assert run == RunDir(run_dir) and run.name == "mine" and run.output_dir == run_dir
    assert run.read_config() == DetectionConfig()


def test_a_run_with_the_name_of_weights_that_ship_is_not_taken_for_them(
    run_dir: Path, tmp_path, monkeypatch
):
    mine = tmp_path / "ssd_fpn"
    shutil.copytree(run_dir, mine)
    monkeypatch.chdir(tmp_path)
    for source in ("ssd_fpn", Path("./ssd_fpn")):
        with pytest.raises(ValueError, match=rf"weights that ship and of a run .* as {mine}, or"):
            open_run(source)
    # As a path that no later command takes for the name.
    assert open_run(mine).path == open_run("./ssd_fpn").path == mine.resolve()
    assert find_exported("ssd_fpn/detector_int8.tflite") == Path("ssd_fpn/detector_int8.tflite")
    ships = shipped_weights()["ssd_fpn"]
    assert open_run(None) == open_run(ships.path) == ships
    monkeypatch.chdir(ships.path.parent)
    assert open_run("ssd_fpn") == open_run("./ssd_fpn") == ships


def test_a_slash_behind_the_name_of_weights_that_ship_is_no_other_name():
    assert is_run("ssd_fpn/") and open_run("ssd_fpn/") == open_run("ssd_fpn")


def test_weights_that_ship_are_found_by_name_and_never_written_to():
    run = open_run("ssd_fpn")
    assert run == shipped_weights()["ssd_fpn"] and is_run(Path("ssd_fpn"))
    assert run.name == "ssd_fpn" and run.find_weights().is_file()
    for path in (run.output_dir, run.evaluation_dir, run.overlays_dir, run.packed_dir):
        assert not path.resolve().is_relative_to(PACKAGE)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("runs/none", r"runs/none is no run directory.*weights that ship: ssd_fpn.*train"),
        ("squeezedet", r"no weights ship for the preset squeezedet.*--preset squeezedet"),
        ("sdd_fpn", "did you mean ssd_fpn"),
        ("data/pretrained/ssd_fpn", "moved into the package; its name will do: ssd_fpn"),
        ("/a/data/pretrained/ssd_fpn/best.weights.h5", "its name will do: ssd_fpn"),
    ],
)
def test_what_is_no_run_is_answered_with_the_way_to_one(source: str, words: str):
    with pytest.raises(FileNotFoundError, match=words):
        open_run(source)


def test_weights_are_the_best_or_else_the_last(run_dir: Path):
    run = open_run(run_dir)
    with pytest.raises(FileNotFoundError, match="train it first"):
        run.find_weights()
    (run_dir / "last.weights.h5").touch()
    assert run.find_weights().name == "last.weights.h5"
    (run_dir / "best.weights.h5").touch()
    assert run.find_weights().name == "best.weights.h5"


def test_detector_weights_are_a_name_a_run_or_a_file(run_dir: Path):
    file = run_dir / "last.weights.h5"
    file.touch()
    assert find_detector_weights("ssd_fpn") == open_run("ssd_fpn").find_weights()
    assert find_detector_weights(run_dir) == find_detector_weights(str(file)) == file
    for source, words in (
        ("none.h5", "none.h5 is no weight file"),
        ("data/pretrained/ssd_fpn/best.weights.h5", "its name will do: ssd_fpn"),
    ):
        with pytest.raises(FileNotFoundError, match=words):
            find_detector_weights(source)


def test_calibration_of_the_run_belongs_to_its_config(run_dir: Path):
    (run_dir / "calibration.json").write_text("[[2, 0], [1, 1], [1, -1]]")
    config = open_run(run_dir).read_config()
    assert config.postprocess.calibration == ((2.0, 0.0), (1.0, 1.0), (1.0, -1.0))


def test_a_damaged_config_is_named(run_dir: Path):
    (run_dir / "config.json").write_text(to_json(DetectionConfig())[:-20])
    with pytest.raises(ValueError, match=r"config\.json is not a detection config"):
        open_run(run_dir).read_config()


def test_best_f1_scores_are_read_with_the_config(run_dir):
    assert open_run(run_dir).read_config().drawing_scores()["Car"] == 0.5  # not measured
    (run_dir / "best_f1_scores.json").write_text('{"Car": 0.43}')
    config = open_run(run_dir).read_config()
    assert config.drawing_scores() == {"Car": 0.43, "Pedestrian": 0.5, "Cyclist": 0.5}


@pytest.mark.parametrize("text", ["", "[0.5]", '{"Car": 7}', '{"Car": "high"}', '{"Lorry": 0.5}'])
def test_damaged_best_f1_scores_are_named(run_dir, text):
    (run_dir / "best_f1_scores.json").write_text(text)
    with pytest.raises(ValueError, match=r"best_f1_scores\.json is damaged.*remove it"):
        open_run(run_dir).read_config()
