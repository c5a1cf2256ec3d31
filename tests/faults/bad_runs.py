"""What else is in a run directory, and runs that are none."""

import shutil
from collections.abc import Callable
from pathlib import Path

from faults.bad_records import evaluate, train
from faults.bad_weights import in_run, pack, predict, resume
from faults.user_folder import UserFolder, bad


def plot(user: UserFolder) -> list:
    return ["plot_metrics", "--run_dir", user.run]


def without(name: str, command: Callable) -> Callable:
    def make(user: UserFolder) -> list:
        path = user.run / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        return command(user)

    return make


def without_weights(user: UserFolder) -> list:
    for name in ("best", "last"):
        (user.run / f"{name}.weights.h5").unlink()
    return pack(user)


def foreign_run(user: UserFolder) -> list:
    """Weights in a folder that is no run."""
    user.file("out/best.weights.h5", Path(user.run / "best.weights.h5").read_bytes())
    return train(user)


RUNS = [
    bad(
        "no run", lambda u: predict(u, "--run_dir", u.root / "no"), "no is no run directory .*train"
    ),
    bad(
        "a run without config",
        without("config.json", predict),
        "run is no run dir.* no config.json",
    ),
    bad(
        "a run without weights",
        without_weights,
        "neither best.weights.h5 nor last.weights.h5; train",
    ),
    bad(
        "a calibration of text",
        in_run("calibration.json", "x"),
        "calibration.json is damaged.*copy",
    ),
    bad(
        "a calibration of numbers", in_run("calibration.json", "[1]"), "calibration.json is damaged"
    ),
    bad(
        "a calibration of too few classes",
        in_run("calibration.json", "[[1.0, 0.0]]"),
        "calibration.json is damaged.*one pair for each of",
        "remove it, and scores stay as predicted",
    ),
    bad("a calibration of brackets", in_run("calibration.json", "[" * 9999), "json is damaged"),
    bad("a slope of 0", in_run("calibration.json", "[[0, 0], [1, 0], [1, 0]]"), "json is damaged"),
    bad("scores of text", in_run("best_f1_scores.json", '{"Car": "x"}'), "scores.json is damaged"),
    bad(
        "a score of 7",
        in_run("best_f1_scores.json", '{"Car": 7}'),
        "scores.json is damaged.*0 to 1",
    ),
    bad("scores in a list", in_run("best_f1_scores.json", "[1]"), "best_f1_scores.json is damaged"),
    bad("frames seen of text", in_run("frames_seen.json", "x"), "frames_seen.json does not list"),
    bad(
        "frames seen by number",
        in_run("frames_seen.json", '{"hashes": [1], "complete": true}'),
        "frames_seen.json does not list the frames",
        "inspect_records --split train --frames_seen PATH",
    ),
    bad(
        "frames seen as far as yes",
        in_run("frames_seen.json", '{"hashes": [], "complete": "no"}', evaluate),
        "frames_seen.json does not list the frames .*complete is true or false",
    ),
    bad(
        "metrics of text",
        in_run("eval/metrics.json", "x", pack),
        "metrics.json is damaged.*measure",
    ),
    bad("metrics in a list", in_run("eval/metrics.json", "[]", pack), "not the metrics of an eval"),
    bad(
        "a run that was not measured",
        without("eval", pack),
        "metrics.json does not exist; measure the run first: mobilenetdet eval --run_dir",
    ),
    bad(
        "a pack in the run itself",
        lambda u: [*pack(u), "--output_dir", u.run],
        "run is the run itself, whose weights would be lost",
    ),
    bad(
        "a history with a word",
        in_run("metrics.csv", "epoch,loss\n1,two\n", plot),
        "metrics.csv:2: loss is 'two', no number",
    ),
    bad("a history of zeros", in_run("metrics.csv", b"\0" * 99, plot), "metrics.csv"),
    bad("no history", without("metrics.csv", plot), "metrics.csv does not exist"),
    bad(
        "a learning curve of one run",
        lambda u: ["learning_curve", "--run_dir", u.run, "--output", u.root / "a.png"],
        "name two runs or more",
    ),
    bad("weights in a folder that is no run", foreign_run, "is there, but no config.json"),
    bad(
        "a run with other settings",
        lambda u: [*resume(u), "--head.channels", "64"],
        "holds a run with other settings .*head.channels: 32 there, 64 now",
        "choose another --run_dir",
    ),
    bad(
        "a training into the weights that ship",
        lambda u: train(u, "--run_dir", "ssd_fpn"),
        "ssd_fpn names weights that ship; name another folder with --run_dir",
    ),
]

CASES = {"run directories": RUNS}
