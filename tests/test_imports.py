"""Which package may know which, and what an import may cost."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from product import PACKAGES as ORDER
from product import ROOT, for_typing_only, modules

MODULES = [path for path, _ in modules().values()]


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path):
    package, *inside = path.relative_to(ROOT).parts
    if package == "headstart" and inside[0] in ("__init__.py", "api"):
        return  # the facade stands on top of all
    later = ORDER[ORDER.index(package) + 1 :]
    found = list(imports(path))
    assert [name for name in found if name.split(".")[0] in later] == []
    if package == "transfer":
        bridge = (
            "pretrain.strategies.",
            "pretrain.plan.",
            "pretrain.run.",
            "pretrain.commands.pretrain.",
        )
        assert [name for name in found if f"{name}.".startswith(bridge)] == []
    # The weights file is the only h5py code.
    if any(name.split(".")[0] == "h5py" for name in found):
        assert path.parent.name == "weights" or path.name == "weights_hdf5.py"


def imported(tree, known):
    """Return which modules of ``known`` a module imports, inside functions too, but not for typing only.

    ``from package import name`` imports the module ``package.name`` where there is one, else ``package``.
    """
    passed, found = for_typing_only(tree), set()
    for node in ast.walk(tree):
        if id(node) in passed:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in known else node.module for name in names}
    return found & set(known)


def circles(graph):
    """Return the strongly connected components of two modules or more, and of one that imports itself.

    graph: {module: the modules that it imports}.
    """
    reached = {}
    for start in graph:
        seen, open_ = set(), [start]
        while open_:
            new = graph[open_.pop()] - seen
            seen |= new
            open_ += new
        reached[start] = seen
    members = {m: frozenset(n for n in reached[m] if m in reached[n]) for m in graph}
    return {circle for circle in members.values() if circle}


def around(circle, graph):
    """Return a shortest way around, "a -> b -> a", for people."""
    first = min(circle)
    ways = [[first]]
    while ways[0][-1] != first or len(ways[0]) == 1:
        way = ways.pop(0)
        ways += [[*way, n] for n in sorted(graph[way[-1]] & circle) if n == first or n not in way]
    return " -> ".join(ways[0])


def test_circles_are_found():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"e"}, "f": {"a"}}
    found = circles(graph)
    assert found == {frozenset("bc"), frozenset("e")}
    assert sorted(around(circle, graph) for circle in found) == ["b -> c -> b", "e -> e"]
    code = "import a.x\nfrom a import y, z\ndef f():\n    from b import c\n"
    code += "if TYPE_CHECKING:\n    import d\n"
    known = {"a", "a.x", "a.y", "b", "d"}
    assert imported(ast.parse(code), known) == {"a.x", "a.y", "a", "b"}


def test_no_modules_import_one_another():
    """Not even inside functions, where it would work: such modules can be read in no order."""
    known = modules()
    graph = {name: imported(tree, known) for name, (_, tree) in known.items()}
    faults = [around(circle, graph) for circle in circles(graph)]
    assert faults == []


def test_every_package_is_typed_and_packed():
    import tomllib

    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    there = {".".join(path.parent.relative_to(ROOT).parts) for path in MODULES}
    assert sorted(named) == sorted(there)
    assert all((ROOT / name / "py.typed").exists() for name in ORDER)
    assert all((ROOT / Path(*name.split(".")) / "__init__.py").exists() for name in there)


def test_what_the_commands_import_before_they_start_is_light():
    """Up to and with the checks of the input, which must answer at once."""
    code = (
        "import sys\n"
        "import tasks.loading.resolve, pretrain.run, pretrain.commands.pretrain\n"
        "import pretrain.commands.inspect, pretrain.commands.list\n"
        "import transfer.commands.transfer, benchmark.commands.run\n"
        "from pretrain.cli import cli\n"
        "assert not {'tensorflow', 'keras', 'sklearn', 'scipy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
