from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from mobilenetdet.benchmark import engine_benchmark
from mobilenetdet.benchmark.engine_benchmark import Conditions, Spread, benchmark_engines
from mobilenetdet.benchmark.engine_process import EngineError
from mobilenetdet.benchmark.timed_files import EngineFile

PRECISION = {"a.tflite": "float32", "b.onnx": "int8", "c.pb": "float32"}


class FakeProcess:
    """Answers at once; `log` has what was asked of whom, `fail` what goes wrong."""

    log: list[tuple[str, str]] = []
    fail: dict[tuple[str, str], int] = {}

    def __init__(self, num_threads: int) -> None:
        self.name, self.closed = "", False

    def close(self):
        self.closed = True

    def ask(self, what, **values):
        if what == "open":
            self.name = Path(values["source"] or "sgemm").name
        self.log.append((self.name, what))
        times = sum(1 for each in self.log if each == (self.name, what))
        if self.fail.get((self.name, what)) == times:
            raise EngineError("it is broken")
        return getattr(self, what)(**values)

    def open(self, source, **options):
        if source is None:
            return {"engine": "numpy"}
        return {
            "engine": f"engine of {self.name}",
            "parts": "detector" if self.name == "c.pb" else "network",
            "precision": PRECISION[self.name],
            "image_size": [64, 96],
            "stages": ["decode", "letterbox", "network"],
        }

    def time(self, runs, warm_up):
        stages = ["total"] if self.name == "sgemm" else ["decode", "letterbox", "network", "total"]
        return {"times": {stage: [100.0] * runs for stage in stages}}

    def video(self, path, max_frames):
        return {"frames": 10, "seconds": 2.0}

    def memory(self):
        return {"peak_megabytes": 123.0}

    def ap(self, records_dir):
        return {"ap": {"mean": 1}, "mean": 42.0, "seen": "none was seen", "split": "val"}


@pytest.fixture
def fake(monkeypatch) -> type[FakeProcess]:
    monkeypatch.setattr(engine_benchmark, "EngineProcess", FakeProcess)
    monkeypatch.setattr(FakeProcess, "log", [])
    monkeypatch.setattr(FakeProcess, "fail", {})
    return FakeProcess


FILES = [
    EngineFile("x/a.tflite", "litert", 1.0),
    EngineFile("x/b.onnx", "onnx", 2.0),
    EngineFile("x/c.pb", "frozen_graph", 3.0),
]


def conditions(**values) -> Conditions:
    return Conditions(pictures=[Path("p.png")], num_threads=1, **{"runs": 12, **values})


def test_spread():
    found = Spread.of([3.0, 1.0, 10.0, 2.0, 4.0])
    assert (found.median, found.min) == (3.0, 1.0) and found.p90 == pytest.approx(7.6)


def test_engines_take_turns_and_another_begins_each_time(fake, monkeypatch):
    monkeypatch.setattr(
        engine_benchmark, "time", SimpleNamespace(sleep=lambda s: fake.log.append(("", "pause")))
    )
    results, left_out = benchmark_engines(FILES, conditions())
    assert [each.name for each in results] == [
        "litert float32", "onnx int8", "frozen_graph float32 whole",
    ]  # fmt: skip
    assert not left_out
    turns = [name for name, what in fake.log[fake.log.index(("sgemm", "open")) :] if what == "time"]
    names = ["a.tflite", "b.onnx", "c.pb"]
    assert turns == [
        "sgemm", *names, "sgemm", *names[1:], names[0], "sgemm", names[2], *names[:2]
    ]  # fmt: skip
    for before, (_, what) in zip(fake.log, fake.log[1:], strict=False):
        if what == "time":
            assert before[1] in ("pause", "open")  # the first runs behind loading are untimed
    assert results[0].milliseconds["network"] == Spread(100.0, 100.0, 100.0)
    assert "suppression" not in results[0].milliseconds
    assert results[0].peak_megabytes == 123.0 and results[0].image_size == (64, 96)
    assert results[0].sgemm_gigaflops == pytest.approx(2 * 2048**3 / 0.1 / 1e9)
    assert results[0].frames_per_second is results[0].mean_ap is None


def test_memory_comes_before_video_and_ap(fake):
    results, _ = benchmark_engines(
        FILES[:1], conditions(video=Path("v.mp4"), records_dir=Path("records"))
    )
    assert [what for name, what in fake.log if name == "a.tflite"][-3:] == ["memory", "video", "ap"]
    assert results[0].frames_per_second == 5.0
    assert (results[0].mean_ap, results[0].seen) == (42.0, "none was seen")


def test_a_network_of_another_program_takes_turns_and_is_only_timed(fake):
    foreign = replace(FILES[1], foreign=True)
    results, _ = benchmark_engines(
        [FILES[0], foreign], conditions(video=Path("v.mp4"), records_dir=Path("records"))
    )
    assert [(each.name, each.foreign) for each in results] == [
        ("litert float32", False), ("onnx b", True),
    ]  # fmt: skip
    assert {what for name, what in fake.log if name == "b.onnx"} == {"open", "time", "memory"}
    assert results[1].mean_ap is results[1].frames_per_second is None
    assert results[1].milliseconds["network"] == Spread(100.0, 100.0, 100.0)


@pytest.mark.parametrize(("what", "count"), [("open", 1), ("time", 1), ("time", 3), ("memory", 1)])
def test_an_engine_that_fails_is_named_and_the_others_go_on(fake, what, count):
    fake.fail["b.onnx", what] = count
    results, left_out = benchmark_engines(FILES, conditions())
    assert [each.format for each in results] == ["litert", "frozen_graph"]
    (said,) = left_out
    assert said.startswith("onnx ") and said.endswith(": it is broken")


def test_none_is_left(fake):
    fake.fail["a.tflite", "open"] = 1
    with pytest.raises(ValueError, match=r"no engine is left.*litert x/a.tflite: it is broken"):
        benchmark_engines(FILES[:1], conditions())
    with pytest.raises(ValueError, match="none given"):
        benchmark_engines([], conditions())


def test_sizes_are_timed_one_after_the_other(fake):
    files = [EngineFile("r", "keras", 1.0, image_size=size) for size in ((64, 96), (32, 64))]
    files += [EngineFile("out/64x96/a.tflite", "litert", 1.0, image_size=(64, 96))]
    groups = engine_benchmark._by_size(files)
    assert [[file.format for file in group] for group in groups] == [["keras", "litert"], ["keras"]]
    # Files of a user go by turns wherever they lie.
    files = [EngineFile(f"{place}/a.tflite", "litert", 1.0) for place in ("x", "y")]
    assert engine_benchmark._by_size(files) == [files]


def test_files_that_nothing_else_tells_apart_are_named(fake):
    files = [EngineFile(f"{place}/a.tflite", "litert", 1.0) for place in ("x", "y")]
    results, _ = benchmark_engines([*files, FILES[1]], conditions())
    names = ["litert float32 x/a.tflite", "litert float32 y/a.tflite", "onnx int8"]
    assert [each.name for each in results] == names


@pytest.mark.parametrize("count", [1, 3])
def test_without_sgemm_the_rest_is_measured(fake, count):
    fake.fail["sgemm", "time"] = count
    results, left_out = benchmark_engines(FILES, conditions())
    assert len(results) == 3 and left_out == ["sgemm: it is broken"]
    assert (results[0].sgemm_gigaflops is None) == (count == 1)
