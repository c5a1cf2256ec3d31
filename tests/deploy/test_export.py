"""Exported files detect what the detector in Keras does, in every format."""

import importlib.util
import json
import os
import shutil
import tempfile
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from fixtures.exportable import picture

import mobilenetdet as md
from mobilenetdet.config.storage import with_changes
from mobilenetdet.deploy import export
from mobilenetdet.deploy.export import export_detector
from mobilenetdet.deploy.export_plan import WRITERS, ExportPlan
from mobilenetdet.exported_info import INFO_FILE, ExportedInfo
from mobilenetdet.inference import exported_runtime
from mobilenetdet.inference.exported import ExportedDetector
from mobilenetdet.inference.loaded_detector import LoadedDetector

IMAGES = np.stack([picture(seed) for seed in range(3)])
# What a format needs beside TensorFlow.
NEEDS = {
    "litert": ("ai_edge_litert",),
    "onnx": ("onnx", "tf2onnx", "onnxruntime"),
    "openvino": ("openvino",),
}
INT8_NEEDS = {"litert": ("litert_quantizer",), "onnx": (), "openvino": ("nncf",)}


def need(name: str, precision: str = "float32") -> None:
    """Skips a test whose packages are not installed."""
    packages = (*NEEDS.get(name, ()), *(INT8_NEEDS[name] if precision == "int8" else ()))
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed; the extra [export] has it")


def calibration_folder(folder: Path) -> Path:
    folder.mkdir()
    for index, image in enumerate(IMAGES):
        cv2.imwrite(str(folder / f"{index}.png"), image[..., ::-1])
    return folder


def distances(ours, theirs) -> tuple[float, np.ndarray]:
    """Largest distance of scores, and each box from the nearest one of about the same score."""
    away = []
    for image in range(len(theirs.scores)):
        for box, score, index in zip(*(each[image] for each in theirs), strict=True):
            near = np.abs(ours.scores[image] - score) < 2e-3
            near &= ours.class_ids[image] == index
            if index >= 0:
                found = np.abs(ours.boxes[image][near] - box).max(axis=1)
                away.append(found.min(initial=np.inf))
    return float(np.abs(ours.scores - theirs.scores).max()), np.array(away)


def exported(model, folder: Path, name: str, precision: str, part: str) -> ExportedDetector:
    need(name, precision)
    images = calibration_folder(folder / "images") if precision == "int8" else None
    path, info_file = model.export(
        folder / "out",
        formats=[name],
        precisions=[precision],
        parts=[part],
        calibration_images=images,
    )
    assert path.name == f"{part}_{precision}{WRITERS[name].suffix}" and path.exists()
    assert info_file.name == INFO_FILE
    return md.load(path)


FAST = [
    ("litert", "float32", "network", "ssd"),
    ("litert", "int8", "network", "ssd"),
    ("onnx", "float32", "network", "ssd"),
    ("frozen_graph", "float16", "network", "ssd"),
]
ALL = [
    (name, precision, part, kind)
    for name in WRITERS
    for precision in ("float32", "float16", "int8")
    for part in ("network", "detector")
    for kind in ("ssd_fpn", "squeezedet", "ssd_softmax")
    if (precision != "int8" or WRITERS[name].int8) and (name, precision, part, kind) not in FAST
]
# Scores may differ by so much, in OpenVINO's bfloat16 by 0.022; int8 of weights drawn at random is
# only a check that the files run.
TOLERANCES = {"float32": 1e-3, "float16": 3e-2, "int8": 0.5}
# Boxes may by so many pixels. Two anchors of one score, as random weights have them, may win in
# another order; that is rare.
BOX_TOLERANCE, SAME = 0.05, 0.9


def check(model, folder: Path, name: str, precision: str, part: str) -> None:
    """Exports one file, runs it in the stock runtime of its format and compares."""
    found = exported(model, folder, name, precision, part)
    assert (found.classes, found.image_size) == (model.classes, model.image_size)
    assert found.config == model.config and found.frames_seen == model.frames_seen
    ours, theirs = found.runtime.run(IMAGES), model.runtime.run(IMAGES)
    assert [each.shape for each in ours] == [each.shape for each in theirs]
    assert ours.class_ids.dtype == np.int32 and (theirs.class_ids >= 0).sum() > 10
    score, away = distances(ours, theirs)
    assert score < TOLERANCES[precision]
    if precision == "float32":
        assert (away < BOX_TOLERANCE).mean() >= SAME
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exported_runtime, "num_engine_threads", lambda: 2)
        found.run_several_at_once()
    assert found.runtime.num_streams == 2
    score, away = distances(found.runtime.run(IMAGES), ours)
    assert score < (TOLERANCES[precision] if precision == "float16" else 1e-5)
    if precision != "float16":  # bfloat16 in OpenVINO
        assert (away < BOX_TOLERANCE).all()


