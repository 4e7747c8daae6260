"""Options as data: the fields of a configuration, from which commands, Python keywords and pages are made.

A configuration is a frozen dataclass whose fields are made by ``option``. ``headstart.cli.config_options``
turns them into click's options, ``documented`` into the signature and the Args of a Python function::

    @dataclass(frozen=True, kw_only=True)
    class Config:
        epochs: int | None = option(None, "Epochs of training.", within="[1, inf)")
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import os
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field
from inspect import Parameter
from numbers import Integral, Real
from typing import Any, TypeVar

from headstart.errors import option_spelling, require

# The entry of ``**options`` in a docstring's Args, with the lines that go on with it.
_OPTIONS = re.compile(r"^    \*\*options:.*\n?(?:^ {5,}.*\n?)*", re.MULTILINE)
Made = TypeVar("Made", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class OptionInfo:
    """How an option is read and explained.

    Attributes:
        help: one or two sentences, for a person who has the problem and not the jargon.
        within: the interval of a number, "[1, inf)" or "(0, 1]": a round bracket leaves its end out.
        choices: the words that are allowed; empty: any.
        metavar: stands for the value in a command's help.
        spelled: how commands spell it, without hyphens in front, the first in errors too; empty: by its
            name. A flag that is on by default can be turned off, by "no-" before its spelling.
        usual: the effect of leaving it out, where the default does not say it: "the strategy's".
        parse: the whole value from its text (or the value itself), not its type's way; raises
            ValueError with the rule.
        command: False where commands do not have it.
        kind: by the field's type: "text", "int", "float", "flag", "path"; "pairs", {name: value} of repeated
            name=value; "texts", a tuple of repeated options; "size", (height, width).
    """

    help: str
    within: str = "(-inf, inf)"
    choices: tuple[str, ...] = ()
    metavar: str | None = None
    spelled: tuple[str, ...] = ()
    usual: str | None = None
    parse: Callable[[Any], Any] | None = None
    command: bool = True
    kind: str = "text"

    @property
    def interval(self) -> tuple[float, float, bool, bool]:
        """Lowest and highest number, and whether each is left out."""
        low, high = self.within[1:-1].split(",")
        return float(low), float(high), self.within[0] == "(", self.within[-1] == ")"


def option(default: Any, help: str, **how: Any) -> Any:
    """Return a dataclass field that is an option.

    Args:
        default: the field's default; a Mapping is copied for every instance. ``dataclasses.MISSING`` for an
            option that must be given.
        help: as in ``OptionInfo``.
        **how: the other attributes of ``OptionInfo``.
    """
    info = OptionInfo(help=help, **how)
    if isinstance(default, Mapping):
        return field(default_factory=lambda: dict(default), metadata={"option": info})
    return field(default=default, metadata={"option": info})


def options_of(config: type) -> Iterator[tuple[dataclasses.Field[Any], OptionInfo]]:
    """Yield the fields of a configuration that are options, each with how it is read."""
    for row in dataclasses.fields(config):
        if "option" in row.metadata:
            info = row.metadata["option"]
            kind = _kind(row.type) if info.parse is None else "text"
            yield row, dataclasses.replace(info, kind=kind)


def _kind(given: Any) -> str:
    """Return the kind of a field by its type, or by that as it is written: "int | None"."""
    written = given if isinstance(given, str) else inspect.formatannotation(given)
    first = re.sub(r"\b(\w+\.)+(?=[A-Z])", "", written).split(" |")[0]
    for kind, (types, *_) in _TYPES.items():
        if first in types or first.split("[")[0] in types:
            return kind
    raise ValueError(f"No command can read an option of the type {written!r}.")


def default_of(row: dataclasses.Field[Any]) -> Any:
    """Return a field's default; ``dataclasses.MISSING`` where it has none."""
    if row.default_factory is not MISSING:
        return row.default_factory()
    return row.default


def arguments(config: Any) -> list[str]:
    """Return a command's arguments that give an equal configuration; what has its default is left out.

    Example:
        >>> arguments(ReadOptions(image_size=(32, 64)))[1]
        '32x64'
    """
    found: list[str] = []
    for row, info in options_of(type(config)):
        value = getattr(config, row.name)
        if not info.command or value == default_of(row):
            continue
        name = (info.spelled or (row.name,))[0]
        spelled = option_spelling(name, None)
        if info.kind == "flag":
            found.append(spelled if value else option_spelling(f"no_{name}", None))
        elif info.kind == "pairs":
            for key, part in value.items():
                found += [spelled, f"{key}={_spelled(part, ',')}"]
        elif info.kind == "texts":
            for part in value:
                found += [spelled, part]
        else:
            found += [spelled, _spelled(value, "x" if info.kind == "size" else ",")]
    return found


def _spelled(value: Any, between: str) -> str:
    return between.join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def check_options(config: Any) -> None:
    """Check the values of a configuration by the rules of its options, as Python gives them.

    Raises:
        InputError: a value has another type, is out of its bounds or none of the choices.
    """
    for row, info in options_of(type(config)):
        value = getattr(config, row.name)
        if value is None and default_of(row) is None:
            continue
        rule = _broken_rule(value, info)
        require(not rule, row.name, rule, value=value)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    real = isinstance(value, Real) and not isinstance(value, bool)
    return real and not math.isnan(float(value))


