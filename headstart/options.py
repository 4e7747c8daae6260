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
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

KINDS = ("text", "int", "float", "flag", "path", "pairs", "texts", "size", "sizes", "span")
"""What a command's text is turned into: pairs is {name: value} of repeated name=value, texts a tuple of
repeated options, size (height, width), sizes "96x96x3", span "-1,1"."""
# The entry of ``**options`` in a docstring's Args, with the lines that go on with it.
_OPTIONS = re.compile(r"^    \*\*options:.*\n?(?:^ {5,}.*\n?)*", re.MULTILINE)
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
        spelled: how commands spell it, the first in errors too; empty: by its name. Two spellings with a
            slash between them are of a flag that can be turned off.
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

    default: a Mapping is copied for every instance.
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
    """Return a field's default."""
    if row.default_factory is not dataclasses.MISSING:
        return row.default_factory()
    return row.default


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
                lines.append(textwrap.fill(f"{row.name}: {text}", 96, subsequent_indent="    "))
        function.__signature__ = signature.replace(parameters=named)  # type: ignore[attr-defined]
        document = inspect.cleandoc(function.__doc__ or "")
        listed = textwrap.indent("\n".join(lines), "    ") + "\n"
        function.__doc__ = _OPTIONS.sub(lambda _: listed, document)
        return function

    return decorate
