"""Rendered data sets on disk."""

import json

import cv2
import numpy as np
import pytest

from mobilenetdet.kitti.labels import read_objects
from mobilenetdet.kitti.layout import KittiLayout
from mobilenetdet.synthetic import render_frame, synthesize, writer
from mobilenetdet.synthetic.camera import (
    format_calibration,
)


def files_of(folder) -> dict[str, bytes]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_same_seed_gives_same_frame_and_another_one_does_not(sampled_frames):
    again, other = render_frame(5, 3), render_frame(6, 3)
    np.testing.assert_array_equal(again.image_rgb, sampled_frames[3].image_rgb)
    np.testing.assert_array_equal(again.objects.boxes_xyxy, sampled_frames[3].objects.boxes_xyxy)
    assert (other.image_rgb != sampled_frames[3].image_rgb).any()


def test_bytes_do_not_depend_on_workers_or_number_of_frames(tmp_path):
    synthesize(tmp_path / "one", num_frames=4, seed=3, num_workers=1)
    synthesize(tmp_path / "two", num_frames=2, seed=3, num_workers=2)
    one, two = files_of(tmp_path / "one"), files_of(tmp_path / "two")
    names = [name for name in two if name != "synthetic.json"]
    assert len(names) == 6
    assert all(one[name] == two[name] for name in names)


@pytest.mark.parametrize("image_format", ["jpg", "png"])
def test_files_round_trip(tmp_path, sampled_frames, image_format):
    synthesize(tmp_path, num_frames=2, seed=5, image_format=image_format, num_workers=1)
    layout = KittiLayout(tmp_path)
    assert layout.frame_ids() == ["000000", "000001"]
    assert layout.calib_path("000001").read_text() == format_calibration()
    for index, frame_id in enumerate(layout.frame_ids()):
        written = read_objects(layout.label_path(frame_id))
        made = sampled_frames[index].objects
        for name in ("types", "truncated", "occluded", "alpha", "boxes_xyxy", "dimensions_hwl"):
            np.testing.assert_array_equal(getattr(written, name), getattr(made, name))
        np.testing.assert_array_equal(written.locations_xyz, made.locations_xyz)
        np.testing.assert_array_equal(written.rotation_y, made.rotation_y)
        image = cv2.imread(str(layout.image_path(frame_id)))[..., ::-1].astype(int)
        limit = 0 if image_format == "png" else 4
        assert np.abs(image - sampled_frames[index].image_rgb).mean() <= limit


def test_second_call_continues(tmp_path):
    calls = []
    assert synthesize(tmp_path, num_frames=3, seed=0, num_workers=1) == 3
    before = files_of(tmp_path)
    (tmp_path / "training/label_2/000001.txt").unlink()
    assert synthesize(tmp_path, num_frames=4, seed=0, num_workers=1, on_frame=calls.append) == 2
    after = files_of(tmp_path)
    assert calls == [2, 3, 4]
    assert len(after) == len(before) + 3
    assert all(after[name] == before[name] for name in before if name != "synthetic.json")
    assert json.loads(after["synthetic.json"])["num_frames"] == 4
    assert synthesize(tmp_path, num_frames=2, seed=0, num_workers=1) == 0
    assert files_of(tmp_path) == after  # fewer frames take none away


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "seed is 0 and 1 is asked for"),
        ({"image_format": "png"}, "image_format is 'jpg' and 'png' is asked for"),
    ],
)
def test_frames_of_two_kinds_never_mix(tmp_path, change, message):
    options = {"num_frames": 1, "seed": 0, "num_workers": 1}
    synthesize(tmp_path, **options)
    before = files_of(tmp_path)
    with pytest.raises(ValueError, match=message):
        synthesize(tmp_path, **(options | change))
    assert files_of(tmp_path) == before


def test_another_version_is_refused(tmp_path, monkeypatch):
    synthesize(tmp_path, num_frames=1, seed=0, num_workers=1)
    monkeypatch.setattr(writer, "VERSION", writer.VERSION + 1)
    with pytest.raises(ValueError, match="version is"):
        synthesize(tmp_path, num_frames=2, seed=0, num_workers=1)


@pytest.mark.parametrize("name", ["image_2/000000.png", "label_2/000000.txt", "calib/000007.txt"])
@pytest.mark.parametrize("num_before", [0, 1])
def test_folder_with_real_frames_is_refused(tmp_path, name, num_before):
    if num_before:
        synthesize(tmp_path, num_frames=1, seed=0, num_workers=1)
        name = name.replace("000000", "000001")
    path = tmp_path / "training" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    with pytest.raises(ValueError, match=rf"{path.name} is there .* it was not rendered"):
        synthesize(tmp_path, num_frames=2, seed=0, num_workers=1)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("text", ["{", "[]"])
def test_broken_manifest_is_named(tmp_path, text):
    (tmp_path / "synthetic.json").write_text(text)
    with pytest.raises(ValueError, match="synthetic.json"):
        synthesize(tmp_path, num_frames=1, seed=0, num_workers=1)


@pytest.mark.parametrize(
    "change", [{"num_frames": 0}, {"seed": -1}, {"image_format": "bmp"}, {"num_workers": 0}]
)
def test_arguments_out_of_range_are_refused(tmp_path, change):
    with pytest.raises(ValueError, match=next(iter(change))):
        synthesize(tmp_path, **({"num_frames": 1, "seed": 0, "num_workers": 1} | change))
    assert not list(tmp_path.iterdir())
