"""OpenVINO's .xml files with their .bin, in float32, with weights in float16, and in int8."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from mobilenetdet.deploy.calibration_images import CalibrationImages
from mobilenetdet.deploy.float_layers import DEPTHWISE_OF_STEM, STEM, Operation, float_operations
from mobilenetdet.deploy.graph import FrozenGraph
from mobilenetdet.exported_info import CLASSIFIER, INFO_KEY, ExportedInfo
from mobilenetdet.inference.exported_runtime import import_runtime

_CONVOLUTIONS = ("Convolution", "GroupConvolution")


def write_openvino(
    graph: FrozenGraph, path: Path, info: ExportedInfo, images: CalibrationImages | None = None
) -> None:
    """Writes an .xml file and a .bin beside it; the metadata are its rt_info.

    Raises:
        ValueError: OpenVINO or its quantiser is not installed; names the extra.
    """
    openvino = import_runtime("openvino", "openvino", "openvino", path)
    model = convert(graph)
    if info.precision == "int8":
        # What it costs a classifier was not measured.
        stem = STEM if info.parts == CLASSIFIER else DEPTHWISE_OF_STEM
        model = quantise(model, images, stem)
    model.set_rt_info(info.to_json(), INFO_KEY)
    openvino.save_model(model, path, compress_to_fp16=info.precision == "float16")


def convert(graph: FrozenGraph) -> Any:
    """Converts a graph to OpenVINO's model, inputs and outputs by the same names."""
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        graph.write_saved_model(Path(folder))
        model = openvino.convert_model(folder)
    # The folder that is gone, below one that may have a user's name.
    model.set_rt_info("", ["conversion_parameters", "input_model"])
    model.reshape(list(graph.function.inputs[0].shape))
    return model


def quantise(model: Any, images: CalibrationImages, stem_depths: Collection[int]) -> Any:
    """Makes int8 of the body of the network; see `float_operations`."""
    nncf = import_runtime("nncf", "nncf", "export", "int8")
    nncf.set_log_level(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):  # progress bars, in notebooks as well
        return nncf.quantize(
            model,
            nncf.Dataset(images),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(images),
            # Not all that stays in float is a node of NNCF's graph.
            ignored_scope=nncf.IgnoredScope(
                names=float_operations(_operations(model), stem_depths), validate=False
            ),
        )


def _operations(model: Any) -> list[Operation]:
    return [
        Operation(
            each.get_friendly_name(),
            each.get_type_name() in _CONVOLUTIONS,
            tuple(
                value.get_source_output().get_node().get_friendly_name() for value in each.inputs()
            ),
        )
        for each in model.get_ordered_ops()
    ]
