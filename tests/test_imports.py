"""Imports run one way, from the ground up, and in no circle."""

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "mobilenetdet"
# The floors of the house, the lowest first. A room imports from rooms below it, and from itself.
FLOORS = (
    "system",
    "files",
    "findings",
    "exported_info",
    "config",
    "runs",
    "run_places",
    "exported_places",
    "kitti",
    "detections",
    "boxes",
    "replicas",
    "drawing",
    "synthetic",
    "records",
    "label_formats",
    "imported_records",
    "media",
    "predictions",
    "models",
    "data",
    "inference",
    "evaluation",
    "analysis",
    "distribution",
    "training",
    "deploy",
    "web",
    "classification",
    "front_door",
    "benchmark",
    "annotation",
    "cli",
    "__main__",
)
# The libraries that a room may use; a room that is not named may use any.
LIBRARIES = {
    "system": {"keras", "tensorflow"},
    "files": {"yaml"},
    "findings": set(),
    "exported_info": set(),
    "config": {"pydantic", "typing_extensions"},
    "runs": set(),
    "run_places": set(),
    "exported_places": set(),
    "kitti": {"numpy", "pandas"},
    "detections": {"numpy"},
    "boxes": {"numpy", "keras"},
    "drawing": {"numpy", "cv2", "matplotlib"},
    "synthetic": {"numpy", "cv2"},
}


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


@pytest.mark.parametrize("module", [name for name in MODULES if _room(name)])
def test_rooms_import_only_rooms_below_them(module):
    room = _room(module)
    assert room in FLOORS, f"{room} is a new room; give it a floor"
    for name in _imports(MODULES[module]):
        other = _room(name)
        if other not in (None, room):
            assert FLOORS.index(other) < FLOORS.index(room), f"{module} imports {name}"


def test_modules_import_each_other_in_no_circle():
    links = {
        module: {name for name in _imports(tree, top_level=True) if name in MODULES} - {module}
        for module, tree in MODULES.items()
    }
    while ends := {module for module, names in links.items() if not names}:
        links = {module: names - ends for module, names in links.items() if module not in ends}
    assert not links, f"a circle, or behind one: {sorted(links)}"


@pytest.mark.parametrize("module", [name for name in MODULES if _room(name) in LIBRARIES])
def test_lower_rooms_use_few_libraries(module):
    external = _external(_imports(MODULES[module]))
    assert external <= LIBRARIES[_room(module)], f"{module} imports {external}"


@pytest.mark.parametrize("module", _in_room("system"))
def test_what_a_process_has_of_its_machine_is_known_without_keras(module):
    if module.endswith(".quiet"):  # it imports them, quietly
        return
    assert not _external(_imports(MODULES[module]))


@pytest.mark.parametrize("module", _in_room("models"))
def test_models_do_without_tensorflow(module):
    external = _external(_imports(MODULES[module], top_level=True))
    assert external <= {"numpy", "keras", "h5py"}


@pytest.mark.parametrize("module", _in_room("synthetic"))
def test_the_renderer_knows_kitti_only_where_it_labels_and_writes(module):
    if module.endswith((".labelling", ".writer")):
        return
    assert not [name for name in _imports(MODULES[module]) if _room(name) == "kitti"]
