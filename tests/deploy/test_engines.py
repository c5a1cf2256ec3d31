"""The engine that runs a run: which files are taken for it, and when one is exported."""

import errno
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from fixtures.exportable import CONFIGS, picture, scramble

import mobilenetdet as md
from mobilenetdet.config.storage import to_json, with_changes
from mobilenetdet.deploy import engine_loading, engines
from mobilenetdet.deploy.engine_loading import load_for_engine
from mobilenetdet.deploy.engines import check_engine, describe_engine, find_for_engines
from mobilenetdet.deploy.export import export_detector
from mobilenetdet.deploy.export_plan import ExportPlan
from mobilenetdet.inference.exported import ExportedDetector
from mobilenetdet.inference.loaded_detector import LoadedDetector, load_detector
from mobilenetdet.models.detector import build_detector
from mobilenetdet.runs import hash_weights, open_run

CONFIG = CONFIGS["ssd"]
WITHOUT_TENSORFLOW = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "keras", "jax"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Missing())
from mobilenetdet.cli import predict
from mobilenetdet.deploy import engines
engines._GPU_DEVICES = ()
sys.exit(predict.main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def exported_run(tmp_path_factory) -> Path:
    """A run, for which the network was exported to LiteRT by asking for that engine."""
    pytest.importorskip("ai_edge_litert", reason="the extra [litert] is not installed")
    folder = tmp_path_factory.mktemp("runs") / "mine"
    write_run(folder)
    told = []
    model = load_for_engine(folder, "litert", tell=told.append)
    assert isinstance(model, ExportedDetector) and len(told) == 1
    assert str(folder / "export/64x96") in told[0]
    return folder


@pytest.fixture
def run(exported_run: Path, tmp_path: Path) -> Path:
    """A copy of it, which a test may change."""
    return Path(shutil.copytree(exported_run, tmp_path / "run"))


@pytest.fixture
def no_export(monkeypatch):
    """Makes every export fail."""
    monkeypatch.setattr(
        engine_loading, "export_detector", lambda *_, **__: pytest.fail("it was exported again")
    )


def write_run(folder: Path, seed: int = 0) -> None:
    folder.mkdir(exist_ok=True)
    detector = scramble(build_detector(CONFIG, load_weights=False)[0], seed)
    detector.save_weights(folder / "best.weights.h5")
    (folder / "config.json").write_text(to_json(CONFIG))


def engine_of(model: LoadedDetector) -> str:
    return model.engine.partition(" ")[0]


def test_every_engine_detects_the_same(run: Path, no_export):
    found = {name: md.load(run, engine=name).detect(picture()) for name in ("keras", "litert")}
    assert len(found["keras"]) > 5
    np.testing.assert_allclose(found["litert"].scores, found["keras"].scores, atol=1e-5)
    np.testing.assert_allclose(found["litert"].boxes_xyxy, found["keras"].boxes_xyxy, atol=1e-2)
    assert found["litert"].class_names.tolist() == found["keras"].class_names.tolist()


def test_the_file_is_used_in_the_place_of_the_run(run: Path, no_export):
    model = md.load(run, engine="auto")
    assert isinstance(model, ExportedDetector) and engine_of(model) == "LiteRT"
    assert model.source == str(run) and model.classes == CONFIG.data.classes
    path = run / "export/64x96/network_float32.tflite"
    assert model.path == path and model.config == open_run(run).read_config()
    assert describe_engine(model, "auto") == f"{model.engine} ({path})"
    assert describe_engine(md.load(path), "auto") == model.engine
    assert md.load(path).weights_hash == hash_weights(run / "best.weights.h5")


def test_predict_imports_no_tensorflow_where_it_needs_none(run: Path, tmp_path: Path):
    cv2.imwrite(str(tmp_path / "a.png"), picture()[..., ::-1])
    words = ["a.png", "--run_dir", str(run), "--output_dir", "out"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, *words],
        env=os.environ | {"PYTHONPATH": str(Path(md.__file__).parents[1])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"by {run} at 64x96, LiteRT " in done.stdout
    assert (tmp_path / "out/overlays/a.jpg").is_file()


def test_how_predictions_become_detections_may_change(run: Path, no_export):
    model = md.load(run, engine="auto", overrides={"postprocess.max_detections": 3})
    assert isinstance(model, ExportedDetector) and len(model.detect(picture())) == 3
    with pytest.raises(ValueError, match="overrides: train.epochs is fixed by training"):
        md.load(run, engine="auto", overrides={"train.epochs": 3})


def test_scores_that_were_calibrated_anew_are_those_of_the_run(run: Path, no_export):
    (run / "calibration.json").write_text("[[2, 0.5], [1, 1], [1, -1]]")
    keras, exported = (md.load(run, engine=name) for name in ("keras", "auto"))
    assert isinstance(exported, ExportedDetector)
    assert exported.calibration == keras.calibration == ((2.0, 0.5), (1.0, 1.0), (1.0, -1.0))
    found, expected = exported.detect(picture()), keras.detect(picture())
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)


def test_python_takes_keras_unless_told_otherwise(run: Path):
    model = md.load(run)
    assert engine_of(model) == "Keras" and hasattr(model, "export")


def test_auto_exports_nothing(run: Path, no_export):
    shutil.rmtree(run / "export")
    model = md.load(run, engine="auto")
    assert engine_of(model) == "Keras" and not (run / "export").exists()
    told = describe_engine(model, "auto")
    assert told == f"{model.engine} (faster: --engine litert, which exports the run once)"
    assert describe_engine(model, "keras") == model.engine


@pytest.mark.slow
def test_a_file_of_other_weights_is_not_used_and_made_anew(run: Path):
    write_run(run, seed=1)
    assert engine_of(md.load(run, engine="auto")) == "Keras"
    # Which of two boxes suppresses the other is decided by the last digits in some networks.
    keep_all = {"postprocess.suppression": {"kind": "greedy", "max_iou": 1.0}}
    model = md.load(run, engine="litert", overrides=keep_all)
    assert model.weights_hash == hash_weights(run / "best.weights.h5")
    expected = md.load(run, overrides=keep_all).detect(picture())
    np.testing.assert_allclose(model.detect(picture()).scores, expected.scores, atol=1e-5)
    assert engine_of(md.load(run, engine="auto")) == "LiteRT"


@pytest.mark.parametrize("damage", ["zeros", "another's", "a link"])
def test_a_file_that_is_not_as_it_was_written_is_left_alone(run: Path, tmp_path, damage):
    """LiteRT computes with damaged weights, too."""
    path = run / "export/64x96/network_float32.tflite"
    content = bytearray(path.read_bytes())
    if damage == "a link":
        shutil.move(run / "export", tmp_path / "elsewhere")
        (run / "export").symlink_to(tmp_path / "elsewhere")
    else:
        middle = len(content) // 2
        content[middle : middle + 64] = bytes(64)
        path.write_bytes(content if damage == "zeros" else b"mine")
        assert engine_of(md.load(run, engine="auto")) == "Keras"
        before = path.read_bytes()
        with pytest.raises(FileExistsError, match=f"{path} is there, and not as this program"):
            md.load(run, engine="litert")
        assert path.read_bytes() == before
    assert md.load(run, engine="auto").detect(picture()).scores.max() > 0


def test_where_no_file_can_be_kept_another_way_is_named(run: Path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", "export")

    shutil.rmtree(run / "export")
    monkeypatch.setattr(engine_loading, "export_detector", refuse)
    with pytest.raises(ValueError, match=r"export: the exported network .*the engine keras"):
        md.load(run, engine="litert")


def test_a_file_with_a_setting_of_another_version_is_left_alone(run: Path, monkeypatch):
    def refuse(*_):
        raise ValueError("unknown key data.future")

    monkeypatch.setattr("mobilenetdet.deploy.engines.read_config_of", refuse)
    assert engine_of(md.load(run, engine="auto")) == "Keras"


def test_another_size_is_another_file(run: Path, monkeypatch):
    wide = {"data.image_width": 128}
    assert engine_of(md.load(run, engine="auto", overrides=wide)) == "Keras"
    asked = []

    def note(model, folder, plan, *, remove_others):
        asked.append((model.image_size, folder, plan.parts, model.config.postprocess))
        raise InterruptedError

    monkeypatch.setattr(engine_loading, "export_detector", note)
    with pytest.raises(InterruptedError):
        md.load(run, engine="litert", overrides={**wide, "postprocess.max_detections": 3})
    # The file is for every call, whatever this one asks for.
    assert asked == [((64, 128), run / "export/64x128", ["network"], CONFIG.postprocess)]
    assert (run / "export/64x96/network_float32.tflite").is_file()
    assert not (run / "export/64x128").exists()


def test_named_weights_are_those_that_count(run: Path, tmp_path: Path):
    write_run(tmp_path / "other", seed=1)
    named = tmp_path / "other/best.weights.h5"
    assert engine_of(md.load(run, engine="auto", weights=named)) == "Keras"
    copy = Path(shutil.copy(run / "best.weights.h5", tmp_path / "copy.weights.h5"))
    assert engine_of(md.load(run, engine="auto", weights=copy)) == "LiteRT"
    with pytest.raises(FileNotFoundError, match="no.h5 does not exist"):
        md.load(run, engine="auto", weights=tmp_path / "no.h5")


@pytest.mark.slow
def test_a_file_that_the_user_exported_will_do(run: Path, no_export):
    shutil.rmtree(run / "export/64x96")
    plan = ExportPlan(formats=["litert"], precisions=["float16", "float32"])
    export_detector(load_detector(run), run / "export", plan)
    model = md.load(run, engine="auto")
    assert model.path == run / "export/detector_float32.tflite"
    # In the detector thresholds are built in.
    few = {"postprocess.max_detections": 3}
    assert engine_of(md.load(run, engine="auto", overrides=few)) == "Keras"
    # Half precision is for who asks for it.
    model.path.unlink()
    assert engine_of(md.load(run, engine="auto")) == "Keras"


@pytest.mark.parametrize(
    ("changes", "info", "fits"),
    [
        ({}, {}, True),
        ({}, {"weights": ""}, False),
        ({}, {"weights": "another"}, False),
        ({}, {"precision": "int8"}, False),
        ({"data.image_height": 96}, {}, False),
        ({"data.records_dir": "elsewhere", "train.epochs": 7, "eval.batch_size": 1}, {}, True),
        ({"postprocess.score_threshold": 0.3}, {}, True),
        ({"postprocess.score_threshold": 0.3}, {"parts": "detector"}, False),
    ],
)
def test_what_a_file_has_to_have_in_common_with_the_run(changes, info, fits):
    info = {"weights": "hash", "precision": "float32", "parts": "network"} | info
    info["config"] = json.loads(to_json(CONFIG))
    wanted = with_changes(CONFIG, changes) if changes else CONFIG
    assert engines._fits(SimpleNamespace(**info), "hash", wanted) == fits
    assert not engines._fits(SimpleNamespace(**info | {"weights": ""}), "", wanted)


def test_the_first_engine_that_has_a_file_is_taken(run: Path, monkeypatch):
    opened = []
    monkeypatch.setattr(
        engines, "open_for_run", lambda path, *_: opened.append(path.suffix) or pytest.fail()
    )
    monkeypatch.setattr(engines, "_float32_files", lambda run, suffix: [Path(f"a{suffix}")])
    monkeypatch.setattr(engines, "_is_whole", lambda path: True)
    with pytest.raises(pytest.fail.Exception):
        find_for_engines(open_run(run), "hash", CONFIG, ["onnx", "litert"])
    assert opened == [".onnx"]


def test_a_gpu_is_left_to_keras(run: Path, monkeypatch):
    monkeypatch.setattr(engine_loading, "keras_has_gpu", lambda: True)
    assert engine_of(md.load(run, engine="auto")) == "Keras"
    assert engine_of(md.load(run, engine="litert")) == "LiteRT"


def test_who_has_no_gpu_needs_no_tensorflow_to_know(monkeypatch):
    monkeypatch.setattr(engines, "_GPU_DEVICES", ("no such device",))
    monkeypatch.setattr(importlib, "import_module", lambda name: pytest.fail(name))
    assert not engines.keras_has_gpu()


def test_another_process_that_was_first_has_exported_it(run: Path, no_export, monkeypatch):
    find, calls = engine_loading.find_for_engines, []

    def late(*arguments):
        calls.append(arguments)
        return None if len(calls) == 1 else find(*arguments)

    monkeypatch.setattr(engine_loading, "find_for_engines", late)
    assert engine_of(md.load(run, engine="litert")) == "LiteRT" and len(calls) == 2


def test_an_engine_that_is_not_installed_is_named(run: Path, monkeypatch):
    missing = engines.ENGINES["onnx"]._replace(module="no_such_module")
    monkeypatch.setitem(engines.ENGINES, "onnx", missing)
    assert "onnx" not in engines.installed_engines()
    with pytest.raises(ValueError, match=r"engine onnx needs onnxruntime, the extra \[onnx\]"):
        md.load(run, engine="onnx")
    monkeypatch.setattr(engines, "installed_engines", list)
    told = describe_engine(LoadedDetector(SimpleNamespace(engine="Keras"), CONFIG), "auto")
    assert "faster: pip install ai-edge-litert, then --engine litert," in told


@pytest.mark.parametrize(
    ("engine", "source", "words"),
    [
        ("tflite", None, "unknown engine 'tflite'; there are auto, keras, litert, openvino, onnx"),
        ("onnx", "a.tflite", "a.tflite is no file for the engine onnx; leave the engine out"),
        ("keras", "a.tflite", "a.tflite is no file for the engine keras"),
    ],
)
def test_engines_that_cannot_be_are_refused(engine, source, words):
    with pytest.raises(ValueError, match=words):
        md.load(source, engine=engine)


@pytest.mark.parametrize(
    ("engine", "source"),
    [("auto", "a.pb"), ("litert", "a.TFLITE"), ("onnx", "run"), ("keras", None)],
)
def test_engines_that_can_be_are_not(engine, source):
    check_engine(engine, source)


@pytest.mark.parametrize(
    ("named", "root"),
    [("/somewhere", "/somewhere"), ("relative", "/home/me/.cache"), ("", "/home/me/.cache")],
)
def test_files_of_weights_that_ship_go_to_the_cache_of_the_user(monkeypatch, named, root):
    monkeypatch.setitem(os.environ, "XDG_CACHE_HOME", named)
    monkeypatch.setitem(os.environ, "HOME", "/home/me")
    assert open_run("ssd_fpn").export_dir == Path(root) / "mobilenetdet/ssd_fpn"
    assert replace(open_run("ssd_fpn"), shipped_name="").export_dir.name == "export"
