"""Killed at any moment, a command loses nothing and goes on when it is given again."""

import signal
import time
from dataclasses import dataclass, field

import pytest
from faults.checks import (
    assert_as_undisturbed,
    assert_no_orphans,
    assert_nothing_is_half,
    snapshot,
)
from faults.jobs import JOBS

KILL, TERM, INT = signal.SIGKILL, signal.SIGTERM, signal.SIGINT
# Kills of each command, spread evenly over its touches of files.
COUNTS = {
    "kitti_split": 6,
    "kitti_synthesize": 4,
    "tf_convert_data": 6,
    "tf_convert_data over records": 6,
    "imagenet_convert": 5,
    "inspect_records": 2,
    "fit_anchors": 2,
    "train": 7,
    "train_classifier": 4,
    "plot_metrics": 2,
    "learning_curve": 2,
    "pack_run": 5,
    "eval": 4,
    "eval in the run": 2,
    "predict": 4,
    "predict a video": 2,
    "visualize": 2,
    "visualize labels": 2,
    "kitti_eval": 5,
    "kitti_split elsewhere": 3,
    "import": 6,
    "import records": 3,
    "import to records": 5,
    "export a page": 4,
    "export_labels": 5,
    "export_annotations": 2,
    "average_runs": 6,
    "kitti_submission": 5,
    "eval a job": 4,
    "eval of jobs": 3,
}
# Not every kill is the hardest one.
OTHER_SIGNALS = {
    ("kitti_split", 3): INT,
    ("kitti_synthesize", 2): TERM,
    ("tf_convert_data", 3): INT,
    ("imagenet_convert", 2): TERM,
    ("train", 3): INT,
    ("train_classifier", 2): TERM,
    ("predict", 1): INT,
    ("pack_run", 2): INT,
    ("kitti_eval", 3): TERM,
    ("import", 2): INT,
    ("import", 3): TERM,
    ("import to records", 1): INT,
    ("export a page", 2): INT,
    ("export_labels", 2): INT,
    ("average_runs", 2): INT,
    ("kitti_submission", 2): INT,
    ("eval a job", 2): TERM,
}
PLACES = [(name, index, count) for name, count in COUNTS.items() for index in range(count)]
# Seconds after the start, for what no count of touches sees: threads, libraries, other processes.
TIMES = [
    ("kitti_synthesize in processes", 0.3, KILL),
    ("kitti_synthesize in processes", 1.5, KILL),
    ("kitti_synthesize in processes", 2.5, TERM),
    ("kitti_synthesize in processes", 3.0, INT),
    ("train", 3.0, KILL),
    ("train_classifier", 3.0, KILL),
    ("eval", 2.0, TERM),
]


@dataclass
class Undisturbed:
    """Files before and after a command that nobody disturbed, and how often it touched one."""

    before: dict = field(default_factory=dict)
    after: dict = field(default_factory=dict)
    touches: int = 0


@pytest.fixture(scope="module")
def undisturbed(pristine_world):
    """A function: runs a job to its end, once."""
    known = {}

    def run(name):
        if name not in known:
            pristine_world.restore()
            log = pristine_world.folder.parent / f"touches_{len(known)}"
            found = known[name] = Undisturbed(before=snapshot(pristine_world.folder))
            pristine_world.must(JOBS[name].words, touches=str(log), whole_end=True)
            found.after = snapshot(pristine_world.folder)
            found.touches = len(log.read_text().splitlines())
            pristine_world.restore()
        return known[name]

    return run


def assert_survived(world, job, running, whole):
    assert_no_orphans(running)
    assert_nothing_is_half(world, job, (whole.before, whole.after))
    world.must(job.words)
    assert_as_undisturbed(world, whole.after)


def kill_at(world, undisturbed, name, index, count):
    """Kills a command before one of its touches of files."""
    job, whole = JOBS[name], undisturbed(name)
    number = OTHER_SIGNALS.get((name, index), KILL)
    place = 1 + round((index + 0.5) / count * (whole.touches - 1))
    log = world.folder.parent / "touches"
    log.unlink(missing_ok=True)
    running, code = world.run(job.words, touches=str(log), kill_at=place, signal=number)
    assert code == (130 if number == INT else -number), running.err
    assert "Traceback" not in running.err
    assert_survived(world, job, running, whole)


SAMPLE = [
    ("kitti_split", 3, 6),
    ("import", 4, 6),
    ("tf_convert_data over records", 4, 6),
    ("imagenet_convert", 2, 5),
]


@pytest.mark.parametrize(("name", "index", "count"), SAMPLE)
def test_sample_of_kills_between_files(world, undisturbed, name, index, count):
    kill_at(world, undisturbed, name, index, count)


@pytest.mark.faults
@pytest.mark.parametrize(
    ("name", "index", "count"), PLACES, ids=[f"{n} {i + 1} of {c}" for n, i, c in PLACES]
)
def test_a_kill_between_files(world, undisturbed, name, index, count):
    kill_at(world, undisturbed, name, index, count)


@pytest.mark.faults
@pytest.mark.parametrize(
    ("name", "seconds", "number"), TIMES, ids=[f"{n} after {s} s" for n, s, _ in TIMES]
)
def test_a_kill_at_some_time(world, undisturbed, name, seconds, number):
    job, whole = JOBS[name], undisturbed(name)
    running = world.start(job.words)
    time.sleep(seconds)
    running.kill(number)
    code = running.wait()
    assert code in (0, -number, 130), running.err
    assert_survived(world, job, running, whole)


def test_at_least_sixty_are_tried():
    assert len(PLACES) + len(TIMES) >= 60
