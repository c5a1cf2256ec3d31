import importlib.util
import json
from pathlib import Path

import cv2
import pytest
from fixtures.exportable import SSD, picture, scramble

from mobilenetdet.benchmark.engine_benchmark import EngineResult, Spread
from mobilenetdet.benchmark.timed_files import EngineFile
from mobilenetdet.cli import benchmark
from mobilenetdet.config.storage import to_json
from mobilenetdet.models.detector import build_detector
from mobilenetdet.system.cores import num_cores


@pytest.fixture
def calls(monkeypatch) -> dict:
    """Replaces the measurement and the rendered pictures; collects what is asked for."""
    calls: dict = {}

    def measure(files, conditions, report):
        calls.update(files=files, conditions=conditions)
        report("timing")
        times = dict.fromkeys(("decode", "letterbox", "network", "total"), Spread(2.0, 3.0, 1.0))
        result = EngineResult(
            "litert float32", "litert", "float32", "detector", "LiteRT", "a", (64, 96), 1.0, times,
            100.0, 50.0,
        )  # fmt: skip
        return [result], ["onnx int8: it is broken"]

    monkeypatch.setattr(benchmark, "benchmark_engines", measure)
    monkeypatch.setattr(benchmark, "write_pictures", lambda *_: ([Path("p.jpg")], "a picture"))
    return calls


@pytest.mark.parametrize(
    "option",
    ["--formats onnx", "--precisions int8", "--parts detector", "--image_size 96x320"]
    + ["--run_dir runs/mine", "--num_calibration_images 3"],
)
def test_options_of_the_export_have_no_part_in_files_that_are_there(tmp_path, option, capsys):
    model = tmp_path / "a.tflite"
    model.write_bytes(b"x")
    name = option.partition(" ")[0]
    with pytest.raises((SystemExit, ValueError)) as error:
        benchmark.main(["--models", str(model), *option.split()])
    told = f"{error.value} {capsys.readouterr().err}"
    assert f"leave {name} out" in " ".join(told.replace("│", " ").split())


def test_exported_files_are_measured_and_everything_is_written(calls, tmp_path, capsys):
    model = tmp_path / "a.tflite"
    model.write_bytes(b"x" * 1_000_000)
    out = tmp_path / "out"
    options = ["--models", str(model), "--output_dir", str(out), "--runs", "60", "--threads", "1"]
    for _ in range(2):  # own files are replaced
        assert benchmark.main(options) == 0
    assert calls["files"] == [EngineFile(str(model), "litert", 1.0)]
    conditions = calls["conditions"]
    assert (conditions.runs, conditions.num_threads, conditions.records_dir) == (60, 1, None)
    report = json.loads((out / "benchmark.json").read_text())
    assert report["facts"]["pictures"] == "a picture" and report["facts"]["runs"] == 60
    assert report["left_out"] == ["onnx int8: it is broken"]
    assert (out / "benchmark.png").stat().st_size > 1000
    printed = capsys.readouterr().out
    table = printed[printed.index("| engine") :].partition("\n\n")[0]
    assert table in (out / "benchmark.md").read_text()
    assert "left out: onnx int8: it is broken" in printed and str(out / "benchmark.png") in printed


def test_a_run_is_exported_first(calls, tmp_path, monkeypatch):
    asked = {}

    def export(model, choice, folder, *, weights, overwrite, report):
        asked.update(model=model, choice=choice, folder=folder, weights=weights)
        return [EngineFile("a.onnx", "onnx", 1.0)], ["litert int8: no pictures"]

    model = type("Model", (), {"source": "ssd_fpn", "config": SSD})
    monkeypatch.setattr(benchmark, "open_model", lambda *arguments: model)
    monkeypatch.setattr(benchmark, "export_files", export)
    options = ["--formats", "onnx", "--precisions", "int8", "--image_size", "64x96", "32x64"]
    assert benchmark.main([*options, "--output_dir", str(tmp_path)]) == 0
    assert asked["choice"].image_sizes == ((64, 96), (32, 64))
    assert (asked["choice"].formats, asked["choice"].parts) == (("onnx",), ("network",))
    assert asked["folder"] == tmp_path / "models"
    assert calls["conditions"].num_threads == num_cores()
    left_out = json.loads((tmp_path / "benchmark.json").read_text())["left_out"]
    assert left_out == ["litert int8: no pictures", "onnx int8: it is broken"]


