from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from fixtures.exportable import SSD, picture

from mobilenetdet.benchmark import timed_files
from mobilenetdet.benchmark.timed_files import (
    ExportChoice,
    export_files,
    exported_files,
    open_model,
    write_pictures,
)
from mobilenetdet.config.storage import to_json
from mobilenetdet.deploy import export


def test_what_is_not_installed_is_left_out_with_its_extra(monkeypatch):
    gone = (("no_such_module", "nncf", "export"),)
    writer = export.WRITERS["frozen_graph"]
    monkeypatch.setitem(export.WRITERS, "openvino", replace(writer, int8=gone))
    monkeypatch.setitem(export.WRITERS, "onnx", replace(writer, int8=()))
    runtime = ("no_such_module", "onnxruntime", "onnx")
    monkeypatch.setitem(timed_files._RUNTIMES, "onnx", runtime)
    choice = ExportChoice(formats=("keras", "openvino", "onnx", "frozen_graph", "saved_model"))
    plans, left_out = choice.plans(("float32", "int8"))
    assert [(plan.formats, plan.precisions) for plan in plans] == [
        (["openvino", "frozen_graph", "saved_model"], ("float32",))
    ]
    said = "\n".join(left_out)
    assert "openvino int8: format openvino in int8 needs nncf, the extra [export]" in said
    assert "onnx float32: format onnx needs onnxruntime, the extra [onnx]" in said
    assert "frozen_graph int8: TensorFlow itself has none" in said and len(left_out) == 5


def test_files_lie_in_a_folder_for_each_size(small_detector, tmp_path):
    choice = ExportChoice(formats=("frozen_graph",), image_sizes=((64, 96),))
    files, left_out = export_files(small_detector("ssd"), choice, tmp_path)
    names = [f"{tmp_path}/64x96/network_{each}.pb" for each in ("float32", "float16")]
    assert [file.source for file in files] == names
    assert all(file.format == "frozen_graph" and file.megabytes > 0 for file in files)
    assert "int8 needs pictures" in left_out[0]
    with pytest.raises(ValueError, match="data.image_width is 97"):
        choice = ExportChoice(formats=("frozen_graph",), image_sizes=((32, 32), (64, 97)))
        export_files(small_detector("ssd"), choice, tmp_path)
    assert not (tmp_path / "32x32").exists()


def test_pictures_make_int8_possible(small_detector, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), picture())
    choice = ExportChoice(formats=("frozen_graph",), calibration_images=tmp_path)
    assert timed_files._calibrated(small_detector("ssd"), choice) == (
        ["float32", "float16", "int8"],
        [],
    )


def test_the_run_itself_is_an_engine(small_detector, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    small_detector("ssd").runtime.detector.save_weights(run / "best.weights.h5")
    (run / "config.json").write_text(to_json(SSD))
    model = open_model(run, records_dir=tmp_path / "records")
    assert model.config.data.records_dir == str(tmp_path / "records")
    files, _ = export_files(model, ExportChoice(("keras",), image_sizes=((32, 64),)), tmp_path)
    (file,) = files
    assert (file.source, file.weights, file.image_size) == (str(run), None, (32, 64))
    assert file.megabytes == (run / "best.weights.h5").stat().st_size / 1e6


def test_exported_files_are_known_by_their_suffix(tmp_path):
    (tmp_path / "a.xml").write_bytes(b"x" * 1000)
    (tmp_path / "a.bin").write_bytes(b"x" * 2000)
    (tmp_path / "b.savedmodel/variables").mkdir(parents=True)
    (tmp_path / "b.savedmodel/variables/v").write_bytes(b"x" * 500)
    # A pattern of a shell catches OpenVINO's weights, too.
    files = [tmp_path / "a.bin", tmp_path / "a.xml", tmp_path / "b.savedmodel"]
    found = list(exported_files(files))
    assert [(each.format, each.megabytes) for each in found] == [
        ("openvino", 0.003), ("saved_model", 0.0005),
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"a.h5 is no exported file; their suffixes are .*.tflite"):
        list(exported_files([Path("a.h5")]))
    (tmp_path / "alone.bin").touch()
    with pytest.raises(ValueError, match=r"alone.bin is no exported file"):
        list(exported_files([tmp_path / "alone.bin"]))
    with pytest.raises(FileNotFoundError, match="c.onnx does not exist"):
        list(exported_files([tmp_path / "c.onnx"]))


def test_pictures_of_records_a_folder_or_none(small_kitti, tmp_path, monkeypatch):
    found, what = write_pictures(tmp_path, small_kitti / "tfrecord", "val", None)
    assert [path.name for path in found] == [f"{index:06d}.png" for index in (8, 9, 10, 11)]
    assert cv2.imread(str(found[0])).shape == (64, 192, 3)
    assert what == f"4 frames of val in {small_kitti / 'tfrecord'}"
    found, what = write_pictures(tmp_path, None, "val", tmp_path)
    assert len(found) == 4 and what == f"4 pictures of {tmp_path}"
    with pytest.raises(FileNotFoundError):
        write_pictures(tmp_path, small_kitti / "tfrecord", "other", None)
    frame = type("Frame", (), {"image_rgb": np.zeros((8, 8, 3), np.uint8)})
    monkeypatch.setattr(timed_files, "render_frame", lambda seed, index: frame)
    (tmp_path / "new").mkdir()
    found, what = write_pictures(tmp_path / "new", None, "val", Path("clip.mp4"))
    assert len(found) == 8 and all(path.is_file() for path in found) and "rendered" in what
