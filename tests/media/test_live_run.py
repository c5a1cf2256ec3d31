"""`mobilenetdet predict` on a stream that breaks twice, for a minute or, as a soak test, for ten.

`MOBILENETDET_STREAM_SECONDS=600 bash scripts/test.sh -m slow tests/media/test_live_run.py -s`
"""

import csv
import json
import os
import re
import signal
import time
from pathlib import Path

import pytest
from fixtures.predict_process import PredictProcess
from fixtures.servers import Camera, Server, numbers_of

SECONDS = float(os.environ.get("MOBILENETDET_STREAM_SECONDS", "60"))
RATE = 5.0
# What memory may grow by after the start: caches of the allocator fill within the first minute.
MAX_GROWTH_MB = 40


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
def test_a_stream_with_two_breaks_and_an_interruption(server: Server, tmp_path: Path):
    camera, out = Camera(RATE), tmp_path / "out"
    server.answers["/stream"] = camera.serve
    with PredictProcess(tmp_path, f"{server.url}/stream", formats="video json csv") as running:
        # The first connection asks what kind of address it is.
        running.wait_for(lambda: len(camera.sent) >= 2 and len(camera.sent[-1]) > 20)
        begun, memory = time.monotonic(), []
        for part in range(1, 4):
            while time.monotonic() - begun < SECONDS * part / 3:
                time.sleep(1)
                memory.append(running.resident_mb)
            if part < 3:
                connections = len(camera.sent)
                camera.break_off()
                running.wait_for(lambda before=connections: len(camera.sent) > before)
        running.send(signal.SIGINT)
        code, told, errors = running.end()
    print(told, errors)
    assert code == 130, errors
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
