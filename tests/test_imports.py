"""Imports run one way, from the ground up; the rooms are listed in that order."""

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "mobilenetdet"
# A room may import from rooms of a lower level, and from itself.
LEVELS = {
    "sections": 0,
    "files": 0,
    "config": 1,
    "classifier_config": 1,
    "config_file": 2,
    "presets": 2,
    "classifier_presets": 3,
    "boxes": 2,
    "kitti": 3,
    "data": 5,
    "models": 5,
    "evaluation": 6,
    "training": 7,
    "deploy": 8,
    "cli": 9,
}
DRAW = {
    "numpy",
    "cv2",
    "boxes",
    "files",
    "kitti",
}  # what draw.py may import; it is for data and upwards
LEVELS["draw"] = 4


def _modules() -> dict[str, ast.Module]:
    """Every module of the package by its dotted name."""
    modules = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        modules[".".join(parts).removesuffix(".__init__")] = ast.parse(path.read_text(), str(path))
    return modules


MODULES = _modules()


def _imports(tree: ast.AST, *, top_level: bool = False) -> set[str]:
    """Dotted names that a module imports; `top_level` leaves out those inside functions."""
    names = set()
    for node in _outside_functions(tree) if top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the whole path"
            # `from package import module` means the module, anything else the package itself.
            full_names = {f"{node.module}.{alias.name}" for alias in node.names}
            names.update(full_names & set(MODULES))
            names.update({node.module} if full_names - set(MODULES) else set())
    return names


def _outside_functions(tree: ast.AST) -> list[ast.AST]:
    found = []
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            found += [node, *_outside_functions(node)]
    return found


def _room(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "mobilenetdet" and len(parts) > 1 else None


def _external(names: set[str]) -> set[str]:
    """The libraries among the names."""
    return {name.split(".")[0] for name in names} - {"mobilenetdet"} - sys.stdlib_module_names


def _in_room(room: str) -> list[str]:
    return [name for name in MODULES if _room(name) == room]


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_from_the_ground_up(module):
    room = _room(module)
    if room is None:
        assert not any(_room(name) for name in _imports(MODULES[module]))
        return
    assert room in LEVELS, f"{room} is a new room; give it a level"
    for name in _imports(MODULES[module]):
        other = _room(name)
        if other not in (None, room):
            assert LEVELS[other] < LEVELS[room], f"{module} imports {name}"


def test_modules_import_each_other_in_no_circle():
    links = {
        module: {name for name in _imports(tree, top_level=True) if name in MODULES} - {module}
        for module, tree in MODULES.items()
    }
    while ends := {module for module, names in links.items() if not names}:
        links = {module: names - ends for module, names in links.items() if module not in ends}
    assert not links, f"a circle, or behind one: {sorted(links)}"


@pytest.mark.parametrize("module", _in_room("boxes") + _in_room("models"))
def test_boxes_and_models_do_without_tensorflow(module):
    external = _external(_imports(MODULES[module], top_level=True))
    assert external <= {"numpy", "keras", "h5py"}


@pytest.mark.parametrize("module", _in_room("kitti"))
def test_kitti_is_numpy_alone(module):
    external = _external(_imports(MODULES[module]))
    assert not external & {"tensorflow", "keras", "tf_keras", "jax", "albumentations"}
    if "synthetic" not in module:
        assert "cv2" not in external


@pytest.mark.parametrize("module", _in_room("draw"))
def test_draw_knows_pictures_boxes_and_labels_only(module):
    names = _imports(MODULES[module])
    rooms = {_room(name) for name in names} - {None}
    assert rooms | _external(names) <= DRAW | {"draw"}


def test_config_is_plain():
    rooms = ("config", "classifier_config", "presets", "classifier_presets", "sections")
    for module in [module for room in rooms for module in _in_room(room)]:
        heavy = {"tensorflow", "keras", "numpy", "cv2"}
        assert not _external(_imports(MODULES[module])) & heavy
