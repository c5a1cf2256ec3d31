import subprocess
import sys
import time
from pathlib import Path

import pytest

from mobilenetdet.cli.kitti_synthesize import main

ROOT = Path(__file__).resolve().parents[2]
COMMAND = ("-m", "mobilenetdet", "kitti_synthesize")


def arguments(folder, **changes) -> list[str]:
    options = {"num_frames": 2, "seed": 4, "num_workers": 1} | changes
    return ["--output_dir", str(folder)] + [
        word for name, value in options.items() for word in (f"--{name}", str(value))
    ]


def test_command_renders_and_then_continues(tmp_path, capsys):
    assert main(arguments(tmp_path)) == 0
    assert "2 frames rendered" in capsys.readouterr().out
    assert main(arguments(tmp_path, num_frames=3)) == 0
    captured = capsys.readouterr()
    assert "1 frame rendered" in captured.out
    assert "2 there already" in captured.out
    assert captured.err == ""  # no progress bar where nobody looks
    for folder, suffix in (("image_2", "jpg"), ("label_2", "txt"), ("calib", "txt")):
        names = sorted(path.name for path in (tmp_path / "training" / folder).iterdir())
        assert names == [f"{index:06d}.{suffix}" for index in range(3)]


def test_lossless_frames(tmp_path):
    assert main(arguments(tmp_path, num_frames=1, image_format="png")) == 0
    assert (tmp_path / "training/image_2/000000.png").read_bytes().startswith(b"\x89PNG")


def test_unknown_option_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(arguments(tmp_path, num_frame=3))
    assert exit_info.value.code == 2
    assert "num_frames" in capsys.readouterr().err


def test_tool_reports_another_seed_in_one_line(tmp_path):
    main(arguments(tmp_path, num_frames=1))
    result = subprocess.run(
        [sys.executable, *COMMAND, *arguments(tmp_path, seed=5)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert "seed is 4 and 5 is asked for" in result.stderr
    assert "Traceback" not in result.stderr


def test_tool_renders_in_parallel(tmp_path):
    command = [sys.executable, *COMMAND, *arguments(tmp_path, num_frames=3, num_workers=2)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert len(list((tmp_path / "training/label_2").iterdir())) == 3


def test_the_processes_end_with_their_parent(tmp_path):
    """As long as one lives, the standard output that it has from the parent stays open."""
    command = [sys.executable, *COMMAND, *arguments(tmp_path, num_frames=500, num_workers=2)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as parent:
        end = time.monotonic() + 60
        while not list(tmp_path.glob("training/label_2/*.txt")) and time.monotonic() < end:
            time.sleep(0.05)
        parent.kill()
        parent.communicate(timeout=10)
