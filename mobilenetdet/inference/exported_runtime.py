"""What the runtimes of exported files have in common: one image at a time, metadata, faults."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import LifoQueue
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from mobilenetdet.boxes.numpy_postprocess import NumpyPostprocess
from mobilenetdet.exported_info import ExportedInfo
from mobilenetdet.inference.runtimes import RawDetections
from mobilenetdet.system.cores import num_engine_threads
from mobilenetdet.system.quiet import importing_quietly
from mobilenetdet.system.threads import map_in_threads

if TYPE_CHECKING:
    from mobilenetdet.config.detection import PostprocessConfig

# From uint8 [1, *image_size, 3] to the outputs of the graph by name; see `lends_outputs`.
Stream = Callable[[np.ndarray], dict[str, np.ndarray]]


class ExportedRuntime(ABC):
    """A network or a whole detector in an exported file.

    Images go through one by one, each on all threads; or several at once, see `use_streams`.

    Attributes:
        path: of the file.
        info: what the file carries beside its graph.
        image_size: height and width of the input, pixels.
        classes: names, by class index.
        engine: what runs it, with its version.
        num_streams: images that go through the graph at once.
        lends_outputs: whether outputs lie in the tensors of a stream, where the next image goes.
    """

    engine: str
    lends_outputs = False

    def __init__(self, path: Path, info: ExportedInfo, stream: Stream) -> None:
        """Takes the metadata of a file that was opened, and a stream on all threads."""
        self.path, self.info = path, info
        self.image_size, self.classes = info.image_size, info.classes
        self._postprocess: NumpyPostprocess | None = None
        self._set_streams([stream])
        if info.parts == "network":
            self.use(info.postprocess)

    @abstractmethod
    def open_stream(self, num_threads: int) -> Stream:
        """Opens the graph once more, with tensors and threads of its own."""

    def use_streams(self, most: int) -> None:
        """Runs several images at once, instead of one on all threads.

        More images a second, since threads do not wait for each other, and each of them later.

        Args:
            most: streams at most; there are no more than threads, which they share.
        """
        num_threads = num_engine_threads()
        count = min(most, num_threads)
        if count != self.num_streams:
            shares = [num_threads // count + (i < num_threads % count) for i in range(count)]
            with damage_named(self.path, self.engine):
                self._set_streams([self.open_stream(share) for share in shares])

    def infer(self, image: np.ndarray, *, copy: bool = True) -> dict[str, np.ndarray]:
        """Runs the graph.

        Args:
            image: uint8 [1, *image_size, 3].
            copy: False for outputs that are good until the next call, where no other thread uses
                this runtime.

        Returns:
            Its outputs by name.
        """
        with self._idle_stream() as stream:
            outputs = stream(image)
            return _copied(outputs) if copy and self.lends_outputs else outputs

    def use(self, settings: PostprocessConfig) -> None:
        """Makes detections by other thresholds and suppression, which a network leaves open."""
        self._postprocess = NumpyPostprocess(self.info, settings)

    def run(self, images: np.ndarray) -> RawDetections:
        """Detects in letterboxed images, uint8 [B, *image_size, 3], RGB.

        Raises:
            ValueError: the runtime cannot compute the graph, which only then shows some damage.
        """
        at_once = min(self.num_streams, len(images))
        found = list(map_in_threads(self._detect, images[:, None], at_once))
        return RawDetections(*(np.stack(arrays) for arrays in zip(*found, strict=True)))

    def _detect(self, image: np.ndarray) -> RawDetections:
        """Detects in uint8 [1, *image_size, 3]; the arrays are without a batch."""
        with self._idle_stream() as stream:
            outputs = self._run(stream, image)
            if self._postprocess is not None and self._postprocess.settings.mirror:
                first = _copied(outputs) if self.lends_outputs else outputs
                mirrored = self._run(stream, np.ascontiguousarray(image[:, :, ::-1]))
                outputs = self._postprocess.average_mirrored(first, mirrored)
            if self.lends_outputs:
                return self._find(outputs)
        return self._find(outputs)

    def _find(self, outputs: dict[str, np.ndarray]) -> RawDetections:
        """Makes detections of the outputs of the graph, in arrays of their own."""
        if self._postprocess is not None:
            return RawDetections(*self._postprocess(outputs))
        found = (outputs[name][0] for name in ("boxes", "scores", "classes"))
        return RawDetections(*map(np.array, found))

    def _run(self, stream: Stream, image: np.ndarray) -> dict[str, np.ndarray]:
        with damage_named(self.path, self.engine):
            return stream(image)

    @contextlib.contextmanager
    def _idle_stream(self) -> Iterator[Stream]:
        """A stream for this thread alone: it has one set of tensors."""
        idle = self._idle
        stream = idle.get()
        try:
            yield stream
        finally:
            idle.put(stream)

    def _set_streams(self, streams: list[Stream]) -> None:
        self.num_streams = len(streams)
        self._idle: LifoQueue[Stream] = LifoQueue()
        for stream in streams:
            self._idle.put(stream)


def _copied(outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.array(value) for name, value in outputs.items()}


def import_runtime(module: str, package: str, extra: str, source: Path | str) -> ModuleType:
    """Imports what runs or writes a kind of file; some of that imports TensorFlow.

    Raises:
        ValueError: it is not installed; names the package and the extra.
    """
    try:
        with importing_quietly():
            return importlib.import_module(module)
    except ImportError as error:
        # Who writes files lacks more than this one; who runs them may want no more than it.
        what = "'mobilenetdet[export]'" if extra == "export" else package
        raise ValueError(
            f"{source} needs {package}, the extra [{extra}]: pip install {what} ({error})"
        ) from None


def engine_name(name: str, package: str) -> str:
    """Returns what to call an engine.

    Example: "LiteRT 2.3.0".
    """
    return f"{name} {importlib.metadata.version(package)}"


@contextlib.contextmanager
def damage_named(path: Path, what: str) -> Iterator[None]:
    """Says of any error in the `with` block that a file is damaged.

    Args:
        path: of the file.
        what: it should be: "LiteRT".

    Raises:
        ValueError: an error of the runtime.
    """
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # each runtime has errors of its own
        # The first lines of OpenVINO's errors are places in its source.
        reason = [type(error).__name__, *filter(None, map(str.strip, str(error).splitlines()))][-1]
        message = f"{path} is damaged, or no {what} file ({reason}); export it again"
        raise ValueError(message) from None
