"""Exported SavedModels and frozen graphs (.pb), run by TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mobilenetdet.exported_info import CLASSIFIER, INFO_FILE, INFO_KEY, ExportedInfo
from mobilenetdet.inference.exported_runtime import (
    ExportedRuntime,
    damage_named,
    engine_name,
    import_runtime,
)
from mobilenetdet.system.quiet import import_tensorflow_quietly

# The folder of a SavedModel that TensorFlow leaves to others.
EXTRA_ASSETS = "assets.extra"
_INPUT = "images"


class SavedModelRuntime(ExportedRuntime):
    """A SavedModel folder in TensorFlow."""

    def __init__(self, path: Path) -> None:
        """Opens a folder.

        Raises:
            ValueError: TensorFlow is not installed, or the folder is damaged or has no metadata.
        """
        tf = _tensorflow(path)
        with damage_named(path, "SavedModel"):
            loaded = tf.saved_model.load(str(path))
            self._run = loaded.signatures["serving_default"]
        self._loaded = loaded  # its signature does not keep it alive
        info = path / EXTRA_ASSETS / INFO_FILE
        text = info.read_text(encoding="utf-8") if info.is_file() else None
        super().__init__(path, ExportedInfo.from_json(text, str(path)))
        self.engine = engine_name("TensorFlow", "tensorflow")
        self._constant = tf.constant

    def infer(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """Runs the graph on uint8 [1, *image_size, 3]; returns its outputs by name."""
        return {name: each.numpy() for name, each in self._run(self._constant(image)).items()}


class FrozenGraphRuntime(ExportedRuntime):
    """A frozen graph in TensorFlow."""

    def __init__(self, path: Path) -> None:
        """Opens a file.

        Raises:
            ValueError: TensorFlow is not installed, or the file is damaged or has no metadata.
        """
        tf = _tensorflow(path)
        graph = tf.compat.v1.GraphDef()
        with damage_named(path, "frozen graph"):
            graph.ParseFromString(path.read_bytes())
            texts = [n.attr["value"].tensor.string_val[0] for n in graph.node if n.name == INFO_KEY]
            text = texts[0].decode() if texts else None
        info = ExportedInfo.from_json(text, str(path))
        self._names = output_names(info)
        with damage_named(path, "frozen graph"):
            imported = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph, name=""), [])
            fetches = [imported.graph.get_tensor_by_name(f"{name}:0") for name in self._names]
            self._run = imported.prune(imported.graph.get_tensor_by_name(f"{_INPUT}:0"), fetches)
        super().__init__(path, info)
        self.engine = engine_name("TensorFlow", "tensorflow")
        self._constant = tf.constant

    def infer(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """Runs the graph on uint8 [1, *image_size, 3]; returns its outputs by name."""
        values = self._run(self._constant(image))
        return {name: each.numpy() for name, each in zip(self._names, values, strict=True)}


def output_names(info: ExportedInfo) -> list[str]:
    """Returns the names of the outputs of an exported graph."""
    if info.parts == CLASSIFIER:
        return ["logits"]
    if info.parts == "detector":
        return ["boxes", "scores", "classes"]
    confident = info.scores_from == "softmax_times_confidence"
    return ["class_logits", *(["confidence_logits"] if confident else []), "deltas"]


def _tensorflow(path: Path) -> Any:
    import_tensorflow_quietly()
    return import_runtime("tensorflow", "tensorflow", "export", path)
