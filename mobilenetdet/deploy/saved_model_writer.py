"""SavedModels and frozen graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from mobilenetdet.deploy.calibration_images import CalibrationImages
from mobilenetdet.deploy.graph import FrozenGraph, from_graph_def
from mobilenetdet.exported_info import INFO_FILE, INFO_KEY, ExportedInfo
from mobilenetdet.inference.saved_model_runtime import EXTRA_ASSETS

# Smaller constants (biases, shapes, limits) stay as they are.
_MIN_SIZE = 256


def write_saved_model(
    graph: FrozenGraph, path: Path, info: ExportedInfo, images: CalibrationImages | None = None
) -> None:
    """Writes a SavedModel; the metadata are a file in its folder assets.extra."""
    if info.precision == "float16":
        graph = from_graph_def(halve_constants(graph.graph_def), graph)
    graph.write_saved_model(path)
    (path / EXTRA_ASSETS).mkdir()
    (path / EXTRA_ASSETS / INFO_FILE).write_text(info.to_json(indent=1), encoding="utf-8")


def write_frozen_graph(
    graph: FrozenGraph, path: Path, info: ExportedInfo, images: CalibrationImages | None = None
) -> None:
    """Writes a GraphDef; the metadata are a constant in it."""
    graph_def = graph.graph_def
    if info.precision == "float16":
        graph_def = halve_constants(graph_def)
    node = graph_def.node.add(name=INFO_KEY, op="Const")
    node.attr["dtype"].type = tf.string.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(info.to_json()))
    path.write_bytes(graph_def.SerializeToString(deterministic=True))


def halve_constants(graph_def: tf.compat.v1.GraphDef) -> tf.compat.v1.GraphDef:
    """Returns a graph whose kernels are stored in float16; casts make them float32 again."""
    halved = tf.compat.v1.GraphDef()
    halved.CopyFrom(graph_def)
    del halved.node[:]
    for node in graph_def.node:
        if not _is_kernel(node):
            halved.node.append(node)
            continue
        values = tf.make_ndarray(node.attr["value"].tensor).astype(np.float16)
        stored = halved.node.add(name=f"{node.name}/float16", op="Const")
        stored.attr["dtype"].type = tf.float16.as_datatype_enum
        stored.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values))
        cast = halved.node.add(name=node.name, op="Cast", input=[stored.name])
        cast.attr["SrcT"].type = tf.float16.as_datatype_enum
        cast.attr["DstT"].type = tf.float32.as_datatype_enum
    return halved


def _is_kernel(node: tf.compat.v1.NodeDef) -> bool:
    if node.op != "Const" or node.attr["dtype"].type != tf.float32.as_datatype_enum:
        return False
    # Of the tensors with four axes, all are kernels.
    shape = node.attr["value"].tensor.tensor_shape.dim
    return len(shape) == 4 and np.prod([each.size for each in shape]) >= _MIN_SIZE
