"""A trained detector, ready to use: its network, and all that has to be known beside it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from mobilenetdet.boxes.letterbox import Letterbox
from mobilenetdet.data.letterbox_image import letterbox_image
from mobilenetdet.detections import Detections
from mobilenetdet.files.text import why_no_file
from mobilenetdet.inference.runtimes import MAX_STREAMS, RawDetections, Runtime
from mobilenetdet.media.sources import Photo, read_photo

if TYPE_CHECKING:
    from mobilenetdet.config.detection import DetectionConfig
    from mobilenetdet.kitti.frames_seen import FramesSeen
    from mobilenetdet.runs import RunDir


@dataclass(frozen=True, eq=False)
class LoadedDetector:
    """A trained detector.

    Attributes:
        runtime: runs the network.
        config: everything that decides what the detector is, and the defaults for using it: batch
            size, records, split, protocol, calibration of the scores.
        source: the run directory, or the name of weights that ship.
        frames_seen: the frames that the weights were trained on; None if nobody knows.
        weights_hash: of the weight file, see `runs.hash_weights`; "" if it came from none.
    """

    runtime: Runtime
    config: DetectionConfig
    source: str = ""
    frames_seen: FramesSeen | None = None
    weights_hash: str = ""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes that are detected."""
        return self.runtime.classes

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the network input, pixels; any picture is fitted into it."""
        return self.runtime.image_size

    @property
    def batch_size(self) -> int:
        """Images that go through the network at once."""
        return self.config.eval.batch_size

    @property
    def engine(self) -> str:
        """What runs the network, with its version."""
        return self.runtime.engine

    @property
    def calibration(self) -> tuple[tuple[float, float], ...]:
        """Slope and offset by which the scores of each class are calibrated; empty for none."""
        return self.config.postprocess.calibration

    @property
    def drawing_scores(self) -> dict[str, float]:
        """Score of each class from which on detections are worth drawing: that of the best F1.

        Example: `found.above(model.drawing_scores)`.
        """
        return self.config.drawing_scores()

    def __repr__(self) -> str:
        """Says where it comes from, what it detects and at which size."""
        height, width = self.image_size
        return f"LoadedDetector({self.source!r}, {', '.join(self.classes)}, {height}x{width})"

    @overload
    def detect(self, photos: Photo) -> Detections: ...  # type: ignore[overload-overlap]

    @overload
    def detect(self, photos: Sequence[Photo]) -> list[Detections]: ...

    def detect(self, photos: Photo | Sequence[Photo]) -> Detections | list[Detections]:
        """Detects in one photo, or in each of a list.

        Every detection down to `postprocess.score_threshold` is returned; `found.above(0.5)` are
        the likely ones.

        Args:
            photos: a path, RGB uint8 [H, W, 3], or a list of either.

        Returns:
            Detections in pixels of the photo, the best score first; a list for a list.

        Raises:
            FileNotFoundError: no such file.
            ValueError: a file cannot be decoded, or an array is not RGB uint8.
        """
        if isinstance(photos, Iterable) and not isinstance(photos, str | np.ndarray):
            return list(self.detect_images(map(read_photo, photos)))
        return next(self.detect_images([read_photo(photos)]))

    def detect_images(self, images: Iterable[np.ndarray]) -> Iterator[Detections]:
        """Detects in images of any size, uint8 [H, W, 3] RGB, `batch_size` at a time."""
        return self.detect_fitted(map(self.letterbox, images))

    def detect_fitted(self, fitted: Iterable[tuple[np.ndarray, Letterbox]]) -> Iterator[Detections]:
        """Detects in what `letterbox` gave of images, `batch_size` at a time."""
        fitted, size = iter(fitted), 0
        while batch := list(islice(fitted, self.batch_size)):
            size = max(size, len(batch))
            info = np.stack([letterbox.to_array() for _, letterbox in batch])
            yield from self.detect_batch(np.stack([i for i, _ in batch]), info, fill_to=size)

    def run_several_at_once(self, most: int = MAX_STREAMS) -> None:
        """Prepares for many pictures: more of them a second, each of them later.

        Exported files run several pictures at once from now on; Keras runs batches anyway.

        Args:
            most: pictures at once; there are no more than threads.
        """

    def letterbox(self, image: np.ndarray) -> tuple[np.ndarray, Letterbox]:
        """Fits uint8 [H, W, 3] into the network input; returns the transform as well."""
        return letterbox_image(image, self.image_size)

    def detect_batch(
        self, images: np.ndarray, image_info: np.ndarray, *, fill_to: int = 0
    ) -> list[Detections]:
        """Detects in one batch of letterboxed images.

        Args:
            images: uint8 [B, *image_size, 3], RGB.
            image_info: float32 [B, 5], see `Letterbox.to_array`.
            fill_to: a smaller batch is filled up to this size with its last image. Each size that
                occurs is compiled, which takes longer than the images that are too many.

        Returns:
            B detections in pixels of the original images.
        """
        filled = images
        if (missing := fill_to - len(images)) > 0:
            filled = np.concatenate([images, np.repeat(images[-1:], missing, axis=0)])
        raw = RawDetections(*(array[: len(images)] for array in self.runtime.run(filled)))
        return to_detections(raw, image_info, self.classes)


def load_detector(
    source: str | os.PathLike[str] | None = None,
    *,
    weights: str | os.PathLike[str] | None = None,
    config: DetectionConfig | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> LoadedDetector:
    """Loads a trained detector. Keras' dtype policy and all global seeds stay as they are.

    Args:
        source: the name of weights that ship, a run directory, or an exported file; by default
            the weights `ssd_fpn`.
        weights: a weight file; by default the best of the run, or the last if none was measured.
        config: to use instead of that of the run.
        overrides: settings to change, by dotted key: `{"postprocess.mirror": True}`.

    Raises:
        FileNotFoundError: there is no such run, or no weights.
        ValueError: the weights do not fit the config or are no numbers, or a setting is unknown,
            out of range, fixed by training or built into an exported file; or that file is damaged
            or needs a runtime that is not installed.
    """
    # Not at the top: exported files do without a config, and this module with them.
    from mobilenetdet.inference.exported import is_exported, load_exported

    if source is not None and is_exported(source):
        if weights is not None:
            raise ValueError(f"{source} holds its weights; {weights} goes with a run directory")
        return load_exported(source, config, overrides)
    return _load_run(source, weights, config, overrides)


def _load_run(
    source: str | os.PathLike[str] | None,
    weights: str | os.PathLike[str] | None,
    config: DetectionConfig | None,
    overrides: Mapping[str, Any] | None,
) -> LoadedDetector:
    from mobilenetdet.kitti.frames_seen import read_frames_seen
    from mobilenetdet.runs import FRAMES_SEEN_FILE, hash_weights, open_run

    run = open_run(source)
    config = config_to_use(run, config, overrides)
    path = run.find_weights() if weights is None else Path(weights)
    if not path.is_file():
        raise FileNotFoundError(f"weight file {path} {why_no_file(path)}")
    # Not at the top: they take seconds to import, and other runtimes do without.
    from mobilenetdet.inference.keras_runtime import KerasRuntime
    from mobilenetdet.models.detector import build_detector
    from mobilenetdet.models.weight_file import check_weight_file
    from mobilenetdet.models.weights import refuse_non_finite

    check_weight_file(path)
    detector, _ = build_detector(config, load_weights=False)
    try:
        detector.load_weights(path)
    except (ValueError, OSError, KeyError, RuntimeError, TypeError, AttributeError) as error:
        hint = _alpha_hint(path, config.model.alpha)
        raise ValueError(f"{path} does not fit the config of the run{hint}: {error}") from None
    refuse_non_finite(detector, str(path))
    seen = read_frames_seen(path.with_name(FRAMES_SEEN_FILE))
    source = run.shipped_name or str(source)
    return LoadedDetector(KerasRuntime(detector), config, source, seen, hash_weights(path))


def config_to_use(
    run: RunDir, config: DetectionConfig | None, overrides: Mapping[str, Any] | None
) -> DetectionConfig:
    """Returns the config to use a run with.

    Args:
        run: says how it was trained.
        config: to use instead; None for that of the run.
        overrides: settings to change, by dotted key.

    Raises:
        FileNotFoundError, ValueError: see `load_detector`.
    """
    from mobilenetdet.config.storage import with_changes

    trained = run.read_config() if config is None else config
    if not overrides:
        return trained
    trained.refuse_fixed(overrides, "overrides")
    changed = with_changes(trained, overrides)
    trained.refuse_other_training(changed, "overrides")
    return changed


def _alpha_hint(path: Path, alpha: float) -> str:
    """Says that a file has weights of another width, if that is so."""
    from mobilenetdet.models.weight_file import read_weight_file
    from mobilenetdet.models.weights import stored_alpha

    try:
        found = stored_alpha(read_weight_file(path))
    except ValueError:
        return ""
    return "" if found in (None, alpha) else f", whose alpha is {alpha:g}; the file's is {found:g}"


def to_detections(
    raw: RawDetections, image_info: np.ndarray, classes: Sequence[str]
) -> list[Detections]:
    """Brings a batch of raw detections back to the pixels of the original images.

    Args:
        raw: what a runtime gave.
        image_info: float32 [B, 5], see `Letterbox.to_array`.
        classes: names by class index.

    Returns:
        One `Detections` an image, clipped to it.
    """
    results = []
    for boxes, scores, ids, info in zip(*raw, image_info, strict=True):
        found = ids >= 0
        boxes_xyxy = Letterbox.from_array(info).undo(boxes[found].astype(np.float64))
        results.append(Detections(boxes_xyxy, scores[found], ids[found], tuple(classes)))
    return results
