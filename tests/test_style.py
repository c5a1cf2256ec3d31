"""Size, documentation and private names: what the house style asks of the whole package."""

import ast
import re
import statistics
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
PACKAGE = TESTS.parent / "mobilenetdet"
SOURCES = {
    str(path.relative_to(PACKAGE)): path.read_text() for path in sorted(PACKAGE.rglob("*.py"))
}
MAX_FILE, MAX_FILES_IN_ROOM = 300, 16
MAX_MEDIAN_FUNCTION, MAX_FUNCTION = 10, 45
MIN_TEST_SHARE = 0.8

Function = ast.FunctionDef | ast.AsyncFunctionDef
# Attributes of other packages that have no public counterpart; the modules say why they need them,
# and `test_keras_still_has_its_private_names` breaks when Keras renames one.
PRIVATE_OF_KERAS = {
    "_all_reduce_sum_gradients",
    "_apply_weight_decay",
    "_backend_update_step",
    "_get_variable_index",
    "_use_weight_decay",
    "_var_key",
}
# Public for all their underscore: methods of named tuples, `os._exit`.
DOCUMENTED = {"_replace", "_asdict", "_fields", "_exit"}


def functions(tree: ast.AST) -> list[Function]:
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


def body_length(function: Function, lines: list[str]) -> int:
    """Lines of the body that are neither blank, nor a comment, nor part of the docstring."""
    docstring = ast.get_docstring(function, clean=False) is not None
    body = function.body[1:] if docstring else function.body
    if not body:
        return 0
    of_body = lines[body[0].lineno - 1 : function.end_lineno]
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in of_body)


def public_nodes(tree: ast.AST) -> list[ast.ClassDef | Function]:
    """Classes, functions and methods without underscore, and methods such as `__call__`."""
    found: list[ast.ClassDef | Function] = []
    waiting = list(ast.iter_child_nodes(tree))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.ClassDef | Function):
            special = node.name.startswith("__") and node.name.endswith("__")
            public = special or not node.name.startswith("_")
            found += [node] if public and not is_overload(node) else []
        if not isinstance(node, Function):  # what stands inside functions is nobody's interface
            private = isinstance(node, ast.ClassDef) and node.name.startswith("_")
            waiting += [] if private else ast.iter_child_nodes(node)
    return found


def is_overload(node: ast.ClassDef | Function) -> bool:
    """Whether this is a signature for type checkers alone, whose function is documented below."""
    return any(isinstance(d, ast.Name) and d.id == "overload" for d in node.decorator_list)


def unannotated(function: Function) -> list[str]:
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    named += [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
    missing = [a.arg for a in named if a.annotation is None and a.arg not in ("self", "cls")]
    return missing + (["return"] if function.returns is None else [])


@pytest.mark.parametrize("name", SOURCES)
def test_a_file_is_short(name):
    assert len(SOURCES[name].splitlines()) <= MAX_FILE


def test_a_room_holds_few_files():
    rooms = {path.parent for path in PACKAGE.rglob("*.py")} - {PACKAGE / "cli"}
    counts = {room.name: len(list(room.glob("*.py"))) for room in rooms}
    assert not {room: count for room, count in counts.items() if count > MAX_FILES_IN_ROOM}


@pytest.mark.parametrize("name", SOURCES)
def test_a_function_is_short(name):
    lines = SOURCES[name].splitlines()
    lengths = {f.name: body_length(f, lines) for f in functions(ast.parse(SOURCES[name]))}
    assert not {name: length for name, length in lengths.items() if length > MAX_FUNCTION}


def test_most_functions_are_shorter():
    lengths = [
        body_length(function, text.splitlines())
        for text in SOURCES.values()
        for function in functions(ast.parse(text))
    ]
    assert statistics.median(lengths) <= MAX_MEDIAN_FUNCTION


@pytest.mark.parametrize("name", SOURCES)
def test_everything_public_is_documented_and_annotated(name):
    tree = ast.parse(SOURCES[name])
    assert ast.get_docstring(tree), "a module without docstring"
    for node in public_nodes(tree):
        assert ast.get_docstring(node), f"{node.name} has no docstring"
        if not isinstance(node, ast.ClassDef):
            assert not unannotated(node), f"{node.name} lacks annotations: {unannotated(node)}"


@pytest.mark.parametrize("name", SOURCES)
def test_docstrings_of_functions_are_in_the_third_person(name):
    for function in functions(ast.parse(SOURCES[name])):
        docstring = ast.get_docstring(function) or ""
        assert not re.match(r"(Return|Read|Write|Yield|Make|Build|Draw|Print)\b", docstring), (
            f"{function.name}: {docstring.splitlines()[0]}"
        )


def code_lines(text: str) -> int:
    """Lines that are neither blank, nor a comment, nor part of a docstring."""
    described = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    documentation: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, described) and ast.get_docstring(node, clean=False) is not None:
            documentation.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return sum(
        bool(line.strip()) and not line.strip().startswith("#") and number not in documentation
        for number, line in enumerate(text.splitlines(), 1)
    )


def test_there_are_enough_tests():
    tests = sum(code_lines(path.read_text()) for path in TESTS.rglob("*.py"))
    assert tests >= MIN_TEST_SHARE * sum(map(code_lines, SOURCES.values()))


def words_of_code(tree: ast.AST) -> set[str]:
    """Names, and the words of short texts, such as keys."""
    words: set[str] = set()
    for node in ast.walk(tree):
        for key in ("name", "id", "attr", "arg", "module"):
            words.update(re.split(r"\W", str(getattr(node, key, ""))))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 40:
            words.update(re.split(r"\W", node.value))
    return words


def test_what_docstrings_and_comments_name_is_there():
    known = {"use_ema"}  # of Keras' optimizers
    known |= {path.stem for path in PACKAGE.rglob("*.py")}
    known = known.union(*(words_of_code(ast.parse(text)) for text in SOURCES.values()))
    named = {
        (name, word)
        for name, text in SOURCES.items()
        for word in re.findall(r"`([A-Za-z]+(?:_[a-z]+)+)`", text)
    }
    assert len(named) > 50
    assert not {(name, word) for name, word in named if word not in known}


def own_names() -> set[str]:
    """Names with an underscore that the package itself defines."""
    names: set[str] = set()
    for text in SOURCES.values():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef | Function):
                names.add(node.name)
            elif isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.attr if isinstance(node, ast.Attribute) else node.id)
    return names


def test_private_names_of_other_packages_are_few():
    own = own_names() - PRIVATE_OF_KERAS
    used = {
        node.attr
        for text in SOURCES.values()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute) and re.match(r"_[^_]", node.attr)
    }
    assert used - own - DOCUMENTED <= PRIVATE_OF_KERAS


def test_keras_still_has_its_private_names():
    import keras

    on_tensorflow = keras.backend.backend() == "tensorflow"
    names = PRIVATE_OF_KERAS - (set() if on_tensorflow else {"_all_reduce_sum_gradients"})
    assert not {name for name in names if not hasattr(keras.optimizers.Optimizer, name)}
