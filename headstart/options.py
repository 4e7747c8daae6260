"""Options as data: the fields of a configuration, from which commands, Python keywords and pages are made.

A configuration is a frozen dataclass whose fields are made by ``option``. ``headstart.cli.config_options``
turns them into click's options, ``documented`` into the signature and the Args of a Python function::

    @dataclass(frozen=True, kw_only=True)
    class Config:
        epochs: int | None = option(None, "Epochs of training.", kind="int", at_least=1)
"""

from __future__ import annotations

import dataclasses
import inspect
import numbers
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from headstart.errors import InputError

KINDS = ("text", "int", "float", "flag", "path", "pairs", "texts", "size", "sizes", "span")
"""What a command's text is turned into: pairs is {name: value} of repeated name=value, texts a tuple of
repeated options, size (height, width), sizes "96x96x3", span "-1,1"."""
Made = TypeVar("Made", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class OptionInfo:
    """How an option is read and explained.

    Attributes:
        help: one or two sentences, for a person who has the problem and not the jargon.
        kind: a name in KINDS.
        at_least, above, at_most, below: the bounds of a number; None: unbounded.
        choices: the words that are allowed; empty: any.
        metavar: what stands for the value in a command's help.
        spelled: how commands spell it, without the dashes, the first in errors too; empty: by its name. A
            flag that is on by default can be turned off: --no-NAME.
        usual: what happens without it, where the default does not say: "the strategy's".
        parse: the whole value from its text (or the value itself), in place of what ``kind`` says; raises
            ValueError with the rule.
        command, python: False where that surface does not have it.
    """

    help: str
    kind: str = "text"
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    metavar: str | None = None
    spelled: tuple[str, ...] = ()
    usual: str | None = None
    parse: Callable[[Any], Any] | None = None
    command: bool = True
    python: bool = True


def option(default: Any, help: str, **how: Any) -> Any:
    """Return a dataclass field that is an option; ``how`` are the attributes of ``OptionInfo``.

    default: a Mapping is copied for every instance; ``dataclasses.MISSING`` for an option that must be given.
    """
    info = OptionInfo(help=help, **how)
    if info.kind not in KINDS:
        raise ValueError(f"kind must be one of {KINDS}. Got {info.kind!r}.")
    if isinstance(default, Mapping):
        return field(default_factory=lambda: dict(default), metadata={"option": info})
    return field(default=default, metadata={"option": info})


def options_of(config: type) -> Iterator[tuple[dataclasses.Field[Any], OptionInfo]]:
    """Yield the fields of a configuration that are options, each with how it is read."""
    for row in dataclasses.fields(config):
        if "option" in row.metadata:
            yield row, row.metadata["option"]


def default_of(row: dataclasses.Field[Any]) -> Any:
    """Return a field's default; ``dataclasses.MISSING`` where it has none."""
    if row.default_factory is not dataclasses.MISSING:
        return row.default_factory()
    return row.default


def check_options(config: Any) -> None:
    """Check the values of a configuration by the rules of its options.

    Raises:
        InputError: a value of another type, out of its bounds or none of the choices.
    """
    for row, info in options_of(type(config)):
        value = getattr(config, row.name)
        if value is None and default_of(row) is None:
            continue
        rule = _broken(value, info)
        if rule:
            raise InputError(rule, argument=row.name, value=value)


def _broken(value: Any, info: OptionInfo) -> str:
    """Return the rule that ``value`` breaks, or ""."""
    if info.parse is not None:
        try:
            info.parse(value)
        except ValueError as error:
            return str(error)
        return ""
    if info.choices:
        return "" if value in info.choices else f"must be one of {', '.join(info.choices)}"
    types = {
        "text": (str, "text"),
        "flag": (bool, "true or false"),
        "pairs": (Mapping, "a mapping"),
    }
    if info.kind in types:
        kind, name = types[info.kind]
        return "" if isinstance(value, kind) else f"must be {name}"
    if info.kind not in ("int", "float"):
        return ""
    number, name = (
        (numbers.Integral, "an integer") if info.kind == "int" else (numbers.Real, "a number")
    )
    if isinstance(value, bool) or not isinstance(value, number):
        return f"must be {name}"
    bounds = (
        (info.at_least, "or more", lambda bound: value >= bound),
        (info.above, "", lambda bound: value > bound),
        (info.at_most, "or less", lambda bound: value <= bound),
        (info.below, "", lambda bound: value < bound),
    )
    if all(bound is None or holds(bound) for bound, _, holds in bounds):
        return ""
    words = []
    for (bound, after, _), before in zip(bounds, ("", "above ", "", "below "), strict=True):
        if bound is not None:
            words.append(f"{before}{bound:g} {after}".strip())
    return f"must be {' and '.join(words)}"


def documented(*configs: type, **own: str) -> Callable[[Made], Made]:
    """Return a decorator that gives a function with ``**options`` the options of configurations.

    Its signature then lists them as keywords, and its docstring's Args explain them.

    Args:
        *configs: dataclasses whose fields are options.
        **own: explanations that replace an option's own.
    """

    def decorate(function: Made) -> Made:
        signature = inspect.signature(function)
        named = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        known, lines = {p.name for p in named}, []
        for config in configs:
            for row, info in options_of(config):
                if row.name in known or not info.python:
                    continue
                known.add(row.name)
                default = default_of(row)
                if default is dataclasses.MISSING:
                    default = inspect.Parameter.empty
                named.append(
                    inspect.Parameter(
                        row.name,
                        inspect.Parameter.KEYWORD_ONLY,
                        default=default,
                        annotation=row.type,
                    )
                )
                text = own.get(row.name, info.help)
                if info.usual:
                    text += f" Default: {info.usual}."
                lines.append(textwrap.fill(f"{row.name}: {text}", 100, subsequent_indent="    "))
        function.__signature__ = signature.replace(parameters=named)  # type: ignore[attr-defined]
        indented = textwrap.indent("\n".join(lines), " " * 8)
        document = inspect.cleandoc(function.__doc__ or "")
        if "**options:" in document:
            before, _, after = document.partition("**options:")
            rest = after.split("\n", 1)[1] if "\n" in after else ""
            document = (
                f"{before.rstrip()}\n{textwrap.indent(textwrap.dedent(indented), '    ')}\n{rest}"
            )
        function.__doc__ = document
        return function

    return decorate
