"""Exported files as detectors: what they need, what may change, and how damage is told."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from fixtures.exportable import picture

import mobilenetdet as md
from mobilenetdet.config.storage import with_changes
from mobilenetdet.exported_info import INFO_KEY
from mobilenetdet.inference import exported_runtime, litert_runtime
from mobilenetdet.inference.exported import is_exported, load_exported, open_exported

# A camera: this package without its dependencies, numpy, OpenCV and the runtime.
CAMERA = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        blocked = ("tensorflow", "keras", "jax", "pydantic", "yaml", "PIL", "h5py", "matplotlib",
                   "albumentations", "pycocotools", "tyro", "rich", "scipy", "pandas")
        if name.split(".")[0] in blocked:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Missing())
import mobilenetdet as md
model = md.load(sys.argv[1])
found = model.detect(sys.argv[2])
sure = found.above(model.drawing_scores)
print(len(found), len(sure), model.engine, model.calibration, sep="|")
"""

# The first pictures of a process, two at once, with Python's lock changing hands all the time.
TWO_AT_ONCE = """
import sys

sys.setswitchinterval(1e-6)
import numpy as np
import mobilenetdet as md
from mobilenetdet.inference import exported_runtime

exported_runtime.num_engine_threads = lambda: 2
runtime = md.load(sys.argv[1]).runtime
runtime.use_streams(2)
found = runtime.run(np.zeros((8, *runtime.image_size, 3), np.uint8))
print(len(found.scores))
"""


@pytest.fixture(scope="module")
def files(small_detector, tmp_path_factory) -> Path:
    """A folder with a network and a detector as frozen graphs, and a photo."""
    folder = tmp_path_factory.mktemp("exported")
    model = small_detector("ssd")
    model.export(folder, formats=["frozen_graph"], parts=["network", "detector"])
    cv2.imwrite(str(folder / "photo.png"), picture()[..., ::-1])
    return folder


@pytest.fixture(scope="module")
def litert_file(small_detector, tmp_path_factory) -> Path:
    pytest.importorskip("ai_edge_litert", reason="the extra [litert] is not installed")
    folder = tmp_path_factory.mktemp("litert")
    return small_detector("ssd").export(folder, parts=["network"])[0]


def test_running_a_file_imports_neither_tensorflow_nor_what_reads_configs(
    litert_file: Path, files: Path, small_detector
):
    command = [sys.executable, "-c", CAMERA, str(litert_file), str(files / "photo.png")]
    root = Path(md.__file__).parents[1]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    assert not done.stderr  # LiteRT says at each start that it has its delegate
    count, sure, engine, calibration = done.stdout.strip().split("|")
    expected = small_detector("ssd").detect(picture())
    assert int(count) == len(expected) and engine.startswith("LiteRT ")
    assert int(sure) == len(expected.above(small_detector("ssd").drawing_scores))
    assert calibration.startswith("((1.3, -0.4)")


def test_a_file_behaves_as_a_run_does(files: Path, small_detector):
    model = md.load(files / "detector_float32.pb")
    expected, found = small_detector("ssd").detect(picture()), model.detect(files / "photo.png")
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-3)
    assert model.engine.startswith("TensorFlow ") and model.batch_size == 1
    assert model.source == str(files / "detector_float32.pb")
    assert model.detect([picture(1), picture(2)])[1].classes == model.classes
    assert model.drawing_scores == small_detector("ssd").drawing_scores


def test_a_network_leaves_open_how_its_predictions_become_detections(files: Path):
    few = {"postprocess.max_detections": 3, "postprocess.suppression.kind": "greedy"}
    model = md.load(files / "network_float32.pb", overrides=few)
    assert len(model.detect(picture())) == 3 and model.config.postprocess.max_detections == 3
    with pytest.raises(ValueError, match="max_detections is built into .*pb; a file of --parts"):
        md.load(files / "detector_float32.pb", overrides={"postprocess.max_detections": 3})


def test_mirror_images_are_averaged_by_a_network(files: Path, small_detector):
    from mobilenetdet.inference.detection_model import DetectionModel
    from mobilenetdet.inference.keras_runtime import KerasRuntime

    mirror = {"postprocess.mirror": True}
    found = md.load(files / "network_float32.pb", overrides=mirror).runtime.run(picture()[None])
    runtime = small_detector("ssd").runtime
    settings = with_changes(runtime.detector.config, mirror).postprocess
    expected = DetectionModel(runtime.detector, settings)(picture()[None])
    np.testing.assert_allclose(found.scores, expected["scores"], atol=1e-4)
    assert isinstance(runtime, KerasRuntime)


