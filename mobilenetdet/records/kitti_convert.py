"""KITTI folders to TFRecord shards."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mobilenetdet.kitti.layout import KittiLayout
from mobilenetdet.records.detection_record import frame_features
from mobilenetdet.records.kitti_frames import FrameSource, find_sources, read_source
from mobilenetdet.records.shard_writer import (
    EncodedRecord,
    Listeners,
    ShardOptions,
    SplitSources,
    write_shards,
)
from mobilenetdet.records.shards import Manifest
from mobilenetdet.records.tfrecord import encode_example


@dataclass(frozen=True)
class ConversionOptions(ShardOptions):
    """How records are written; the defaults keep every byte of the images.

    Attributes:
        jpeg_quality: 1 to 100 re-encodes every image as JPEG; None copies the files' bytes.
        sha256: adds image/key/sha256, which doubles the time.
        skip_missing: leaves out frames without image or label instead of refusing them.
    """

    jpeg_quality: int | None = None
    sha256: bool = False
    skip_missing: bool = False

    def __post_init__(self) -> None:
        """Checks the ranges."""
        super().__post_init__()
        self._check("jpeg_quality", 100)

    @property
    def record_options(self) -> dict[str, int | bool | None]:
        """The options that change the records themselves."""
        return {"jpeg_quality": self.jpeg_quality, "sha256": self.sha256}


def convert_split(
    layout: KittiLayout,
    split: str,
    output_dir: str | os.PathLike[str],
    options: ConversionOptions | None = None,
    *,
    on_start: Callable[[int], None] = lambda num_frames: None,
    on_frame: Callable[[], None] = lambda: None,
) -> tuple[Manifest, int]:
    """Writes the records of one split, or what is missing of them; see `write_shards`.

    Args:
        layout: the KITTI folder.
        split: name of the list of frames, `train` for ImageSets/train.txt.
        output_dir: folder for the shards; made if it is not there.
        options: how to write them.
        on_start: called with the number of frames that will be written.
        on_frame: called after each frame, from several threads.

    Returns:
        The manifest, and the number of shards that were kept from an earlier call.

    Raises:
        FileNotFoundError: no list of frames, or frames without image or label; names the first 20.
        ValueError: a damaged image or label file.
    """
    options = options or ConversionOptions()
    sources, num_skipped = find_sources(layout, split, skip_missing=options.skip_missing)

    def encode(source: FrameSource) -> EncodedRecord:
        frame = read_source(source, options.jpeg_quality)
        parts = encode_example(frame_features(frame, sha256=options.sha256))
        return EncodedRecord(source.frame_id, parts, len(frame.objects))

    split_sources = SplitSources(
        split=split,
        sources=sources,
        num_bytes=lambda source: source.state[0],
        identity=lambda source: (
            source.frame_id,
            os.path.basename(source.image_path),
            source.state,
        ),
        encode=encode,
        record_options=options.record_options,
        num_skipped=num_skipped,
    )
    return write_shards(split_sources, Path(output_dir), options, Listeners(on_start, on_frame))
