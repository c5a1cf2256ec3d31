"""A frame of the records made ready for the network, and frames stacked to a batch. No TensorFlow.

This is what `pipeline.py` runs in its threads; it serves as well to look at single frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mobilenetdet.boxes.box_status import DONT_CARE, PADDING
from mobilenetdet.boxes.letterbox import Letterbox
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.data.augment import Augmenter
from mobilenetdet.data.letterbox_image import letterbox_image
from mobilenetdet.data.targets import Targets, assign_box_status, make_targets
from mobilenetdet.records.detection_record import RecordFrame, decode_record
from mobilenetdet.records.encoded_image import decode_image

# Boxes are padded to a multiple of this, so that few shapes occur (each is compiled on JAX).
BOX_MULTIPLE = 8


@dataclass(frozen=True, eq=False)
class PreparedFrame:
    """A frame as the network gets it.

    Attributes:
        frame_id: of the record.
        image: uint8 [H, W, 3], letterboxed.
        letterbox: from the pixels of the image (the augmented one, if so) to the network's.
        targets: the boxes.
    """

    frame_id: str
    image: np.ndarray
    letterbox: Letterbox
    targets: Targets


class FramePreparer:
    """Decodes, augments and letterboxes frames; thread-safe.

    Args:
        config: the detection config.
        training: augments, if `config.augment.enabled`, and drops boxes under
            `config.augment.min_box_size`. Otherwise frames stay as they are, and only boxes that
            have no area in the image are dropped.
    """

    def __init__(self, config: DetectionConfig, *, training: bool) -> None:
        """Takes the settings; see the class."""
        self._config = config
        augmented = training and config.augment.enabled
        self._augmenter = Augmenter(config.augment) if augmented else None
        self._min_box_size = config.augment.min_box_size if training else 0.0

    def prepare(
        self, frame: RecordFrame, *, seed: Sequence[int] = (), out: np.ndarray | None = None
    ) -> PreparedFrame:
        """Prepares one frame.

        Args:
            frame: as `decode_record` returns it.
            seed: what the augmentation depends on beside the frame.
            out: where to draw the image; see `letterbox_image`.

        Raises:
            ValueError: the image is damaged or of another size than the record says; names the
                frame.
        """
        config = self._config
        image = decode_image(frame.encoded, f"frame {frame.frame_id}")
        _check_size(frame, image)
        classes, box_status = assign_box_status(frame.objects, config.data)
        used = box_status != PADDING
        classes, box_status = classes[used], box_status[used]
        size = np.array([frame.width, frame.height] * 2)
        boxes = np.clip(frame.objects.boxes_xyxy[used], 0, size)  # [N, 4]
        min_visibility = 0.0
        if self._augmenter is not None:
            is_object = box_status != DONT_CARE
            image, boxes = self._augmenter(image, boxes, seed=seed, is_object=is_object)
            min_visibility = config.augment.min_visibility
        image, letterbox = letterbox_image(image, config.image_size, out=out)
        window = letterbox.apply(np.array([0.0, 0.0, letterbox.width, letterbox.height]))
        targets = make_targets(
            letterbox.apply(boxes),
            classes,
            box_status,
            window_xyxy=window,
            min_size=self._min_box_size,
            min_visibility=min_visibility,
            min_height=config.data.min_object_height,
        )
        return PreparedFrame(frame.frame_id, image, letterbox, targets)

    def prepare_batch(
        self, payloads: Sequence[bytes], seeds: Sequence[Sequence[int]], *, room_for: int = 0
    ) -> dict[str, np.ndarray]:
        """Prepares and stacks frames.

        Args:
            payloads: B records.
            seeds: B seeds, one a frame.
            room_for: boxes a frame at least, padding included.

        Returns:
            images uint8 [B, H, W, 3]; image_info float32 [B, 5]; frame_ids bytes [B]; boxes
            float32 [B, N, 4]; classes and box_status int32 [B, N]; num_dropped int32 [B]. N is the
            largest count, rounded up to a multiple of BOX_MULTIPLE, at least that.
        """
        images = np.empty((len(payloads), *self._config.image_size, 3), np.uint8)
        frames = [
            self.prepare(decode_record(payload), seed=seed, out=image)
            for payload, seed, image in zip(payloads, seeds, images, strict=True)
        ]
        targets = [frame.targets for frame in frames]
        return {
            "images": images,
            "image_info": np.stack([frame.letterbox.to_array() for frame in frames]),
            "frame_ids": np.array([frame.frame_id.encode() for frame in frames], object),
        } | pad_targets(targets, room_for=room_for)


def pad_targets(targets: Sequence[Targets], *, room_for: int = 0) -> dict[str, np.ndarray]:
    """Stacks the boxes of B frames, padded with zero boxes of class -1 and status PADDING.

    Args:
        targets: B.
        room_for: boxes a frame at least, padding included.

    Returns:
        boxes, classes, box_status and num_dropped as `FramePreparer.prepare_batch` describes them.
    """
    most = max([room_for, *(len(frame.box_status) for frame in targets)])
    num_boxes = max(1, -(-most // BOX_MULTIPLE)) * BOX_MULTIPLE
    boxes = np.zeros((len(targets), num_boxes, 4), np.float32)
    classes = np.full((len(targets), num_boxes), -1, np.int32)
    box_status = np.full((len(targets), num_boxes), PADDING, np.int32)
    for row, frame in enumerate(targets):
        count = len(frame.box_status)
        boxes[row, :count] = frame.boxes_xyxy
        classes[row, :count] = frame.classes
        box_status[row, :count] = frame.box_status
    dropped = np.array([frame.num_dropped for frame in targets], np.int32)
    return {"boxes": boxes, "classes": classes, "box_status": box_status, "num_dropped": dropped}


def _check_size(frame: RecordFrame, image: np.ndarray) -> None:
    height, width = image.shape[:2]
    if (height, width) != (frame.height, frame.width):
        raise ValueError(
            f"frame {frame.frame_id}: the image is {width}x{height} pixels, but its record says "
            f"{frame.width}x{frame.height} (a rotated JPEG?); its boxes would be off, convert again"
        )