def test_where_the_records_are_may_change_and_the_size_may_not(files: Path, tmp_path: Path):
    path = files / "network_float32.pb"
    config = with_changes(md.load(path).config, {"data.records_dir": str(tmp_path)})
    assert load_exported(path, config).config.data.records_dir == str(tmp_path)
    with pytest.raises(ValueError, match="data.image_height is built into"):
        load_exported(path, with_changes(config, {"data.image_height": 96}))
    with pytest.raises(ValueError, match="data.classes is fixed by training"):  # calibration, too
        md.load(path, overrides={"data.classes": ["Van"]})
    with pytest.raises(ValueError, match="holds its weights"):
        md.load(path, weights="other.weights.h5")


@pytest.mark.parametrize("suffix", [".tflite", ".onnx", ".xml", ".pb", ".savedmodel", ".PB"])
def test_files_go_by_their_suffix(suffix: str):
    assert is_exported(f"a{suffix}") and not is_exported("runs/mine")
    with pytest.raises(FileNotFoundError, match=f"a{suffix} does not exist"):
        open_exported(f"a{suffix}")


def test_a_file_that_is_cut_off_is_named(files: Path, litert_file: Path, tmp_path: Path):
    for source in (files / "network_float32.pb", litert_file):
        path = tmp_path / source.name
        path.write_bytes(source.read_bytes()[:3000])
        with pytest.raises(ValueError, match=f"{path.name} is damaged, or no .* file"):
            md.load(path)


def test_a_graph_that_cannot_be_computed_is_named(litert_file: Path, monkeypatch):
    """Some damage shows only then; LiteRT calls it a RuntimeError."""
    model = md.load(litert_file)

    def fail(image):
        raise RuntimeError("Input tensor 52 lacks data")

    monkeypatch.setattr(exported_runtime, "num_engine_threads", lambda: 2)
    monkeypatch.setattr(model.runtime, "open_stream", lambda num_threads: fail)
    model.run_several_at_once()
    with pytest.raises(ValueError, match=f"{litert_file} is damaged.*52 lacks data.*export it"):
        model.detect(picture())


@pytest.mark.parametrize(("suffix", "package"), [(".onnx", "onnxruntime"), (".xml", "openvino")])
def test_a_file_that_is_none_is_named(tmp_path: Path, suffix: str, package: str):
    pytest.importorskip(package, reason=f"{package} is not installed")
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"no such file")
    path.with_suffix(".bin").write_bytes(b"no weights")
    with pytest.raises(ValueError, match="is damaged, or no .* file"):
        md.load(path)


def test_the_weights_of_openvino_are_in_a_file_of_their_own(tmp_path: Path):
    pytest.importorskip("openvino", reason="openvino is not installed")
    path = tmp_path / "a.xml"
    path.write_text("<net/>")
    with pytest.raises(FileNotFoundError, match="a.xml lies without a.bin, its weights"):
        md.load(path)


def test_threads_do_not_see_the_tensors_of_each_other(litert_file: Path):
    model = md.load(litert_file)
    pictures = [picture(seed) for seed in range(8)]
    expected = [model.detect(each).scores for each in pictures]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(model.detect, pictures * 16))
    for index, each in enumerate(found):
        np.testing.assert_array_equal(each.scores, expected[index % len(pictures)])


def test_a_file_without_metadata_is_refused(files: Path, tmp_path: Path):
    import tensorflow as tf

    graph = tf.compat.v1.GraphDef()
    graph.ParseFromString((files / "network_float32.pb").read_bytes())
    for index, node in enumerate(graph.node):
        if node.name == INFO_KEY:
            del graph.node[index]
            break
    (tmp_path / "bare.pb").write_bytes(graph.SerializeToString())
    with pytest.raises(ValueError, match="bare.pb has no metadata of mobilenetdet"):
        md.load(tmp_path / "bare.pb")


def test_a_runtime_that_is_missing_is_named_with_its_extra(monkeypatch, tmp_path: Path):
    def missing(module: str, package: str, extra: str, source: Path):
        from mobilenetdet.inference.exported_runtime import import_runtime

        return import_runtime(f"no_{module}", package, extra, source)

    monkeypatch.setattr(litert_runtime, "import_runtime", missing)
    (tmp_path / "a.tflite").write_bytes(b"")
    with pytest.raises(ValueError, match=r"a.tflite needs ai-edge-litert, the extra \[litert\]"):
        md.load(tmp_path / "a.tflite")