@pytest.mark.parametrize(("name", "precision", "part", "kind"), FAST)
def test_parity(small_detector, tmp_path: Path, name, precision, part, kind):
    check(small_detector(kind), tmp_path, name, precision, part)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "precision", "part", "kind"), ALL)
def test_parity_of_all(small_detector, tmp_path: Path, name, precision, part, kind):
    check(small_detector(kind), tmp_path, name, precision, part)


def test_litert_computes_the_same_in_shared_memory(small_detector, tmp_path: Path):
    """LiteRT 2.3 changes one of two reshapes of a tensor with the other; the graph has no such."""
    need("litert")
    from ai_edge_litert.interpreter import Interpreter

    path = small_detector("ssd").export(tmp_path)[0]
    found = []
    for keep in (True, False):
        interpreter = Interpreter(str(path), experimental_preserve_all_tensors=keep)
        found.append(interpreter.get_signature_runner()(images=IMAGES[:1]))
    for name, values in found[0].items():
        np.testing.assert_array_equal(values, found[1][name])


def test_halves_are_half_as_large(small_detector, tmp_path: Path):
    model = small_detector("ssd")
    paths = model.export(tmp_path, formats=["frozen_graph"], precisions=["float32", "float16"])
    whole, half = (path.stat().st_size for path in paths[:2])
    assert half < whole


def test_what_the_files_are_stands_beside_them(small_detector, tmp_path: Path):
    model = small_detector("ssd")
    model.export(tmp_path, formats=["frozen_graph"], parts=["network"])
    text = (tmp_path / INFO_FILE).read_text()
    info = ExportedInfo.from_json(text, INFO_FILE)
    assert info.classes == model.classes and info.image_size == (64, 96)
    assert info.anchor_levels == model.config.model.anchor_levels
    assert info.scores_from == "sigmoid" and info.letterbox_grey == 127
    assert json.loads(text)["frames_seen"]["hashes"] == ["a" * 12, "b" * 12]


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        *(("saved_model", "float32"), ("frozen_graph", "float32"), ("litert", "float32")),
        *(("onnx", "int8"), ("openvino", "int8")),
    ],
)
def test_a_file_holds_no_path_of_the_machine_and_writing_it_is_quiet(
    small_detector, tmp_path: Path, capfd, name, precision
):
    need(name, precision)
    images = calibration_folder(tmp_path / "images")
    model = small_detector("ssd")
    home = "/home/anna/of-nobodys-business"
    places = {"data.records_dir": f"{home}/records", "model.weights": f"{home}/imagenet.h5"}
    config = with_changes(model.config, places)
    capfd.readouterr()
    plan = ExportPlan(formats=(name,), precisions=(precision,), calibration_images=images)
    paths = export_detector(replace(model, config=config), tmp_path / "out", plan)
    assert capfd.readouterr() == ("", "")
    files = [each for path in paths for each in (path, *path.rglob("*")) if each.is_file()]
    for forbidden in (home, str(tmp_path), tempfile.gettempdir() + "/tmp"):
        assert not [each.name for each in files if forbidden.encode() in each.read_bytes()]
    found = md.load(paths[0]).config
    assert (found.data.records_dir, found.model.weights) == ("", "imagenet.h5")


