"""A command that cannot write says so at once, not after the seconds that loading takes."""

import importlib

import pytest


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("predict", "photo.jpg"),
        ("eval", "--run_dir ssd_fpn --data.records_dir {records} --eval.num_overlays 0"),
        ("visualize", "--run_dir ssd_fpn --data.records_dir {records}"),
        ("export", "--precision float32"),
    ],
)
def test_a_locked_folder_is_refused_before_anything_is_loaded(
    command, options, other_writer, tmp_path, small_config, monkeypatch
):
    module = importlib.import_module(f"mobilenetdet.cli.{command}")
    monkeypatch.setattr(module, "import_tensorflow_quietly", lambda: pytest.fail("loading began"))
    (tmp_path / "photo.jpg").write_bytes(b"not looked at")
    monkeypatch.chdir(tmp_path)
    line = options.format(records=small_config.data.records_dir)
    # eval writes in two folders of its output.
    monkeypatch.setattr(
        module, "load_detector", lambda *args, **kwargs: pytest.fail("loaded"), raising=False
    )
    place = "." if command == "eval" else "out"
    if command == "eval":
        (tmp_path / "eval").symlink_to(tmp_path / "out")
    with pytest.raises(FileExistsError, match=f"process {other_writer.pid} on .* is writing here"):
        module.main([*line.split(), "--output_dir", place])
