"""Writes a rendered data set as KITTI folders, in parallel and in a way that can be continued."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path

import cv2

from mobilenetdet.files.atomic_write import atomic_write
from mobilenetdet.files.folder_lock import folder_lock
from mobilenetdet.files.text import read_text, write_json
from mobilenetdet.kitti.labels import write_objects
from mobilenetdet.kitti.layout import IMAGE_SUFFIXES, KittiLayout
from mobilenetdet.synthetic.camera import format_calibration
from mobilenetdet.synthetic.render import render_frame
from mobilenetdet.system.cores import num_cores

# Raised with every change that changes a pixel or a label: frames of two versions never mix.
VERSION = 1
MANIFEST_NAME = "synthetic.json"
JPEG_QUALITY = 95
IMAGE_FORMATS = ("jpg", "png")
_ENCODING = {
    "jpg": (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY),
    "png": (),  # OpenCV's own setting is three times faster than a lower compression
}
_MAX_FRAMES = 1_000_000  # KITTI's names have six digits


def synthesize(
    output_dir: str | os.PathLike[str],
    *,
    num_frames: int,
    seed: int,
    image_format: str = "jpg",
    num_workers: int | None = None,
    on_frame: Callable[[int], None] | None = None,
) -> int:
    """Renders frames 0 to num_frames - 1 into OUTPUT_DIR/training/{image_2,label_2,calib}.

    Frame i of a seed has the same bytes whatever the number of frames and workers. Frames that are
    there already are kept, so a second call continues, or adds frames to a finished set.

    Args:
        output_dir: folder of the data set; made where it is absent.
        num_frames: number of frames, 1 to 1,000,000.
        seed: number of the data set, 0 or more.
        image_format: "jpg" (quality 95) or "png".
        num_workers: processes; default one a core, 1 renders in this process. More than one start
            by spawning, so a script that calls this needs `if __name__ == "__main__":`.
        on_frame: called with the number of frames that are done, once before the first one and
            after each.

    Returns:
        The number of frames that were rendered now.

    Raises:
        FileExistsError: another process is writing in the folder.
        ValueError: an argument is out of range, or the folder holds frames of another seed, image
            format or version, or frames that were not rendered.
    """
    _check_arguments(num_frames, seed, image_format, num_workers)
    layout = KittiLayout(Path(output_dir))
    with folder_lock(layout.root):
        _claim_folder(layout, num_frames=num_frames, seed=seed, image_format=image_format)
        missing = [
            index
            for index in range(num_frames)
            if not all(path.is_file() for path in _frame_paths(layout, index, image_format))
        ]
        done = num_frames - len(missing)
        report = on_frame or (lambda count: None)
        report(done)
        write = partial(_write_frame, layout, image_format, seed)
        for count, _ in enumerate(_each(write, missing, num_workers), start=1):
            report(done + count)
    return len(missing)


def _check_arguments(
    num_frames: int, seed: int, image_format: str, num_workers: int | None
) -> None:
    if not 1 <= num_frames <= _MAX_FRAMES:
        raise ValueError(f"num_frames is {num_frames}; choose 1 to {_MAX_FRAMES}")
    if seed < 0:
        raise ValueError(f"seed is {seed}; choose 0 or more")
    if image_format not in IMAGE_FORMATS:
        raise ValueError(f"image_format is {image_format!r}; choose one of {IMAGE_FORMATS}")
    if num_workers is not None and num_workers < 1:
        raise ValueError(f"num_workers is {num_workers}; choose 1 or more")


def _claim_folder(layout: KittiLayout, *, num_frames: int, seed: int, image_format: str) -> None:
    """Checks that the folder holds the same data set or nothing, and writes its manifest."""
    path = layout.root / MANIFEST_NAME
    manifest = {"version": VERSION, "seed": seed, "image_format": image_format}
    before = _read_manifest(path)
    for key, value in manifest.items() if before is not None else ():
        if before.get(key) != value:
            raise ValueError(
                f"{path}: {key} is {before.get(key)!r} and {value!r} is asked for; frames of "
                "both would mix: choose another output folder, or delete this one"
            )
    num_before = before.get("num_frames", 0) if before else 0
    if foreign := _foreign_files(layout, num_before):
        raise ValueError(
            f"{foreign[0]} is there and {path} does not count it, so it was not rendered "
            f"({len(foreign)} such files); choose another output folder"
        )
    # A call for fewer frames than are there takes none away.
    manifest["num_frames"] = max(num_frames, num_before)
    if manifest != before:
        write_json(path, manifest)


def _foreign_files(layout: KittiLayout, num_frames: int) -> list[Path]:
    """Returns images, labels and calibrations that are none of the first rendered frames."""
    folders = (layout.image_dir, layout.label_dir, layout.calib_path("").parent)
    own = {f"{index:06d}" for index in range(num_frames)}
    return [
        path
        for folder in folders
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if path.suffix in (*IMAGE_SUFFIXES, ".txt") and not path.name.startswith(".")
        if path.stem not in own
    ]


def _read_manifest(path: Path) -> dict | None:
    if not path.is_file():
        return None
    try:
        manifest = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path} is no JSON ({error}); delete the folder and render anew"
        ) from error
    if not isinstance(manifest, dict):
        raise ValueError(f"{path} holds no JSON object; delete the folder and render anew")
    return manifest


def _frame_paths(layout: KittiLayout, index: int, image_format: str) -> tuple[Path, Path, Path]:
    """Returns the paths of image, calibration and label of a frame."""
    frame_id = f"{index:06d}"
    image = layout.image_dir / f"{frame_id}.{image_format}"
    return image, layout.calib_path(frame_id), layout.label_path(frame_id)


def _write_frame(layout: KittiLayout, image_format: str, seed: int, index: int) -> None:
    """Renders one frame and writes its three files."""
    frame = render_frame(seed, index)
    image, calib, label = _frame_paths(layout, index, image_format)
    for path in (image, calib, label):
        path.parent.mkdir(parents=True, exist_ok=True)
    picture = cv2.cvtColor(frame.image_rgb, cv2.COLOR_RGB2BGR)
    encoded, data = cv2.imencode(f".{image_format}", picture, _ENCODING[image_format])
    if not encoded:
        raise ValueError(f"OpenCV could not encode {image}; try another image format")
    _write_bytes(image, data.tobytes())
    _write_bytes(calib, format_calibration().encode())
    write_objects(label, frame.objects)


def _write_bytes(path: Path, data: bytes) -> None:
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)


def _each(write: Callable[[int], None], indices: list[int], num_workers: int | None) -> Iterator:
    """Writes frames one after the other or in processes; yields after each."""
    workers = min(num_workers or num_cores(), len(indices))
    if workers <= 1:
        for index in indices:
            yield write(index)
        return
    # Spawned, not forked: the caller may hold threads of TensorFlow, which a fork would break.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    try:
        for future in as_completed([pool.submit(write, index) for index in indices]):
            yield future.result()
    finally:
        with contextlib.suppress(KeyboardInterrupt):
            pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    """Ignores Ctrl-C, which the parent handles, uses one thread, and ends with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this process when its parent ends, however that is.

    A worker waits for work on a pipe that the other workers hold open, too: by itself it would
    wait for ever, and keep the standard output of the command open.
    """
    multiprocessing.parent_process().join()
    os._exit(1)
