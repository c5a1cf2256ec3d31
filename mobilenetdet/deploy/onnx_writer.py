"""ONNX files, in float32, with kernels in float16, and in int8."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from mobilenetdet.deploy.calibration_images import CalibrationImages
from mobilenetdet.deploy.float_layers import Operation, float_operations
from mobilenetdet.deploy.graph import INPUT, FrozenGraph
from mobilenetdet.exported_info import INFO_KEY, ExportedInfo
from mobilenetdet.inference.exported_runtime import import_runtime
from mobilenetdet.system.quiet import output_set_aside

# Resize of whole factors, TopK and all else are there, and ONNX Runtime 1.14 reads it.
_OPSET = 17
_MIN_SIZE = 256


def write_onnx(
    graph: FrozenGraph, path: Path, info: ExportedInfo, images: CalibrationImages | None = None
) -> None:
    """Writes an .onnx file; the metadata are among its metadata_props.

    Raises:
        ValueError: a converter is not installed; names the extra.
    """
    onnx = import_runtime("onnx", "onnx", "export", path)
    model = convert(graph)
    if info.precision == "float16":
        halve_kernels(model)
    elif info.precision == "int8":
        model = quantise(model, images)
    onnx.helper.set_model_props(model, {INFO_KEY: info.to_json()})
    onnx.save(model, str(path))


def convert(graph: FrozenGraph) -> Any:
    """Converts a graph to an ONNX model."""
    tf2onnx = import_runtime("tf2onnx", "tf2onnx", "export", "an .onnx file")
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    names = {f"{name}:0": name for name in (INPUT, *graph.outputs)}
    with output_set_aside(2):  # TensorFlow warns of what tf2onnx calls
        model, _ = tf2onnx.convert.from_graph_def(
            graph.graph_def,
            input_names=[f"{INPUT}:0"],
            output_names=[f"{name}:0" for name in graph.outputs],
            opset=_OPSET,
            tensors_to_rename=names,
        )
    return model


def halve_kernels(model: Any) -> None:
    """Stores kernels in float16, behind casts that ONNX Runtime folds when it loads the file."""
    import onnx

    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or len(tensor.dims) != 4:
            continue
        values = onnx.numpy_helper.to_array(tensor)
        if values.size < _MIN_SIZE:
            continue
        name = tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}/float16"))
        casts.append(
            onnx.helper.make_node("Cast", [tensor.name], [name], to=onnx.TensorProto.FLOAT)
        )
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)


def quantise(model: Any, images: CalibrationImages) -> Any:
    """Makes int8 of the body of the network, with a scale for each channel of a kernel."""
    import onnx

    ort = import_runtime("onnxruntime.quantization", "onnxruntime", "export", "int8")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        prepared = Path(folder) / "prepared.onnx"
        onnx.save(model, str(source))
        ort.quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        floats = float_operations(_operations(onnx.load(str(prepared))))
        ort.quantize_static(
            str(prepared),
            str(target),
            _Reader(images),
            quant_format=ort.QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Add", "Resize", "Clip"],
            per_channel=True,
            activation_type=ort.QuantType.QUInt8,
            # The same as signed weights, which saturate where the processor has no VNNI.
            weight_type=ort.QuantType.QUInt8,
            extra_options={"WeightSymmetric": True},
            nodes_to_exclude=floats,
        )
        return onnx.load(str(target))


def _operations(model: Any) -> list[Operation]:
    writers = {name: node.name for node in model.graph.node for name in node.output}
    return [
        Operation(
            node.name,
            node.op_type == "Conv",
            tuple(writers[name] for name in node.input if name in writers),
        )
        for node in model.graph.node
    ]


class _Reader:
    """Pictures as ONNX Runtime's calibration asks for them."""

    def __init__(self, images: CalibrationImages) -> None:
        self._images = iter(images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Returns the next one, None at the end."""
        image = next(self._images, None)
        return None if image is None else {INPUT: image}
