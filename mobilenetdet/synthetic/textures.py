"""Pictures that many frames share: ground detail, clouds, facades, foliage.

All of them come from fixed random numbers, once per process, so that they depend on nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from functools import cache

import cv2
import numpy as np

TILE_PIXELS = 512  # side of a ground tile
TEXELS_PER_METRE = 64.0
GROUND_TILES = 6  # tiles along and across
CLOUD_TILES = 3
NUM_FACADES = 12
NUM_TREES = 6
_TEXTURE_SEED = 20_000  # apart from the seeds of frames; changing it changes every picture


def _rng(*key: int) -> np.random.Generator:
    return np.random.default_rng([_TEXTURE_SEED, *key])


def _periodic_noise(rng: np.random.Generator, size: int, cell: int) -> np.ndarray:
    """Returns smooth noise float32 [size, size] in about -1..1 that repeats without a seam."""
    grid = rng.standard_normal((size // cell, size // cell)).astype(np.float32)
    padded = np.pad(grid, 2, mode="wrap")
    large = cv2.resize(padded, None, fx=cell, fy=cell, interpolation=cv2.INTER_CUBIC)
    margin = 2 * cell
    return large[margin : margin + size, margin : margin + size]


def _fractal(
    rng: np.random.Generator, size: int, octaves: tuple[tuple[int, float], ...]
) -> np.ndarray:
    layers = (weight * _periodic_noise(rng, size, cell) for cell, weight in octaves)
    return functools.reduce(np.add, layers)


@cache
def ground_detail(material: str) -> np.ndarray:
    """Returns the brightness of 48 m x 48 m of ground, uint8 [3072, 3072]; 128 = no change.

    It repeats a tile of 8 m: OpenCV looks a large picture up seven times faster than it wraps.

    Args:
        material: "asphalt", "paving" or "grass".
    """
    rng = _rng(1, ("asphalt", "paving", "grass").index(material))
    if material == "asphalt":
        detail = _fractal(rng, TILE_PIXELS, ((128, 5), (32, 4), (4, 5), (2, 6)))
        for _ in range(5):  # cracks and tar joints
            points = np.cumsum(rng.normal(0, 9, (40, 2)), axis=0) + rng.uniform(0, 512, 2)
            cv2.polylines(detail, [points.astype(np.int32)], False, -22, 1)
    elif material == "paving":
        detail = _fractal(rng, TILE_PIXELS, ((64, 4), (4, 4), (2, 4)))
        slabs = rng.normal(0, 6, (16, 16)).astype(np.float32)
        detail += cv2.resize(slabs, (512, 512), interpolation=cv2.INTER_NEAREST)
        detail[::32] -= 22
        detail[:, ::32] -= 22
    else:
        detail = _fractal(rng, TILE_PIXELS, ((128, 10), (32, 9), (8, 10), (2, 14)))
    tile = np.clip(128 + detail, 0, 255).astype(np.uint8)
    return np.tile(tile, (GROUND_TILES, GROUND_TILES))


@cache
def cloud_cover() -> np.ndarray:
    """Returns cloud density uint8 [3072, 3072], a tile of 1024 three times each way."""
    density = _fractal(
        _rng(2), 1024, ((256, 1.0), (128, 0.7), (64, 0.45), (32, 0.28), (16, 0.16), (8, 0.1))
    )
    tile = np.clip(128 + 62 * density, 0, 255).astype(np.uint8)
    return np.tile(tile, (CLOUD_TILES, CLOUD_TILES))


@cache
def film_grain() -> np.ndarray:
    """Returns noise uint8 [256 + H, 256 + W, 3] to crop from: mean 128, standard deviation 24."""
    noise = 128 + 24 * _rng(3).standard_normal((375 + 256, 1242 + 256, 3))
    return np.clip(np.rint(noise), 0, 255).astype(np.uint8)


def _mipmaps(picture: np.ndarray, levels: int) -> tuple[np.ndarray, ...]:
    pyramid = [picture]
    for _ in range(levels - 1):
        height, width = pyramid[-1].shape[:2]
        half = (max(width // 2, 1), max(height // 2, 1))
        pyramid.append(cv2.resize(pyramid[-1], half, interpolation=cv2.INTER_AREA))
    return tuple(pyramid)


_PLASTER = ((0.80, 0.75, 0.66), (0.74, 0.72, 0.69), (0.66, 0.55, 0.47), (0.85, 0.84, 0.80)) + (
    (0.56, 0.38, 0.31),
    (0.77, 0.70, 0.56),
    (0.62, 0.64, 0.66),
    (0.71, 0.64, 0.59),
)
_SHUTTERS = ((0.20, 0.28, 0.22), (0.34, 0.25, 0.19), (0.30, 0.35, 0.40), (0.40, 0.20, 0.19))


@cache
def facade(index: int) -> tuple[np.ndarray, ...]:
    """Returns house front number index as mipmaps uint8 [h, w, 3], 40 pixels a metre at level 0."""
    rng = _rng(4, index)
    floors, bays = int(rng.integers(2, 5)), int(rng.integers(3, 6))
    cell_w, cell_h = 104, 116
    height, width = floors * cell_h + 24, bays * cell_w
    wall = np.array(_PLASTER[index % len(_PLASTER)], dtype=np.float32)
    noise = _fractal(rng, 512, ((128, 0.02), (32, 0.015), (4, 0.012)))
    tiled = np.tile(noise, (2, 2))[:height, :width]
    picture = np.clip(wall + tiled[..., None], 0, 1)
    if index % 3 == 2:
        _draw_bricks(picture, rng)
    frame = wall * 0.75 if rng.random() < 0.5 else np.full(3, 0.9)
    shutters = _SHUTTERS[rng.integers(len(_SHUTTERS))] if rng.random() < 0.4 else None
    for floor in range(floors):
        for bay in range(bays):
            corner = (bay * cell_w + cell_w // 2, 24 + floor * cell_h + 20)
            ground_door = floor == floors - 1 and bay == int(index) % bays
            _draw_window(picture, corner, frame, rng, shutters=shutters, door=ground_door)
        if floor:
            cv2.line(
                picture,
                (0, 18 + floor * cell_h),
                (width, 18 + floor * cell_h),
                _scalar(wall * 0.84),
                4,
            )
    picture[:14] *= 0.72  # eaves
    picture[-18:] *= 0.62  # plinth
    return _mipmaps((picture * 255).astype(np.uint8), 6)


def facade_colour(index: int) -> np.ndarray:
    """Returns the [3] reflectance of the bare wall of a house front."""
    return np.array(_PLASTER[index % len(_PLASTER)])


def _scalar(colour: Iterable[float]) -> tuple[float, ...]:
    return tuple(float(value) for value in colour)


def _draw_bricks(picture: np.ndarray, rng: np.random.Generator) -> None:
    height, width = picture.shape[:2]
    for row, y in enumerate(range(0, height, 6)):
        shades = rng.normal(1, 0.06, width // 14 + 2).repeat(14)[(row % 2) * 7 :][:width]
        picture[y : y + 5] *= shades[:, None].astype(np.float32)
        picture[y + 5 : y + 6] *= 0.85
    np.clip(picture, 0, 1, out=picture)


def _draw_window(
    picture: np.ndarray,
    corner: tuple[int, int],
    frame: Iterable[float],
    rng: np.random.Generator,
    *,
    shutters: np.ndarray | None,
    door: bool,
) -> None:
    """Draws one window, or a door, whose top centre is at corner."""
    x, y = corner
    half, tall = (20, 74) if not door else (24, 96)
    cv2.rectangle(picture, (x - half - 5, y - 5), (x + half + 5, y + tall + 5), _scalar(frame), -1)
    if door:
        cv2.rectangle(
            picture, (x - half, y), (x + half, y + tall), _scalar(rng.uniform(0.12, 0.4, 3)), -1
        )
        return
    pane = np.array((0.20, 0.24, 0.29)) * rng.uniform(0.7, 1.5)
    cv2.rectangle(picture, (x - half, y), (x + half, y + tall), _scalar(pane), -1)
    reflection = np.array(
        [[x - half, y + tall], [x - half, y + tall // 2], [x + half, y], [x + half, y + 12]]
    )
    cv2.fillPoly(picture, [reflection], _scalar(pane * 1.45), cv2.LINE_AA)
    cv2.line(picture, (x, y), (x, y + tall), _scalar(frame), 3)
    cv2.line(picture, (x - half, y + tall // 3), (x + half, y + tall // 3), _scalar(frame), 3)
    cv2.rectangle(
        picture, (x - half - 8, y + tall + 3), (x + half + 8, y + tall + 8), (0.72, 0.72, 0.7), -1
    )
    if shutters is not None:
        for side in (-1, 1):
            a, b = x + side * (half + 6), x + side * (half + 24)
            cv2.rectangle(
                picture, (min(a, b), y - 3), (max(a, b), y + tall + 3), _scalar(shutters), -1
            )


@cache
def tree_crown(index: int) -> tuple[np.ndarray, ...]:
    """Returns the crown of tree number index as mipmaps uint8 [h, w, 4]; alpha 0 = see through."""
    rng = _rng(5, index)
    size = 512
    picture = np.zeros((size, size, 4), np.uint8)
    angles, reach = rng.uniform(0, 2 * np.pi, 26), np.sqrt(rng.uniform(0, 1, 26))
    clumps = np.stack(
        [256 + 165 * reach * np.cos(angles), 262 + 175 * reach * np.sin(angles)], axis=1
    )
    clumps = clumps[np.argsort(clumps[:, 1] * -1)]
    base = np.array(
        [(62, 92, 38), (50, 84, 44), (88, 104, 46), (44, 72, 36), (104, 98, 48), (70, 96, 60)][
            index
        ]
    )
    for layer in range(3):  # dark inside, bright leaves on top where the sky lights them
        spread = 62 - 6 * layer
        shape = (len(clumps), 60)
        heights = np.repeat(clumps[:, 1:], shape[1], axis=1)  # [clump, leaf]
        x = rng.normal(clumps[:, :1], spread * 0.55, shape)
        y = rng.normal(clumps[:, 1:] - 12 * layer, spread * 0.55, shape)
        light = 0.5 + 0.26 * layer + 0.22 * (heights - y) / spread + rng.normal(0, 0.09, shape)
        colours = np.clip(base * np.clip(light, 0.28, 1.5)[..., None], 0, 255)
        radii = rng.integers(6, 15 - 2 * layer, shape)
        inside = (np.minimum(x, y) > 14) & (np.maximum(x, y) < size - 14)
        for i in zip(*np.nonzero(inside), strict=True):
            colour = (*colours[i].tolist(), 255.0)
            cv2.circle(picture, (int(x[i]), int(y[i])), int(radii[i]), colour, cv2.FILLED)
    return _mipmaps(picture, 7)
