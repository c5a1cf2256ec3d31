"""LiteRT's .tflite files, in float32, with kernels in float16, and in int8."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from mobilenetdet.deploy.calibration_images import CalibrationImages
from mobilenetdet.deploy.float_layers import QUANTISED
from mobilenetdet.deploy.graph import INPUT, FrozenGraph
from mobilenetdet.exported_info import INFO_KEY, ExportedInfo
from mobilenetdet.inference.exported_runtime import import_runtime
from mobilenetdet.system.cores import num_cores
from mobilenetdet.system.quiet import output_set_aside

_FILE_MARK = b"TFL3"
_SIGNATURE = "serving_default"
_OPERATIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "RESIZE_NEAREST_NEIGHBOR", "PAD")


def write_litert(
    graph: FrozenGraph, path: Path, info: ExportedInfo, images: CalibrationImages | None = None
) -> None:
    """Writes a .tflite file; the metadata are a buffer in it.

    Raises:
        ValueError: LiteRT or its quantiser is not installed; names the extra.
    """
    content = convert(graph, halve=info.precision == "float16")
    if info.precision == "int8":
        content = quantise(content, images)
    path.write_bytes(add_metadata(content, info.to_json()))


def convert(graph: FrozenGraph, *, halve: bool = False) -> bytes:
    """Converts a graph; `halve` stores its kernels in float16."""
    with tempfile.TemporaryDirectory() as folder:
        # Of a function alone the file would have no signature, by which it is run and quantised.
        graph.write_saved_model(Path(folder))
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if halve:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        with output_set_aside(1, 2):  # the converters print what nobody needs
            return converter.convert()


def quantise(content: bytes, images: CalibrationImages) -> bytes:
    """Makes int8 of the body of the network; see `float_layers.py`."""
    module = import_runtime("litert_quantizer.quantizer", "litert-quantizer", "export", "int8")
    calibrated, quantised = (
        module.Quantizer(bytearray(each)) for each in (_with_all_results(content), content)
    )
    for quantizer in (calibrated, quantised):
        for operation in _OPERATIONS:
            quantizer.add_static_config(QUANTISED, operation, 8, 8)
    with output_set_aside(1, 2):  # the converters print what nobody needs
        ranges = calibrated.calibrate({_SIGNATURE: _Samples(images)}, num_threads=num_cores())
        return bytes(quantised.quantize(ranges).quantized_model)


class _Samples:
    """Pictures by the name of the input; they are counted before they are used."""

    def __init__(self, images: CalibrationImages) -> None:
        self._images = images

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        return ({INPUT: image} for image in self._images)


def _with_all_results(content: bytes) -> bytes:
    """Makes outputs of results that nothing uses, such as what a loop carries along.

    They have no data otherwise, and the quantiser reads all tensors.
    """
    model = _schema().ModelT.InitFromPackedBuf(bytearray(content), 0)
    graph = model.subgraphs[0]  # the others are bodies of loops
    used = {*graph.outputs, *(each for op in graph.operators for each in op.inputs)}
    unused = {each for op in graph.operators for each in op.outputs} - used
    graph.outputs = np.array([*graph.outputs, *sorted(unused)], np.int32)
    return _pack(model, len(content))


def add_metadata(content: bytes, text: str) -> bytes:
    """Puts a text into a .tflite file, under our name."""
    schema = _schema()
    model: Any = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    for each in model.buffers:
        # The quantiser leaves data behind the flatbuffer, where it would be lost.
        if each.offset > 1:
            each.data = np.frombuffer(content, np.uint8, each.size, each.offset)
            each.offset = each.size = 0
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(text.encode(), np.uint8)
    entry.name, entry.buffer = INFO_KEY, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    return _pack(model, len(content) + len(text))


def _schema() -> Any:
    return import_runtime(
        "ai_edge_litert.schema_py_generated", "ai-edge-litert", "litert", "a .tflite file"
    )


def _pack(model: Any, size: int) -> bytes:
    """Returns the file of a model of about so many bytes."""
    import flatbuffers

    builder = flatbuffers.Builder(size + 1024)
    builder.Finish(model.Pack(builder), file_identifier=_FILE_MARK)
    return bytes(builder.Output())
