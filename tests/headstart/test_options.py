"""Options as fields of a configuration: in signatures, in documentation and in commands."""

import inspect
import re
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner

from headstart.cli import config_options, configured, run_command, spelling
from headstart.errors import InputError, arg
from headstart.options import (
    arguments,
    check_options,
    default_of,
    documented,
    option,
    options_of,
)


def even(value: Any) -> int:
    if int(value) % 2:
        raise ValueError("must be even")
    return int(value)


@dataclass(frozen=True, kw_only=True)
class Config:
    name: str = option("auto", "Which name.", choices=("auto", "none"))
    word: str | None = option(None, "A word.", usual="the strategy's", metavar="WORD")
    epochs: int | None = option(None, "Epochs of training.", within="[1, inf)")
    count: int = option(0, "A count.")
    one: int = option(1, "Another count.", within="[0, 5]")
    share: float = option(0.5, "A share.", within="(0, 1)")
    rate: float | None = option(None, "A rate.", spelled=("lr", "learning-rate"))
    quiet: bool = option(False, "No progress.")
    map: bool = option(True, "Draw a map.")
    pictures: bool = option(True, "Draw.", spelled=("draw", "paint"))
    out: Path | None = option(None, "A file.")
    opt: dict[str, str] = option({}, "name=value.")
    more: dict[str, str] = option({"a": "1"}, "name=value.")
    labels_of: tuple[str, ...] = option((), "Names.")
    given: tuple[str, ...] = option(("a", "b"), "Names.")
    image_size: tuple[int, int] | None = option(None, "A size.")
    pair: int = option(2, "An even number.", parse=even)
    hidden: int = option(3, "Not for commands.", command=False)
    printed: bool = option(False, "Not for this command.")
    plain: int = 4  # no option


DEFAULTS = {row.name: default_of(row) for row, _ in options_of(Config)}


@click.command()
@config_options(Config, without=["printed"])
def command(**given: Any) -> int:
    command.given = given
    return 0


def run(*words):
    command.given = None
    done = CliRunner().invoke(command, [str(word) for word in words])
    return done.exit_code, done.output, command.given


def test_without_options_a_command_has_the_configurations_defaults():
    code, _, given = run()
    assert code == 0
    wanted = {k: v for k, v in DEFAULTS.items() if k not in ("hidden", "printed")}
    assert given == wanted
    assert {k: type(v) for k, v in given.items()} == {k: type(v) for k, v in wanted.items()}
    assert Config(**given) == Config()


def test_a_command_makes_the_configuration_of_its_options():
    _, _, given = run("--epochs", 3, "--no-map")
    made = configured(Config, given)
    assert made == replace(Config(), epochs=3, map=False)
    assert given == {}
    given = {"epochs": 2, "other": 1}
    assert configured(Config, given).epochs == 2
    assert given == {"other": 1}


