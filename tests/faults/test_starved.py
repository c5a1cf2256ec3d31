"""Without disk, memory, files, threads or permission a command says so, and works when it is back.

Every case ends in bounded time with one message and code 2, the files of the user as they were.
"""

import contextlib
import os
import re
import subprocess
from dataclasses import dataclass, field

import pytest
from faults.checks import TEMPORARY, snapshot
from faults.jobs import JOBS
from faults.world import FOREIGN

# Seconds; a hang is a failure.
PATIENCE = 60.0
MEGABYTE = 1 << 20
# A user that nothing else runs as.
NOBODY = 61234


@dataclass(frozen=True)
class Case:
    """A command without something that it needs.

    Attributes:
        kind: what is missing.
        words: the command.
        message: pattern of the last line on standard error; "" where it works all the same.
        handicaps: see `processes.Request`.
        locked: paths whose permissions are taken away: mode by path.
        small: size of the disk that `out` is on, in bytes.
    """

    kind: str
    words: str
    message: str = ""
    handicaps: dict = field(default_factory=dict)
    locked: dict = field(default_factory=dict)
    small: int = 0


def job(name):
    return JOBS[name].words


def no_longer_than(size, name, file, more=""):
    """A limit on the size of files, which a full disk is like."""
    words = f"{job(name)} {more}".strip()
    message = rf"{file}: the system lets no file grow so large"
    return Case(f"files of {size} bytes", words, message, {"limits": {"FSIZE": size}})


def full_disk(size, name, file):
    return Case("a full disk", job(name), rf"{file}: the disk is full; free some space", small=size)


def forbidden(name, path, mode=0o555, file=None):
    message = rf"{file or path}[^ ]*[:;] permission denied"
    kind = "a folder that may not be written" if mode else "a file that may not be read"
    return Case(kind, job(name), message, {"obeys_permissions": True}, {path: mode})


def few_files(count, name):
    limits = {"limits": {"NOFILE": count}}
    return Case("few open files", job(name), "too many open files; raise the limit", limits)


def no_threads(name, count=1):
    limits = {"limits": {"NPROC": count}, "user": NOBODY}
    return Case("no more threads", job(name), "starts no more threads or processes", limits)


def little_memory(megabytes, words):
    limits = {"limits": {"AS": megabytes * MEGABYTE}}
    return Case("little memory", words, "not enough memory", limits)


def lost(kind, name, message="", **handicaps):
    return Case(kind, job(name), message, handicaps)


