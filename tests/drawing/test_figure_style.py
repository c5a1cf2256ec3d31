"""How plots are written."""

import warnings

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from mobilenetdet.drawing.figure_style import to_png


def _labels(figure: Figure) -> list[str]:
    """What the ticks of the picture are labelled with, as it was drawn."""
    (axes,) = figure.axes
    return [text.get_text() for text in axes.get_yticklabels(which="both") if text.get_text()]


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (1, 2000, {"1", "10", "100", "1,000"}),
        (0.01, 20, {"0.01", "0.1", "1", "10"}),
        (2, 6, {"2", "3", "4", "6"}),  # no power of ten: minor ticks have the labels
    ],
)
def test_powers_of_ten_are_numbers(low, high, labels):
    figure = Figure()
    axes = figure.subplots()
    axes.plot([low, high])
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    picture = cv2.imdecode(np.frombuffer(to_png(figure), np.uint8), cv2.IMREAD_COLOR)
    assert picture.std() > 5
    assert labels <= set(_labels(figure))


def test_a_dollar_is_a_dollar():
    figure = Figure()
    figure.subplots().set_title("cars for $5 and $6")
    to_png(figure)
    assert not any(text.get_parse_math() for text in figure.findobj(Text))


@pytest.mark.parametrize("name", ["Car", "Fußgänger", "小车", "$a_b"])
def test_names_of_classes_may_be_in_any_language(name: str):
    """Fonts of the machine may lack letters, of which nobody who trains wants to hear."""
    figure = Figure()
    figure.subplots().set_title(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        png = to_png(figure)
    assert cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR).std() > 0
