"""The command export --format web: beside other formats, and what it refuses."""

from pathlib import Path

import pytest
from fixtures.web_package import write_web_package

from mobilenetdet.cli import export
from mobilenetdet.config.storage import to_json
from mobilenetdet.models.detector import build_detector
from mobilenetdet.web.web_page import page_files


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """The folder of a package whose files hold nothing that runs."""
    return write_web_package(tmp_path / "package")


def test_a_page_is_written_beside_other_formats(
    small_config, runtime: Path, tmp_path: Path, capsys
):
    for package in ("onnx", "tf2onnx"):
        pytest.importorskip(package, reason=f"{package} is of the extra [export]")
    run, out = tmp_path / "run", tmp_path / "out"
    run.mkdir()
    build_detector(small_config)[0].save_weights(run / "best.weights.h5")
    (run / "config.json").write_text(to_json(small_config))
    options = ["--run_dir", str(run), "--output_dir", str(out), "--web_runtime", str(runtime)]
    assert export.main([*options, "--format", "web", "frozen_graph"]) == 0
    assert {path.name for path in (out / "web_float32").iterdir()} == set(page_files())
    assert (out / "detector_float32.pb").is_file() and not (out / "detector_float32.onnx").exists()
    told = capsys.readouterr().out
    assert f"open {out / 'web_float32/index.html'} in a browser" in told
    assert f"{out / 'web_float32'}: 0." in told and "detector_float32.pb: " in told


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (
            ["--web_runtime", "x.tgz"],
            ValueError,
            "--web_runtime has no effect without --format web",
        ),
        (["--format", "web", "--parts", "network"], ValueError, "web shows boxes.*drop --parts"),
        (["--format", "web", "--run_dir", "CLASSIFIER"], ValueError, "is a classifier; --format"),
        (
            ["--format", "web", "--web_runtime", "gone.tgz"],
            FileNotFoundError,
            "gone.tgz does not exist; run npm pack onnxruntime-web@",
        ),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_left(tmp_path: Path, options, error, words):
    classifier, out = tmp_path / "classifier", tmp_path / "out"
    classifier.mkdir()
    (classifier / "config.json").write_text('{"data": {"dataset": "cifar10"}}')
    given = [str(classifier) if option == "CLASSIFIER" else option for option in options]
    with pytest.raises(error, match=words):
        export.main([*given, "--output_dir", str(out)])
    assert not out.exists()
