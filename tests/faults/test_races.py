"""Two commands at once: one waits its turn or is refused with the other's name, nothing is lost."""

import re
import time

import pytest
from faults.checks import TEMPORARY, assert_as_undisturbed, snapshot
from faults.jobs import IMPORTED, JOBS, PACK, RUN
from faults.world import FOREIGN

REFUSED = r"error: {}[\w/-]*: (process {} on \S+|another process) is writing here"
# Of a command that came after the other had ended.
PACKED = r"error: \S*out/\S+ (is there|is not empty|holds an import already)[;,] "
AGAIN = "tf_convert_data --dataset_root kitti --num_shards 3 --overwrite"
LONGER = "train --config small.json --run_dir run --train.epochs 3"
# One command, given twice at once, and the seconds between.
TWINS = [
    ("kitti_split", 0.0),
    ("kitti_synthesize", 0.05),
    ("kitti_synthesize in processes", 0.0),
    ("tf_convert_data", 0.0),
    ("tf_convert_data over records", 0.0),
    ("imagenet_convert", 0.0),
    ("pack_run", 0.0),
    ("train", 0.0),
    ("train", 2.0),
    ("train_classifier", 0.0),
    ("eval", 0.0),
    ("eval in the run", 0.0),
    ("predict", 0.0),
    ("visualize", 0.0),
    ("kitti_eval", 0.0),
    ("kitti_split elsewhere", 0.0),
    ("import", 0.0),
    ("import to records", 0.0),
    ("export a page", 0.0),
    ("export_labels", 0.0),
    ("export_annotations", 0.0),
    ("average_runs", 0.0),
    ("kitti_submission", 0.0),
    ("eval a job", 0.0),
    ("eval of jobs", 0.0),
]
# Two that want another content of one folder.
RIVALS = [
    ("kitti_split --kitti_root fresh --seed 3", "kitti_split --kitti_root fresh --seed 4"),
    (
        "tf_convert_data --dataset_root kitti --output_dir out --num_shards 2",
        "tf_convert_data --dataset_root kitti --output_dir out --num_shards 4",
    ),
    (f"visualize {RUN} --output_dir out", f"visualize {RUN} --output_dir out --what labels"),
]
# Two that fill one folder, which has to be new.
FILLERS = [
    (JOBS["import"].words, JOBS["import records"].words),
    (JOBS["import"].words, f"export_labels kitti {IMPORTED} --format voc --split train"),
]
# A command that replaces what another one reads, and what the reader may end with.
INCOMPLETE = r"error: .*(incomplete|is gone|no records|has \S+ bytes|was there at the start)"
READERS = [
    (AGAIN, JOBS["eval"].words, INCOMPLETE),
    (AGAIN, JOBS["train"].words, INCOMPLETE),
    (AGAIN, JOBS["visualize labels"].words, INCOMPLETE),
    (AGAIN, JOBS["inspect_records"].words, INCOMPLETE),
    (LONGER, f"eval {RUN} --output_dir out", None),
    (LONGER, f"{PACK} --output_dir out", None),
    (LONGER, JOBS["predict"].words, None),
    (f"eval {RUN} --split train", f"{PACK} --output_dir out", None),
]


def start_both(world, first, second, pause=0.0):
    """Runs two commands at once; returns them and their codes."""
    running = [world.start(first)]
    time.sleep(pause)
    running.append(world.start(second))
    codes = [each.wait() for each in running]
    for each in running:
        assert "Traceback" not in each.err
    return running, codes


def assert_one_was_refused(running, codes, place):
    """Both have ended well, or one of them says who was in its way."""
    assert 0 in codes, [each.err for each in running]
    for loser, code, other in zip(running, codes, running[::-1], strict=True):
        if code:
            words = f"{REFUSED.format(place, other.pid)}|{PACKED}"
            assert code == 2 and re.search(words, loser.err), loser.err


@pytest.fixture(scope="module")
def alone(pristine_world):
    """A function: the files after a job that runs alone, once."""
    known = {}

    def run(name):
        if name not in known:
            pristine_world.restore()
            pristine_world.must(JOBS[name].words)
            known[name] = snapshot(pristine_world.folder)
            pristine_world.restore()
        return known[name]

    return run


def race_twins(world, alone, name, pause):
    job, after = JOBS[name], alone(name)
    running, codes = start_both(world, job.words, job.words, pause)
    assert_one_was_refused(running, codes, job.places[0])
    assert_as_undisturbed(world, after)


SAMPLE = [("kitti_split", 0.0), ("tf_convert_data", 0.0), ("imagenet_convert", 0.0)]


@pytest.mark.parametrize(("name", "pause"), SAMPLE)
def test_sample_of_twins(world, alone, name, pause):
    race_twins(world, alone, name, pause)


@pytest.mark.faults
@pytest.mark.parametrize(("name", "pause"), TWINS)
def test_one_command_twice_at_once(world, alone, name, pause):
    race_twins(world, alone, name, pause)


@pytest.mark.faults
@pytest.mark.parametrize(("first", "second"), RIVALS, ids=lambda words: words.split()[0])
def test_two_that_want_another_content(world, first, second):
    results = []
    for order in ((first,), (second,), (first, second), (second, first)):
        world.restore()
        for words in order:
            world.must(words)
        results.append(snapshot(world.folder))
    world.restore()
    running, codes = start_both(world, first, second)
    assert_one_was_refused(running, codes, "")
    assert snapshot(world.folder) in (results if codes == [0, 0] else results[codes[0] != 0 :][:1])


@pytest.mark.faults
@pytest.mark.parametrize(("first", "second"), FILLERS, ids=lambda words: words.split()[0])
def test_two_that_fill_one_folder(world, first, second):
    results = []
    for words in (first, second):
        world.restore()
        world.must(words)
        results.append(snapshot(world.folder))
    world.restore()
    running, codes = start_both(world, first, second)
    assert sorted(codes) == [0, 2]
    assert re.search(PACKED, running[codes.index(2)].err), running[codes.index(2)].err
    assert snapshot(world.folder) == results[codes.index(0)]


@pytest.mark.faults
@pytest.mark.parametrize(
    ("writer", "reader", "fault"), READERS, ids=lambda words: (words or "").split(" ")[0]
)
def test_a_reader_beside_a_writer(world, writer, reader, fault):
    before = snapshot(world.folder)
    running, codes = start_both(world, writer, reader, pause=0.1)
    assert codes[0] == 0, running[0].err
    if fault and codes[1]:
        assert codes[1] == 2 and re.search(fault, running[1].err), running[1].err
        world.must(reader)
    else:
        assert codes[1] == 0, running[1].err
    now = snapshot(world.folder)
    assert not [name for name in now if TEMPORARY.search(name) or name.endswith(".lock")]
    assert all(now[name] == before[name] for name in FOREIGN)
    if writer == AGAIN:
        assert all(now[name] == before[name] for name in before if "tfrecord" in name)
    if "pack_run" in reader:
        from mobilenetdet.inference.loaded_detector import load_detector

        load_detector(world.folder / "out")


@pytest.mark.faults
def test_the_next_command_takes_over_from_one_that_was_killed(world, alone):
    job, after = JOBS["train"], alone("train")
    first = world.start(job.words)
    while not (world.folder / "out/run/.mobilenetdet.lock").exists():
        time.sleep(0.02)
    first.kill(9)
    first.wait()
    world.must(job.words)
    assert_as_undisturbed(world, after)


def test_at_least_twelve_are_tried():
    assert len(TWINS) + len(RIVALS) + len(READERS) >= 12
