"""The built package, installed as a user installs it: not editable, and away from the checkout."""

import email
import importlib.util
import os
import re
import shutil
import site
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

import mobilenetdet

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("mobilenetdet", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, by way of the source archive; built in a copy, which leaves the checkout clean."""
    if not all(importlib.util.find_spec(name) for name in ("build", "pip", "setuptools")):
        pytest.skip("building needs build, pip and setuptools in this environment")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, source / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, source / name)
    # Without isolation nothing has to be downloaded.
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("mobilenetdet-*.whl"))


def test_data_files_are_in_it(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    data = [p for p in (ROOT / "mobilenetdet").rglob("*") if p.is_file() and p.suffix != ".pyc"]
    assert {str(path.relative_to(ROOT)) for path in data} <= names
    assert "mobilenetdet/pretrained/ssd_fpn/best.weights.h5" in names
    assert not [name for name in names if name.startswith(("tests/", "tools/", "scripts/"))]


def test_twine_finds_no_fault_in_what_would_be_uploaded(wheel: Path):
    pytest.importorskip("twine", reason="the extra [dev] is not installed")
    files = [wheel, next(wheel.parent.glob("mobilenetdet-*.tar.gz"))]
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == 2


def test_the_metadata_say_what_it_is(wheel: Path):
    archive = zipfile.ZipFile(wheel)
    folder = next(name for name in archive.namelist() if name.endswith("/METADATA"))
    text = archive.read(folder).decode()
    metadata = email.message_from_string(text)
    assert metadata["Name"] == "mobilenetdet" and metadata["Version"] == mobilenetdet.__version__
    assert metadata["Requires-Python"] and metadata["Keywords"] and metadata["Summary"]
    assert "Typing :: Typed" in metadata.get_all("Classifier")
    assert metadata.get_payload().startswith("# mobilenetdet")
    licence = [name for name in archive.namelist() if name.endswith("LICENSE")]
    assert archive.read(licence[0]) == (ROOT / "LICENSE").read_bytes()
    # Extras may name others of the package; what they name is there.
    extras = set(metadata.get_all("Provides-Extra"))
    named = re.findall(r"Requires-Dist: mobilenetdet\[([\w,]+)\]", text)
    assert {extra for names in named for extra in names.split(",")} <= extras


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
