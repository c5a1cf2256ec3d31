"""Exported .xml files with their .bin, run by OpenVINO on the CPU."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from mobilenetdet.exported_info import INFO_KEY, ExportedInfo
from mobilenetdet.inference.exported_runtime import (
    ExportedRuntime,
    Stream,
    damage_named,
    engine_name,
    import_runtime,
)
from mobilenetdet.system.cores import num_engine_threads

# OpenVINO's binding makes its table of dtypes when it is first asked for one. Two threads that ask
# at once deadlock: one holds the table and waits for Python's lock, the other the other way round.
_DTYPE_TABLE_LOCK = threading.Lock()


class OpenVinoRuntime(ExportedRuntime):
    """An .xml file in OpenVINO.

    A network in half precision runs in bfloat16 where the processor has it. All else runs in
    float32 beside int8: coordinates of boxes in bfloat16 would be in steps of 8 pixels.
    """

    lends_outputs = True

    def __init__(self, path: Path) -> None:
        """Opens a file.

        Raises:
            FileNotFoundError: the .bin with its weights is not beside it.
            ValueError: OpenVINO is not installed, or the file is damaged or has no metadata.
        """
        openvino = import_runtime("openvino", "openvino", "openvino", path)
        weights = path.with_suffix(".bin")
        if not weights.is_file():
            raise FileNotFoundError(f"{path} lies without {weights.name}, its weights; copy both")
        with _DTYPE_TABLE_LOCK:
            openvino.Type.u8.to_dtype()
        with damage_named(path, "OpenVINO"):
            self._core = openvino.Core()
            self._model = self._core.read_model(path)
            known = INFO_KEY in self._model.get_rt_info()
            text = self._model.get_rt_info(INFO_KEY).astype(str) if known else None
        info = ExportedInfo.from_json(text, str(path))
        self._settings = {"PERFORMANCE_HINT": "LATENCY"}
        if (info.parts, info.precision) != ("network", "float16"):
            self._settings["INFERENCE_PRECISION_HINT"] = "f32"
        with damage_named(path, "OpenVINO"):
            stream = self.open_stream(num_engine_threads())
        super().__init__(path, info, stream)
        self.engine = engine_name("OpenVINO", "openvino")

    def open_stream(self, num_threads: int) -> Stream:
        """Opens the graph once more, with tensors and threads of its own."""
        settings = {
            **self._settings,
            "INFERENCE_NUM_THREADS": num_threads,
            # The threads of each stream would be tied to the same cores.
            "ENABLE_CPU_PINNING": num_threads == num_engine_threads(),
        }
        compiled = self._core.compile_model(self._model, "CPU", settings)
        request = compiled.create_infer_request()
        names = [output.get_any_name() for output in compiled.outputs]

        def infer(image: np.ndarray) -> dict[str, np.ndarray]:
            """Runs the graph; its outputs are those of the request."""
            values = request.infer(
                [np.ascontiguousarray(image)], share_inputs=True, share_outputs=True
            )
            return {name: values[index] for index, name in enumerate(names)}

        return infer
