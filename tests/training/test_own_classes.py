"""Classes that KITTI does not score, from records to AP."""

import contextlib
import csv
import io
import json

import pytest
from fixtures.own_classes import with_classes

from mobilenetdet.cli import kitti_eval
from mobilenetdet.evaluation.evaluate import evaluate_split
from mobilenetdet.inference.loaded_detector import load_detector
from mobilenetdet.training.train import train

# The whole chain once by default: the other differs in the class alone.
_CAR_ALONE = pytest.param(("Car",), marks=pytest.mark.slow)


@pytest.fixture(scope="module", params=[("Van", "Truck", "Tram"), _CAR_ALONE], ids="-".join)
def run(request, own_classes_config, tmp_path_factory):
    """Classes, run directory, evaluation and what was printed of a detector."""
    folder = tmp_path_factory.mktemp("run") / "run"
    config = with_classes(own_classes_config, *request.param)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        evaluation = train(config, folder, verbose=0)
    return request.param, folder, evaluation, printed.getvalue()


def test_every_class_is_found_and_the_best_epoch_is_kept(run):
    classes, folder, evaluation, _ = run
    assert tuple(evaluation.ap) == classes
    assert all(ap.moderate.r40 > 0 for ap in evaluation.ap.values())
    with (folder / "metrics.csv").open() as file:
        column = [row["val/mean/moderate/R40"] for row in csv.DictReader(file)]
    measured = [float(value) for value in column if value]
    assert len(measured) == 3
    assert evaluation.ap.mean.moderate.r40 == pytest.approx(max(measured))
    again = evaluate_split(load_detector(folder), split="val")
    assert again.ap.mean.moderate.r40 == pytest.approx(max(measured), abs=1e-6)


def test_the_result_files_are_scored_by_the_command(run, own_classes_root, tmp_path, capsys):
    classes, folder, evaluation, _ = run
    out = tmp_path / "ap.json"
    labels, results = own_classes_root / "training/label_2", folder / "eval/detections"
    options = ["--label_dir", str(labels), "--result_dir", str(results), "--json", str(out)]
    options += ["--frames", str(own_classes_root / "ImageSets/val.txt")]
    assert kitti_eval.main([*options, "--classes", classes[0]]) == 0
    printed = capsys.readouterr().out
    guess = f"minimum overlap of {classes[0]}: 0.7 (a guess; set --min_overlaps)"
    assert printed.count(guess) == (classes[0] != "Car")
    measured = json.loads(out.read_text())
    assert list(measured) == ["task", "frames_sha256", "protocol", "frames", classes[0], "mean"]
    expected = evaluation.ap[classes[0]].moderate.r40
    assert measured[classes[0]]["moderate"]["R40"] == pytest.approx(expected) and expected > 0


def test_overlaps_that_are_guesses_are_said_once(run):
    classes, _, _, printed = run
    assert printed.count("(a guess; set eval.min_overlaps)") == (classes != ("Car",))
    line = f"minimum overlap of {', '.join(classes)}: 0.7 (a guess; set eval.min_overlaps)"
    assert printed.count(line) == (classes != ("Car",))


def test_a_typing_error_stops_before_the_run_begins(own_classes_config, tmp_path):
    with pytest.raises(ValueError, match="no object in .* of class Truk; did you mean Truck"):
        train(with_classes(own_classes_config, "Van", "Truk"), tmp_path / "run", verbose=0)
    assert not (tmp_path / "run").exists()
