"""The product code as trees, for the tests that hold all of it to a rule."""

import ast
import functools
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("headstart", "tasks", "pretrain", "transfer", "benchmark")
# Packages that are held to the rules of test_words and test_structure; in the end all of PACKAGES.
HELD = PACKAGES


@functools.cache
def modules():
    """Return {dotted name: (path, tree)} of all modules of product code."""
    found = {}
    for path in sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = (path, ast.parse(path.read_text(encoding="utf-8")))
    return found


def held():
    """Return (path, tree) of each module that is held to all rules."""
    return [row for name, row in modules().items() if name.split(".")[0] in HELD]


def shown(path):
    return str(path.relative_to(ROOT))


def for_typing_only(tree):
    """Return the ids of all nodes below ``if TYPE_CHECKING``."""
    blocks = (node for node in ast.walk(tree) if isinstance(node, ast.If))
    return {
        id(inner)
        for block in blocks
        if ast.unparse(block.test).split(".")[-1] == "TYPE_CHECKING"
        for statement in block.body
        for inner in ast.walk(statement)
    }
