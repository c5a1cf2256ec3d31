"""A training that fails ends soon after it has said why, with code 2, whatever still runs in it.

Threads of the input pipeline, which run Python, are at work when training breaks off. An
interpreter that ends in its usual way then aborts most of the time, and hangs now and then.
"""

import shutil
import time

import pytest

pytestmark = pytest.mark.faults

TIMES = 5
# Seconds from the message to the end; the end itself takes hundredths.
LIMIT = 5.0
TRAIN = "train --config small.json --run_dir out/new"


def seconds_to_the_end(running, patience=100.0):
    """Seconds between the line that says what is wrong and the end of the process, and its code."""
    start = time.monotonic()
    while "error: " not in running.err:
        assert time.monotonic() < start + patience, running.err
        time.sleep(0.02)
    told = time.monotonic()
    code = running.wait(patience=30.0)
    return time.monotonic() - told, code


def assert_ends(running):
    seconds, code = seconds_to_the_end(running)
    assert code == 2 and "Traceback" not in running.err, running.err
    assert seconds < LIMIT, f"{seconds:.1f} s"


@pytest.mark.parametrize("attempt", range(TIMES))
def test_a_training_that_diverges(world, attempt):
    rate = "--train.optimizer sgd --train.learning_rate 1e30 --train.clip_norm 0"
    assert_ends(running := world.start(f"{TRAIN} {rate} --train.epochs 50", traced=True))
    assert "training has diverged" in running.err


@pytest.mark.parametrize("attempt", range(TIMES))
def test_a_training_whose_records_vanish(world, attempt):
    running = world.start(f"{TRAIN} --train.epochs 500 --train.eval_every 0", traced=True)
    state = world.folder / "out/new/checkpoint.npz"
    end = time.monotonic() + 100
    while not state.exists():
        assert time.monotonic() < end, running.err
        time.sleep(0.05)
    shutil.rmtree(world.folder / "kitti/tfrecord")
    assert_ends(running)
    assert "kitti/tfrecord" in running.err
