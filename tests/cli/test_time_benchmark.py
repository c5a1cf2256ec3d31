import json

import pytest

from mobilenetdet.benchmark.backbone import BackboneTime
from mobilenetdet.benchmark.classifier import ClassifierTime
from mobilenetdet.benchmark.detector import DetectorTime, InferenceTime
from mobilenetdet.cli import time_benchmark
from mobilenetdet.cli.time_benchmark import format_table, main


@pytest.fixture
def calls(monkeypatch) -> list[tuple]:
    """Replaces the measurements; collects what they are asked for."""
    calls = []

    def classifier(image_size, rounds):
        calls.append(("classifier", image_size, rounds.repeats))
        row = ClassifierTime("LiteRT 2.3.0", "CPU", image_size, "int8", "folded", 1.25)
        return [row], ["format openvino in int8 needs nncf"]

    def backbone(batch_size, image_size, precisions, rounds):
        calls.append(("backbone", batch_size, image_size, precisions, rounds.repeats))
        return [BackboneTime("ours", batch_size, image_size, "float32", 12.345, 1.0625)]

    def detector(preset, config, rounds, batch_size):
        calls.append(("detector", preset, config.image_size, config.train.precision, batch_size))
        return DetectorTime(preset, 4, config.image_size, config.train.precision, 200.0, 5.0, 0.025)

    def inference(preset, config, rounds):
        calls.append(("inference", preset, config.image_size, config.train.precision))
        return InferenceTime(preset, config.image_size, config.train.precision, 50.0, 1.5)

    monkeypatch.setattr("mobilenetdet.benchmark.classifier.time_classifier", classifier)
    monkeypatch.setattr("mobilenetdet.benchmark.backbone.time_backbone", backbone)
    monkeypatch.setattr("mobilenetdet.benchmark.detector.time_detector", detector)
    monkeypatch.setattr("mobilenetdet.benchmark.detector.time_inference", inference)
    return calls


def test_everything_is_timed_by_default(calls, capsys):
    assert main(["--presets", "squeezedet", "--precisions", "float32", "--repeats", "7"]) == 0
    assert calls == [
        ("classifier", (224, 224), 7),
        ("backbone", 4, (384, 1248), ("float32",), 7),
        ("backbone", 32, (224, 224), ("float32",), 7),
        ("detector", "squeezedet", (384, 1248), "float32", None),
        ("inference", "squeezedet", (384, 1248), "float32"),
    ]
    output = capsys.readouterr().out
    assert "left out: format openvino in int8 needs nncf" in output
    for text in (
        "forward backward ms",
        "folded",
        "cpu",
        "cores",
        "tensorflow",
        "medians of 7 steps",
        "384x1248",
        "12.3",
        "2.5 %",
    ):
        assert text in output


def test_size_batch_size_and_parts(calls):
    options = ["--size", "64", "96", "--batch_size", "2", "--presets", "quickstart", "rendered"]
    main([*options, "--precisions", "mixed_bfloat16", "--parts", "detector", "backbone"])
    assert calls == [
        ("detector", "quickstart", (64, 96), "mixed_bfloat16", 2),
        ("detector", "rendered", (64, 96), "mixed_bfloat16", 2),
        ("backbone", 2, (64, 96), ("mixed_bfloat16",), 10),  # both cases are the same now
    ]


def test_json_holds_every_row(calls, tmp_path):
    path = tmp_path / "new/times.json"
    main(["--presets", "quickstart", "--json", str(path)])
    report = json.loads(path.read_text())
    assert {"cpu", "cores", "tensorflow", "keras"} <= set(report["machine"])
    assert (report["repeats"], report["warm_up"]) == (10, 3)
    assert len(report["backbone"]) == 2
    assert [row["precision"] for row in report["inference"]] == ["float32", "mixed_bfloat16"]
    assert report["detector"][0]["loss_share"] == 0.025
    assert [p.name for p in path.parent.iterdir() if p.suffix] == ["times.json"]
    path.write_text("of a user")
    calls.clear()
    with pytest.raises(FileExistsError, match="times.json is there.*--overwrite"):
        main(["--presets", "quickstart", "--json", str(path)])
    assert path.read_text() == "of a user" and not calls  # before anything is timed


def test_without_tf_keras_the_remedy_is_named(calls, monkeypatch, capsys):
    monkeypatch.setattr(time_benchmark, "tf_keras_installed", lambda: False)
    main(["--parts", "backbone"])
    assert "left out: pip install tf-keras" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--presets", "quikstart"], "did you mean quickstart"),
        (["--repeats", "0"], "repeats is 0"),
    ],
)
def test_mistakes_are_named_before_anything_is_timed(calls, options, message):
    with pytest.raises(ValueError, match=message):
        main(options)
    assert not calls


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size", "64", "95"], "must be multiples"),
        (["--batch_size", "0"], "batch_size is 0"),
        (["--parts", "training"], "training"),
    ],
)
def test_impossible_options_end_the_program(calls, options, message, capsys):
    with pytest.raises(SystemExit):
        main(options)
    assert message in capsys.readouterr().err
    assert not calls


def test_columns_are_aligned():
    rows = [
        BackboneTime("a", 4, (384, 1248), "float32", 1234.56, None),
        BackboneTime("longer", 32, (224, 224), "mixed_bfloat16", 7.0, 0.5),
    ]
    assert format_table(rows).splitlines() == [
        "network  batch size  image size       precision      ms  ratio",
        "a                 4    384x1248         float32  1234.6      -",
        "longer           32     224x224  mixed_bfloat16     7.0   0.50",
    ]