FULL_STREAM = r"standard output: the disk is full"
CASES = [
    no_longer_than(200, "kitti_split", r"ImageSets/kitti_split\.json"),
    no_longer_than(40_000, "kitti_synthesize", r"image_2/00000\d\.jpg"),
    no_longer_than(40_000, "kitti_synthesize in processes", r"image_2/00000\d\.jpg"),
    no_longer_than(10_000, "tf_convert_data", r"out/train_00\d\.tfrecord"),
    no_longer_than(10_000, "imagenet_convert", r"out/train_00\d\.tfrecord"),
    no_longer_than(5_000, "inspect_records", r"out/montage\.jpg"),
    no_longer_than(5_000, "fit_anchors", r"out/anchors\.png"),
    no_longer_than(5_000, "plot_metrics", r"out/metrics\.png"),
    no_longer_than(5_000, "learning_curve", r"out/curve\.png"),
    no_longer_than(30_000, "pack_run", r"out/best\.weights\.h5"),
    no_longer_than(3_000, "kitti_eval figures", r"out/ap\.json"),
    no_longer_than(8_000, "kitti_eval", r"out/plots/[a-z_]*\.png"),
    no_longer_than(3_000, "predict", r"out/overlays/photo0\.jpg"),
    no_longer_than(3_000, "visualize labels", r"out/[a-z0-9]*\.jpg"),
    no_longer_than(3_000, "eval", r"out/eval/report\.html"),
    no_longer_than(30_000, "train", r"out/run/best\.weights\.h5"),
    no_longer_than(30_000, "train_classifier", r"out/run/best\.weights\.h5"),
    no_longer_than(200, "kitti_split elsewhere", r"out/lists/kitti_split\.json"),
    no_longer_than(3_000, "import", r"out/kitti(/\S*)?"),
    no_longer_than(3_000, "import records", r"out/kitti(/\S*)?"),
    no_longer_than(3_000, "import to records", r"out/kitti(/\S*)?"),
    no_longer_than(3_000, "export a page", r"/tmp\S*"),
    no_longer_than(3_000, "export_labels", r"out/yolo(/\S*)?"),
    no_longer_than(200, "export_annotations", r"out/draft\.xml"),
    no_longer_than(30_000, "average_runs", r"out/mean/best\.weights\.h5"),
    no_longer_than(300, "kitti_submission", r"out/results/detector\.json"),
    no_longer_than(300, "eval a job", r"out/eval/1-of-2/share\.json"),
    no_longer_than(3_000, "eval of jobs", r"out/eval/report\.html"),
    full_disk(16_384, "import", r"out/kitti(/\S*)?"),
    full_disk(16_384, "import to records", r"out/kitti(/\S*)?"),
    full_disk(65_536, "export a page", r"out/page\S*"),
    full_disk(16_384, "export_labels", r"out/yolo(/\S*)?"),
    full_disk(65_536, "average_runs", r"out/mean\S*"),
    full_disk(8_192, "kitti_submission", r"out/results\S*"),
    full_disk(16_384, "tf_convert_data", r"out/[a-z0-9_.]*"),
    full_disk(65_536, "pack_run", r"out/best\.weights\.h5"),
    full_disk(12_288, "predict", r"out/[a-z0-9_./]*"),
    full_disk(8_192, "kitti_eval", r"out[a-z0-9_./]*"),
    full_disk(131_072, "train", r"out/run/[a-z0-9_./]*"),
    few_files(6, "tf_convert_data"),
    few_files(6, "kitti_eval"),
    few_files(8, "kitti_synthesize in processes"),
    few_files(5, "predict"),
    few_files(5, "eval"),
    few_files(5, "train"),
    no_threads("tf_convert_data"),
    no_threads("kitti_synthesize in processes"),
    no_threads("predict"),
    no_threads("train"),
    little_memory(20, job("kitti_synthesize")),
    little_memory(2_000, f"{job('predict')} --data.image_height 8192 --data.image_width 8192"),
    forbidden("kitti_split", "fresh/ImageSets"),
    forbidden("kitti_synthesize", "rendered"),
    forbidden("tf_convert_data", "out"),
    forbidden("imagenet_convert", "out"),
    forbidden("kitti_eval figures", "out"),
    forbidden("pack_run", "out"),
    forbidden("predict", "out"),
    forbidden("eval in the run", "run/eval"),
    forbidden("train", "out"),
    forbidden("import", "out"),
    forbidden("import to records", "out"),
    forbidden("export a page", "out"),
    forbidden("export a page", "package/package.json", 0),
    forbidden("export_labels", "out"),
    forbidden("export_annotations", "out"),
    forbidden("average_runs", "out"),
    forbidden("kitti_submission", "out"),
    forbidden("eval a job", "out/eval"),
    forbidden("import", "pictures/photo1.png", 0),
    forbidden("export_labels", "kitti/training/label_2/000009.txt", 0),
    forbidden("average_runs", "other/best.weights.h5", 0),
    forbidden("eval of jobs", "jobs/eval/1-of-2/share.json", 0),
    no_threads("import"),
    no_threads("import to records"),
    forbidden("tf_convert_data", "kitti/training/image_2/000002.png", 0),
    forbidden("kitti_eval figures", "results/000009.txt", 0),
    forbidden("eval", "kitti/tfrecord/val_001.tfrecord", 0),
    forbidden("train", "kitti/tfrecord/train_001.tfrecord", 0),
    forbidden("predict", "run/best.weights.h5", 0),
    forbidden("eval", "run/config.json", 0),
    lost("no folder for temporary files", "predict", temporary="/nowhere"),
    lost("no folder for temporary files", "kitti_synthesize in processes", temporary="/nowhere"),
    lost(
        "no folder for temporary files",
        "export a page",
        r"no folder takes temporary files; name one .*TMPDIR",
        temporary="/nowhere",
    ),
    lost("no home", "predict", environment={"HOME": None}, user=NOBODY),
    lost("a home that is not there", "plot_metrics", environment={"HOME": "/nowhere"}),
    lost("standard output is closed", "tf_convert_data", closed=("stdout",)),
    lost("standard output is closed", "predict", closed=("stdout",)),
    lost("all streams are closed", "eval in the run", closed=("stdin", "stdout", "stderr")),
    lost("standard output is closed", "import", closed=("stdout",)),
    lost("all streams are closed", "export_labels", closed=("stdin", "stdout", "stderr")),
    lost("standard output is full", "export_annotations", FULL_STREAM, stdout="/dev/full"),
    lost("all streams are closed", "kitti_split", closed=("stdin", "stdout", "stderr")),
    lost("standard output is full", "kitti_split", FULL_STREAM, stdout="/dev/full"),
    lost("standard output is full", "kitti_eval figures", FULL_STREAM, stdout="/dev/full"),
    lost("standard output is full", "predict", FULL_STREAM, stdout="/dev/full"),
    lost("standard output is full", "inspect_records", FULL_STREAM, stdout="/dev/full"),
]
SAMPLE = [
    no_longer_than(200, "kitti_split", r"ImageSets/kitti_split\.json"),
    forbidden("imagenet_convert", "out"),
    lost("standard output is closed", "tf_convert_data", closed=("stdout",)),
    lost("standard output is full", "inspect_records", FULL_STREAM, stdout="/dev/full"),
]


