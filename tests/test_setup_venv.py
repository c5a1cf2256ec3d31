"""scripts/setup_venv.sh: sourced by hand, in the shells of Linux and macOS, and by the scripts."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "setup_venv.sh"
# Does what uv does as far as the script sees it, and fails to install where $NO_NETWORK is set.
_UV = """#!/bin/sh
echo "$@" >> "$UV_LOG"
case "$1" in
    venv) for place; do :; done; mkdir -p "$place/bin"; printf '#!/bin/sh' > "$place/bin/python"
        chmod +x "$place/bin/python" ;;
    *) [ -z "${NO_NETWORK:-}" ] ;;
esac
"""


@pytest.fixture(params=["bash", "zsh"])
def shell(request: pytest.FixtureRequest) -> str:
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return request.param


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    root = tmp_path / "some clone"
    (root / "scripts").mkdir(parents=True)
    shutil.copy(SCRIPT, root / "scripts")
    (root / "setup.cfg").write_text("[metadata]\n")
    uv = tmp_path / "programs" / "uv"
    uv.parent.mkdir()
    uv.write_text(_UV)
    uv.chmod(0o755)
    return root


def _source(clone: Path, shell: str, **variables: str) -> tuple[int, str, list[str]]:
    """Sources the script as the README does; returns its status, what follows, and uv's calls."""
    log = clone.parent / "log"
    log.write_text("")
    path = f"{clone.parent / 'programs'}:{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if name not in ("VENV", "PYTHON")}
    done = subprocess.run(
        [shell, "-c", 'source scripts/setup_venv.sh && echo "python: $PYTHON"'],
        cwd=clone,
        env={**kept, "PATH": path, "UV_LOG": str(log), **variables},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, log.read_text().splitlines()


def test_the_environment_is_in_the_clone_and_has_pip(clone: Path, shell: str):
    status, said, calls = _source(clone, shell)
    assert status == 0 and said.endswith(f"python: {clone}/.venv/bin/python\n")
    made, installed = calls
    assert made.startswith("venv ") and "--seed" in made.split()
    assert installed.endswith(f"--python {clone}/.venv/bin/python --editable {clone}")
    assert sorted(path.name for path in clone.iterdir()) == [".venv", "scripts", "setup.cfg"]
    assert _source(clone, shell)[2] == []  # done once


def test_what_could_not_be_installed_is_tried_again(clone: Path, shell: str):
    status, said, _ = _source(clone, shell, NO_NETWORK="1")
    assert status != 0 and "python:" not in said
    status, said, calls = _source(clone, shell)
    assert status == 0 and "python:" in said
    assert [call.split()[0] for call in calls] == ["pip"]


def test_a_script_that_needs_it_ends_where_it_failed(clone: Path):
    caller = clone / "scripts" / "train.sh"
    caller.write_text("set -euo pipefail\nsource scripts/setup_venv.sh\necho trained\n")
    path = f"{clone.parent / 'programs'}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "UV_LOG": os.devnull, "NO_NETWORK": "1"}
    env.pop("VENV", None)
    done = subprocess.run(["bash", caller], cwd=clone, env=env, capture_output=True, text=True)
    assert done.returncode != 0 and "trained" not in done.stdout
