"""A network of another program, timed beside a detector: an image in, whatever it gives out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from mobilenetdet.data.letterbox_image import letterbox_image
from mobilenetdet.inference.exported_runtime import damage_named, engine_name, import_runtime
from mobilenetdet.media.sources import read_photo
from mobilenetdet.system.cores import num_engine_threads

FOREIGN_SUFFIXES = (".xml", ".onnx")
# What the input of a network may be made of, by the names of ONNX and of OpenVINO.
_TYPES = {
    "tensor(float)": np.float32,
    "tensor(uint8)": np.uint8,
    "f32": np.float32,
    "u8": np.uint8,
}


class ForeignEngine:
    """Any OpenVINO or ONNX file with one image as its input, [1, 3, H, W] or [1, H, W, 3].

    It ends at the outputs of the network: what follows them in its own program is not timed. Floats
    are given as 0 to 1; making them is part of the letterbox.
    """

    def __init__(self, source: str, pictures: Sequence[str]) -> None:
        """Opens a file, with the settings that our own files of its format have.

        Args:
            source: the file.
            pictures: files.

        Raises:
            ValueError: the runtime is not installed, the file is damaged, or its input is no image
                of a fixed size.
        """
        path = Path(source)
        opened = _open_openvino(path) if path.suffix == ".xml" else _open_onnx(path)
        self._infer, shape, self._type, self._engine = opened
        fixed = len(shape) == 4 and all(isinstance(side, int) and side > 0 for side in shape)
        self._channels_first = fixed and shape[:2] == [1, 3]
        if not fixed or not (self._channels_first or (shape[0], shape[3]) == (1, 3)):
            raise ValueError(
                f"{path} takes {shape}; a network is timed on one image of a fixed size, "
                "[1, 3, H, W] or [1, H, W, 3]"
            )
        height, width = map(int, shape[2:] if self._channels_first else shape[1:3])
        self._size = (height, width)
        self._pictures = cycle(pictures)

    def describe(self) -> dict[str, Any]:
        """Returns engine, size of the input and the parts told apart; see `DetectorEngine`."""
        return {
            "engine": self._engine,
            "parts": "network",
            "precision": "as it is",
            "run": "",
            "image_size": list(self._size),
            "stages": ["decode", "letterbox", "network"],
        }

    def run(self) -> dict[str, float]:
        """Runs on the next picture; see `engine_server.Engine`."""
        marks = [time.perf_counter()]
        image = read_photo(next(self._pictures))
        marks.append(time.perf_counter())
        values = self._prepare(letterbox_image(image, self._size)[0])
        marks.append(time.perf_counter())
        self._infer(values)
        marks.append(time.perf_counter())
        times = (1e3 * np.diff(marks)).tolist()
        return {**dict(zip(self.describe()["stages"], times, strict=True)), "total": sum(times)}

    def _prepare(self, canvas: np.ndarray) -> np.ndarray:
        if self._type == np.float32:
            canvas = canvas.astype(np.float32) * np.float32(1 / 255)
        if self._channels_first:
            canvas = canvas.transpose(2, 0, 1)
        return np.ascontiguousarray(canvas[None])


# What runs the network, sides of its input (names where they are open), their type, the engine.
Opened = tuple[Callable[[np.ndarray], object], list[int] | list[str], Any, str]


def _open_openvino(path: Path) -> Opened:
    openvino = import_runtime("openvino", "openvino", "openvino", path)
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": num_engine_threads()}
    with damage_named(path, "OpenVINO"):
        core = openvino.Core()
        model = core.read_model(path)
        if not _is_in_halves(model):  # else in bfloat16 where the processor has it, as ours
            settings["INFERENCE_PRECISION_HINT"] = "f32"
        compiled = core.compile_model(model, "CPU", settings)
    taken = _only_input(path, model.inputs)
    shape = taken.get_partial_shape()
    sides = [int(side) for side in shape.to_shape()] if shape.is_static else [str(shape)]
    request = compiled.create_infer_request()

    def infer(values: np.ndarray) -> object:
        """Runs the network."""
        return request.infer([values], share_inputs=True, share_outputs=True)

    dtype = _numpy_type(path, taken.get_element_type().get_type_name())
    return infer, sides, dtype, engine_name("OpenVINO", "openvino")


def _is_in_halves(model: Any) -> bool:
    """Whether the kernels of an OpenVINO model are in half precision, as ours in float16 are."""
    types = {op.get_element_type().get_type_name() for op in model.get_ops() if _is_constant(op)}
    return "f16" in types


def _is_constant(op: Any) -> bool:
    return op.get_type_name() == "Constant"


def _open_onnx(path: Path) -> Opened:
    onnxruntime = import_runtime("onnxruntime", "onnxruntime", "onnx", path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_engine_threads()
    with damage_named(path, "ONNX"):
        session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    taken = _only_input(path, session.get_inputs())

    def infer(values: np.ndarray) -> object:
        """Runs the network."""
        return session.run(None, {taken.name: values})

    dtype = _numpy_type(path, taken.type)
    return infer, list(taken.shape), dtype, engine_name("ONNX Runtime", "onnxruntime")


def _only_input(path: Path, inputs: Sequence[Any]) -> Any:
    if len(inputs) != 1:
        raise ValueError(f"{path} has {len(inputs)} inputs; one image is what is given")
    return inputs[0]


def _numpy_type(path: Path, name: str) -> Any:
    if name not in _TYPES:
        raise ValueError(f"{path} takes {name}; float32 or uint8 are what is given")
    return _TYPES[name]