def test_a_network_of_another_program_is_timed_beside(calls, tmp_path, capsys):
    model, theirs = tmp_path / "a.tflite", tmp_path / "theirs.onnx"
    for path in (model, theirs):
        path.write_bytes(b"x" * 1_000_000)
    asked = ["--output_dir", str(tmp_path / "out"), "--beside", str(theirs)]
    assert benchmark.main([*asked, "--models", str(model)]) == 0
    beside = EngineFile(str(theirs), "onnx", 1.0, foreign=True)
    assert calls["files"] == [EngineFile(str(model), "litert", 1.0), beside]
    theirs.unlink()
    with pytest.raises(FileNotFoundError, match="theirs.onnx does not exist"):
        benchmark.main(asked)  # before the run is exported


@pytest.mark.parametrize("name", ["benchmark.json", "benchmark.md", "benchmark.png"])
def test_files_of_others_are_refused_before_the_work(calls, tmp_path, name):
    (tmp_path / name).write_text("of a user")
    with pytest.raises(FileExistsError, match=f"{name} is there"):
        benchmark.main(["--models", "a.tflite", "--output_dir", str(tmp_path)])
    assert (tmp_path / name).read_text() == "of a user" and not calls


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--runs", "49"], "runs is 49"),
        (["--max_video_frames", "0"], "max_video_frames is 0"),
        (["--threads", "0"], "threads is 0"),
        (["--models", "a.tflite", "--run_dir", "runs/a"], "leave --run_dir"),
        (["--formats", "tflite"], "tflite"),
    ],
)
def test_impossible_options_end_the_program(calls, options, message, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(options)
    assert message in capsys.readouterr().err and not calls


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (["--models", "a.h5"], ValueError, "a.h5 is no exported file"),
        (["--models", "a.tflite"], FileNotFoundError, "a.tflite does not exist"),
        (["--video", "a.mp4"], FileNotFoundError, "a.mp4 is no file"),
        (["--run_dir", "no_run"], FileNotFoundError, "no_run is no run directory"),
    ],
)
def test_what_is_not_there_is_named(calls, tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        benchmark.main([*options, "--output_dir", str(tmp_path / "out")])
    assert not calls


@pytest.mark.slow
def test_the_whole_on_a_small_run(small_kitti, tmp_path, capfd):
    for package in ("ai_edge_litert", "litert_quantizer"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    run, clips = tmp_path / "run", tmp_path / "clips"
    run.mkdir()
    clips.mkdir()
    scramble(build_detector(SSD, load_weights=False)[0]).save_weights(run / "best.weights.h5")
    (run / "config.json").write_text(to_json(SSD))
    for seed in range(3):
        cv2.imwrite(str(clips / f"{seed}.png"), picture(seed))
    options = ["--run_dir", str(run), "--records_dir", str(small_kitti / "tfrecord")]
    options += ["--formats", "keras", "litert", "frozen_graph", "--precisions", "float32", "int8"]
    options += ["--parts", "network", "detector", "--video", str(clips), "--threads", "1"]
    assert benchmark.main([*options, "--output_dir", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out/benchmark.json").read_text())
    names = [engine["name"] for engine in report["engines"]]
    assert names == [
        *("keras float32", "litert float32", "litert int8"),
        *("litert float32 whole", "litert int8 whole"),
        *("frozen_graph float32", "frozen_graph float32 whole"),
    ]
    for engine in report["engines"]:
        assert engine["frames_per_second"] > 0 and engine["peak_megabytes"] > 10
        assert engine["ap"] and engine["sgemm_gigaflops"] > 0
        apart = engine["parts"] == "network"
        assert ("suppression" in engine["milliseconds"]) == apart
    floats = {e["mean_ap"] for e in report["engines"] if e["precision"] == "float32"}
    assert max(floats) - min(floats) < 1
    assert (tmp_path / "out/models/64x96/network_int8.tflite").is_file()
    # What lies there is measured again, without an export.
    model = str(tmp_path / "out/models/64x96/detector_int8.tflite")
    assert benchmark.main(["--models", model, "--output_dir", str(tmp_path / "again")]) == 0
