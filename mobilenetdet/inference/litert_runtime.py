"""Exported .tflite files, run by LiteRT (the package ai-edge-litert)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mobilenetdet.exported_info import INFO_KEY, ExportedInfo
from mobilenetdet.inference.exported_runtime import (
    ExportedRuntime,
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
        litert = import_runtime("ai_edge_litert.interpreter", _PACKAGE, _EXTRA, path)
        content = path.read_bytes()
        with damage_named(path, "LiteRT"):
            interpreter = litert.Interpreter(
                model_content=content,
                num_threads=num_engine_threads(),
                experimental_preserve_all_tensors=False,
            )
            with without_info_lines():  # "Created TensorFlow Lite XNNPACK delegate for CPU."
                interpreter.allocate_tensors()
            text = read_metadata(content)
            self._run = interpreter.get_signature_runner()
            (self._input,) = self._run.get_input_details()
        super().__init__(path, ExportedInfo.from_json(text, str(path)))
        self.engine = engine_name("LiteRT", _PACKAGE)

    def infer(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """Runs the graph on uint8 [1, *image_size, 3]; returns its outputs by name."""
        return self._run(**{self._input: image})


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
