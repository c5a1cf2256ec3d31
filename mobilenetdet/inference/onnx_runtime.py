"""Exported .onnx files, run by ONNX Runtime on the CPU."""

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

_ERRORS_ONLY = 3


class OnnxRuntime(ExportedRuntime):
    """An .onnx file in ONNX Runtime."""

    def __init__(self, path: Path) -> None:
        """Opens a file.

        Raises:
            ValueError: ONNX Runtime is not installed, or the file is damaged or has no metadata.
        """
        self._onnxruntime = import_runtime("onnxruntime", "onnxruntime", "onnx", path)
        self._content = path.read_bytes()  # it would refuse a path that is no UTF-8
        with damage_named(path, "ONNX"):
            session = self._open(num_engine_threads())
            text = session.get_modelmeta().custom_metadata_map.get(INFO_KEY)
            stream = _stream_of(session)
        super().__init__(path, ExportedInfo.from_json(text, str(path)), stream)
        self.engine = engine_name("ONNX Runtime", "onnxruntime")

    def open_stream(self, num_threads: int) -> Stream:
        """Opens the graph once more, with tensors and threads of its own."""
        return _stream_of(self._open(num_threads))

    def _open(self, num_threads: int) -> Any:
        options = self._onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads
        options.log_severity_level = _ERRORS_ONLY
        providers = ["CPUExecutionProvider"]
        return self._onnxruntime.InferenceSession(self._content, options, providers=providers)


def _stream_of(session: Any) -> Stream:
    (name,) = (each.name for each in session.get_inputs())
    names = [each.name for each in session.get_outputs()]
    return lambda image: dict(zip(names, session.run(names, {name: image}), strict=True))