def test_own_files_are_replaced_and_others_refused(small_detector, tmp_path: Path):
    model = small_detector("ssd")
    for _ in range(2):
        model.export(tmp_path, formats=["saved_model"])
    (tmp_path / "detector_float32.pb").write_text("another's")
    with pytest.raises(FileExistsError, match="detector_float32.pb is there"):
        model.export(tmp_path, formats=["frozen_graph"])
    path = model.export(tmp_path, formats=["frozen_graph"], overwrite=True)[0]
    assert path.stat().st_size > 1000
    assert not [each for each in tmp_path.iterdir() if each.name.endswith(".tmp")]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"formats": ["tflite"]}, "unknown format 'tflite'; there are saved_model, frozen_graph, "),
        ({"precisions": ["int4"]}, "unknown precision 'int4'; there are float32, float16, int8"),
        ({"parts": ["head"]}, "unknown part 'head'; there are network, detector"),
        ({"formats": "litert"}, "formats are the text 'litert'; give a list"),
        ({"num_calibration_images": 0}, "num_calibration_images is 0; it must be 1 or more"),
        ({"num_calibration_images": -1}, "num_calibration_images is -1; it must be"),
        ({"formats": ["saved_model"], "precisions": ["int8"]}, "saved_model has no int8; litert,"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(values, words):
    with pytest.raises(ValueError, match=words):
        ExportPlan(**values)


def test_formats_without_int8_leave_it_out():
    plan = ExportPlan(formats=tuple(WRITERS), precisions=("float32", "int8"))
    counts = Counter(precision for _, precision, _ in plan.files())
    assert counts == {"float32": 5, "int8": 3}
    assert plan.left_out() == ["saved_model", "frozen_graph"]


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    writer = replace(WRITERS["onnx"], packages=(("no_such_module", "tf2onnx", "export"),))
    monkeypatch.setitem(export.WRITERS, "onnx", writer)
    with pytest.raises(ValueError, match=r"onnx in float32 needs tf2onnx, the extra \[export\]"):
        ExportPlan(formats=["onnx"]).require_packages()


def test_a_size_that_does_not_fit_is_refused(small_detector, tmp_path: Path):
    with pytest.raises(ValueError, match=r"data.image_width is 417; it must be a multiple of 32"):
        small_detector("ssd").export(tmp_path, formats=["frozen_graph"], image_size=(160, 417))
    height, width = small_detector("ssd").config.image_size
    with pytest.raises(ValueError, match=f"did you mean {height}x{width}?"):
        small_detector("ssd").export(tmp_path, formats=["onnx"], image_size=(width, height))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_another_size_is_built_in(small_detector, tmp_path: Path):
    plan = ExportPlan(formats=["frozen_graph"], image_size=(32, 160))
    path = export_detector(small_detector("squeezedet"), tmp_path, plan)[0]
    found = md.load(path)
    assert found.image_size == found.config.image_size == (32, 160)
    assert found.runtime.run(picture(size=(32, 160))[None]).boxes.shape == (1, 20, 4)


def test_an_exported_file_is_not_exported_again(small_detector, tmp_path: Path):
    runtime = replace_runtime(small_detector("ssd"))
    with pytest.raises(ValueError, match="exported file; export the run that it comes from"):
        export_detector(runtime, tmp_path, ExportPlan(formats=["frozen_graph"]))


def replace_runtime(model) -> LoadedDetector:
    """The same detector in a runtime that has no network in Keras."""
    return LoadedDetector(object(), model.config, "a.tflite")


def test_one_json_describes_all_files_of_a_folder(small_detector, tmp_path):
    """Files of another run would be taken for those that detector.json describes."""
    ssd, other = small_detector("ssd"), small_detector("squeezedet")
    plan = partial(ExportPlan, formats=("saved_model",), parts=("network",))
    export_detector(ssd, tmp_path, plan(precisions=("float32", "float16")))
    export_detector(ssd, tmp_path, plan(precisions=("float32",)))  # the same detector
    before = (tmp_path / INFO_FILE).read_text()
    with pytest.raises(FileExistsError, match="network_float16.* is of another detector.*--overw"):
        export_detector(other, tmp_path, plan(precisions=("float32",)))
    assert (tmp_path / INFO_FILE).read_text() == before
    export_detector(other, tmp_path, plan(precisions=("float32",)), overwrite=True)
    assert not (tmp_path / "network_float16.savedmodel/saved_model.pb").exists()
    assert md.load(tmp_path / "network_float32.savedmodel").config.head.kind == "squeezedet"
    # All of its files are replaced.
    export_detector(ssd, tmp_path, plan(precisions=("float32",)))
    smaller = replace(plan(precisions=("float16",)), image_size=(64, 64))
    with pytest.raises(FileExistsError, match="network_float32"):
        export_detector(ssd, tmp_path, smaller)


@pytest.mark.parametrize("name", ["litert", "onnx", "openvino"])
def test_a_folder_may_have_any_name(small_detector, tmp_path, name):
    need(name)
    folder = tmp_path / os.fsdecode(b"n\xff")
    plan = ExportPlan(formats=(name,), precisions=("float32",), parts=("network",))
    export_detector(small_detector("ssd"), tmp_path / "plain", plan)
    shutil.copytree(tmp_path / "plain", folder)
    found, expected = (
        md.load(each / f"network_float32{WRITERS[name].suffix}").detect(IMAGES[0])
        for each in (folder, tmp_path / "plain")
    )
    np.testing.assert_array_equal(found.scores, expected.scores)
