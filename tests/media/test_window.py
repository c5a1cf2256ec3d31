"""Windows where there are none."""

import cv2
import numpy as np
import pytest

from mobilenetdet.media import window

WITH = "  GUI:                           QT5\n"


@pytest.mark.parametrize(
    ("information", "display", "words"),
    [
        ("  GUI:                           NONE\n", ":0", "pip install opencv-python"),
        (WITH, "", "finds no display"),
    ],
)
def test_one_sentence_says_what_is_missing(monkeypatch, information, display, words):
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: information)
    monkeypatch.setattr(window.sys, "platform", "linux")
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(ValueError, match=words) as error:
        window.refuse_no_display()
    assert "\n" not in str(error.value)


def test_a_display_will_do(monkeypatch):
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: WITH)
    monkeypatch.setenv("DISPLAY", ":0")
    window.refuse_no_display()


@pytest.mark.parametrize(("key", "goes_on"), [(-1, True), (ord("x"), True), (ord("q"), False)])
def test_large_pictures_are_shown_smaller_until_q(monkeypatch, key: int, goes_on: bool):
    shown = []
    monkeypatch.setattr(cv2, "imshow", lambda _, image: shown.append(image))
    monkeypatch.setattr(cv2, "waitKey", lambda _: key)
    monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: 1.0)
    image = np.zeros((3000, 4000, 3), np.uint8)
    image[..., 0] = 200
    assert window.show(image) == goes_on
    assert shown[0].shape == (900, 1200, 3) and tuple(shown[0][0, 0]) == (0, 0, 200)
