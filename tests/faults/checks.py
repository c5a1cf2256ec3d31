"""What holds after every fault: the user's files as they were, no half file, nothing left over."""

import base64
import csv
import gzip
import json
import re
import time
from pathlib import Path

import cv2
import h5py
import numpy as np
from faults.world import FOREIGN

from mobilenetdet.files.folder_lock import LOCK_FILE
from mobilenetdet.files.output_folder import MANIFEST_FILE, OutputFolder
from mobilenetdet.kitti.labels import read_objects
from mobilenetdet.records.tfrecord import read_records

TEMPORARY = re.compile(r"(^|/)\.[^/]*\.[0-9a-f]{8}\.\d+\.[0-9a-f]{8}\.tmp(/|$)")
# What stands for files whose content depends on the time.
EVENTS = "tensorboard"
# Holds a network whose nodes tf2onnx orders and names anew each time: counts by what it defines.
NETWORK_SCRIPT = "model.js"
# Processes that are to end with their parent have so long.
SECONDS_OF_ORPHANS = 5.0


def epochs_of(folder):
    """The epochs in event files, as bytes."""
    # Not at the top: it imports TensorFlow, and the sample does without.
    from mobilenetdet.training.callbacks import _logged_epochs

    return str(sorted(_logged_epochs(folder))).encode()


def snapshot(folder):
    """Returns the content of each file by its path; event files count by the epochs in them."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file():
            continue
        if path.parent.name == EVENTS:
            found[str(Path(name).parent)] = epochs_of(path.parent)
        elif path.name == NETWORK_SCRIPT:
            found[name] = str(assert_script(path.read_bytes())).encode()
        elif path.name == MANIFEST_FILE:
            found[name] = own_files(path.parent)
        else:
            found[name] = path.read_bytes()
    return found


def assert_script(content):
    """Reads a script of a page to its end; returns the names of what it defines."""
    head, _, value = content.decode().partition(" = ")
    assert value.endswith(";\n"), "a script is cut off"
    parts = json.loads(value.removesuffix(";\n"))
    assert all(gzip.decompress(base64.b64decode(each)) for each in parts.values())
    return head, sorted(parts)


def own_files(folder):
    """The files that a manifest knows for own, as bytes."""
    output = OutputFolder(folder)
    return json.dumps(sorted(name for name in output._contents if output.is_own(name))).encode()


def is_passing(name):
    """Whether a file is there only while a command runs, or after a kill."""
    return bool(TEMPORARY.search(name)) or Path(name).name in (LOCK_FILE, MANIFEST_FILE)


def assert_nothing_is_half(world, job, undisturbed):
    """Holds after a kill; `undisturbed` are the files before and after the whole command."""
    before, after = undisturbed
    now = snapshot(world.folder)
    for name in before.keys() | now.keys():
        inside = any(name.startswith(f"{place}/") for place in job.places)
        if name in FOREIGN or not inside:
            assert now.get(name) == before.get(name), f"{name} has changed"
        elif name in now and not is_passing(name) and Path(name).name != EVENTS:
            known = now[name] in (before.get(name), after.get(name))
            stage = job.grows or name.endswith(".partial.json") or "kitti_split" in name
            assert known or stage, f"{name} is neither the old nor the new one"
            assert_whole(world.folder / name)


def assert_whole(path):
    """Reads a file to its end."""
    content = path.read_bytes()
    if path.suffix in (".jpg", ".png"):
        end = b"\xff\xd9" if path.suffix == ".jpg" else b"IEND\xaeB`\x82"
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None and content.endswith(end), path
    elif path.suffix == ".tfrecord":
        assert len(list(read_records(path)))
    elif path.suffix == ".json":
        json.loads(content)
    elif path.suffix == ".npz":
        from mobilenetdet.training.checkpoint import read_state

        read_state(path)
    elif path.suffix == ".h5":
        with h5py.File(path) as file:
            file.visititems(lambda _, item: item[()] if isinstance(item, h5py.Dataset) else None)
    elif path.suffix == ".csv":
        rows = list(csv.DictReader(content.decode().splitlines()))
        assert rows and all(None not in row.values() and None not in row for row in rows), path
    elif path.name in (NETWORK_SCRIPT, "runtime.js"):
        assert_script(content)
    elif path.suffix == ".html":
        assert content.rstrip().endswith(b"</html>"), path
    elif path.suffix == ".txt" and path.parent.name in ("detections", "kitti", "label_2"):
        read_objects(path)


def assert_as_undisturbed(world, after):
    """Holds when the command was given again: everything is as if nothing had happened."""
    now = snapshot(world.folder)
    left_over = [name for name in now if TEMPORARY.search(name) or name.endswith(LOCK_FILE)]
    assert not left_over
    assert now.keys() == after.keys()
    changed = [name for name in after if now[name] != after[name]]
    assert not changed, changed


def assert_no_orphans(running):
    """Holds soon after the end of a command, however it ended."""
    end = time.monotonic() + SECONDS_OF_ORPHANS
    while kin := running.kin():
        assert time.monotonic() < end, f"processes {kin} have outlived their parent"
        time.sleep(0.05)
