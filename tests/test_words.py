"""Words of product code: no option names outside the commands, and docstrings that name their thing."""

import ast
import doctest
import importlib
import io
import re
import tokenize

import pytest
from product import held, modules, shown

OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
# Values of the variable XLA_FLAGS, which belong to TensorFlow.
FOREIGN = re.compile(r"--xla_\w+")


def options_in(source):
    """Yield (line, option) for each command-line option in a source's strings and comments."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for option in OPTION.findall(FOREIGN.sub("", node.value)):
                yield node.lineno, option
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            for option in OPTION.findall(token.string):
                yield token.start[0], option


def is_command(path):
    """Say whether a module is of the command line, the one surface that spells ``--option``."""
    return path.name in ("cli.py", "__main__.py") or "commands" in path.parts


def test_options_are_found():
    source = '''
"""Give --one."""
x = f"--two {x} or (--three-four)"  # as --five does
y = "--xla_cpu_flag=1 a---b a--b -- --"
'''
    found = ["--five", "--one", "--three-four", "--two"]
    assert sorted(option for _, option in options_in(source)) == found


@pytest.mark.parametrize("path", [path for path, _ in held()], ids=shown)
def test_only_commands_name_options(path):
    if not is_command(path):
        assert list(options_in(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(("path", "tree"), held(), ids=lambda value: getattr(value, "name", ""))
def test_docstrings_begin_with_their_thing(path, tree):
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts = [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, kinds)]
    assert [text for text in texts if text.startswith("What")] == []


LIGHT = [
    name
    for name, (path, _) in modules().items()
    if name.split(".")[0] in ("headstart", "tasks")
    and not name.startswith("headstart.api")  # they train: tests/headstart/test_api.py
    and ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", LIGHT)
def test_examples_in_docstrings_are_true(name):
    done = doctest.testmod(importlib.import_module(name))
    assert done.attempted > 0
    assert done.failed == 0
