"""The built wheel, used from an empty folder, with nothing of the repository in sight."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from commands import environment
from records import about, benchmark, write

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent
PACKAGES = ("headstart", "tasks", "pretrain", "transfer", "benchmark")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel that HEADSTART_WHEEL names, else one that is built here."""
    if os.environ.get("HEADSTART_WHEEL"):
        return Path(os.environ["HEADSTART_WHEEL"])
    source = tmp_path_factory.mktemp("source")
    ignored = shutil.ignore_patterns("__pycache__")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    out = tmp_path_factory.mktemp("dist")
    # pip brings the build's own requirements; the environment of the tests need not have them.
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", out, source]
    subprocess.run(command, check=True, stdout=subprocess.PIPE)
    (made,) = out.iterdir()
    return made


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Run a command of the installed wheel in a folder."""
    site = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--quiet",
        "--target",
        site,
        wheel,
    ]
    subprocess.run(command, check=True)

    def run(folder, command, *arguments):
        done = subprocess.run(
            [site / "bin" / command, *arguments],
            cwd=folder,
            env=environment(PYTHONPATH=str(site)),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run.site = site
    return run


def test_the_wheel_holds_every_module_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        about = [name for name in archive.namelist() if name.endswith("/METADATA")]
        metadata = archive.read(about[0]).decode()
    modules = {
        str(path.relative_to(ROOT)) for name in PACKAGES for path in (ROOT / name).rglob("*.py")
    }
    others = {f"{name}/py.typed" for name in PACKAGES} | {"transfer/report/templates/model.md.j2"}
    others |= {f"benchmark/report/templates/report.{ending}" for ending in ("html", "css")}
    assert names == modules | others
    assert "Name: headstart" in metadata
    assert "License-Expression: Apache-2.0" in metadata


def test_it_draws_a_report(installed, tmp_path):
    write(tmp_path / "runs", benchmark(0, seeds=2, labels=(50,)), about())
    assert "runs/report.html" in installed(tmp_path, "benchmark", "report", "runs")
    assert "<h2" in (tmp_path / "runs" / "report.html").read_text()


def test_it_works_from_an_empty_folder(installed, tmp_path):
    where = subprocess.run(
        [sys.executable, "-c", "import tasks; print(tasks.__file__)"],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(installed.site)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(where.stdout.strip()).is_relative_to(installed.site)
    for command in PACKAGES[2:]:
        assert installed(tmp_path, command, "--help").startswith("Usage: ")
    assert "autoencoder" in installed(tmp_path, "pretrain", "--list")
    quick = ["--data", "digits[3,8]", "--epochs", "1", "--json", "--quiet"]
    made = json.loads(installed(tmp_path, "pretrain", "--strategy", "autoencoder", *quick))
    assert made["out"] == "weights.h5"
    quick += ["--from", "weights.h5", "--labels", "30", "--freeze-epochs", "2"]
    result = json.loads(installed(tmp_path, "transfer", *quick))
    assert result["source_digest"] == made["digest"]
    names = {path.name for path in tmp_path.iterdir()}
    # The curves are there when matplotlib is.
    found = names - {"weights.curves.png"}
    models = {"model.keras", "model.json", "model.md"}
    assert found == {"weights.h5", "weights.epochs.csv", "weights.reconstructions-001.png", *models}
