import itertools

import pytest
from matplotlib.figure import Figure

from mobilenetdet.drawing.point_labels import label_points


@pytest.mark.parametrize(
    "points",
    [
        [(12.0, 54.5)] * 6,  # all in one place
        [(12.0, 54.5), (12.05, 54.52), (12.1, 54.5), (40.0, 58.0), (40.1, 58.0)],
        [(10.0, 50.0), (100.0, 60.0)],  # in the corners
    ],
)
@pytest.mark.parametrize("in_subfigure", [False, True])
def test_labels_cover_neither_each_other_nor_a_point_and_stay_inside(points, in_subfigure):
    figure = Figure(figsize=(8.5, 5.5), layout="constrained")
    axes = (figure.subfigures() if in_subfigure else figure).subplots()
    axes.set(xscale="log")
    axes.scatter(*zip(*points, strict=True))
    names = [f"openvino int8 a_run_of_mine_{index}" for index in range(len(points))]
    labels = label_points(axes, points, names, ["black"] * len(points))
    assert [label.get_text() for label in labels] == names
    renderer = figure.canvas.get_renderer()
    boxes = [label.get_window_extent(renderer) for label in labels]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    for x, y in axes.transData.transform(points):
        assert not any(box.contains(x, y) for box in boxes)
    frame = axes.get_window_extent()
    assert all(frame.containsx(box.x0) and frame.containsx(box.x1) for box in boxes)
    assert all(frame.containsy(box.y0) and frame.containsy(box.y1) for box in boxes)


def test_where_every_place_is_taken_a_label_has_the_nearest():
    figure = Figure(figsize=(1.5, 1), layout="constrained")
    axes = figure.subplots()
    labels = label_points(axes, [(1.0, 1.0)], ["a name that is wider than the plot"], ["black"])
    assert labels[0].get_position() == (6.0, 0.0) and labels[0].get_ha() == "left"
    assert [text.get_text() for text in axes.texts] == ["a name that is wider than the plot"]


def test_a_far_label_has_a_line_of_its_colour():
    figure = Figure(figsize=(8.5, 5.5), layout="constrained")
    axes = figure.subplots()
    label_points(axes, [(1.0, 1.0)] * 6, list("abcdef"), ["red"] * 6)
    lines = [text.arrow_patch for text in axes.texts if text.arrow_patch is not None]
    assert lines and {line.get_edgecolor()[:3] for line in lines} == {(1.0, 0.0, 0.0)}
    assert {line.get_linewidth() for line in lines} == {0.5}
