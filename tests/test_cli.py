"""The three commands as a person meets them: help, results, streams and exit codes."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import environment, run
from toys import listing

from pretrain.encoders import ARCHITECTURES
from pretrain.strategies import strategies
from tasks.sources import describe_sources

COMMANDS = ("pretrain", "transfer", "benchmark")
BIN = Path(sys.executable).parent
QUICK = ["--data", "digits[0,1]", "--strategy", "supervised", "--encoder", "mlp", "--epochs", "1"]


def wall_seconds(*command):
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout, time.perf_counter() - began


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_quick(command):
    script = BIN / command
    assert script.exists(), "install the package first: pip install -e ."
    ours, bare = [], []
    for _ in range(8):
        text, seconds = wall_seconds(script, "--help")
        assert text.startswith("Usage: ")
        ours.append(seconds)
        bare.append(wall_seconds(sys.executable, "-c", "import click")[1])
        # A machine that takes long to start Python and click, 0.07 s otherwise, is not our doing.
        limit = max(0.3, 4 * min(bare))
        if min(ours) < limit:
            break
        time.sleep(0.3)  # the machine may be busy with other work: one quiet moment is enough
    assert min(ours) < limit


@pytest.mark.parametrize("command", COMMANDS)
def test_help_imports_nothing_heavy(command):
    code = (
        "import runpy, sys\n"
        f"sys.argv = [{command!r}, '--help']\n"
        "try:\n"
        f"    runpy.run_module({command!r}, run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    assert not end.code\n"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'scipy', 'numpy', 'h5py'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage: ")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_describes_itself(command, capfd):
    done = run(capfd, command, "--help")
    assert done.code == 0
    options = re.findall(r"^ +(--[a-z-]+)", done.out, re.MULTILINE)
    assert len(options) > 10
    assert {"--data", "--out", "--seed", "--force", "--quiet", "--json"} <= set(options)
    assert f"{command} --" in done.out  # an example


def test_list_mentions_whatever_there_is_without_tensorflow(capfd):
    done = run(capfd, "pretrain", "--list")
    assert (done.code, done.err) == (0, "")
    for row in (*strategies().values(), *ARCHITECTURES.values()):
        assert f"  {row.name} " in done.out
        assert row.summary in done.out
        assert all(f"{option}=" in done.out for option in row.options)
    for spelling, _ in describe_sources():
        assert spelling in done.out


def test_listing_and_inspecting_import_no_tensorflow(tmp_path):
    code = (
        "import sys\n"
        "from pretrain.cli import cli\n"
        "cli.main(['--list'], standalone_mode=False)\n"
        "assert not {'tensorflow', 'keras', 'sklearn'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, stdout=subprocess.PIPE)


def test_json_is_one_value_on_stdout_and_quiet_is_quiet(tmp_path, capfd):
    out = tmp_path / "weights.h5"
    done = run(capfd, "pretrain", *QUICK, "--out", out, "--json", "--quiet")
    assert (done.code, done.err) == (0, "")
    assert done.out.count("\n") == 1
    result = json.loads(done.out)
    assert result["out"] == str(out)
    assert result["strategy"] == "supervised"
    assert result["receipt"].startswith("10/10 tensors, 100 % of parameters")
    assert len(result["history"]) == 1
    assert result["metrics"]["loss"] == result["history"][0]["loss"]

    again = run(capfd, "pretrain", *QUICK, "--out", tmp_path / "again.h5", "--json")
    assert json.loads(again.out)["digest"] == result["digest"]
    assert "supervised epoch 1/1: loss" in again.err

    shown = run(capfd, "pretrain", "inspect", out)
    assert (shown.code, shown.err) == (0, "")
    assert result["digest"] in shown.out
    shown = run(capfd, "pretrain", "inspect", out, "--json")
    assert json.loads(shown.out)["digest"] == result["digest"]


def test_a_person_sees_progress_apart_from_the_result(tmp_path, capfd):
    out = tmp_path / "weights.h5"
    done = run(capfd, "pretrain", *QUICK, "--epochs", "2", "--out", out)
    assert done.code == 0
    assert done.out.startswith(f"Wrote {out}: 10/10 tensors")
    lines = done.err.splitlines()
    assert lines[0].startswith("Data: digits[0,1], 360 examples, ")
    assert lines[1] == "Strategy supervised, encoder mlp, 2 epochs, seed 0"
    assert [line.split(":")[0] for line in lines[2:]] == [
        "supervised epoch 1/2",
        "supervised epoch 2/2",
    ]
    for part in ("loss 0.", "val_loss 0.", "val_accuracy ", "images/s"):
        assert part in lines[-1]


def test_a_run_that_becomes_non_finite_exits_with_3_and_exports_nothing(tmp_path, capfd):
    out = tmp_path / "weights.h5"
    rate = ["--learning-rate", "100", "--optimizer", "sgd", "--epochs", "9"]
    done = run(capfd, "pretrain", *QUICK, *rate, "--encoder-opt", "activation=relu", "--out", out)
    assert done.code == 3
    assert done.out == ""
    last = done.err.splitlines()[-1]
    assert last.startswith("Error: Training became non-finite: ")
    assert "--learning-rate" in last
    assert listing(tmp_path) == {}


def test_a_finished_run_resumed_says_so_and_changes_nothing(tmp_path, capfd):
    out = tmp_path / "weights.h5"
    run(capfd, "pretrain", *QUICK, "--out", out)
    before = listing(tmp_path)
    done = run(capfd, "pretrain", *QUICK, "--out", out, "--resume")
    assert done.code == 0
    assert "is finished already" in done.out
    other = run(capfd, "pretrain", *QUICK, "--out", out, "--resume", "--seed", "1")
    assert other.code == 2
    assert "is another run's" in other.err
    assert listing(tmp_path) == before


def test_a_fault_of_ours_is_one_paragraph_that_says_how_to_see_more(capfd, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError("one of\nours")

    monkeypatch.setattr("pretrain.commands.pretrain.pretrain_command", fail)
    done = run(capfd, "pretrain", *QUICK)
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert done.err.startswith("Error: Something failed that should not have: ZeroDivisionError")
    assert "HEADSTART_TRACEBACK=1" in done.err
    monkeypatch.setenv("HEADSTART_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        run(capfd, "pretrain", *QUICK)


def test_a_reader_that_has_gone_is_no_traceback():
    command = f"{BIN / 'pretrain'} --list | head -1"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=True, env=environment()
    )
    assert done.stdout.startswith("Strategies")
    assert done.stderr == ""


def test_describe_explains_one_and_lists_near_names(capfd):
    done = run(capfd, "pretrain", "--describe", "simclr")
    assert (done.code, done.err) == (0, "")
    assert "equation 1" in done.out
    assert "temperature" in done.out
    wrong = run(capfd, "pretrain", "--describe", "simclar")
    assert wrong.code == 2
    assert "Did you mean 'simclr'" in wrong.err


def test_a_run_is_watched_from_the_command_line(tmp_path, capfd):
    out = tmp_path / "weights.h5"
    watching = ["--probe", "digits[0,1]", "--keep-best", "probe", "--epochs", "2"]
    done = run(capfd, "pretrain", *QUICK, *watching, "--out", out)
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].startswith(f"Wrote {out}: ")
    assert re.fullmatch(r"Kept by probe: epoch [12] of supervised", lines[1])
    assert (
        lines[2] == f"Wrote {tmp_path / 'weights.epochs.csv'} and {tmp_path / 'weights.curves.png'}"
    )
    assert "Probe: digits[0,1], 360 examples" in done.err
    assert "probe_linear " in done.err
    assert set(listing(tmp_path)) == {"weights.h5", "weights.epochs.csv", "weights.curves.png"}
    shown = run(capfd, "pretrain", "inspect", out)
    assert re.search(
        r"^kept +\[epoch [12], probe_linear [\d.]+, stage supervised\]", shown.out, re.M
    )


def test_a_collapse_exits_with_1_and_exports_nothing(tmp_path, capfd):
    collapsing = ["--data", "digits[0,1]", "--strategy", "siamese", "--encoder", "mlp"]
    collapsing += ["--opt", "margin=0.01", "--opt", "pairs=views", "--epochs", "9"]
    done = run(capfd, "pretrain", *collapsing, "--out", tmp_path / "w.h5")
    assert (done.code, done.out) == (1, "")
    assert "Warning: the features of stage 'siamese' are collapsing" in done.err
    last = done.err.splitlines()[-1]
    assert last.startswith("Error: The features have collapsed: their spread is 0.0")
    assert "option margin=1.4" in last
    assert not (tmp_path / "w.h5").exists()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--augment", "digits"], "makes no random views"),
        (["--probe", "digts"], "Did you mean 'digits'"),
        (["--probe-every", "2"], "changes nothing without --probe"),
        (["--keep-best", "probe"], "Give --probe DATA"),
        (["--keep-best", "loss"], "is not one of"),
        (["--collapse", "never"], "is not one of"),
    ],
)
def test_what_watches_a_run_is_checked_before_it_starts(tmp_path, capfd, given, says):
    done = run(capfd, "pretrain", *QUICK, *given, "--out", tmp_path / "w.h5")
    assert done.code == 2
    assert says in done.err
    assert listing(tmp_path) == {}


def test_what_was_in_the_pool_travels_from_command_to_command(tmp_path, capfd):
    weights, model = tmp_path / "weights.h5", tmp_path / "model.keras"
    assert run(capfd, "pretrain", *QUICK, "--out", weights, "--quiet").code == 0
    shown = run(capfd, "pretrain", "inspect", weights)
    assert re.search(r"^fingerprints +360 hashes and 360 signatures of 360", shown.out, re.M)
    # The digits have no test part: a fifth of what was pretrained on, with labels, is put aside.
    transfer = ["transfer", "--from", weights, "--labels", "20", "--out", model, "--epochs", "1"]
    refused = run(capfd, *transfer, "--data", "digits[0,1]")
    assert (refused.code, refused.out) == (2, "")
    assert "had 72 (and 0 near duplicates) of the 72 test examples" in refused.err
    assert not model.exists()
    good = run(capfd, *transfer, "--data", "digits[2,3]", "--json")
    assert good.code == 0
    assert json.loads(good.out)["leakage"]["test"] == {"n": 72, "exact": 0, "near": 0}
    assert "Leakage: in the pool digits[0,1] were 0 (and 0 near duplicates) of 72 test" in good.err

    silent = tmp_path / "silent.h5"
    run(capfd, "pretrain", *QUICK, "--no-fingerprints", "--out", silent, "--quiet")
    shown = run(capfd, "pretrain", "inspect", silent, "--json")
    assert json.loads(shown.out)["fingerprints"] is None


def test_suggested_labels_are_used_from_the_command_line(tmp_path, capfd):
    weights, chosen = tmp_path / "weights.h5", tmp_path / "chosen.csv"
    assert run(capfd, "pretrain", *QUICK, "--out", weights, "--quiet").code == 0
    suggest = ["transfer", "suggest", "--from", weights, "--pool", "digits[2,3]", "--labels", "12"]
    done = run(capfd, *suggest, "--out", chosen)
    assert done.code == 0
    assert done.out == f"Wrote {chosen} and {tmp_path / 'chosen.png'}: 12 of 288 examples\n"
    train = ["transfer", "--from", weights, "--labels-from", chosen, "--epochs", "1", "--json"]
    trained = run(capfd, *train, "--data", "digits[2,3]", "--out", tmp_path / "model.keras")
    assert json.loads(trained.out)["labels"] == 12
    other = run(capfd, *train, "--data", "digits[4,5]", "--out", tmp_path / "other.keras")
    assert other.code == 2
    assert "names examples of other data" in other.err
