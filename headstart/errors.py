"""Errors written for the person who must act, and the exit codes that commands turn them into."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HeadstartError(Exception):
    """A run that failed. Its text is one paragraph: what, the rule, the value, the way out."""

    exit_code = 1


class InputError(HeadstartError):
    """Usage or input that cannot be used: nothing was written or changed."""

    exit_code = 2


class NonFiniteError(HeadstartError):
    """Training became non-finite; nothing was exported."""

    exit_code = 3


class Interrupted(HeadstartError):
    """Ctrl-C: the step was finished and a checkpoint written; the text says how to resume."""

    exit_code = 130


def suggest(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the names nearest to ``name``, or "" when none is near."""
    near = difflib.get_close_matches(name.lower(), list(known), n=3, cutoff=0.5)
    if not near:
        return ""
    return " Did you mean " + " or ".join(repr(n) for n in near) + "?"
