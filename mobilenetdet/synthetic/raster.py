"""A supersampled canvas with a depth buffer and an object id per sample."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from mobilenetdet.synthetic.camera import (
    CAMERA_CENTRE,
    IMAGE_HEIGHT,
    IMAGE_WIDTH,
    NEAR,
    clip_faces,
    clip_to_near,
    depth_planes,
    project_points,
    rotation_about_y,
)
from mobilenetdet.synthetic.lighting import Lighting
from mobilenetdet.synthetic.mesh import Mesh

SAMPLES = 2  # samples per pixel and axis
_SHIFT = 4  # OpenCV draws with 1/16 of a sample
_FIXED = 1 << _SHIFT


@dataclass(frozen=True)
class Silhouette:
    """The pixels of one object, as if nothing stood in front of it.

    Attributes:
        object_id: its value in the id buffer.
        full_xyxy: [4] bounds of the whole projection, pixels, may lie outside of the image.
        inside_xyxy: [4] bounds of the part inside the image, pixels; None when there is none.
        samples: number of samples inside the image.
        window: rows and columns of the id buffer that hold them.
    """

    object_id: int
    full_xyxy: np.ndarray
    inside_xyxy: np.ndarray | None = None
    samples: int = 0
    window: tuple[slice, slice] = (slice(0, 0), slice(0, 0))


class Canvas:
    """Draws meshes and sprites over a background, nearest surface first.

    Every face is filled where its own depth plane is nearer than what the buffer holds, so
    overlap comes out right for every sample and in any order of drawing.
    """

    def __init__(self, background_rgb: np.ndarray) -> None:
        """Starts from an image uint8 [H, W, 3]."""
        size = (IMAGE_WIDTH * SAMPLES, IMAGE_HEIGHT * SAMPLES)
        # The fourth channel holds ids; the conversion fills it with 255, the backdrop's id.
        rgba = cv2.cvtColor(background_rgb, cv2.COLOR_RGB2RGBA)
        self._rgba = cv2.resize(rgba, size, interpolation=cv2.INTER_NEAREST)
        # One word per sample: colour and object id are written in a single pass.
        self._words = self._rgba.view(np.int32)[..., 0]  # [S*H, S*W]
        self._inverse_depth = np.zeros(self._words.shape, np.float32)
        # Fresh memory for every face would take longer than filling it.
        self._plane_scratch = np.empty(self._words.size, np.float32)
        self._word_scratch = np.empty(self._words.size, np.int32)

    def image(self) -> np.ndarray:
        """Returns the picture, uint8 [H, W, 3], averaged over the samples of each pixel."""
        averaged = cv2.resize(self._rgba, (IMAGE_WIDTH, IMAGE_HEIGHT), interpolation=cv2.INTER_AREA)
        return cv2.cvtColor(averaged, cv2.COLOR_RGBA2RGB)

    def visible_samples(self, silhouette: Silhouette) -> int:
        """Counts the samples of an object that nothing hides."""
        ids = self._rgba[..., 3][silhouette.window]
        return int(np.count_nonzero(ids == silhouette.object_id))

    def draw_mesh(
        self,
        mesh: Mesh,
        location: np.ndarray,
        rotation_y: float,
        lighting: Lighting,
        *,
        object_id: int,
        measured: bool = True,
    ) -> Silhouette:
        """Draws a mesh that stands at a location (metres, camera coordinates).

        Args:
            mesh: what to draw.
            location: [3] where its origin stands.
            rotation_y: radians, KITTI's.
            lighting: the light.
            object_id: 1 to 254, for the id buffer.
            measured: whether to count its samples; props go without.

        Returns:
            Its silhouette, counted before anything hides it.
        """
        rotation = rotation_about_y(rotation_y)
        vertices = mesh.vertices @ rotation.T + location  # [V, 3]
        normals = mesh.normals @ rotation.T  # [F, 3]
        first = vertices[mesh.faces[:, 0]]  # [F, 3]
        distance = ((first - CAMERA_CENTRE) * normals).sum(axis=1)  # [F], < 0 = seen from outside
        shown = np.flatnonzero(distance < -1e-6)
        nearest = vertices[:, 2].min()
        if nearest >= NEAR:
            pixels = project_points(vertices)
            polygons, corners = pixels[mesh.faces[shown]], mesh.corners[shown]  # [F, K, 2], [F]
            full = np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])
        else:
            polygons, corners, kept = clip_faces(vertices, mesh, shown)
            shown = shown[kept]
            if len(shown) == 0:
                return Silhouette(object_id, np.zeros(4))
            full = np.concatenate([polygons.min(axis=(0, 1)), polygons.max(axis=(0, 1))])
        if not _is_on_canvas(full):
            return Silhouette(object_id, full)
        depths = np.maximum(first[shown, 2], NEAR)
        colours = lighting.shade(normals[shown], mesh.colours[shown], mesh.gloss[shown], depths)
        planes = depth_planes(normals[shown], distance[shown])
        limit = np.float32(1.0 / max(nearest, NEAR))
        words = _pack(colours, object_id)
        outline = Silhouette(object_id, full)
        covered = self._fill(polygons, corners, planes, words, limit, full, measured=measured)
        return outline if covered is None else _measured(outline, *covered)

    def _fill(
        self,
        polygons: np.ndarray,
        corners: np.ndarray,
        planes: np.ndarray,
        words: np.ndarray,
        limit: float,
        bounds: np.ndarray,
        *,
        measured: bool,
    ) -> tuple[np.ndarray, tuple[int, int]] | None:
        """Fills projected faces against the depth buffer.

        Args:
            polygons: [F, K, 2] pixels, padded.
            corners: [F] number of corners of each.
            planes: [F, 3] inverse depth over the image.
            words: [F] colour and id.
            limit: largest inverse depth of the object.
            bounds: [4] xyxy of the object, pixels.
            measured: whether to collect what the object covers.

        Returns:
            A mask (0 or 255) of what it covers with the sample (left, top) of its corner, or None.
        """
        left, top, right, bottom = _sample_windows(bounds[None])[0].tolist()
        covered = np.zeros((bottom - top, right - left), np.uint8) if measured else None
        windows = _sample_windows(np.concatenate([polygons.min(1), polygons.max(1)], axis=1))
        # Sample centres lie at whole coordinates for OpenCV, hence the half sample.
        fixed = np.rint((polygons * SAMPLES - windows[:, None, :2] - 0.5) * _FIXED).astype(np.int32)
        drawn = np.flatnonzero((windows[:, :2] < windows[:, 2:]).all(axis=1))
        along_x, along_y = _plane_terms(planes, (left, top, right, bottom))
        # Outlines are drawn half a sample too wide; a grazing plane would run away there.
        runaway = (along_x.max(axis=1) + along_y.max(axis=(1, 2)) > limit).tolist()
        corners = corners.tolist()
        for i, (x0, y0, x1, y1) in zip(drawn.tolist(), windows[drawn].tolist(), strict=True):
            mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
            cv2.fillPoly(mask, [fixed[i, : corners[i]]], 255, cv2.LINE_8, _SHIFT)
            rows, columns = slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)
            if measured:
                part = covered[rows, columns]
                cv2.bitwise_or(part, mask, dst=part)
            inverse = self._plane_scratch[: mask.size].reshape(mask.shape)
            np.add(along_x[i, columns], along_y[i, rows], out=inverse)
            if runaway[i]:
                np.minimum(inverse, limit, out=inverse)
            self._write_closer(inverse, mask, words[i], (x0, y0, x1, y1))
        return (covered, (left, top)) if measured else None

    def _write_closer(
        self,
        inverse: np.ndarray,
        mask: np.ndarray,
        word: int | None,
        window: tuple[int, int, int, int],
    ) -> None:
        """Writes depth and word where the mask (0 or 255) is set and nothing is nearer."""
        x0, y0, x1, y1 = window
        depth = self._inverse_depth[y0:y1, x0:x1]
        closer = cv2.compare(inverse, depth, cv2.CMP_GT)
        closer &= mask
        cv2.copyTo(inverse, closer, depth)
        if word is not None:
            words = self._word_scratch[: mask.size].reshape(mask.shape)
            words[:] = word
            cv2.copyTo(words, closer, self._words[y0:y1, x0:x1])

    def hide_behind(self, polygon: np.ndarray) -> None:
        """Lets a planar polygon [N, 3] (metres), painted already, hide what lies behind it."""
        clipped = clip_to_near(polygon)
        if len(clipped) < 3:
            return
        pixels = project_points(clipped)
        window = _sample_windows(np.concatenate([pixels.min(0), pixels.max(0)])[None])[0]
        x0, y0, x1, y1 = window.tolist()
        if x0 >= x1 or y0 >= y1:
            return
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        corners = np.rint((pixels * SAMPLES - window[:2] - 0.5) * _FIXED).astype(np.int32)
        cv2.fillPoly(mask, [corners], 255, cv2.LINE_8, _SHIFT)
        normal = np.cross(polygon[1] - polygon[0], polygon[2] - polygon[0])
        distance = (polygon[0] - CAMERA_CENTRE) @ normal
        plane = depth_planes(normal[None], np.array([distance]))
        along_x, along_y = _plane_terms(plane, (x0, y0, x1, y1))
        inverse = np.minimum(along_x[0] + along_y[0], np.float32(1 / clipped[:, 2].min()))
        self._write_closer(inverse, mask, None, (x0, y0, x1, y1))

    def draw_sprite(
        self, texture_rgba: np.ndarray, rectangle_xyxy: np.ndarray, depth: float, *, object_id: int
    ) -> None:
        """Draws an upright picture uint8 [h, w, 4] over a rectangle in pixels at one depth."""
        left, top, right, bottom = _sample_windows(rectangle_xyxy[None])[0].tolist()
        if left >= right or top >= bottom:
            return
        x0, y0, x1, y1 = rectangle_xyxy * SAMPLES
        height, width = texture_rgba.shape[:2]
        scale_x, scale_y = width / (x1 - x0), height / (y1 - y0)
        to_texture = np.array(
            [
                [scale_x, 0, (left + 0.5 - x0) * scale_x - 0.5],
                [0, scale_y, (top + 0.5 - y0) * scale_y - 0.5],
            ]
        )
        # A shrunken picture is smoothed by the samples anyway.
        linear = max(scale_x, scale_y) < 0.8
        flags = (cv2.INTER_LINEAR if linear else cv2.INTER_NEAREST) | cv2.WARP_INVERSE_MAP
        drawn = cv2.warpAffine(texture_rgba, to_texture, (right - left, bottom - top), flags=flags)
        mask = np.where(drawn[..., 3] > 127, np.uint8(255), np.uint8(0))
        nearer = self._inverse_depth[top:bottom, left:right]
        mask[nearer >= 1.0 / depth] = 0
        nearer[mask > 0] = 1.0 / depth
        drawn[..., 3] = object_id
        cv2.copyTo(drawn.view(np.int32)[..., 0], mask, self._words[top:bottom, left:right])


def _sample_windows(boxes_xyxy: np.ndarray) -> np.ndarray:
    """Returns the samples [N, 4] (left, top, right, bottom) that boxes in pixels can touch."""
    size = np.array([IMAGE_WIDTH, IMAGE_HEIGHT]) * SAMPLES
    low = np.maximum(np.floor(boxes_xyxy[:, :2] * SAMPLES) - 1, 0)
    high = np.minimum(np.ceil(boxes_xyxy[:, 2:] * SAMPLES) + 1, size)
    return np.concatenate([low, high], axis=1).astype(np.int64)


def _is_on_canvas(box_xyxy: np.ndarray) -> bool:
    left, top, right, bottom = _sample_windows(box_xyxy[None])[0]
    return bool(left < right and top < bottom)


def _plane_terms(
    planes: np.ndarray, window: tuple[int, int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns terms [F, w] and [F, h, 1], float32, whose sum is 1 / depth in a window."""
    left, top, right, bottom = window
    xs, ys = (np.arange(left, right) + 0.5) / SAMPLES, (np.arange(top, bottom) + 0.5) / SAMPLES
    along_x = planes[:, :1] * xs
    along_y = planes[:, 1:2] * ys + planes[:, 2:]
    return along_x.astype(np.float32), along_y.astype(np.float32)[..., None]


