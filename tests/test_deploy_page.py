"""The Python of docs/deploy.md, run as a reader would."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from fixtures.exportable import picture

PAGE = Path(__file__).resolve().parents[1] / "docs/deploy.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


# Larger than the input of the network, and more than twice as large.
@pytest.mark.parametrize(("width", "height"), [(160, 100), (480, 300)])
def test_ten_lines_give_the_boxes_of_a_run(
    small_detector, tmp_path: Path, monkeypatch, width, height
):
    pytest.importorskip("ai_edge_litert", reason="the extra [litert] is not installed")
    model = small_detector("ssd")
    model.export(tmp_path / "exported")
    image = cv2.resize(picture(), (width, height))
    cv2.imwrite(str(tmp_path / "photo.jpg"), image[..., ::-1])
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in BLOCKS:
        exec(compile(block, str(PAGE), "exec"), names)
    expected = model.detect("photo.jpg").above(model.drawing_scores)
    assert names["names"] == expected.class_names.tolist() and len(names["names"]) > 0
    clipped = np.clip(names["boxes"], 0, [width, height] * 2)
    np.testing.assert_allclose(clipped, expected.boxes_xyxy, atol=0.2)
