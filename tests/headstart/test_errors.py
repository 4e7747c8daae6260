"""Errors as data, and how each surface words them."""

import pickle
from pathlib import Path

import pytest

from headstart.errors import (
    ABSENT,
    HeadstartError,
    InputError,
    Interrupted,
    NonFiniteError,
    arg,
    option_spelling,
    suggest,
    worded,
)


def error(**fields):
    given = {"argument": "test_part", "value": 2, "hint": f"Or leave {arg.reuse:auto} out."}
    return InputError("must be below 1", **{**given, **fields})


def test_an_error_holds_its_fields():
    found = error()
    assert (found.argument, found.rule, found.value) == ("test_part", "must be below 1", 2)
    assert "reuse" in found.hint
    bare = HeadstartError("It failed.")
    assert (bare.argument, bare.value, bare.hint) == (None, ABSENT, "")


def test_python_words_it_as_keywords():
    assert str(error()) == "test_part must be below 1. Got 2. Or leave reuse='auto' out."


def test_a_command_words_it_as_options():
    found = error().worded(option_spelling)
    assert found == "--test-part must be below 1. Got 2. Or leave --reuse auto out."


@pytest.mark.parametrize(
    ("text", "python", "option"),
    [
        (f"{arg.labels}", "labels", "--labels"),
        (f"{arg['test_part']}", "test_part", "--test-part"),
        (str(arg.test_part), "test_part", "--test-part"),
        (f"{arg.labels:50}", "labels=50", "--labels 50"),
        (f"{arg.rate:1e-3}", "rate=1e-3", "--rate 1e-3"),
        (f"{arg.rate:-0.5}", "rate=-0.5", "--rate -0.5"),
        (f"{arg.reuse:auto}", "reuse='auto'", "--reuse auto"),
        (f"{arg.unlabelled:DATA}", "unlabelled=DATA", "--unlabelled DATA"),
        (f"{arg.force:True}", "force=True", "--force"),
        (f"two: {arg.a}, {arg.b:c d}.", "two: a, b='c d'.", "two: --a, --b c d."),
        ("no argument: {a}", "no argument: {a}", "no argument: {a}"),
    ],
)
def test_arguments_in_texts(text, python, option):
    assert worded(text) == python
    assert worded(text, option_spelling) == option


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"hint": ""}, "test_part must be below 1. Got 2."),
        ({"value": ABSENT, "hint": ""}, "test_part must be below 1."),
        ({"value": None, "hint": ""}, "test_part must be below 1. Got None."),
        ({"value": "2", "hint": ""}, "test_part must be below 1. Got '2'."),
        ({"value": Path("a/b"), "hint": ""}, "test_part must be below 1. Got a/b."),
        (
            {"value": ABSENT, "hint": " Did you mean 1?"},
            "test_part must be below 1. Did you mean 1?",
        ),
        ({"argument": None, "value": ABSENT, "hint": ""}, "must be below 1"),
    ],
)
def test_parts_that_are_absent_leave_no_gap(fields, text):
    assert str(error(**fields)) == text


def test_a_whole_sentence_keeps_its_end():
    assert str(InputError("Is it so?", hint="No.")) == "Is it so? No."
    assert str(InputError("It is so.", hint="Yes.")) == "It is so. Yes."
    assert str(InputError("It is so", hint="Yes.")) == "It is so. Yes."


@pytest.mark.parametrize(
    ("kind", "code"),
    [(HeadstartError, 1), (InputError, 2), (NonFiniteError, 3), (Interrupted, 130)],
)
@pytest.mark.parametrize("value", [ABSENT, None, 7])
def test_errors_cross_processes(kind, code, value):
    before = kind("is wrong", argument="labels", value=value, hint=f"See {arg.reuse}.")
    after = pickle.loads(pickle.dumps(before))  # noqa: S301
    assert (type(after), after.exit_code) == (kind, code)
    assert (after.argument, after.rule, after.hint) == ("labels", "is wrong", before.hint)
    assert after.value is value if value is ABSENT else after.value == value
    assert str(after) == str(before)


def test_an_error_of_a_part_is_said_of_the_whole():
    part = InputError("is empty", argument="x", value=(0, 3), hint=f"See {arg.data}.")
    file, argument = part.about("a.npz:"), part.about("cannot be used:", "pool")
    assert str(file) == "a.npz: x is empty. Got (0, 3). See data."
    assert (file.argument, file.value) == (None, (0, 3))
    assert str(argument) == "pool cannot be used: x is empty. Got (0, 3). See data."
    assert argument.argument == "pool"
    assert str(InputError("It is empty.").about("a.npz:")) == "a.npz: It is empty."
    assert type(NonFiniteError("is NaN", argument="x").about("f:")) is NonFiniteError


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("digts", " Did you mean 'digits'?"),
        ("DIGITS", " Did you mean 'digits'?"),
        ("face", " Did you mean 'faces'?"),
        ("digit-faces", " Did you mean 'digits' or 'faces'?"),
        ("zzz", ""),
        ("", ""),
    ],
)
def test_near_names_are_suggested(name, hint):
    assert suggest(name, iter(("digits", "faces", "orl"))) == hint
