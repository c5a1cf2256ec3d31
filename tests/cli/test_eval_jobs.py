"""`mobilenetdet eval` by an array of jobs, and by another engine than Keras."""

import json
from pathlib import Path

import pytest
from fixtures.exportable import scramble

from mobilenetdet.cli import eval as eval_command
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.config.storage import to_json
from mobilenetdet.models.detector import build_detector
from mobilenetdet.runs import hash_weights


@pytest.fixture
def run_dir(small_config: DetectionConfig, tmp_path: Path) -> Path:
    """A run without training, whose detections are many."""
    folder = tmp_path / "run"
    folder.mkdir()
    scramble(build_detector(small_config)[0], 0).save_weights(folder / "best.weights.h5")
    (folder / "config.json").write_text(to_json(small_config))
    return folder


def result_files(folder: Path) -> dict[str, bytes]:
    """Figures and result files by name."""
    paths = [folder / "metrics.json", *folder.glob("detections/*.txt")]
    return {path.name: path.read_bytes() for path in paths}


def test_jobs_and_their_merging_are_one_call(run_dir: Path, tmp_path: Path, capsys):
    few = ["--run_dir", str(run_dir), "--eval.batch_size", "1", "--eval.num_overlays", "1"]
    assert eval_command.main([*few, "--output_dir", str(tmp_path / "single")]) == 0
    for shard in range(3):
        assert eval_command.main([*few, "--num_shards", "3", "--shard", str(shard)]) == 0
    said = capsys.readouterr().out
    assert f"{run_dir}/eval/2-of-3/share.json: 2 frames of 4" in said
    assert f"--merge {run_dir}/eval/*-of-3" in said
    assert not (run_dir / "eval/metrics.json").exists()
    jobs = [str(run_dir / f"eval/{shard}-of-3") for shard in range(3)]
    with pytest.raises(ValueError, match="the job 1-of-3 is missing"):
        eval_command.main([*few, "--merge", jobs[0], jobs[2]])
    assert eval_command.main([*few, "--coco", "--merge", *jobs]) == 0
    assert "Keras" in capsys.readouterr().out
    single, merged = (result_files(place / "eval") for place in (tmp_path / "single", run_dir))
    metrics = [json.loads(files.pop("metrics.json")) for files in (single, merged)]
    assert "AP" in metrics[1].pop("coco") and metrics[0] == metrics[1]
    assert single == merged and len(single) == 4
    assert (run_dir / "overlays/montage.jpg").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--num_shards", "0"], "num_shards is 0"),
        (["--num_shards", "2", "--shard", "2"], "of 2 they go from 0 to 1"),
        (["--num_shards", "2", "--merge", "x"], "leave --num_shards out"),
        (["--num_shards", "2", "--coco"], "give --report, --coco and --score to the call"),
        (["--num_shards", "2", "--score", "0.5"], "a job of --num_shards only detects"),
        (["--engine", "litert", "--merge", "x"], "--engine belongs to the jobs"),
        (["--engine", "keras", "--model", "x.tflite"], "no file for the engine keras"),
    ],
)
def test_what_does_not_go_together_is_refused(options, message, monkeypatch):
    monkeypatch.setattr(eval_command, "run_defaults", parsed)
    with pytest.raises(ValueError, match=message):
        eval_command.main(options)


def parsed(kind, argv):
    from mobilenetdet.cli.options import parse
    from mobilenetdet.cli.run_options import UseOverrides

    return DetectionConfig(), parse(kind, argv, kind(overrides=UseOverrides()))


def test_another_engine_measures_the_same_and_is_named(run_dir: Path, tmp_path: Path, capsys):
    pytest.importorskip("ai_edge_litert", reason="the extra [litert] is not installed")
    few = ["--run_dir", str(run_dir), "--eval.num_overlays", "0"]
    measured = {}
    for engine in ("litert", None):
        options = ["--engine", engine] if engine else []
        assert eval_command.main([*few, *options]) == 0
        said = capsys.readouterr().out
        measured[engine] = json.loads((run_dir / "eval/metrics.json").read_text())
        # What was measured of an exported file is not said of the run; and a file that is there
        # changes nothing by itself.
        assert (run_dir / "best_f1_scores.json").exists() == (engine is None)
        assert ("LiteRT" if engine else "Keras") in said and str(run_dir) in said
    of_file, of_run = measured["litert"].pop("measured"), measured[None].pop("measured")
    assert of_file["exported"] == "network_float32.tflite" and of_run["exported"] is None
    assert of_file["engine"].startswith("LiteRT") and of_run["engine"].startswith("Keras")
    assert of_file["weights"] == of_run["weights"] == hash_weights(run_dir / "best.weights.h5")
    for name in ("frames", "protocol", "frames_sha256", "split"):
        assert measured["litert"][name] == measured[None][name]
    assert measured["litert"]["Car"]["moderate"]["R40"] == pytest.approx(
        measured[None]["Car"]["moderate"]["R40"], abs=0.5
    )
