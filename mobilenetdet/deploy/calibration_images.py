"""The pictures by which int8 finds the ranges of its activations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.data.letterbox_image import letterbox_image
from mobilenetdet.media.find import find_files
from mobilenetdet.media.sources import Photo, read_photo
from mobilenetdet.media.video import is_video
from mobilenetdet.records.detection_record import decode_record
from mobilenetdet.records.encoded_image import decode_image
from mobilenetdet.records.remote_path import RecordsPath
from mobilenetdet.records.shards import count_frames, shard_paths
from mobilenetdet.records.tfrecord import read_records

# More pictures hardly change the ranges, and each takes a second.
NUM_IMAGES = 100


@dataclass(frozen=True)
class CalibrationImages:
    """Letterboxed pictures, each read when it is asked for, as often as it is.

    Attributes:
        image_size: height and width of the network input, pixels.
        files: pictures, or arrays uint8 [H, W, 3]; none for those of records.
        shards: files of records.
        places: of the pictures among all in the files or shards.
    """

    image_size: tuple[int, int]
    files: Sequence[Photo] = ()
    shards: Sequence[RecordsPath] = ()
    places: frozenset[int] = field(default_factory=frozenset)

    @classmethod
    def find(
        cls, config: DetectionConfig, folder: Path | None, count: int = NUM_IMAGES
    ) -> CalibrationImages:
        """Takes pictures of a folder, or else frames of the split that the run was trained on.

        Args:
            config: says where the records are and how large the network input is.
            folder: with images.
            count: at most so many, spread over all.

        Raises:
            FileNotFoundError: there are neither such images nor records; names both ways.
        """
        if folder is not None:
            return cls.in_folder(config.image_size, folder, count)
        data = config.data
        try:
            shards = shard_paths(data.records_dir, data.train_split)
        except FileNotFoundError:
            raise FileNotFoundError(
                f"int8 needs pictures to calibrate with: there are no {data.train_split} records "
                f"in {data.records_dir}; name their folder with --records_dir, or one of pictures "
                "with --calibration_images"
            ) from None
        total = count_frames(data.records_dir, data.train_split)
        return cls(config.image_size, shards=shards, places=_spread(total, count))

    @classmethod
    def in_folder(
        cls, image_size: tuple[int, int], folder: Path, count: int = NUM_IMAGES
    ) -> CalibrationImages:
        """Takes pictures of a folder.

        Args:
            image_size: height and width of the network input, pixels.
            folder: with images.
            count: at most so many, spread over all.

        Raises:
            FileNotFoundError: there is none.
        """
        files = [path for path in find_files([str(folder)]) if not is_video(path)]
        if not files:
            raise FileNotFoundError(f"no image in the folder {folder} to calibrate int8 with")
        return cls(image_size, files=files, places=_spread(len(files), count))

    @classmethod
    def of_arrays(
        cls, image_size: tuple[int, int], images: Sequence[np.ndarray]
    ) -> CalibrationImages:
        """Takes all of some images, uint8 [H, W, 3], RGB."""
        return cls(image_size, files=images, places=frozenset(range(len(images))))

    def __len__(self) -> int:
        """Returns the number of pictures."""
        return len(self.places)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yields uint8 [1, *image_size, 3], RGB."""
        images = map(read_photo, self._wanted(self.files)) if self.files else self._frames()
        for image in images:
            yield letterbox_image(image, self.image_size)[0][None]

    def _frames(self) -> Iterator[np.ndarray]:
        payloads = (payload for path in self.shards for payload in read_records(path))
        for payload in self._wanted(payloads):
            frame = decode_record(payload)
            yield decode_image(frame.encoded, frame.frame_id)

    def _wanted(self, items: Iterable[Any]) -> Iterator[Any]:
        return (item for place, item in enumerate(items) if place in self.places)


def _spread(total: int, count: int) -> frozenset[int]:
    """Places of at most `count` of `total` items, evenly apart."""
    return frozenset(np.linspace(0, total - 1, min(total, count)).round().astype(int).tolist())
