import cv2
import numpy as np
import pytest

from mobilenetdet.analysis.analyse import analyse
from mobilenetdet.analysis.plots import draw_plots, write_plots
from mobilenetdet.config.classes import EvalTask
from mobilenetdet.drawing.figure_style import to_png
from mobilenetdet.kitti.labels import KittiObjects


def test_plots_are_pictures_with_something_on_them(two_frames, tmp_path):
    paths = write_plots(analyse(*two_frames), tmp_path / "plots")
    assert [path.name for path in paths] == [
        "precision_recall.png",
        "parts.png",
        "scores.png",
        "confusion.png",
    ]
    for path in paths:
        picture = cv2.imread(str(path))
        assert picture.shape[1] >= 400 and picture.std() > 5
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == sorted(
        path.name for path in paths
    )


def test_curves_hold_the_figures(two_frames):
    analysis = analyse(*two_frames)
    figure = draw_plots(analysis)["precision_recall"]
    car, pedestrian, cyclist = figure.axes
    # One car, fully visible and high enough in both frames, at every level.
    assert [text.get_text() for text in car.get_legend().get_texts()] == [
        f"{level}: R40 2.5, R11 9.1" for level in ("easy", "moderate", "hard")
    ]
    assert "R40 0.0" in pedestrian.get_legend().get_texts()[0].get_text()
    assert cyclist.texts[0].get_text() == "detected nowhere"
    steps = car.get_lines()[0].get_xdata()
    np.testing.assert_allclose(steps, np.arange(41) / 40)


def test_confusion_has_its_counts(two_frames):
    axes = draw_plots(analyse(*two_frames))["confusion"].axes[0]
    texts = {tuple(text.get_position()): text.get_text() for text in axes.texts}
    assert texts[0, 0] == "2"  # (detected as, labelled)
    assert texts[3, 1] == "1" and (3, 3) not in texts


def test_histograms_count_every_detection(two_frames):
    axes = draw_plots(analyse(*two_frames))["scores"].axes
    labels = [text.get_text() for text in axes[0].get_legend().get_texts()]
    assert "correct (2)" in labels
    assert axes[2].texts[0].get_text() == "nothing detected"


def test_histograms_are_labelled_with_numbers(two_frames):
    figure = draw_plots(analyse(*two_frames))["scores"]
    to_png(figure)  # where labels are made
    labels = {text.get_text() for text in figure.axes[0].get_yticklabels(which="both")} - {""}
    assert labels and all(label.replace(",", "").replace(".", "").isdigit() for label in labels)


def test_nothing_detected_at_all(tmp_path):
    nothing = analyse([KittiObjects.empty()], [KittiObjects.empty(with_scores=True)])
    assert len(write_plots(nothing, tmp_path)) == 4


@pytest.mark.parametrize("count", [1, 2, 7, 20])
def test_any_number_of_classes_has_its_panels(two_frames, count):
    task = EvalTask.of(["Car", *(f"other_{index}" for index in range(count - 1))])
    figures = draw_plots(analyse(*two_frames, task=task))
    for name in ("precision_recall", "scores"):
        assert [axes.get_title() for axes in figures[name].axes] == list(task.names)
    assert len(figures["confusion"].axes[0].get_xticklabels()) == count + 1
