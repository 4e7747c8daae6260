"""Running a real command in this process: its arguments in, its streams and exit code out."""

import os
import sys
from dataclasses import dataclass
from importlib import import_module


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


def run(capfd, command, *arguments):
    """Call ``command``'s main, as the console script does, with TensorFlow's words kept too."""
    before, sys.argv = sys.argv, [command, *map(str, arguments)]
    capfd.readouterr()
    try:
        import_module(f"{command}.cli").main()
    except SystemExit as end:
        code = end.code
    finally:
        sys.argv = before
    captured = capfd.readouterr()
    return Ended(code, captured.out, captured.err)


def environment(**more):
    """An environment for subprocesses that must not inherit a debugging switch."""
    return {k: v for k, v in os.environ.items() if k != "HEADSTART_TRACEBACK"} | more
