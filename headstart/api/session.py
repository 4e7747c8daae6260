"""Options of runs from Python, and the session that they make."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from headstart.errors import python_spelling, suggest
from headstart.options import Checked, option
from pretrain.engine.progress import Reporter
from pretrain.engine.session import Session


@dataclass(frozen=True, kw_only=True)
class RunOptions(Checked):
    """How a run is carried out; none of it changes a result's numbers but ``threads``, by rounding."""

    threads: int | None = option(
        None, "Threads in one operation.", kind="int", at_least=1, usual="all cores"
    )
    force: bool = option(False, "Replace an existing output.", kind="flag")
    progress: bool | None = option(
        None,
        "Show the progress on stderr, or as a bar in a notebook.",
        kind="flag",
        usual="on a terminal and in a notebook",
    )

    @property
    def shown(self) -> bool:
        """Whether the progress is shown."""
        from pretrain.engine.progress import in_notebook

        if self.progress is None:
            return in_notebook() or sys.stderr.isatty()
        return self.progress


@dataclass(frozen=True, kw_only=True)
class CheckpointOptions(RunOptions):
    """The same of a run that can be interrupted and resumed."""

    resume: bool = option(
        False, "With an output: go on where an interrupted run stopped.", kind="flag"
    )
    checkpoint_seconds: float = option(
        5.0, "With an output: seconds between two checkpoints.", kind="float", at_least=0
    )

    def session(self) -> Session:
        """Return the session of these options, silent where the progress is not shown."""
        from pretrain.engine.progress import NotebookReporter, in_notebook, make_reporter

        if self.shown and in_notebook():
            reporter: Reporter = NotebookReporter()
        else:
            reporter = make_reporter(not self.shown, python_spelling)
        return Session(
            threads=self.threads,
            reporter=reporter,
            resume=self.resume,
            force=self.force,
            checkpoint_seconds=self.checkpoint_seconds,
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
