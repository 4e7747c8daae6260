"""Sizes that a reader can take in: of folders, of signatures and of commands."""

import ast
import re
from collections import Counter

import pytest
from product import held, modules, shown

MOST_MODULES, MOST_PARAMETERS, MOST_COMMAND_LINES = 15, 12, 40
# Folders with one row of a table a module, which grow with the table.
REGISTRIES = ("pretrain/strategies",)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, FUNCTIONS)]


def parameters(function):
    """Return how many parameters a function declares, its object or class left out."""
    given = function.args
    names = [arg.arg for arg in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    names += [arg.arg for arg in (given.vararg, given.kwarg) if arg]
    return len([name for name in names if name not in ("self", "cls")])


def command_lines(function):
    """Return how many lines the body of a command has after its docstring; 0 of other functions."""
    made = (ast.unparse(decorator) for decorator in function.decorator_list)
    if not function.name.endswith("_command") and not any(
        re.search(r"\.(command|group)\b", text) for text in made
    ):
        return 0
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_sizes_are_counted():
    tree = ast.parse(
        "@click.group()\ndef a(self, x, /, y=1, *z, w, **k):\n    '''Text.'''\n    x\n\n    y\n"
        "def b(): pass\ndef c_command():\n    pass\n"
    )
    a, b, c = functions(tree)
    assert [parameters(f) for f in (a, b, c)] == [5, 0, 0]
    assert [command_lines(f) for f in (a, b, c)] == [3, 0, 1]


def test_no_folder_is_crowded():
    paths = [path for path, _ in modules().values() if path.name != "__init__.py"]
    sizes = Counter(shown(path.parent) for path in paths)
    crowded = {folder: size for folder, size in sizes.items() if size > MOST_MODULES}
    assert set(crowded) <= set(REGISTRIES), crowded


@pytest.mark.parametrize(("path", "tree"), held(), ids=lambda value: getattr(value, "name", ""))
def test_functions_take_few_parameters_and_commands_are_short(path, tree):
    for function in functions(tree):
        where = f"{shown(path)}:{function.lineno} {function.name}"
        # scikit-learn reads an estimator's arguments from its signature.
        estimator = path.parent.name == "estimators" and function.name == "__init__"
        assert estimator or parameters(function) <= MOST_PARAMETERS, where
        assert command_lines(function) <= MOST_COMMAND_LINES, where
