"""Exported SavedModels and frozen graphs (.pb), run by TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mobilenetdet.exported_info import CLASSIFIER, INFO_FILE, INFO_KEY, ExportedInfo
from mobilenetdet.inference.exported_runtime import (
    ExportedRuntime,
    Stream,
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
            run = loaded.signatures["serving_default"]
        self._loaded = loaded  # its signature does not keep it alive
        info = path / EXTRA_ASSETS / INFO_FILE
        text = info.read_text(encoding="utf-8") if info.is_file() else None
        self._stream: Stream = lambda image: {
            name: each.numpy() for name, each in run(tf.constant(image)).items()
        }
        super().__init__(path, ExportedInfo.from_json(text, str(path)), self._stream)
        self.engine = engine_name("TensorFlow", "tensorflow")

    def open_stream(self, num_threads: int) -> Stream:
        """Returns the graph, whose calls share TensorFlow's threads."""
        return self._stream


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
        names = output_names(info)
        with damage_named(path, "frozen graph"):
            imported = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph, name=""), [])
            fetches = [imported.graph.get_tensor_by_name(f"{name}:0") for name in names]
            run = imported.prune(imported.graph.get_tensor_by_name(f"{_INPUT}:0"), fetches)
        self._stream: Stream = lambda image: {
            name: each.numpy() for name, each in zip(names, run(tf.constant(image)), strict=True)
        }
        super().__init__(path, info, self._stream)
        self.engine = engine_name("TensorFlow", "tensorflow")

    def open_stream(self, num_threads: int) -> Stream:
        """Returns the graph, whose calls share TensorFlow's threads."""
        return self._stream


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
