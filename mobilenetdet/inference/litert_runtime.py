"""Exported .tflite files, run by LiteRT (the package ai-edge-litert)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mobilenetdet.exported_info import INFO_KEY, ExportedInfo
from mobilenetdet.inference.exported_runtime import (
    ExportedRuntime,
    Stream,
    damage_named,
    engine_name,
    import_runtime,
)
from mobilenetdet.system.cores import num_engine_threads
from mobilenetdet.system.quiet import without_info_lines

_PACKAGE, _EXTRA = "ai-edge-litert", "litert"


class LiteRtRuntime(ExportedRuntime):
    """A .tflite file in LiteRT's interpreter with its default delegate, XNNPACK."""

    def __init__(self, path: Path) -> None:
        """Opens a file.

        Raises:
            ValueError: LiteRT is not installed, or the file is damaged or has no metadata.
        """
        self._litert = import_runtime("ai_edge_litert.interpreter", _PACKAGE, _EXTRA, path)
        self._content = path.read_bytes()
        with damage_named(path, "LiteRT"):
            stream = self.open_stream(num_engine_threads())
            text = read_metadata(self._content)
        super().__init__(path, ExportedInfo.from_json(text, str(path)), stream)
        self.engine = engine_name("LiteRT", _PACKAGE)

    def open_stream(self, num_threads: int) -> Stream:
        """Opens the graph once more, with tensors and threads of its own."""
        interpreter = self._litert.Interpreter(
            model_content=self._content,
            num_threads=num_threads,
            experimental_preserve_all_tensors=False,
        )
        with without_info_lines():  # "Created TensorFlow Lite XNNPACK delegate for CPU."
            interpreter.allocate_tensors()
        run = interpreter.get_signature_runner()
        (name,) = run.get_input_details()
        return lambda image: run(**{name: image})


def read_metadata(content: bytes) -> str | None:
    """Returns what a .tflite file carries under our name, None if nothing."""
    # Not at the top: it comes with the runtime.
    from ai_edge_litert import schema_py_generated as schema

    model: Any = schema.Model.GetRootAs(content, 0)
    for index in range(model.MetadataLength()):
        entry = model.Metadata(index)
        if entry.Name() == INFO_KEY.encode():
            return model.Buffers(entry.Buffer()).DataAsNumpy().tobytes().decode()
    return None
