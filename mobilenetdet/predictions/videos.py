"""Videos with the detections drawn in: one for each video, and one a run for a live source."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from mobilenetdet.files.atomic_write import remove_temporary, temporary_path
from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.media.sources import FrameOf
from mobilenetdet.media.video_writer import VideoWriter, open_video

# Between the name of a video and its ending, of a part.
_INCOMPLETE = ".incomplete"


class VideoFiles:
    """Writes videos/VIDEO.mp4, each under a temporary name until it is whole.

    A video is whole when the next one begins, or at the end, however that comes. Where the system
    takes no more of it, as a full disk, what can be played of it is VIDEO.incomplete.mp4, which
    goes when the video becomes whole.
    """

    def __init__(self, folder: OutputFolder) -> None:
        """Takes the folder; nothing is written yet."""
        self._folder = folder
        self._name = ""
        self._writer: VideoWriter | None = None
        self._staging: Path | None = None
        self._last = 0
        self._whole: set[str] = set()
        self.notes: list[str] = []

    @property
    def count(self) -> int:
        """Videos that are whole."""
        return len(self._whole)

    def add(self, frame_of: FrameOf, drawn: np.ndarray) -> None:
        """Adds a frame.

        Raises:
            FileExistsError: a file of another is in the way.
            OSError: the system takes no more; names the frame, the video, and what is kept of it.
        """
        if frame_of.video != self._name or self._writer is None:
            self.close()
            self._writer = self._open(frame_of)
        self._last = frame_of.frame.index
        with self._keeping_what_there_is():
            self._writer.add(drawn, frame_of.frame.time_s)

    def close(self) -> None:
        """Ends the video that is being written, and gives it its name.

        Raises:
            OSError: see `add`.
        """
        try:
            if self._writer is None or self._staging is None:
                return
            with self._keeping_what_there_is():
                self._writer.close()
            note = self._writer.note
            name = self._name_of()
            self._take_in(name)
            self._whole.add(name)
            # Of an earlier call, unless another video is called so.
            self._folder.discard({self._name_of(_INCOMPLETE)} - self._whole)
            if note:
                self.notes.append(f"{self._folder.path / name}: {note}")
        finally:
            self._forget()

    def _open(self, frame_of: FrameOf) -> VideoWriter:
        self._name = frame_of.video
        self._folder.refuse_foreign([self._name_of()])
        self._folder.path.mkdir(parents=True, exist_ok=True)
        self._staging = temporary_path(self._folder.path / "new")
        self._staging.mkdir()
        path = self._staging / f"{self._name}.mp4"
        with self._named(lambda: ""):
            return open_video(path, frame_of.frame.rate, frame_of.file)

    def _name_of(self, mark: str = "") -> str:
        """Returns the name of the video in the folder."""
        return f"videos/{self._name}{mark}.mp4"

    def _take_in(self, name: str) -> None:
        """Moves the video to its place."""
        assert self._staging is not None
        with self._folder.writing(name) as path:
            (self._staging / f"{self._name}.mp4").replace(path)

    def _forget(self) -> None:
        staging, self._name = self._staging, ""
        self._writer = self._staging = None
        if staging is not None:
            remove_temporary(staging)

    @contextlib.contextmanager
    def _keeping_what_there_is(self) -> Iterator[None]:
        """Ends a video that cannot be written on, and keeps what of it can be played."""

        def keep() -> str:
            """Keeps what can be played; returns what the message says before the video's name."""
            name, kept = self._name_of(_INCOMPLETE), ""
            # Whatever befalls it, the first error is the one to be told.
            with contextlib.suppress(OSError):
                if self._writer is not None and self._writer.give_up():
                    try:
                        self._take_in(name)
                        kept = f"{self._folder.path / name} ends shortly before "
                    except FileExistsError:
                        kept = f"{self._folder.path / name} is another's, so no part is kept; "
            self._forget()
            return f"{kept}frame {self._last} of "

        with self._named(keep):
            yield

    @contextlib.contextmanager
    def _named(self, more: Callable[[], str]) -> Iterator[None]:
        """Lets errors of the system, such as a full disk, name the video that the user knows."""
        name = str(self._folder.path / self._name_of())
        try:
            yield
        except OSError as error:  # those of PyAV take no other name
            if not error.errno:
                raise
            raise OSError(error.errno, os.strerror(error.errno), more() + name) from error
