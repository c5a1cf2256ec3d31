"""Daylight: direction of the sun, shading, and haze that grows with distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Lighting:
    """The light of one frame; colours are RGB factors, 1 = white at full exposure.

    Attributes:
        sun_direction: [3] unit vector towards the sun, camera coordinates (y down).
        sun: [3] light on a face that looks at the sun.
        ambient: [3] light of the sky on a face that looks up.
        sky_top: [3] colour of the sky overhead.
        sky_horizon: [3] colour of the sky at the horizon, and of the haze.
        haze_metres: distance at which 63 % of an object's colour is gone.
        clouds: cover, 0..1.
        shadow: how dark a cast shadow is, 0..1.
    """

    sun_direction: np.ndarray
    sun: np.ndarray
    ambient: np.ndarray
    sky_top: np.ndarray
    sky_horizon: np.ndarray
    haze_metres: float
    clouds: float
    shadow: float

    def shade(
        self, normals: np.ndarray, colours: np.ndarray, gloss: np.ndarray, depths: np.ndarray
    ) -> np.ndarray:
        """Returns the [F, 3] colours 0..1 of faces as the camera sees them.

        Args:
            normals: [F, 3] unit, camera coordinates.
            colours: [F, 3] reflectance.
            gloss: [F] share of mirrored sky.
            depths: [F] metres.
        """
        upward = -normals[:, 1:2]
        facing = np.maximum(normals @ self.sun_direction, 0.0)[:, None]
        lit = colours * (self.ambient * (0.72 + 0.28 * upward) + self.sun * facing)
        lit += gloss[:, None] * self.sky_horizon * (0.25 + 0.75 * np.maximum(upward, 0.0))
        return np.clip(self.fade(lit, depths[:, None]), 0.0, 1.0)

    def fade(self, colours: np.ndarray, depths: np.ndarray) -> np.ndarray:
        """Mixes colours with the haze that lies before them; depths broadcast against colours."""
        clear = np.exp(-np.maximum(depths, 0.0) / self.haze_metres)
        return colours * clear + self.sky_horizon * (1 - clear)

    def shading_table(self, light: np.ndarray, depth: float, channels: int = 3) -> np.ndarray:
        """Returns the lookup table uint8 [1, 256, channels] that lights a picture at one depth.

        Args:
            light: [3] factor of each colour.
            depth: metres of haze before it.
            channels: 3, or 4 to keep an alpha channel as it is.
        """
        table = np.repeat(np.arange(256.0)[:, None], channels, axis=1)
        table[:, :3] = 255 * self.fade(table[:, :3] / 255 * light, np.array(depth))
        return np.clip(np.rint(table), 0, 255).astype(np.uint8)[None]


# Share, sun elevation in degrees, sun, ambient, sky top, sky horizon, haze, clouds, shadow: noon,
# low sun, overcast, evening.
_MOODS = (
    (0.34, (35, 65), (0.66, 0.64, 0.59), (0.56, 0.59, 0.63), (0.30, 0.49, 0.78))
    + ((0.78, 0.86, 0.93), (260, 500), (0.15, 0.55), (0.50, 0.62)),
    (0.20, (18, 32), (0.80, 0.65, 0.46), (0.50, 0.51, 0.57), (0.38, 0.50, 0.70))
    + ((0.93, 0.85, 0.72), (180, 350), (0.1, 0.5), (0.45, 0.58)),
    (0.30, (40, 70), (0.12, 0.12, 0.12), (0.94, 0.96, 0.98), (0.66, 0.70, 0.75))
    + ((0.86, 0.88, 0.90), (150, 320), (0.75, 1.0), (0.08, 0.16)),
    (0.16, (9, 16), (0.55, 0.38, 0.26), (0.47, 0.49, 0.58), (0.28, 0.34, 0.52))
    + ((0.88, 0.68, 0.56), (160, 300), (0.2, 0.7), (0.25, 0.4)),
)


def sample_lighting(rng: np.random.Generator) -> Lighting:
    """Draws a time of day and weather."""
    shares = np.array([mood[0] for mood in _MOODS])
    _, elevation, sun, ambient, top, horizon, haze, clouds, shadow = _MOODS[
        rng.choice(len(_MOODS), p=shares / shares.sum())
    ]
    height = np.radians(rng.uniform(*elevation))
    azimuth = rng.uniform(0, 2 * np.pi)
    direction = np.array(
        [np.cos(height) * np.sin(azimuth), -np.sin(height), np.cos(height) * np.cos(azimuth)]
    )
    exposure = rng.uniform(0.85, 1.12)
    tint = 1 + rng.normal(0, 0.02, 3)
    return Lighting(
        sun_direction=direction,
        sun=np.array(sun) * exposure * tint,
        ambient=np.array(ambient) * exposure * tint,
        sky_top=np.array(top) * min(exposure, 1.05),
        sky_horizon=np.minimum(np.array(horizon) * min(exposure, 1.05), 0.98),
        haze_metres=rng.uniform(*haze),
        clouds=rng.uniform(*clouds),
        shadow=rng.uniform(*shadow),
    )
