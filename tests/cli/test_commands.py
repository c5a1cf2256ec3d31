import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import mobilenetdet
from mobilenetdet.cli import completion
from mobilenetdet.cli.commands import (
    COMMANDS,
    GROUPS,
    command_module,
    command_of,
    examples_text,
    overview,
)

ROOT = Path(__file__).resolve().parents[2]
# Two screens of 50 lines.
MAX_LINES, MAX_COLUMNS = 100, 100


def help_lines(name: str, capsys, monkeypatch) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(MAX_COLUMNS))
    with pytest.raises(SystemExit) as end:
        importlib.import_module(command_module(name)).main(["--help"])
    assert end.value.code == 0
    return capsys.readouterr().out.splitlines()


def test_every_module_with_a_main_is_a_command():
    modules = {
        f"mobilenetdet.cli.{path.stem}"
        for path in (ROOT / "mobilenetdet/cli").glob("*.py")
        if re.search(r"^def main\(argv", path.read_text(), re.MULTILINE)
    }
    assert modules == set(map(command_module, COMMANDS))
    assert [command_of(module) for module in map(command_module, COMMANDS)] == list(COMMANDS)
    assert sum(map(len, GROUPS.values())) == len(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_page_with_examples_of_its_options(name, capsys, monkeypatch):
    lines = help_lines(name, capsys, monkeypatch)
    assert max(len(line) for line in lines if not line.startswith("usage:")) <= MAX_COLUMNS
    start = lines.index("Examples:")
    text = "\n".join(lines[start + 1 :])
    assert text.startswith(examples_text(name))
    page = text.removeprefix(examples_text(name))
    for words, _ in COMMANDS[name].examples:
        for option in re.findall(r"--[a-z_.]+", words):
            assert f"{option} " in page or f"{option}," in page, option


@pytest.mark.parametrize("name", ["predict", "eval"])
def test_the_pages_of_use_take_two_screens_and_have_no_options_of_training(name):
    # As a terminal shows it, for a run with a calibration.
    lines = run_program(name, "--run_dir", "ssd_fpn", "--help").stdout.splitlines()
    assert 50 < len(lines) <= MAX_LINES
    page = "\n".join(lines)
    assert "--postprocess.suppression.kind {greedy,soft}" in page
    assert "--postprocess.suppression.rounds" in page
    assert not re.search(r"--(train|augment|model|head|matching)\.", page)


def test_the_page_of_train_lists_presets_and_kinds(capsys, monkeypatch):
    page = "\n".join(help_lines("train", capsys, monkeypatch))
    assert "  quickstart        Car 75.4, Pedestrian 42.8, Cyclist 41.7 AP; 6 min" in page
    assert "--head.kind {squeezedet,ssd}" in page
    assert "--head.class_loss.kind {focal,quality_focal,softmax,tfa_focal}" in page


HELP = """
import contextlib, importlib, io, sys
from mobilenetdet.cli.commands import COMMANDS, command_module
from mobilenetdet.cli.completion import completion_script

for name in COMMANDS:
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        importlib.import_module(command_module(name)).main(["--help"])
    assert not {"tensorflow", "keras", "jax"} & set(sys.modules), name
completion_script("bash")
assert not {"tensorflow", "keras", "jax"} & set(sys.modules), "completion"
"""


def test_no_page_of_help_imports_tensorflow():
    command = [sys.executable, "-c", HELP]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def run_program(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "importtime", "-m", "mobilenetdet", *arguments]
    terminal = os.environ | {"COLUMNS": str(MAX_COLUMNS), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        command, capture_output=True, encoding="utf-8", cwd=ROOT, env=terminal, check=False
    )


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_the_program_lists_its_commands_at_once(arguments):
    done = run_program(*arguments)
    assert done.returncode == 0 and done.stdout == overview() + "\n"
    imported = set(re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE))
    assert "mobilenetdet.cli.main" in imported
    assert not imported & {"tensorflow", "keras", "numpy", "tyro", "pydantic"}
    for group, commands in GROUPS.items():
        assert f"\n{group}:\n" in done.stdout
        assert all(f"  {name} " in done.stdout for name in commands)


def test_the_program_says_its_version():
    assert run_program("--version").stdout == f"mobilenetdet {mobilenetdet.__version__}\n"


def test_unknown_commands_and_shells_are_told():
    done = run_program("evl")
    assert done.returncode == 2 and "unknown command 'evl'; did you mean eval?" in done.stderr
    done = run_program("--print-completion", "tcsh")
    assert done.returncode == 2 and "there are bash, zsh" in done.stderr


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_completion_knows_commands_and_options(shell, tmp_path):
    script = completion.completion_script(shell)
    assert all(name in script for name in COMMANDS)
    assert "--postprocess.suppression.kind" in script and "quality_focal" in script
    if shell == "bash":
        path = tmp_path / "mobilenetdet"
        path.write_text(script)
        assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0
        words = "mobilenetdet pred"
        code = (
            f"source {path}; COMP_WORDS=({words}); COMP_CWORD=1; COMP_LINE={shlex.quote(words)}; "
            f"COMP_POINT={len(words)}; _tyro_mobilenetdet; "
            'echo "${COMPREPLY[@]}"'
        )
        done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=False)
        assert done.stdout.split() == ["predict"], done.stderr
