"""The built package, installed as a user installs it: not editable, and away from the checkout."""

import importlib.util
import os
import shutil
import site
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("mobilenetdet", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of the sources, so that building leaves nothing in the checkout."""
    if not all(importlib.util.find_spec(name) for name in ("pip", "setuptools")):
        pytest.skip("building needs pip and setuptools in this environment")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, source / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, source / name)
    # Without isolation nothing has to be downloaded.
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "wheel"]
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(out)]
    subprocess.run([*pip, *options, str(source)], check=True, capture_output=True)
    return next(out.glob("mobilenetdet-*.whl"))


def test_data_files_are_in_it(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    data = [p for p in (ROOT / "mobilenetdet").rglob("*") if p.is_file() and p.suffix != ".pyc"]
    assert {str(path.relative_to(ROOT)) for path in data} <= names
    assert "mobilenetdet/pretrained/ssd_fpn/best.weights.h5" in names
    assert not [name for name in names if name.startswith(("tests/", "tools/", "scripts/"))]


def test_an_empty_environment_detects_in_a_photo(wheel: Path, tmp_path: Path):
    venv, clean = tmp_path / "venv", {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python = venv / "bin/python"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--python", str(python), "install", "--no-deps", str(wheel)], check=True)
    # The libraries are those of the running interpreter; an editable install there is not seen,
    # since .pth files count only in an environment's own folder.
    folder = next((venv / "lib").glob("python*/site-packages"))
    (folder / "libraries.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    where = subprocess.run(
        [str(python), "-c", "import mobilenetdet; print(mobilenetdet.__file__)"],
        check=True, capture_output=True, text=True, env=clean, cwd=tmp_path,
    ).stdout  # fmt: skip
    assert Path(where.strip()).is_relative_to(venv)
    image = np.full((375, 1242, 3), 127, np.uint8)
    cv2.imwrite(str(tmp_path / "photo.jpg"), image)
    command = [str(venv / "bin/mobilenetdet"), "predict", "photo.jpg"]
    done = subprocess.run(command, capture_output=True, text=True, env=clean, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("predictions: ") and "in 1 picture" in done.stdout
    assert (tmp_path / "predictions/overlays/photo.jpg").is_file()
