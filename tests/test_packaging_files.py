"""The files at the top of the repository say what holds: versions, rooms, Pythons."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from test_imports import FLOORS

import mobilenetdet

ROOT = Path(__file__).resolve().parents[1]
WORKFLOW = ".github/workflows/ci.yml"


def test_the_map_has_every_room_in_its_place():
    section = (ROOT / "CONTRIBUTING.md").read_text().partition("## Map of the rooms")[2]
    rooms = re.findall(r"^\| `(\w+)` \| \S", section.partition("\n## ")[0], re.MULTILINE)
    missing, gone = sorted(set(FLOORS) - set(rooms)), sorted(set(rooms) - set(FLOORS))
    assert not missing, f"CONTRIBUTING.md lacks the rooms {missing}"
    assert not gone, f"CONTRIBUTING.md has the rooms {gone}, which are not there"
    assert rooms == list(FLOORS), "the rooms are not in the order of their floors"


def test_what_contributing_names_is_there():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    paths = re.findall(r"`((?:config|models|inference|deploy|cli)/[\w/]*(?:\.py)?)`", text)
    assert len(paths) >= 8
    for path in paths:
        assert (ROOT / "mobilenetdet" / path).exists(), path
    from mobilenetdet.deploy.export_plan import WRITERS  # noqa: F401
    from mobilenetdet.inference.runtimes import Runtime  # noqa: F401
    from mobilenetdet.models.detector import _HEADS  # noqa: F401


def test_changes_begin_with_this_version():
    text = (ROOT / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", text, re.MULTILINE)
    assert versions[0] == mobilenetdet.__version__
    assert re.findall(r"^## \[Unreleased\]$", text, re.MULTILINE)


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == mobilenetdet.__version__
    changed = f"## [{citation['version']}] - {citation['date-released']}"
    assert changed in (ROOT / "CHANGELOG.md").read_text()
    titles = " ".join(reference["title"] for reference in citation["references"])
    for work in ("MobileNets", "SSD", "SqueezeDet", "KITTI"):
        assert work in titles


@pytest.mark.parametrize(
    ("schema", "path"),
    [("github-workflows", WORKFLOW), ("citation-file-format", "CITATION.cff")],
)
def test_files_keep_to_their_schema(schema, path, tmp_path: Path):
    pytest.importorskip("check_jsonschema", reason="the extra [dev] is not installed")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    done = subprocess.run([*command, path], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    # And the check can fail.
    (tmp_path / "bad.yml").write_text(json.dumps({"jobs": {"tests": {"steps": 3}}}))
    assert subprocess.run([*command, tmp_path / "bad.yml"], capture_output=True).returncode == 1


def test_the_workflow_runs_ci_on_every_python():
    job = yaml.safe_load((ROOT / WORKFLOW).read_text())["jobs"]["tests"]
    setup = (ROOT / "setup.cfg").read_text()
    supported = re.findall(r"Programming Language :: Python :: (3\.\d+)$", setup, re.MULTILINE)
    assert job["strategy"]["matrix"]["python"] == supported
    assert job["timeout-minutes"] and job["steps"][-1]["run"] == ".ci/run"
    assert (ROOT / ".ci/run").stat().st_mode & 0o111
    # The variable by which .ci/run, in the end, chooses its Python.
    assert job["env"]["PYTHON"] == "python${{ matrix.python }}"
    assert "${PYTHON:-}" in (ROOT / "scripts/setup_venv.sh").read_text()
