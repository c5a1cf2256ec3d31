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
def test_labels_cover_neither_each_other_nor_a_point_and_stay_inside(points):
    figure = Figure(figsize=(8.5, 5.5), layout="constrained")
    axes = figure.subplots()
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