def test_what_is_imported_says_nothing_unless_it_fails(tmp_path: Path, monkeypatch, capfd):
    """tf2onnx imports TensorFlow, whose start-up messages are lines on standard error."""
    noise = "import os\nos.write(2, b'start-up message')\n"
    (tmp_path / "noisy_module.py").write_text(noise)
    (tmp_path / "failing_module.py").write_text(f"{noise}import no_such_module\n")
    monkeypatch.syspath_prepend(tmp_path)
    exported_runtime.import_runtime("noisy_module", "noisy", "onnx", "a file")
    assert capfd.readouterr().err == ""
    with pytest.raises(ValueError, match=r"a file needs noisy, the extra \[onnx\]: pip install n"):
        exported_runtime.import_runtime("failing_module", "noisy", "onnx", "a file")
    assert capfd.readouterr().err == "start-up message"


def test_who_writes_files_is_told_all_that_is_missing():
    with pytest.raises(ValueError, match=r"needs tf2onnx.*pip install 'mobilenetdet\[export\]'"):
        exported_runtime.import_runtime("no_such_module", "tf2onnx", "export", "format onnx")


def test_streams_share_all_threads(litert_file: Path, monkeypatch):
    runtime, opened = md.load(litert_file).runtime, []
    monkeypatch.setattr(exported_runtime, "num_engine_threads", lambda: 11)
    monkeypatch.setattr(runtime, "open_stream", opened.append)
    runtime.use_streams(4)
    assert opened == [3, 3, 3, 2] and runtime.num_streams == 4
    runtime.use_streams(64)
    assert opened[4:] == [1] * 11


@pytest.mark.parametrize("name", ["detector_float32.pb", "network_float32.tflite"])
def test_several_pictures_at_once_are_detected_as_one_by_one(
    files: Path, litert_file: Path, monkeypatch, name: str
):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    path = files / name if name.endswith(".pb") else litert_file
    pictures = [picture(seed) for seed in range(7)]
    expected = md.load(path).detect(pictures)
    model = md.load(path)
    assert model.runtime.num_streams == 1
    model.run_several_at_once()
    assert model.runtime.num_streams == 2
    fitted = [model.letterbox(image) for image in pictures]
    images, info = zip(*fitted, strict=True)
    batch = model.detect_batch(np.stack(images), np.stack([each.to_array() for each in info]))
    for found in (model.detect(pictures), batch):
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one.class_ids, other.class_ids)
            np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
            np.testing.assert_allclose(one.boxes_xyxy, other.boxes_xyxy, atol=1e-3)


@pytest.fixture(scope="module")
def openvino_file(small_detector, tmp_path_factory) -> Path:
    pytest.importorskip("openvino", reason="openvino is not installed")
    folder = tmp_path_factory.mktemp("openvino")
    options = {"formats": ["openvino"], "parts": ["network", "detector"]}
    paths = small_detector("ssd").export(folder, **options)
    return next(path for path in paths if path.name == "network_float32.xml")


def test_the_first_two_pictures_of_openvino_do_not_wait_for_each_other(openvino_file: Path):
    """They did, for good, in 10 of 12 processes."""
    for _ in range(3):
        command = [sys.executable, "-c", TWO_AT_ONCE, str(openvino_file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stdout) == (0, "8\n"), done.stderr


def test_outputs_outlive_the_next_picture_where_they_are_to(openvino_file: Path):
    runtime = md.load(openvino_file).runtime
    first, second = (
        np.ascontiguousarray(picture(seed, runtime.image_size)[None]) for seed in (1, 2)
    )
    kept, lent = runtime.infer(first), runtime.infer(first, copy=False)
    before = {name: value.copy() for name, value in lent.items()}
    other = runtime.infer(second, copy=False)
    for name, value in kept.items():
        np.testing.assert_array_equal(value, before[name])
        assert not np.array_equal(value, other[name])


@pytest.mark.parametrize(
    ("parts", "mirror"), [("network", False), ("network", True), ("detector", False)]
)
def test_tensors_that_are_used_again_change_no_detection(
    openvino_file: Path, monkeypatch, parts: str, mirror: bool
):
    monkeypatch.setattr(exported_runtime, "num_engine_threads", lambda: 2)
    pictures = [picture(seed) for seed in range(6)]
    overrides = {"postprocess.mirror": True} if mirror else None
    model = md.load(openvino_file.with_name(f"{parts}_float32.xml"), overrides=overrides)
    expected = [model.detect(each) for each in pictures]
    model.run_several_at_once()
    images, info = zip(*map(model.letterbox, pictures), strict=True)
    batch = model.detect_batch(np.stack(images), np.stack([each.to_array() for each in info]))
    for found in (model.detect(pictures), batch):
        for one, other in zip(found, expected, strict=True):
            assert len(one) == len(other) > 0
            np.testing.assert_array_equal(one.class_ids, other.class_ids)
            np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
            np.testing.assert_allclose(one.boxes_xyxy, other.boxes_xyxy, atol=0.05)
