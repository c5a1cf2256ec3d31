"""The level of OpenCV's log is another only as long as somebody reads."""

import threading

import cv2
import pytest

from mobilenetdet.media.silent_opencv import silent_opencv
from mobilenetdet.media.video import count_frames, read_frames

level = cv2.utils.logging.getLogLevel
SILENT = cv2.utils.logging.LOG_LEVEL_SILENT


def test_the_last_thread_to_leave_brings_the_level_back():
    usual, leave = level(), threading.Event()
    entered = threading.Event()

    def stay():
        with silent_opencv():
            entered.set()
            leave.wait()

    with silent_opencv():
        assert level() == SILENT
        thread = threading.Thread(target=stay)
        thread.start()
        entered.wait()
    assert level() == SILENT
    leave.set()
    thread.join()
    assert level() == usual


def test_files_are_opened_and_read_silently(tmp_path, monkeypatch, capfd):
    path, seen = tmp_path / "text.mp4", []
    path.write_text("no video\n" * 50)
    capture, usual = cv2.VideoCapture, level()

    def opened(name):
        seen.append(level())
        return capture(name)

    monkeypatch.setattr(cv2, "VideoCapture", opened)
    with pytest.raises(ValueError, match=r"text\.mp4: no frame of this video can be decoded"):
        list(read_frames(path))
    assert count_frames(path) == 0
    assert seen == [SILENT, SILENT] and level() == usual
    assert capfd.readouterr() == ("", "")
