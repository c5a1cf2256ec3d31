"""The detector does without the classifier: its room could be deleted."""

import ast
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import mobilenetdet
from mobilenetdet.config.storage import to_json

PACKAGE = Path(mobilenetdet.__file__).parent
# Commands of the classifier.
OF_CLASSIFIER = {"mobilenetdet.cli.train_classifier", "mobilenetdet.cli.imagenet_convert"}
# Modules that name the classifier inside a function, and say what is missing without it.
ASKING = {
    "mobilenetdet.benchmark.classifier",
    "mobilenetdet.benchmark.model_cost",
    "mobilenetdet.cli.export",
    "mobilenetdet.cli.inspect_checkpoint",
}
BLOCK = "import sys; sys.modules['mobilenetdet.classification'] = None\n"
TRAINING = """
from pathlib import Path
from mobilenetdet.config.storage import read_config
from mobilenetdet.training.train import train
train(read_config(sys.argv[1]), Path(sys.argv[2]), verbose=0)
"""


def other_modules() -> list[str]:
    """All modules but those of the classifier and the start of `python -m mobilenetdet`."""
    names = [item.name for item in pkgutil.walk_packages([str(PACKAGE)], "mobilenetdet.")]
    own = ("mobilenetdet.classification", "mobilenetdet.__main__")
    return [name for name in names if not name.startswith(own) and name not in OF_CLASSIFIER]


def run_blocked(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BLOCK + code, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def test_every_other_module_can_be_imported():
    code = "import importlib\nfor name in sys.argv[1:]: importlib.import_module(name)"
    done = run_blocked(code, *other_modules())
    assert done.returncode == 0, done.stderr


def test_the_block_blocks():
    done = run_blocked("import mobilenetdet.classification.model")
    assert done.returncode == 1 and "mobilenetdet.classification" in done.stderr


@pytest.mark.parametrize("name", sorted(set(other_modules()) - ASKING))
def test_no_other_module_names_it(name):
    path = PACKAGE.parent / Path(*name.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.walk(ast.parse(path.read_text())):
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        assert not any(module.startswith("mobilenetdet.classification") for module in modules)


@pytest.mark.slow
def test_a_detector_trains(small_config, tmp_path):
    config, run_dir = tmp_path / "config.json", tmp_path / "run"
    config.write_text(to_json(small_config))
    done = run_blocked(TRAINING, config, run_dir)
    assert done.returncode == 0, done.stderr
    assert (run_dir / "best.weights.h5").is_file() and (run_dir / "eval/metrics.json").is_file()


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        ("inspect_checkpoint", ["ssd_fpn", "--into", "classifier"], "classification is absent"),
        ("train_classifier", ["--epochs", "1"], "classification"),
    ],
)
def test_commands_that_need_it_say_so(command, arguments, message):
    done = run_blocked(f"from mobilenetdet.cli.main import run; run({command!r})", *arguments)
    assert done.returncode != 0 and message in done.stderr


def test_commands_are_listed_without_it():
    done = run_blocked("sys.argv[1:] = ['--help']\nfrom mobilenetdet.cli.main import main; main()")
    assert done.returncode == 0 and "inspect_checkpoint" in done.stdout
