"""A benchmark from a TOML file: the options' names, their checks, and errors that name the line."""

import json

import click
import pytest
from commands import run as command
from rows import OF_IMAGES

from benchmark.cli import cli
from benchmark.commands.config_file import defaults
from headstart.errors import InputError

FILE = """\
# A comment, and data = "nothing" in it.
strategies = ["autoencoder", "rbm"]
labels = [50, 200]
seeds = 3
quiet = true
pretrain-seconds = 1.5

[[task]]
data = "digits[0,1]"

[[task]]
data = "digits[2,3]"
pretrain-data = "digits[5,6]"

[opt]
"rbm.k" = 2
rbm.finetune = 3
"""


def read(folder, text):
    path = folder / "bench.toml"
    path.write_text(text)
    # The command that has the options, be it a group by now or not.
    return defaults(path, click.Context(cli))


def test_options_have_their_own_names_and_tables_name_the_data(tmp_path):
    assert read(tmp_path, FILE) == {
        "strategies": "autoencoder,rbm",
        "labels": "50,200",
        "seeds": "3",
        "quiet": True,
        "pretrain_seconds": "1.5",
        "data": ["digits[0,1]", "digits[2,3]"],
        "pretrain_data": ["own", "digits[5,6]"],
        "options": ["rbm.k=2", "rbm.finetune=3"],
    }


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("seeds = 3", "seads = 3"), r"line 4: there is no option 'seads'\. Did you mean 'seeds'"),
        (("seeds = 3", "seeds = 0"), r"line 4: seeds: 0 is not in the range"),
        (("seeds = 3", "seeds = 'x'"), r"line 4: seeds: 'x' is not a valid"),
        (("quiet = true", "quiet = 1"), r"line 5: quiet must be true or false\. Got 1"),
        (("seeds = 3", "seeds = "), r"is not TOML: .*line 4"),
        (("pretrain-data =", "pool ="), r"line 11: a \[\[task\]\] has no 'pool'"),
        (('data = "digits[2,3]"', ""), r"line 11: a \[\[task\]\] must name its data"),
        (("seeds = 3", 'data = "digits"'), r"line 4: \[\[task\]\] tables name the data"),
        (("seeds = 3", "config = 'x'"), r"line 4: there is no option 'config'"),
        (("[opt]", "[seed]"), r"line 15: seed must be a value, not a table"),
    ],
)
def test_errors_name_the_line(tmp_path, change, says):
    assert change[0] in FILE
    with pytest.raises(InputError, match=says):
        read(tmp_path, FILE.replace(*change))


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match=r"config .*none\.toml cannot be read"):
        defaults(tmp_path / "none.toml", click.Context(cli))


def test_the_command_reads_it_and_its_own_options_win(tmp_path, capfd):
    path = tmp_path / "bench.toml"
    path.write_text(FILE.replace('"rbm"', '"rotation"').replace("[opt]\n", "").split('"rbm.k"')[0])
    out = tmp_path / "report"
    arguments = ["--config", path, "--out", out, "--dry-run", "--seeds", "2", "--json"]
    done = command(capfd, "benchmark", *arguments)
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)
    # Two data sets, the classical rows and five more, two budgets, two seeds.
    assert found["cells"] == 2 * (len(OF_IMAGES) + 5) * 2 * 2
    assert found["pretrainings"] == 2 * 2 * 2
    assert not list(out.glob("*")) if out.exists() else True
    wrong = command(capfd, "benchmark", "--config", path, "--out", out, "--data", "digts")
    assert wrong.code == 2
    assert "Did you mean 'digits'?" in wrong.err
