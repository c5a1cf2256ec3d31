"""Exported .onnx files, run by ONNX Runtime on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mobilenetdet.exported_info import INFO_KEY, ExportedInfo
from mobilenetdet.inference.exported_runtime import (
    ExportedRuntime,
    damage_named,
    engine_name,
    import_runtime,
)
from mobilenetdet.system.cores import num_engine_threads

_ERRORS_ONLY = 3


class OnnxRuntime(ExportedRuntime):
    """An .onnx file in ONNX Runtime."""

    def __init__(self, path: Path) -> None:
        """Opens a file.

        Raises:
            ValueError: ONNX Runtime is not installed, or the file is damaged or has no metadata.
        """
        onnxruntime = import_runtime("onnxruntime", "onnxruntime", "onnx", path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_engine_threads()
        options.log_severity_level = _ERRORS_ONLY
        content = path.read_bytes()  # it would refuse a path that is no UTF-8
        with damage_named(path, "ONNX"):
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
            (self._input,) = (each.name for each in self._session.get_inputs())
            self._names = [each.name for each in self._session.get_outputs()]
            text = self._session.get_modelmeta().custom_metadata_map.get(INFO_KEY)
        super().__init__(path, ExportedInfo.from_json(text, str(path)))
        self.engine = engine_name("ONNX Runtime", "onnxruntime")

    def infer(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """Runs the graph on uint8 [1, *image_size, 3]; returns its outputs by name."""
        values = self._session.run(self._names, {self._input: image})
        return dict(zip(self._names, values, strict=True))
