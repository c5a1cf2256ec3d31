import json

import pytest

from mobilenetdet.kitti.metrics import flat_metrics, format_metrics, write_metrics


def test_class_detected_nowhere_counts_zero_in_the_mean():
    level = {"R11": 60.0, "R40": 90.0}
    metrics = {
        "protocol": "current",
        "frames": 3,
        "Car": {"easy": level, "moderate": level, "hard": level},
        "Pedestrian": None,
        "Cyclist": None,
    }
    flat = flat_metrics(metrics)
    assert flat["Car/moderate/R40"] == 90.0
    assert flat["Pedestrian/easy/R11"] == 0.0
    assert flat["mean/moderate/R40"] == pytest.approx(30.0)
    table = format_metrics(metrics)
    assert "3 frames" in table and table.count("(detected nowhere)") == 2


def test_metrics_are_written_whole(tmp_path):
    path = tmp_path / "new" / "metrics.json"
    write_metrics(path, {"frames": 1, "Car": None})
    assert json.loads(path.read_text()) == {"frames": 1, "Car": None}
    with pytest.raises(TypeError):
        write_metrics(path, {"frames": object()})
    assert json.loads(path.read_text())["frames"] == 1
