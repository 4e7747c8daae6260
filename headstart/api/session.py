"""From the keywords of a call to its configurations, and the session that they make."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from headstart.errors import python_spelling, suggest
from headstart.options import CheckpointOptions, RunOptions
from pretrain.engine.progress import Reporter
from pretrain.engine.session import Session


def shown(options: RunOptions) -> bool:
    """Say whether the progress is shown."""
    from pretrain.engine.progress import in_notebook

    if options.progress is None:
        return in_notebook() or sys.stderr.isatty()
    return options.progress


def session_of(options: CheckpointOptions) -> Session:
    """Return the session of these options, silent where the progress is not shown."""
    from pretrain.engine.progress import NotebookReporter, in_notebook, make_reporter

    if shown(options) and in_notebook():
        reporter: Reporter = NotebookReporter()
    else:
        reporter = make_reporter(not shown(options), python_spelling)
    return Session(
        threads=options.threads,
        reporter=reporter,
        resume=options.resume,
        force=options.force,
        checkpoint_seconds=options.checkpoint_seconds,
    )


def parse(function: str, given: Mapping[str, Any], *configs: type) -> list[Any]:
    """Return one configuration of each class from the keywords of a call.

    Raises:
        TypeError: a keyword is no option of any of them; with near names.
        InputError: a value breaks its option's rule.
    """
    names = [{field.name for field in fields(config) if field.init} for config in configs]
    known = set().union(*names)
    for name in given:
        if name not in known:
            near = suggest(name, known)
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}.{near}")
    return [
        config(**{name: value for name, value in given.items() if name in own})
        for config, own in zip(configs, names, strict=True)
    ]
