"""Which package may know which, and what an import may cost."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ORDER = ("headstart", "tasks", "pretrain", "transfer", "benchmark")
MODULES = sorted(path for name in ORDER for path in (ROOT / name).rglob("*.py"))


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path):
    package = path.relative_to(ROOT).parts[0]
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