def test_arguments_make_an_equal_configuration():
    assert arguments(Config()) == []
    made = Config(
        name="none",
        word="two words",
        epochs=3,
        share=0.1,
        rate=1e-5,
        quiet=True,
        map=False,
        pictures=False,
        out=Path("a/b"),
        opt={"a": "1", "units": [3, 2]},
        labels_of=("a", "b,c"),
        image_size=(8, 9),
        pair=4,
    )
    _, text, given = run(*arguments(made))
    assert text == ""
    read = configured(Config, given)
    assert read == replace(made, opt={"a": "1", "units": "3,2"})


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--name", "none"], "name", "none"),
        (["--epochs", 3], "epochs", 3),
        (["--one", 0], "one", 0),
        (["--share", "0.25"], "share", 0.25),
        (["--lr", "0.1"], "rate", 0.1),
        (["--learning-rate", "0.1"], "rate", 0.1),
        (["--quiet"], "quiet", True),
        (["--map"], "map", True),
        (["--no-map"], "map", False),
        (["--no-draw"], "pictures", False),
        (["--no-paint"], "pictures", False),
        (["--draw"], "pictures", True),
        (["--out", "a/b"], "out", Path("a/b")),
        (["--opt", "a=1", "--opt", "b=x=y"], "opt", {"a": "1", "b": "x=y"}),
        (["--more", "b=2"], "more", {"b": "2"}),
        (["--labels-of", "a", "--labels-of", "b,c"], "labels_of", ("a", "b,c")),
        (["--given", "c"], "given", ("c",)),
        (["--image-size", "28"], "image_size", (28, 28)),
        (["--image-size", "8x9"], "image_size", (8, 9)),
        (["--pair", "4"], "pair", 4),
    ],
)
def test_a_command_reads_every_kind(words, name, value):
    code, text, given = run(*words)
    assert code == 0, text
    assert given[name] == value
    assert type(given[name]) is type(value)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--name", "other"], "--name"),
        (["--epochs", 0], "--epochs"),
        (["--one", 6], "--one"),
        (["--share", 0], "--share"),
        (["--share", 1], "--share"),
        (["--share", "nan"], "not a number"),
        (["--lr", "x"], "--lr"),
        (["--opt", "novalue"], "name=value"),
        (["--opt", "=1"], "name=value"),
        (["--image-size", "0x3"], "--image-size"),
        (["--image-size", "1x2x3"], "--image-size"),
        (["--pair", "3"], "must be even. Got '3'"),
        (["--hidden", "3"], "No such option"),
        (["--printed"], "No such option"),
    ],
)
def test_a_command_refuses_what_breaks_a_rule(words, says):
    code, text, given = run(*words)
    assert (code, given) == (2, None)
    assert says in text


def test_help_shows_defaults_and_ranges():
    _, text, _ = run("--help")
    shown = " ".join(text.split())
    for part in (
        "--name [auto|none] Which name. [default: auto]",
        "--word WORD A word. [default: the strategy's]",
        "Epochs of training. [x>=1]",
        "A count. [default: 0]",
        "Another count. [default: 1; 0<=x<=5]",
        "A share. [default: 0.5; 0<x<1]",
        "--lr, --learning-rate",
        "--map / --no-map Draw a map. --draw, --paint / --no-draw, --no-paint",
        "--quiet No progress.",
        "[default: a=1]",
        "[default: a, b]",
    ):
        assert part in shown, part


@click.group(invoke_without_command=True)
@config_options(Config)
def group(**given: Any) -> None:
    hint = f"Try {arg.rate:find}, {arg.map:False}, {arg.pictures:True}, {arg.inner:2} or {arg.other:3}."
    raise InputError("must be set", argument="rate", value=None, hint=hint)


@group.command()
@click.option("--in", "inner")
def sub(**given: Any) -> None:
    """Do nothing."""


def test_a_command_words_errors_by_its_own_spellings(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["group"])
    with pytest.raises(SystemExit) as end:
        run_command(group)
    assert end.value.code == 2
    wanted = "--lr must be set. Got None. Try --lr find, --no-map, --draw, --in 2 or --other 3."
    assert capsys.readouterr().err == f"Error: {wanted}\n"
    assert spelling(command)("epochs", None) == "--epochs"


@dataclass(frozen=True, kw_only=True)
class Other:
    epochs: int = option(9, "Another's epochs.")
    extra: str = option("x", "Extra. " * 30)


@documented(Config, Other)
def function(data: object, *, name: str = "given", **options: Any) -> str:
    """Do it.

    Args:
        data: the data.
        name: the name.
        **options: the fields of ``Config``
            and of ``Other``.

    Returns:
        A text.
    """
    return f"{data} {name} {options}"


