"""Defaults are checked as typeguard does, without its import, and to the last item."""

import subprocess
import sys
import typing
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from tyro import _resolver

from mobilenetdet.cli import default_checks
from mobilenetdet.cli.commands import COMMANDS
from mobilenetdet.cli.default_checks import quick_default_checks

CASES: list[tuple[Any, Any]] = [
    *[(int | None, value) for value in (None, 3, "3")],
    *[(Path | None, value) for value in (None, Path("a"), 3)],
    *[(tuple[str, ...], value) for value in ((), ("a", "b"), (1, "a"), ["a"], None)],
    *[(tuple[int, int] | None, value) for value in (None, (1, 2), (1, 2, 3), ("a", 2))],
    *[(tuple[Literal["a", "b"], ...], value) for value in (("a",), ("c",))],
    *[(Annotated[Path | None, "marked"], value) for value in (None, "a")],
    *[(dict[str, float], value) for value in ({}, {"a": 0.5}, {1: 0.5}, {"a": "b"}, None)],
    *[(dict[str, tuple[str, ...]], value) for value in ({"a": ("b",)}, {"a": "b"})],
    *[(typing.Tuple, value) for value in ((1, 2), [1])],  # noqa: UP006
    *[(typing.Dict, value) for value in ({"a": 1}, [1])],  # noqa: UP006
]


@pytest.mark.parametrize(("kind", "value"), CASES)
def test_it_agrees_with_typeguard(kind, value):
    expected = _resolver.is_instance(kind, value)
    with quick_default_checks():
        assert _resolver.is_instance(kind, value) is expected
    assert _resolver.is_instance(kind, value) is expected


@pytest.mark.parametrize(
    ("kind", "value"),
    [(tuple[str, ...], ("a", 1)), (dict[str, float], {"a": 0.5, "b": "c"})],
)
def test_all_items_are_looked_at(kind, value):
    with quick_default_checks():
        assert not _resolver.is_instance(kind, value)


def test_a_tyro_without_such_a_check_is_left_alone(monkeypatch):
    monkeypatch.delattr(_resolver, "is_instance")
    with quick_default_checks():
        assert not hasattr(_resolver, "is_instance")


def test_a_tyro_without_that_module_is_left_alone(monkeypatch):
    monkeypatch.setattr(default_checks, "_resolver", None)
    with quick_default_checks():
        pass


@pytest.mark.parametrize("command", ["predict", "kitti_eval", "tf_convert_data", "train", "import"])
def test_help_imports_no_typeguard(command):
    assert command in COMMANDS
    program = "import sys\nfrom mobilenetdet.cli.main import main\n"
    program += "try:\n    main()\nexcept SystemExit:\n    assert 'typeguard' not in sys.modules\n"
    subprocess.run([sys.executable, "-c", program, command, "--help"], check=True)