def _listed(value: Any, of: Callable[[Any], bool]) -> bool:
    return isinstance(value, tuple | list) and all(map(of, value))


_TYPES: dict[str, tuple[tuple[str, ...], Callable[[Any], bool], str]] = {
    "text": (("str",), _text, "must be text"),
    "int": (("int",), _whole, "must be an integer"),
    "float": (("float",), _number, "must be a number"),
    "flag": (("bool",), lambda value: isinstance(value, bool), "must be true or false"),
    "path": (("Path",), lambda value: isinstance(value, str | os.PathLike), "must be a path"),
    "pairs": (("Mapping", "dict"), lambda value: isinstance(value, Mapping), "must be a mapping"),
    "texts": (
        ("tuple[str, ...]",),
        lambda value: _listed(value, _text),
        "must be a list of texts",
    ),
    "size": (
        ("tuple[int, int]",),
        lambda value: _listed(value, _whole) and len(value) == 2,
        "must be (height, width)",
    ),
}
"""Kind -> how its type is written, what checks a value, and the rule."""


def _broken_rule(value: Any, info: OptionInfo) -> str:
    """Return the rule that a value breaks, or ""."""
    if info.parse is not None:
        try:
            info.parse(value)
        except ValueError as error:
            return str(error)
        return ""
    if info.choices:
        return "" if value in info.choices else f"must be one of {', '.join(info.choices)}"
    _, good, rule = _TYPES[info.kind]
    if not good(value):
        return rule
    if info.kind not in ("int", "float"):
        return ""
    low, high, above, below = info.interval
    if (value > low if above else value >= low) and (value < high if below else value <= high):
        return ""
    ends = [f"above {low:g}" if above else f"{low:g} or more"] * math.isfinite(low)
    ends += [f"below {high:g}" if below else f"{high:g} or less"] * math.isfinite(high)
    return f"must be {' and '.join(ends)}"


def documented(*configs: type) -> Callable[[Made], Made]:
    """Return a decorator that gives a function with ``**options`` the options of configurations.

    Its signature then lists them as keywords, and its docstring's Args explain them.
    """

    def decorate(function: Made) -> Made:
        signature = inspect.signature(function)
        named = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        known, lines = {p.name for p in named}, []
        for config in configs:
            for row, info in options_of(config):
                if row.name in known:
                    continue
                known.add(row.name)
                default = default_of(row)
                made = Parameter(row.name, Parameter.KEYWORD_ONLY, annotation=row.type)
                named.append(made if default is MISSING else made.replace(default=default))
                text = f"{info.help} Default: {info.usual}." if info.usual else info.help
                lines.append(textwrap.fill(f"{row.name}: {text}", 96, subsequent_indent="    "))
        function.__signature__ = signature.replace(parameters=named)  # type: ignore[attr-defined]
        document = inspect.cleandoc(function.__doc__ or "")
        listed = textwrap.indent("\n".join(lines), "    ") + "\n"
        function.__doc__ = _OPTIONS.sub(lambda _: listed, document)
        return function

    return decorate


class Checked:
    """Makes a configuration check its values when it is made."""

    def __post_init__(self) -> None:
        """Hold the rules of its options."""
        check_options(self)


@dataclass(frozen=True, kw_only=True)
class ReadOptions(Checked):
    """How data that are named or lie on disk are read."""

    image_size: tuple[int, int] | None = option(
        None,
        "Height and width in pixels to which images are resized.",
        metavar="HxW",
        usual="their own",
    )
    skip_unreadable: bool = option(False, "Leave unreadable files of a folder out and count them.")
    target: str | None = option(
        None,
        "The column of a table to predict; rows without it are unlabelled.",
        metavar="COLUMN",
        usual="none; of a transfer, that of the pretraining",
    )
    column: tuple[str, ...] = option(
        (),
        "NAME=KIND, the kind of a table's column: numeric, categorical, boolean, date or ignore; can be "
        "given several times.",
        metavar="NAME=KIND",
        usual="by its cells",
    )
    ignore: tuple[str, ...] = option(
        (), "A column of a table not to use; can be given several times.", metavar="COLUMN"
    )
    delimiter: str | None = option(
        None,
        "The character between the cells of a table, or tab.",
        usual="a comma in .csv, a tab in .tsv",
    )


@dataclass(frozen=True, kw_only=True)
class TestPartOptions(Checked):
    """How the examples to test on are set aside."""

    test_part: float = option(
        0.2,
        "Part held out for the test, when the data has no test part of its own.",
        within="(0, 1)",
    )


@dataclass(frozen=True, kw_only=True)
class RunOptions(Checked):
    """How a run is carried out; none of it changes a result's numbers but ``threads``, by rounding."""

    threads: int | None = option(
        None, "Threads of one operation.", within="[1, inf)", usual="all cores; of benchmark, one"
    )
    force: bool = option(False, "Replace an existing output.")
    progress: bool | None = option(
        None,
        "Show the progress on stderr, or as a bar in a notebook.",
        command=False,
        usual="on a terminal and in a notebook",
    )


@dataclass(frozen=True, kw_only=True)
class CheckpointOptions(RunOptions):
    """The same of a run that can be interrupted and resumed."""

    resume: bool = option(False, "With an output: go on where an interrupted run stopped.")
    checkpoint_seconds: float = option(
        5.0, "Seconds between checkpoints, of a run with an output.", within="[0, inf)"
    )