def test_a_documented_function_lists_its_options():
    known = inspect.signature(function).parameters
    python = [name for name in DEFAULTS if name != "name"]
    assert list(known) == ["data", "name", *python, "extra"]
    assert known["name"].default == "given"
    assert known["epochs"].default is None  # the first configuration that has it
    assert known["more"].default == {"a": "1"}
    assert {known[name].kind for name in python} == {inspect.Parameter.KEYWORD_ONLY}
    assert function(1, epochs=2) == "1 given {'epochs': 2}"


def test_a_documented_function_explains_its_options():
    lines = function.__doc__.splitlines()
    assert lines[:5] == ["Do it.", "", "Args:", "    data: the data.", "    name: the name."]
    assert lines[5] == "    word: A word. Default: the strategy's."
    assert lines[6] == "    epochs: Epochs of training."
    assert lines[-4:-2] == ["        " + lines[-4].strip(), ""]
    assert lines[-2:] == ["Returns:", "    A text."]
    assert "options" not in function.__doc__
    assert max(map(len, lines)) <= 100
    assert len(re.findall(r"^    \w+: ", function.__doc__, re.M)) == len(DEFAULTS) + 2


def test_a_default_that_can_change_is_a_new_one_each_time():
    one, two = Config(), Config()
    one.opt["a"] = "1"
    assert two.opt == {}


def test_a_type_that_no_command_can_read_is_refused():
    @dataclass(frozen=True)
    class Odd:
        weights: complex = option(1j, "A complex number.")

    with pytest.raises(ValueError, match="complex"):
        list(options_of(Odd))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"word": "w", "epochs": np.int64(1), "one": 5, "share": np.float32(0.5), "rate": 1},
        {"quiet": True, "map": False, "out": "a/b", "opt": {"a": 1}, "labels_of": ["a"]},
        {"image_size": (1, 2), "pair": 4},
        {"image_size": [3, 4]},
    ],
)
def test_values_that_keep_the_rules_pass(given):
    check_options(Config(**given))


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"name": "other"}, "must be one of auto, none"),
        ({"name": None}, "must be one of auto, none"),
        ({"word": 7}, "must be text"),
        ({"epochs": 0}, "must be 1 or more"),
        ({"epochs": 1.0}, "must be an integer"),
        ({"epochs": True}, "must be an integer"),
        ({"count": None}, "must be an integer"),
        ({"one": 6}, "must be 0 or more and 5 or less"),
        ({"share": 1}, "must be above 0 and below 1"),
        ({"share": float("nan")}, "must be a number"),
        ({"rate": "fast"}, "must be a number"),
        ({"quiet": 1}, "must be true or false"),
        ({"out": 7}, "must be a path"),
        ({"opt": ["a=1"]}, "must be a mapping"),
        ({"labels_of": "abc"}, "must be a list of texts"),
        ({"image_size": 28}, "must be (height, width)"),
        ({"image_size": (1.5, 2)}, "must be (height, width)"),
        ({"image_size": (1, 2, 3)}, "must be (height, width)"),
        ({"pair": 3}, "must be even"),
    ],
)
def test_a_value_that_breaks_a_rule_is_named(given, rule):
    with pytest.raises(InputError) as caught:
        check_options(Config(**given))
    (name, value), error = *given.items(), caught.value
    assert (error.argument, error.rule) == (name, rule)
    assert error.value is value


def test_an_option_may_be_one_that_must_be_given():
    @dataclass(frozen=True, kw_only=True)
    class Must:
        data: str = option(MISSING, "The data.")

    @documented(Must)
    def ask(**options: Any) -> None:
        """Ask.

        Args:
            **options: the fields of ``Must``.
        """

    @click.command()
    @config_options(Must)
    def show(**given: Any) -> None:
        click.echo(repr(given))

    assert inspect.signature(ask).parameters["data"].default is inspect.Parameter.empty
    assert ask.__doc__.endswith("Args:\n    data: The data.\n")
    assert fields(Must)[0].default is MISSING
    with pytest.raises(TypeError):
        Must()
    assert CliRunner().invoke(show).output == "{'data': None}\n"