@contextlib.contextmanager
def deprived(world, case):
    """Takes permissions and disk away, and gives them back."""
    out = world.folder / "out"
    if case.small:
        mount = f"mount -t tmpfs -o size={case.small} tmpfs {out}".split()
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("no file system may be mounted here")
    modes = {path: os.stat(world.folder / path).st_mode & 0o777 for path in case.locked}
    for path, mode in case.locked.items():
        (world.folder / path).chmod(mode)
    try:
        yield
    finally:
        for path, mode in modes.items():
            (world.folder / path).chmod(mode)
        if case.small:
            subprocess.run(["umount", str(out)], check=True)


def starve(world, case):
    """Runs a command without what it needs, and once more with it."""
    if case.handicaps.get("user") is not None and os.geteuid():
        pytest.skip("only root may become another user")
    before = snapshot(world.folder)
    with deprived(world, case):
        running = world.start(case.words, **case.handicaps)
        code = running.wait(PATIENCE)
        told = f"code {code}\n{running.out}\n{running.err}"
    assert "Traceback" not in running.err, told
    assert code == (2 if case.message else 0), told
    if case.message:
        lines = [line for line in running.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, told
        (line,) = lines
        assert re.search(case.message, line, re.IGNORECASE), told
    now = snapshot(world.folder)
    assert not [name for name in now if TEMPORARY.search(name) or name.endswith(".lock")]
    assert all(now[name] == before[name] for name in FOREIGN)
    if case.message:
        world.must(case.words if "memory" not in case.kind else case.words.partition(" --data.")[0])


@pytest.mark.parametrize("case", SAMPLE, ids=lambda case: f"{case.kind}: {case.words.split()[0]}")
def test_sample_of_missing_resources(world, case):
    starve(world, case)


@pytest.mark.faults
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}: {case.words.split()[0]}")
def test_a_missing_resource_is_named(world, case):
    starve(world, case)


def test_at_least_twenty_five_are_tried():
    assert len(CASES) >= 25
