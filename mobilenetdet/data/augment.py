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

from mobilenetdet.config.detection import AugmentConfig
from mobilenetdet.data.letterbox_image import BORDER_GREY

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
        keep_whole: the window holds the boxes that `is_object` of the call marks, as far as they
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
        if not (self.keep_whole and data["is_object"].any()):
            return width, height, 0, 0  # every window holds nothing
        boxes = _to_boxes(data["keypoints"])[data["is_object"]]
        left, top = np.clip(boxes[:, :2].min(axis=0), 0, (width, height))
        right, bottom = np.clip(boxes[:, 2:].max(axis=0), 0, (width, height))
        return math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)


class ObjectCutout(A.ImageOnlyTransform):
    """Paints over a rectangle of each object with noise, so that every part of it is learnt from.

    Cutout (arXiv 1708.04552) and random erasing (arXiv 1708.04896) put one rectangle anywhere in an
    image of one object. Here each object has its own, which never covers most of another.

    Args:
        max_side: largest sides of the rectangle as a share of the object's.
        p: probability for each object.
    """

    def __init__(self, max_side: float, p: float = 1.0) -> None:
        """Takes the settings; see the class."""
        super().__init__(p=float(p > 0))
        self.max_side, self.per_object = max_side, p

    def get_params_dependent_on_data(
        self, params: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, np.ndarray]:
        """Draws the rectangles: `holes`, int [K, 4], xyxy in whole pixels."""
        height, width = params["shape"][:2]
        boxes = _to_boxes(data["keypoints"])[data["is_object"]]
        sides = boxes[:, 2:] - boxes[:, :2]
        random = self.random_generator
        shares = random.uniform(0.2 * self.max_side, self.max_side, sides.shape)
        corners = boxes[:, :2] + random.uniform(0, 1, sides.shape) * (1 - shares) * sides
        holes = np.concatenate([corners, corners + shares * sides], axis=1)
        wanted = random.random(len(boxes)) < self.per_object
        wanted &= _largest_share_covered(holes, boxes) <= self.max_side**2
        return {"holes": np.clip(holes[wanted].round(), 0, [width, height] * 2).astype(int)}

    def apply(self, img: np.ndarray, holes: np.ndarray, **params: Any) -> np.ndarray:
        """Returns the image with its rectangles filled with noise."""
        img = img.copy()
        for left, top, right, bottom in holes:
            noise = self.random_generator.integers(0, 256, (bottom - top, right - left, 3))
            img[top:bottom, left:right] = noise
        return img


def _largest_share_covered(holes: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The share [K] of any of boxes [N, 4] that each hole [K, 4] covers at most."""
    low = np.maximum(holes[:, None, :2], boxes[:, :2])
    high = np.minimum(holes[:, None, 2:], boxes[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)  # [K, N]
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return (shared / np.maximum(areas, 1e-6)).max(axis=1, initial=0.0)


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
        is_object: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Augments a frame.

        Args:
            image: uint8 [H, W, 3].
            boxes_xyxy: [N, 4], pixels of the image, half-open; may lie on or past the border.
            seed: non-negative integers, for example (seed, epoch, index).
            is_object: bool [N], the boxes that `safe_crop` keeps whole and `cutout` paints on; None
                for all. The others are regions, which often span the frame.

        Returns:
            The image, uint8 and often of another size, and float32 boxes [N, 4] in its pixels: in
            the order given, all of them, not clipped.
        """
        if is_object is None:
            is_object = np.ones(len(boxes_xyxy), bool)
        compose = self._compose_of_thread()
        compose.set_random_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
        points = _to_points(boxes_xyxy)
        result = compose(image=image, keypoints=points, is_object=is_object)
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
        FrameCrop(config.crop_min_scale, p=config.crop),
        A.HorizontalFlip(p=config.flip),
        ObjectCutout(config.cutout_size, p=config.cutout),
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
