"""Network inputs that fit the pictures: a few sizes, one of which suits each picture."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

import numpy as np

from mobilenetdet.boxes.letterbox import Letterbox
from mobilenetdet.data.input_size import input_side
from mobilenetdet.data.letterbox_image import letterbox_image
from mobilenetdet.detections import Detections
from mobilenetdet.inference.loaded_detector import LoadedDetector

# Width by height of photos and videos; few, since each size is compiled, or exported, once.
ASPECTS = (9 / 16, 3 / 4, 1.0, 4 / 3, 16 / 9, 5 / 2)


def fitting_sizes(trained: tuple[int, int]) -> list[tuple[int, int]]:
    """Returns the sizes of the network input that pictures may get.

    All have about the number of pixels of the trained one, and so take about as long; it is the
    first.

    Args:
        trained: (height, width) of the network input in training.

    Example: with 480x1568, a portrait of 3:4 gets 992x736.
    """
    pixels = trained[0] * trained[1]
    ideal = [(math.sqrt(pixels / aspect), math.sqrt(pixels * aspect)) for aspect in ASPECTS]
    sizes = [(input_side(height), input_side(width)) for height, width in ideal]
    return list(dict.fromkeys([trained, *sizes]))


def nearest_size(sizes: Sequence[tuple[int, int]], picture: tuple[int, int]) -> tuple[int, int]:
    """Returns the size whose aspect is nearest to that of a picture, (height, width) all.

    Example: of 480x1568 and 992x736 a picture of 4000x3000 gets 992x736.
    """
    aspect = math.log(picture[1] / picture[0])
    return min(sizes, key=lambda size: abs(math.log(size[1] / size[0]) - aspect))


class FittingDetector:
    """Detectors of one run for several sizes of the network input, each loaded when it is needed.

    Attributes:
        sizes: (height, width) that pictures may get.
        used: how many pictures got each size.
    """

    def __init__(
        self, load: Callable[[tuple[int, int]], LoadedDetector], trained: tuple[int, int]
    ) -> None:
        """Loads the detector of the trained size.

        Args:
            load: loads the run for an input size.
            trained: (height, width) of the network input in training.
        """
        self.sizes = fitting_sizes(trained)
        self.used: Counter[tuple[int, int]] = Counter()
        self._load = load
        self._models = {trained: load(trained)}
        self.first = self._models[trained]
        self.batch_size = self.first.batch_size

    def letterbox(self, image: np.ndarray) -> tuple[np.ndarray, Letterbox]:
        """Fits uint8 [H, W, 3] into the size that suits it; returns the transform as well."""
        return letterbox_image(image, nearest_size(self.sizes, image.shape[:2]))

    def detect_fitted(self, fitted: Iterable[tuple[np.ndarray, Letterbox]]) -> Iterator[Detections]:
        """Detects in what `letterbox` gave, in its order.

        Pictures of one size that follow each other go through the network together, where they fill
        a batch, and else one by one: a size has two shapes to compile then, and computes nothing
        twice.
        """
        for size, group in groupby(fitted, key=lambda each: each[0].shape[:2]):
            model = self._model_of(size)
            for batch in _batches(group, self.batch_size):
                self.used[size] += len(batch)
                images = np.stack([image for image, _ in batch])
                info = np.stack([letterbox.to_array() for _, letterbox in batch])
                yield from model.detect_batch(images, info)

    def describe_sizes(self) -> str:
        """Says which sizes were used, the most frequent first.

        Example: "992x736 (3 pictures) and 480x1568 (1)".
        """
        named = [f"{h}x{w} ({count:,})" for (h, w), count in self.used.most_common()]
        return ", ".join(named) or "no size"

    def _model_of(self, size: tuple[int, int]) -> LoadedDetector:
        if size not in self._models:
            self._models[size] = self._load(size)
        return self._models[size]


def _batches(
    items: Iterable[tuple[np.ndarray, Letterbox]], size: int
) -> Iterator[list[tuple[np.ndarray, Letterbox]]]:
    """Divides items into lists of a size; those that fill none come one by one."""
    waiting: list[tuple[np.ndarray, Letterbox]] = []
    for item in items:
        waiting.append(item)
        if len(waiting) == size:
            yield waiting
            waiting = []
    yield from ([item] for item in waiting)
