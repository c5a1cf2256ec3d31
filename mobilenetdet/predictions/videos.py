"""Videos with the detections drawn in: one for each video, and one a run for a live source."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mobilenetdet.files.atomic_write import remove_temporary, temporary_path
from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.media.sources import FrameOf
from mobilenetdet.media.video_writer import VideoWriter, open_video


class VideoFiles:
    """Writes videos/VIDEO.mp4, each under a temporary name until it is whole.

    A video is whole when the next one begins, or at the end, however that comes.
    """

    def __init__(self, folder: OutputFolder) -> None:
        """Takes the folder; nothing is written yet."""
        self._folder = folder
        self._name = ""
        self._writer: VideoWriter | None = None
        self._staging: Path | None = None
        self.count = 0
        self.notes: list[str] = []

    def add(self, frame_of: FrameOf, drawn: np.ndarray) -> None:
        """Adds a frame.

        Raises:
            FileExistsError: a file of another is in the way.
        """
        if frame_of.video != self._name or self._writer is None:
            self.close()
            self._writer = self._open(frame_of)
        with self._named():
            self._writer.add(drawn, frame_of.frame.time_s)

    def close(self) -> None:
        """Ends the video that is being written, and gives it its name."""
        writer, staging = self._writer, self._staging
        self._writer = self._staging = None
        if staging is None:
            return
        try:
            if writer is None:
                return
            with self._named():
                writer.close()
            name = f"videos/{self._name}.mp4"
            with self._folder.writing(name) as path:
                (staging / path.name).replace(path)
            self.count += 1
            if writer.note:
                self.notes.append(f"{self._folder.path / name}: {writer.note}")
        finally:
            self._name = ""
            remove_temporary(staging)

    def _open(self, frame_of: FrameOf) -> VideoWriter:
        name = f"videos/{frame_of.video}.mp4"
        self._folder.refuse_foreign([name])
        self._folder.path.mkdir(parents=True, exist_ok=True)
        self._name = frame_of.video
        self._staging = temporary_path(self._folder.path / "new")
        self._staging.mkdir()
        path = self._staging / f"{self._name}.mp4"
        with self._named():
            return open_video(path, frame_of.frame.rate, frame_of.file)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Lets errors of the system, such as a full disk, name the video that the user knows."""
        try:
            yield
        except OSError as error:  # those of PyAV take no other name
            if not error.errno:
                raise
            name = str(self._folder.path / f"videos/{self._name}.mp4")
            raise OSError(error.errno, os.strerror(error.errno), name) from error
