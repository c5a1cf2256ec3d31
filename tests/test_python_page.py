"""The examples of docs/python.md, run one after the other as a reader would."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

import mobilenetdet as md
from mobilenetdet.kitti.labels import KittiObjects, read_objects, write_objects

PAGE = Path(__file__).resolve().parents[1] / "docs/python.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def place(tmp_path: Path, small_kitti: Path, monkeypatch) -> Path:
    """A working directory with what the page assumes: a photo, KITTI and a detector's results."""
    from mobilenetdet.synthetic.render import render_frame

    scene = render_frame(seed=3, index=0)
    cv2.imwrite(str(tmp_path / "photo.jpg"), cv2.cvtColor(scene.image_rgb, cv2.COLOR_RGB2BGR))
    (tmp_path / "data").mkdir()
    (tmp_path / "data/KITTI").symlink_to(small_kitti)
    for frame_id in ("000008", "000009"):
        labels = read_objects(small_kitti / f"training/label_2/{frame_id}.txt")
        cars = labels[labels.types == "Car"]
        results = KittiObjects.from_detections(cars.types, cars.boxes_xyxy, np.ones(len(cars)))
        write_objects(tmp_path / f"results/{frame_id}.txt", results)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_example_runs_and_gives_what_the_page_says(place: Path, capsys):
    names: dict = {}
    for block in BLOCKS:
        exec(compile(block, str(PAGE), "exec"), names)
    assert len(BLOCKS) >= 10 and names["md"] is md
    model, found = names["model"], names["found"]
    assert model.source == "ssd_fpn" and len(found) > len(names["sure"]) > 0
    assert names["first"].boxes_xyxy == pytest.approx(found.boxes_xyxy, abs=0.01)
    assert names["small"].image_size == (192, 640) and names["small"].config.postprocess.mirror
    assert set(names["cars"].class_names) <= {"Car"}
    assert names["again"].class_ids.tolist() == found.class_ids.tolist()
    assert names["picture"].dtype == np.uint8 and (place / "drawn.jpg").is_file()
    # Two of the eleven cars that are large enough have a result: both found, at one score.
    assert names["ap"]["Car"].moderate.num_objects == 11
    assert names["ap"]["Car"].moderate.r40 == pytest.approx(2.5)
    assert names["run"].dir == Path("runs/mine") and names["mine"].image_size == (192, 640)
    assert (place / "runs/mine/best.weights.h5").is_file()
    assert "did you mean train.epochs" in capsys.readouterr().out
    assert not (place / "runs/other").exists()
