import io
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from fixtures.exportable import picture

import mobilenetdet as md
from mobilenetdet.benchmark import engine_server
from mobilenetdet.benchmark.engine_server import (
    STAGES,
    TOTAL,
    DetectorEngine,
    Server,
    SgemmEngine,
    peak_megabytes,
)


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    """Two pictures of another size than the input."""
    paths = [str(tmp_path / f"{name}.png") for name in "ab"]
    for seed, path in enumerate(paths):
        cv2.imwrite(path, picture(seed, (90, 200)))
    return paths


@pytest.mark.parametrize("part", ["network", "detector"])
def test_a_file_is_timed_in_its_stages(small_detector, tmp_path, pictures, part):
    small_detector("ssd").export(tmp_path, formats=["frozen_graph"], parts=[part])
    server = Server()
    path = str(tmp_path / f"{part}_float32.pb")
    found = server.answer(
        {"do": "open", "source": path, "weights": None, "pictures": pictures, "size": None}
    )
    stages = STAGES if part == "network" else STAGES[:3]
    assert found["stages"] == list(stages) and found["image_size"] == [64, 96]
    assert (found["parts"], found["precision"]) == (part, "float32")
    times = server.answer({"do": "time", "runs": 3, "warm_up": 1})["times"]
    assert list(times) == [*stages, TOTAL] and all(len(each) == 3 for each in times.values())
    sums = np.sum([times[stage] for stage in stages], axis=0)
    np.testing.assert_allclose(sums, times[TOTAL])
    video = server.answer({"do": "video", "path": str(tmp_path), "max_frames": 1})
    assert video["frames"] == 1 and video["seconds"] > 0


def test_the_stages_find_what_the_detector_does(small_detector, tmp_path, pictures):
    small_detector("ssd").export(tmp_path, formats=["frozen_graph"], parts=["network"])
    engine = DetectorEngine(str(tmp_path / "network_float32.pb"), None, pictures, None)
    fitted = engine.model.letterbox(picture(0))[0][None]
    for ours, theirs in zip(
        engine._find(engine._infer(fitted)), engine.model.runtime.run(fitted), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_mirrored_networks_are_one_stage(small_detector, tmp_path, monkeypatch):
    small_detector("ssd").export(tmp_path, formats=["frozen_graph"], parts=["network"])
    model = md.load(tmp_path / "network_float32.pb")
    settings = SimpleNamespace(mirror=True)
    info = SimpleNamespace(parts="network", postprocess=settings)
    monkeypatch.setattr(model.runtime, "info", info)
    assert engine_server._parts_of(model) == (model.runtime.run, None)


def test_sgemm_is_timed(monkeypatch):
    monkeypatch.setattr(engine_server, "SGEMM_SIDE", 8)
    engine = SgemmEngine()
    assert engine.describe() == {"engine": f"numpy {np.__version__}"}
    assert list(engine.run()) == [TOTAL] and engine.run()[TOTAL] > 0


def test_ap_is_that_of_eval(red_finder, small_config):
    server = Server()
    server._engine = SimpleNamespace(model=red_finder())
    found = server.answer({"do": "ap", "records_dir": small_config.data.records_dir})
    expected = md.evaluate(red_finder(), small_config.data.records_dir, split="val")
    assert found["split"] == "val" and found["mean"] == expected.mean.moderate.r40 > 0
    assert found["ap"] == expected.to_dict()


def test_memory_is_that_of_this_process():
    before = Server().answer({"do": "memory"})["peak_megabytes"]
    block = np.ones(30_000_000)  # 240 MB
    assert peak_megabytes() >= before > 10 and block.nbytes == 240e6


def test_mistakes_are_answers_and_not_the_end(monkeypatch, tmp_path):
    requests = [
        {"do": "dance"},
        {"do": "open", "source": str(tmp_path / "a.pb"), "weights": None, "pictures": [],
         "size": None},
    ]  # fmt: skip
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{json.dumps(r)}\n" for r in requests)))
    read, write = os.pipe()
    kept = os.dup(1)
    monkeypatch.setattr(engine_server.os, "dup", lambda number: write)
    try:
        engine_server.main()
    finally:
        os.dup2(kept, 1)
    with open(read, encoding="utf-8") as answers:
        lines = [json.loads(answers.readline()) for _ in requests]
    assert "request 'dance'; there are open, time" in lines[0]["error"]
    assert "a.pb does not exist" in lines[1]["error"]
