"""LiteRT's .tflite files, in float32, with kernels in float16, and in int8."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from mobilenetdet.cores import num_cores
from mobilenetdet.deploy.calibration_images import CalibrationImages
from mobilenetdet.deploy.float_layers import QUANTISED
from mobilenetdet.deploy.graph import INPUT, FrozenGraph
from mobilenetdet.exported_info import INFO_KEY, ExportedInfo
from mobilenetdet.inference.exported_runtime import import_runtime
from mobilenetdet.quiet import output_set_aside

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
    quantizer = module.Quantizer(bytearray(content))
    for operation in _OPERATIONS:
        quantizer.add_static_config(QUANTISED, operation, 8, 8)
    with output_set_aside(1, 2):  # the converters print what nobody needs
        ranges = quantizer.calibrate({_SIGNATURE: _Samples(images)}, num_threads=num_cores())
        return bytes(quantizer.quantize(ranges).quantized_model)


class _Samples:
    """Pictures by the name of the input; they are counted before they are used."""

    def __init__(self, images: CalibrationImages) -> None:
        self._images = images

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        return ({INPUT: image} for image in self._images)


def add_metadata(content: bytes, text: str) -> bytes:
    """Puts a text into a .tflite file, under our name."""
    schema = import_runtime(
        "ai_edge_litert.schema_py_generated", "ai-edge-litert", "litert", "a .tflite file"
    )
    import flatbuffers

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
    builder = flatbuffers.Builder(len(content) + len(text) + 1024)
    builder.Finish(model.Pack(builder), file_identifier=_FILE_MARK)
    return bytes(builder.Output())
