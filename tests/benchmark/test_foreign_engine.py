"""A network that is not ours: what it is given, and what is refused."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from mobilenetdet.benchmark import foreign_engine
from mobilenetdet.benchmark.foreign_engine import ForeignEngine
from mobilenetdet.benchmark.timed_files import foreign_files
from mobilenetdet.data.letterbox_image import letterbox_image


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    cv2.imwrite(str(path), pixels[..., ::-1])
    return path


def write_onnx(path: Path, shape: list, kind: str = "FLOAT", inputs: int = 1) -> Path:
    onnx = pytest.importorskip("onnx", reason="the extra [export] is not installed")
    dtype = getattr(onnx.TensorProto, kind)
    helper = onnx.helper
    names = [f"in_{index}" for index in range(inputs)]
    graph = helper.make_graph(
        [helper.make_node("Identity", [names[0]], ["out"])],
        "theirs",
        [helper.make_tensor_value_info(name, dtype, shape) for name in names],
        [helper.make_tensor_value_info("out", dtype, shape)],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


def write_openvino(path: Path, shape: list[int]) -> Path:
    openvino = pytest.importorskip("openvino", reason="the extra [openvino] is not installed")
    given = openvino.opset13.parameter(shape, np.float32)
    model = openvino.Model([openvino.opset13.relu(given)], [given], "theirs")
    openvino.save_model(model, path, compress_to_fp16=False)
    return path


@pytest.mark.parametrize(
    ("shape", "kind"),
    [([1, 3, 32, 64], "FLOAT"), ([1, 32, 64, 3], "FLOAT"), ([1, 32, 64, 3], "UINT8")],
)
def test_a_network_is_given_the_letterboxed_picture(tmp_path, picture, shape, kind):
    pytest.importorskip("onnxruntime", reason="the extra [onnx] is not installed")
    engine = ForeignEngine(str(write_onnx(tmp_path / "x.onnx", shape, kind)), [str(picture)])
    assert engine.describe()["image_size"] == [32, 64]
    given, infer = [], engine._infer
    engine._infer = lambda values: given.append(infer(values)[0])
    times = engine.run()
    assert list(times) == ["decode", "letterbox", "network", "total"]
    assert times["total"] == pytest.approx(sum(list(times.values())[:3]))
    expected = letterbox_image(cv2.imread(str(picture))[..., ::-1], (32, 64))[0]
    values = given[0][0].transpose(1, 2, 0) if shape[1] == 3 else given[0][0]
    assert list(given[0].shape) == shape
    np.testing.assert_allclose(values * (255 if kind == "FLOAT" else 1), expected, atol=1e-3)


@pytest.mark.parametrize("halves", [True, False])
def test_kernels_in_halves_are_seen(tmp_path, halves):
    """They run in bfloat16 where the processor has it, as ours do."""
    openvino = pytest.importorskip("openvino", reason="the extra [openvino] is not installed")
    given = openvino.opset13.parameter([1, 64], np.float32)
    kernel = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    product = openvino.opset13.matmul(given, openvino.opset13.constant(kernel), False, False)
    path = tmp_path / "x.xml"
    openvino.save_model(openvino.Model([product], [given]), path, compress_to_fp16=halves)
    assert foreign_engine._is_in_halves(openvino.Core().read_model(path)) == halves


def test_an_openvino_file_is_timed(tmp_path, picture):
    path = write_openvino(tmp_path / "x.xml", [1, 3, 32, 64])
    engine = ForeignEngine(str(path), [str(picture)])
    assert engine.run()["network"] > 0 and engine.describe()["engine"].startswith("OpenVINO")


@pytest.mark.parametrize(
    ("shape", "kind", "inputs", "message"),
    [
        ([1, 3, "h", "w"], "FLOAT", 1, "one image of a fixed size"),
        ([2, 3, 32, 64], "FLOAT", 1, "one image of a fixed size"),
        ([1, 1, 32, 64], "FLOAT", 1, r"takes \[1, 1, 32, 64\]"),
        ([1, 3, 32, 64], "DOUBLE", 1, r"float32 or uint8"),
        ([1, 3, 32, 64], "FLOAT", 2, "has 2 inputs"),
    ],
)
def test_other_inputs_are_refused(tmp_path, picture, shape, kind, inputs, message):
    pytest.importorskip("onnxruntime", reason="the extra [onnx] is not installed")
    path = write_onnx(tmp_path / "x.onnx", shape, kind, inputs)
    with pytest.raises(ValueError, match=message):
        ForeignEngine(str(path), [str(picture)])


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("theirs.pt", ValueError, r"\.xml and \.onnx files can"),
        ("theirs.onnx", FileNotFoundError, "does not exist"),
    ],
)
def test_what_cannot_be_timed_is_named_before_the_work(tmp_path, name, error, message):
    with pytest.raises(error, match=message):
        foreign_files([tmp_path / name])


def test_files_are_timed_with_those_of_one_size(tmp_path):
    (tmp_path / "theirs.onnx").write_bytes(b"12345")
    (file,) = foreign_files([tmp_path / "theirs.onnx"], beside=(384, 1248))
    assert (file.format, file.image_size, file.foreign) == ("onnx", (384, 1248), True)
    assert file.megabytes == 5e-6