def _measured(outline: Silhouette, covered: np.ndarray, corner: tuple[int, int]) -> Silhouette:
    """Adds what a coverage mask shows, whose first sample is at corner (left, top)."""
    columns = np.flatnonzero(covered.any(axis=0))
    if len(columns) == 0:
        return outline
    rows = np.flatnonzero(covered.any(axis=1))
    left, top = corner
    drawn = np.array([columns[0] + left, rows[0] + top, columns[-1] + 1 + left, rows[-1] + 1 + top])
    # The outline is exact where the object is whole; where the border cuts it, the samples tell.
    full = outline.full_xyxy
    inside = np.concatenate(
        [np.maximum(full[:2], drawn[:2] / SAMPLES), np.minimum(full[2:], drawn[2:] / SAMPLES)]
    )
    window = (slice(drawn[1], drawn[3]), slice(drawn[0], drawn[2]))
    samples = int(np.count_nonzero(covered))
    return replace(outline, inside_xyxy=inside, samples=samples, window=window)


def _pack(colours: np.ndarray, object_id: int) -> np.ndarray:
    """Packs colours [F, 3] in 0..1 and the object id into words int32 [F]."""
    rgba = np.full((len(colours), 4), object_id, np.uint8)
    rgba[:, :3] = np.rint(colours * 255)
    return rgba.view(np.int32)[:, 0]
