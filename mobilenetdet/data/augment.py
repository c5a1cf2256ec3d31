"""Augmentation of training frames with albumentations: boxes move exactly with the pixels.

Boxes travel as keypoints, two corners each, in the coordinates of pixel centres (a corner at c of
the continuous, half-open scale is the point c - 0.5). Keypoints go through the very matrix that
the pixels go through, and are neither clipped nor filtered on the way: boxes on, past or outside
the border are as good as others, and what a crop has left of a box can be told afterwards.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from mobilenetdet.config import AugmentConfig
from mobilenetdet.data.images import BORDER_GREY

# Its import asks the network for a newer version otherwise.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
import albumentations as A  # noqa: E402, N812
from albumentations.augmentations.crops.transforms import BaseCrop  # noqa: E402

# Units of OpenCV: hue of 180 steps a turn, saturation of 255.
_HUE_STEPS, _SATURATION_STEPS = 10, 25


class FrameCrop(BaseCrop):
    """Crops a window with the aspect of the frame, so that letterboxing enlarges it.

    albumentations' own crops either change the aspect or, box-safe, cut off fractions of a pixel.

    Args:
        min_scale: smallest side of the window as a share of the frame's; the largest is 1.
        keep_whole: the window holds the boxes that `keep_whole` of the call marks, as far as they
            are in the frame; to that end it may be larger than drawn.
        p: probability of a crop.
    """

    def __init__(self, min_scale: float, keep_whole: bool = False, p: float = 1.0) -> None:
        """Takes the settings; see the class."""
        super().__init__(p=p)
        self.min_scale = min_scale
        self.keep_whole = keep_whole

    def get_params_dependent_on_data(
        self, params: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, tuple[int, int, int, int]]:
        """Draws the window: `crop_coords`, xyxy in whole pixels."""
        height, width = params["shape"][:2]
        left, top, right, bottom = self._window_to_hold(data, height, width)
        least = max(self.min_scale, (right - left) / width, (bottom - top) / height)
        scale = self.py_random.uniform(least, 1.0)
        crop_width = max(1, right - left, round(width * scale))
        crop_height = max(1, bottom - top, round(height * scale))
        x = self.py_random.randint(max(0, right - crop_width), min(left, width - crop_width))
        y = self.py_random.randint(max(0, bottom - crop_height), min(top, height - crop_height))
        return {"crop_coords": (x, y, x + crop_width, y + crop_height)}

    def _window_to_hold(
        self, data: dict[str, Any], height: int, width: int
    ) -> tuple[int, int, int, int]:
        if not (self.keep_whole and data["keep_whole"].any()):
            return width, height, 0, 0  # every window holds nothing
        boxes = _to_boxes(data["keypoints"])[data["keep_whole"]]
        left, top = np.clip(boxes[:, :2].min(axis=0), 0, (width, height))
        right, bottom = np.clip(boxes[:, 2:].max(axis=0), 0, (width, height))
        return math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)


class Augmenter:
    """Augments frames as one config says; any number of threads may call it at once.

    The outcome depends on the frame and the seed alone, never on what was augmented before.

    Args:
        config: probabilities and strengths. `enabled` is for the caller to look at.
    """

    def __init__(self, config: AugmentConfig) -> None:
        """Takes the settings; the transforms are built once per thread."""
        self._config = config
        self._threads = threading.local()

    def __call__(
        self,
        image: np.ndarray,
        boxes_xyxy: np.ndarray,
        *,
        seed: Sequence[int],
        keep_whole: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Augments a frame.

        Args:
            image: uint8 [H, W, 3].
            boxes_xyxy: [N, 4], pixels of the image, half-open; may lie on or past the border.
            seed: non-negative integers, for example (seed, epoch, index).
            keep_whole: bool [N], the boxes that `safe_crop` keeps whole; None for all.

        Returns:
            The image, uint8 and often of another size, and float32 boxes [N, 4] in its pixels: in
            the order given, all of them, not clipped.
        """
        if keep_whole is None:
            keep_whole = np.ones(len(boxes_xyxy), bool)
        compose = self._compose_of_thread()
        compose.set_random_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
        points = _to_points(boxes_xyxy)
        result = compose(image=image, keypoints=points, keep_whole=keep_whole)
        return result["image"], _to_boxes(result["keypoints"])

    def _compose_of_thread(self) -> A.Compose:
        compose = getattr(self._threads, "compose", None)
        if compose is None:
            compose = self._threads.compose = _build(self._config)
        return compose


def _build(config: AugmentConfig) -> A.Compose:
    """Returns the transforms in their order.

    Colours come before Affine, so that the border which that leaves is as grey as the letterbox's.
    Crops come last: after them, Affine would move their border into view, and the part of a box
    beyond it would lie on grey.
    """
    share, scale = config.shift, config.scale
    transforms = [
        A.RandomBrightnessContrast(config.brightness, config.contrast, p=config.colour),
        A.HueSaturationValue(_HUE_STEPS, _SATURATION_STEPS, 0, p=config.hue_saturation),
        A.Affine(
            scale=(1 - scale, 1 + scale),
            translate_percent={"x": (-share, share), "y": (-share, share)},
            keep_ratio=True,
            fill=BORDER_GREY,
            p=config.shift_scale,
        ),
        FrameCrop(config.crop_min_scale, keep_whole=True, p=config.safe_crop),
        FrameCrop(config.crop_min_scale, p=config.crop),
        A.HorizontalFlip(p=config.flip),
    ]
    # NoOp: without any transform that moves points, albumentations warns about the keypoints.
    return A.Compose(
        [A.NoOp(), *(transform for transform in transforms if transform.p > 0)],
        keypoint_params=A.KeypointParams("xy", remove_invisible=False, check_each_transform=False),
    )


def _to_points(boxes_xyxy: np.ndarray) -> np.ndarray:
    """Returns the corners [2N, 2] of boxes [N, 4] in coordinates of pixel centres."""
    return np.asarray(boxes_xyxy, np.float32).reshape(-1, 2) - 0.5


def _to_boxes(points: np.ndarray) -> np.ndarray:
    """Returns float32 boxes [N, 4] of corners [2N, 2 or more], in whatever order they are."""
    corners = points[:, :2].reshape(-1, 2, 2) + 0.5  # [N, corner, xy]
    # A flip turns left corners into right ones.
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype(np.float32)
