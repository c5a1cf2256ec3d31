"""The bash scripts, with an installer and an interpreter that only say how they were called."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INTERPRETER = '#!/bin/sh\necho "python $*" >> "$CALLS"\n'
INSTALLER = f"""#!/bin/sh
echo "uv $*" >> "$CALLS"
if [ "$1" = venv ]; then
    for venv; do :; done
    mkdir -p "$venv/bin"
    printf '%s' '{INTERPRETER}' > "$venv/bin/python"
    chmod +x "$venv/bin/python"
fi
"""


@pytest.fixture
def calls(tmp_path):
    """Runs a script on a machine without environment; returns the commands that it called."""
    uv = tmp_path / "bin/uv"
    uv.parent.mkdir()
    uv.write_text(INSTALLER)
    uv.chmod(uv.stat().st_mode | stat.S_IEXEC)
    env = os.environ | {
        "PATH": f"{uv.parent}{os.pathsep}{os.environ['PATH']}",
        "VENV": str(tmp_path / "venv"),
        "CALLS": str(tmp_path / "calls"),
    }
    env.pop("VENV_EXTRA", None)

    def run(script: str, *arguments: str) -> list[str]:
        command = ["bash", str(ROOT / "scripts" / script), *arguments]
        subprocess.run(command, check=True, env=env, cwd=tmp_path, capture_output=True)
        return (tmp_path / "calls").read_text().splitlines()

    return run


@pytest.mark.parametrize(
    ("script", "command"),
    [
        ("train_mobilenet_on_cifar10.sh", "-m mobilenetdet train_classifier --preset cifar10"),
        ("train_mobilenet_on_imagenet.sh", "-m mobilenetdet train_classifier --preset imagenet"),
        ("train_mobilenetdet_on_kitti.sh", "-m mobilenetdet train"),
    ],
)
def test_arguments_go_to_the_training_not_to_the_installer(calls, script, command):
    called = calls(script, "--train.epochs", "3")
    installed = [call for call in called if call.startswith("uv pip install")]
    assert len(installed) == 1 and installed[0].endswith(f"--editable {ROOT}")
    assert called[-1].startswith(f"python {command}") and called[-1].endswith("--train.epochs 3")


def test_an_environment_is_made_once(calls):
    first = calls("train_mobilenet_on_cifar10.sh")
    again = calls("train_mobilenet_on_cifar10.sh", "--preset", "cifar10_original")
    assert [call.split()[0] for call in again[len(first) :]] == ["python"]
    assert again[-1].split()[4:] == ["--preset", "cifar10_original"]
