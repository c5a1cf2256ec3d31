"""Two processes train the weights of one; what befalls one of them ends both, and a run goes on."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import mobilenetdet
from mobilenetdet.cli import tf_convert_data

PROGRAM = Path(__file__).with_name("cluster_steps.py")
START_SECONDS, END_SECONDS = 300, 120
LOST = "another process of this training is gone"

pytestmark = pytest.mark.slow


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def launch(*commands):
    """Starts processes on JAX."""
    environment = os.environ | {
        "KERAS_BACKEND": "jax",
        "PYTHONPATH": str(Path(mobilenetdet.__file__).parents[1]),
    }
    return [
        subprocess.Popen(
            [sys.executable, "-u", *map(str, command)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # In the background of a script Ctrl-C is ignored, and children would inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        for command in commands
    ]


def start(small_kitti, run_dir, epochs, *, num_processes):
    """Starts the processes of a training with two shares of the records; returns them."""
    command = [PROGRAM, small_kitti / "tfrecord", run_dir, epochs]
    if num_processes == 1:
        return launch([*command, 2])
    address = f"127.0.0.1:{free_port()}"
    return launch(*([*command, 1, address, num_processes, i] for i in range(num_processes)))


def finish(processes):
    """Waits for the end of all; returns what they have printed."""
    ended = [process.communicate(timeout=START_SECONDS) for process in processes]
    for process, (_, errors) in zip(processes, ended, strict=True):
        assert process.returncode == 0, errors
    return [printed for printed, _ in ended]


def difference(one, other):
    """Largest difference of the states of two runs: weights, averages, optimizer."""
    states = [np.load(run / "checkpoint.npz") for run in (one, other)]
    assert set(states[0].files) == set(states[1].files)
    names = [name for name in states[0].files if name != "progress"]
    return max(float(np.abs(states[0][n] - states[1][n]).max()) for n in names)


@pytest.fixture(scope="module")
def trained(small_kitti, tmp_path_factory):
    """Runs of twenty steps: by one process, and by two."""
    folder = tmp_path_factory.mktemp("cluster")
    finish(start(small_kitti, folder / "one", 10, num_processes=1))
    printed = finish(start(small_kitti, folder / "two", 10, num_processes=2))
    return folder, printed


def test_two_processes_train_the_weights_of_one(trained):
    folder, (first, second) = trained
    assert 0 < difference(folder / "one", folder / "two") < 1e-5
    histories = [(folder / run / "metrics.csv").read_text().split() for run in ("one", "two")]
    for one, two in zip(*(lines[1:] for lines in histories), strict=True):
        numbers = [np.array(line.split(","), float) for line in (one, two)]
        np.testing.assert_allclose(*numbers, atol=1e-5)
    assert "2 processes train together" in first and "Epoch 10/10" in first
    assert "Epoch" not in second
    for place, printed in enumerate((first, second)):
        assert f"process {place} of 2 waits for the others at 127.0.0.1:" in printed
    config = (folder / "two/config.json").read_text()
    assert '"num_processes": 1' in config and '"record_shares": 2' in config


@pytest.mark.parametrize(
    ("sent", "victim"),
    [
        (signal.SIGKILL, 0),
        (signal.SIGKILL, 1),
        (signal.SIGTERM, 0),
        (signal.SIGTERM, 1),
        (signal.SIGINT, 0),
        (signal.SIGINT, 1),
    ],
)
def test_after_the_end_of_one_all_end_and_a_restart_resumes_exactly(
    small_kitti, trained, tmp_path, sent, victim
):
    folder, _ = trained
    run_dir = tmp_path / "run"
    processes = start(small_kitti, run_dir, 10, num_processes=2)
    deadline = time.monotonic() + START_SECONDS
    while not (run_dir / "checkpoint.npz").is_file():
        assert time.monotonic() < deadline and processes[0].poll() is None
        time.sleep(0.05)
    processes[victim].send_signal(sent)
    ended = time.monotonic()
    _, own_errors = processes[victim].communicate(timeout=END_SECONDS)
    _, errors = processes[1 - victim].communicate(timeout=END_SECONDS)
    print(f"process {1 - victim} ended {time.monotonic() - ended:.1f} s after {sent.name}")
    assert processes[victim].returncode == (130 if sent == signal.SIGINT else -sent)
    if sent == signal.SIGINT:
        assert "interrupted; given again, the command keeps what is complete" in own_errors
    assert processes[1 - victim].returncode != 0
    assert errors.count(LOST) == 1, errors
    assert "Check failure stack trace" not in errors and "Traceback" not in errors + own_errors
    first, _ = finish(start(small_kitti, run_dir, 10, num_processes=2))
    assert "resumed" in first
    assert difference(folder / "two", run_dir) == 0


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("place", [0, 1])
def test_a_process_that_waits_for_the_others_ends_at_once(small_kitti, tmp_path, sent, place):
    command = [PROGRAM, small_kitti / "tfrecord", tmp_path / "run", 1, 1]
    (process,) = launch([*command, f"127.0.0.1:{free_port()}", 2, place])
    assert f"process {place} of 2 waits for the others" in process.stdout.readline()
    time.sleep(2)  # until it does
    process.send_signal(sent)
    process.communicate(timeout=30)
    assert process.returncode == -sent
    assert not (tmp_path / "run").exists()


def train(run_dir, *records_dirs):
    """Starts a training from the command line, each process with records of its own."""
    address = f"127.0.0.1:{free_port()}"
    settings = "--data.image_height 64 --data.image_width 192 --train.batch_size 4".split()
    settings += "--train.epochs 1 --model.weights none --augment.enabled False".split()
    settings += ["--run_dir", run_dir, "--train.coordinator", address]
    settings += ["--train.num_processes", len(records_dirs)]
    return launch(
        *(
            ["-m", "mobilenetdet", "train", "--preset", "quickstart", *settings]
            + ["--data.records_dir", folder, "--train.process_id", process]
            for process, folder in enumerate(records_dirs)
        )
    )


def ends_of(processes):
    """Waits until all have ended with an error; returns what each has said."""
    ended = [process.communicate(timeout=START_SECONDS)[1] for process in processes]
    # JAX aborts a process that waits for nothing when it misses the other.
    assert all(process.returncode in (2, -signal.SIGABRT) for process in processes), ended
    return ended


@pytest.mark.parametrize("victim", [0, 1])
def test_a_process_without_records_ends_all(small_kitti, tmp_path, victim):
    folders = [small_kitti / "tfrecord"] * 2
    folders[victim] = tmp_path / "none"
    errors = ends_of(train(tmp_path / "run", *folders))
    assert "error: " in errors[victim] and "none" in errors[victim], errors
    assert errors[1 - victim].count(LOST) == 1, errors
    assert not list((tmp_path / "run").glob("*.json"))


@pytest.mark.parametrize(
    ("frames", "fault"),
    [
        ((0, 1, 2, 3, 4, 5, 6, 9), "what the training records hold is "),
        ((0, 1, 2, 3, 7, 6, 5, 4), "the order of the records of train is "),
    ],
)
def test_other_records_of_one_process_end_all(small_kitti, tmp_path, frames, fault):
    other = tmp_path / "other"
    shutil.copytree(small_kitti, other, ignore=shutil.ignore_patterns("tfrecord"))
    frame_ids = [f"{index:06d}" for index in frames]
    (other / "ImageSets/train.txt").write_text("\n".join(frame_ids) + "\n")
    tf_convert_data.main(["--dataset_root", str(other), "--output_dir", str(other / "tfrecord")])
    folders = small_kitti / "tfrecord", other / "tfrecord"
    for error in ends_of(train(tmp_path / "run", *folders)):
        assert fault in error and "in process 1 and" in error, error
