"""The types of the package, by mypy with the settings of pyproject.toml."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytest.importorskip("mypy", reason="the extra [dev] is not installed")
if sys.version_info < (3, 11):
    pytest.skip("NumPy's last release for Python 3.10 has other types", allow_module_level=True)


def mypy(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")]
    # mypy does not follow how setuptools finds the package of an editable install.
    env = {**os.environ, "MYPYPATH": str(ROOT)}
    command += ["--cache-dir", str(ROOT / ".mypy_cache"), *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


def test_mypy_finds_no_error_in_the_package():
    done = mypy()
    assert done.returncode == 0, done.stdout + done.stderr


def test_users_of_the_package_have_its_types(tmp_path: Path):
    (tmp_path / "user.py").write_text(
        "import mobilenetdet as md\n"
        "from mobilenetdet.config.detection import TrainConfig\n"
        "found = md.load().detect('photo.jpg')\n"
        "reveal_type(found.boxes_xyxy)\n"
        "reveal_type(md.load().detect([found.boxes_xyxy]))\n"
        "TrainConfig(epochs='many')\n"
        "TrainConfig(epoch=3)\n"
        "md.draw('photo.jpg', 3)\n"
    )
    lines = mypy("user.py", folder=tmp_path).stdout
    assert 'user.py:4: note: Revealed type is "numpy.ndarray' in lines
    assert '5: note: Revealed type is "list[mobilenetdet.detections.Detections]"' in lines
    for line, code in ((6, "arg-type"), (7, "call-arg"), (8, "arg-type")):
        assert [x for x in lines.splitlines() if f":{line}: error" in x and f"[{code}]" in x], lines
    assert "Found 3 errors" in lines
