"""`mobilenetdet predict` on a stream that breaks twice, for a minute or, as a soak test, for ten.

`MOBILENETDET_STREAM_SECONDS=600 bash scripts/test.sh -m slow tests/media/test_live_run.py -s`
"""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fixtures.servers import Camera, Server, numbers_of

import mobilenetdet

SECONDS = float(os.environ.get("MOBILENETDET_STREAM_SECONDS", "60"))
RATE = 5.0
# What memory may grow by after the start: caches of the allocator fill within the first minute.
MAX_GROWTH_MB = 40
# The command itself, with a detector that finds what is red: TensorFlow's own memory is not the
# question here.
PROGRAM = """
import signal

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from fixtures.red_finder import RedRuntime
from mobilenetdet.cli import predict
from mobilenetdet.cli.main import run
from mobilenetdet.inference.loaded_detector import LoadedDetector

def load(*_, config, **__):
    return LoadedDetector(RedRuntime(config), config, "red")

predict.load_for_engine = load
run("predict")
"""


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def wait_for(condition, seconds: float = 400.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
def test_a_stream_with_two_breaks_and_an_interruption(server: Server, tmp_path: Path):
    camera, out = Camera(RATE), tmp_path / "out"
    server.answers["/stream"] = camera.serve
    command = [sys.executable, "-c", PROGRAM, f"{server.url}/stream", "--image_size", "96x320"]
    command += ["--format", "video", "json", "csv", "--score", "0.1", "--output_dir", str(out)]
    paths = [str(Path(__file__).parents[1]), str(Path(mobilenetdet.__file__).parents[1])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    try:
        # The first connection asks what kind of address it is.
        wait_for(lambda: len(camera.sent) >= 2 and len(camera.sent[-1]) > 20)
        begun, memory = time.monotonic(), []
        for part in range(1, 4):
            while time.monotonic() - begun < SECONDS * part / 3:
                time.sleep(1)
                memory.append(resident_mb(process.pid))
            if part < 3:
                connections = len(camera.sent)
                camera.break_off()
                wait_for(lambda before=connections: len(camera.sent) > before)
        process.send_signal(signal.SIGINT)
        told, errors = process.communicate(timeout=200)
    finally:
        process.kill()
    print(told, errors)
    assert process.returncode == 130, errors
    (video,) = (out / "videos").iterdir()
    seen, streams = numbers_of(video), [sent for sent in camera.sent[1:] if sent]
    assert len(streams) == 3
    # What was on its way when it was interrupted is no loss.
    kept_until = seen[-1]
    expected = [number for sent in streams for number in sent if number <= kept_until]
    # A machine that has other work to do may be too slow; but no frame goes without being counted.
    dropped = int((re.search(r"(\d+) of them dropped", told) or [0, 0])[1])
    assert seen == sorted(set(seen) & set(expected))
    assert len(expected) - len(seen) <= dropped
    assert kept_until >= streams[-1][-1] - 6 * RATE
    assert ", 2 reconnections" in told
    entries = json.loads((out / "detections.json").read_text())
    assert len(entries) == len(seen)
    names = {entry["name"] for entry in entries}
    with (out / "detections.csv").open() as file:
        assert {row["name"] for row in csv.DictReader(file)} <= names
    settled = memory[len(memory) // 6 :]
    print(
        f"{len(seen)} frames in {SECONDS:g} s; RSS {settled[0]:.0f} MB after the first sixth, "
        f"{settled[-1]:.0f} MB at the end, at most {max(settled):.0f} MB"
    )
    assert max(settled) - settled[0] < MAX_GROWTH_MB
    assert not list(out.glob(".new*"))
