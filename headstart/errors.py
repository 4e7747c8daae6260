"""Errors as data, written for the person who must act, and the exit codes that commands turn them into.

An error says which argument breaks which rule with which value, and the way out. It is worded where it is
shown: a command spells arguments as options, Python as keywords. So texts name arguments by ``arg``::

    raise InputError(
        "must be 2 or more", argument="labels", value=1, hint=f"Choose {arg.reuse} yourself."
    )
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

# Private-use characters around the name of an argument in a text, which no file's name holds by chance.
_OPEN, _WITH, _CLOSE = "\ue000", "\ue001", "\ue002"
_MARKED = re.compile(f"{_OPEN}([^{_WITH}{_CLOSE}]*)(?:{_WITH}(.*?))?{_CLOSE}", re.DOTALL)
ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "ABSENT"})()
"""The ``value`` of an error that is about no single value."""


class Argument:
    """An argument's name inside a text; ``f"{arg.reuse}"``, or with a value ``f"{arg.reuse:auto}"``."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __format__(self, value: str) -> str:
        return f"{_OPEN}{self.name}{_WITH + value if value else ''}{_CLOSE}"

    def __str__(self) -> str:
        return format(self, "")


class _Arguments:
    """Makes an ``Argument`` of any name: ``arg.labels``, or ``arg["labels"]`` for a name in a variable."""

    def __getattr__(self, name: str) -> Argument:
        return Argument(name)

    __getitem__ = __getattr__


arg = _Arguments()

Spelling = Callable[[str, str | None], str]
"""(name of an argument, its value as text or None) -> how a surface spells them."""


def python_spelling(name: str, value: str | None) -> str:
    """Return ``name``, ``name=7``, ``name='auto'`` or, of a stand-in such as DATA, ``name=DATA``."""
    if value is None:
        return name
    plain = value.isupper() or re.fullmatch(r"-?[\d.]+(e-?\d+)?|True|False|None", value)
    return f"{name}={value if plain else repr(value)}"


def option_spelling(name: str, value: str | None) -> str:
    """Return an argument as an option of a command, followed by its value, if any, unless it is True."""
    option = f"--{name.replace('_', '-')}"
    return option if value is None or value == "True" else f"{option} {value}"


def worded(text: str, spelling: Spelling = python_spelling) -> str:
    """Return ``text`` with the arguments in it as ``spelling`` spells them."""
    return _MARKED.sub(lambda found: spelling(found[1], found[2]), text)


class HeadstartError(Exception):
    """A run that failed.

    Attributes:
        rule: the rule that is broken: with ``argument``, the words after its name, "must be 2 or more";
            without, a whole sentence.
        argument: the name of the argument to change, as Python spells it; None where none is at fault.
        value: the value given; ABSENT where no single value is at fault.
        hint: the way out, a whole sentence; "" where the rule says it already.
        marked_rule, marked_hint: the two with marks in place of other arguments, to make another error of.

    Example:
        >>> str(InputError("must be 2 or more", argument="labels", value=1))
        'labels must be 2 or more. Got 1.'
    """

    exit_code = 1

    def __init__(
        self, rule: str = "", *, argument: str | None = None, value: Any = ABSENT, hint: str = ""
    ) -> None:
        super().__init__(rule)
        self.argument, self.value = argument, value
        self.marked_rule, self.marked_hint = rule, hint.strip()

    @property
    def rule(self) -> str:
        """The rule that is broken, with other arguments as Python spells them."""
        return worded(self.marked_rule)

    @property
    def hint(self) -> str:
        """The way out, with other arguments as Python spells them."""
        return worded(self.marked_hint)

    def __str__(self) -> str:
        return self.worded()

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions cross processes; by default only what stands in ``args`` would.
        state = {k: v for k, v in self.__dict__.items() if v is not ABSENT}
        return (type(self), (self.marked_rule,), state)

    def about(self, whole: str, argument: str | None = None) -> Self:
        """Return the same error, said of something larger that the argument is a part of.

        Args:
            whole: begins the new rule: "data.npz:" or "cannot be used:".
            argument: the argument that holds it all; None: there is none, as of a file.

        Example:
            >>> str(InputError("is empty", argument="x").about("data.npz:"))
            'data.npz: x is empty'
        """
        rule = f"{self.argument} {self.marked_rule}" if self.argument else self.marked_rule
        return type(self)(
            f"{whole} {rule}", argument=argument, value=self.value, hint=self.marked_hint
        )

    def worded(self, spelling: Spelling = python_spelling) -> str:
        """Return the error as one paragraph: argument, rule, value, way out."""
        text = self.marked_rule
        if self.argument:
            text = f"{arg[self.argument]} {text}"
        if self.value is not ABSENT or self.marked_hint:
            text = text.rstrip()
            text += "" if text.endswith((".", "?", "!", ":")) else "."
        if self.value is not ABSENT:
            shown = str(self.value) if isinstance(self.value, Path) else repr(self.value)
            text += f" Got {shown}."
        if self.marked_hint:
            text += f" {self.marked_hint}"
        if self.argument and not text.endswith((".", "?", "!")):
            text += "."
        return worded(text, spelling)


class InputError(HeadstartError):
    """Usage or input that cannot be used: nothing was written or changed."""

    exit_code = 2


def require(holds: bool, argument: str, rule: str, *, value: Any = ABSENT, hint: str = "") -> None:
    """Raise InputError, with the parts that ``HeadstartError`` explains, unless the rule holds."""
    if not holds:
        raise InputError(rule, argument=argument, value=value, hint=hint)


class NonFiniteError(HeadstartError):
    """Training became non-finite; nothing was exported."""

    exit_code = 3


class Interrupted(HeadstartError):
    """Ctrl-C: the step was finished and a checkpoint written; the hint says how to resume."""

    exit_code = 130


def suggest(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the names nearest to ``name``, or "" when none is near."""
    near = difflib.get_close_matches(name.lower(), list(known), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


def check_known(name: str, known: Iterable[str], argument: str) -> None:
    """Raise InputError when an argument is none of the known names."""
    if name not in known:
        rule = f"must be one of {', '.join(known)}"
        raise InputError(rule, argument=argument, value=name, hint=suggest(name, known))
