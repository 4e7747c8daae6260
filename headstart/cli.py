"""Parts shared by the commands: exit codes, options of configurations, output. Imports nothing heavy."""

from __future__ import annotations

import json
import math
import os
import sys
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from headstart.errors import HeadstartError, Spelling, option_spelling
from headstart.options import (
    CheckpointOptions,
    OptionInfo,
    ReadOptions,
    RunOptions,
    TestPartOptions,
    default_of,
    options_of,
)
from headstart.packages import check_packages

Config = TypeVar("Config")
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def run_command(command: click.Command) -> NoReturn:
    """Run a command on the process' arguments and exit with its code.

    An error is one paragraph on stderr, never a traceback, unless HEADSTART_TRACEBACK=1 asks for one.

    Raises:
        SystemExit: 0; 1 when the run failed; 2 for bad input; 3 when training became non-finite; 130 when
            interrupted.
    """
    try:
        check_packages()
        code = command.main(standalone_mode=False)
        sys.stdout.flush()
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except HeadstartError as error:
        _fail(error, error.worded(spelling(command)), error.exit_code)
    except (KeyboardInterrupt, click.Abort) as error:
        _fail(error, "Interrupted.", 130)
    except BrokenPipeError:
        # The reader of the output has gone (`| head`): there is nothing to flush into.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except MemoryError as error:
        _fail(error, "There is not enough memory for this data or encoder; use less of either.", 1)
    except Exception as error:
        text = (
            f"Something failed that should not have: {type(error).__name__}: {error}. "
            f"Run again with HEADSTART_TRACEBACK=1 to see where, and report it."
        )
        _fail(error, text, 1)


def spelling(command: click.Command) -> Spelling:
    """Return the way ``command`` and its subcommands spell arguments: ``--lr find``, ``--no-map``."""
    inner = command.commands.values() if isinstance(command, click.Group) else ()
    found = [parameter for each in (command, *inner) for parameter in each.params]
    # Backwards, so that of equal names the first counts.
    known = {str(p.name): p for p in reversed(found) if isinstance(p, click.Option)}

    def spell(name: str, value: str | None) -> str:
        option = known.get(name)
        if option is None:
            return option_spelling(name, value)
        if value == "False" and option.secondary_opts:
            return option.secondary_opts[0]
        return option.opts[0] if value in (None, "True") else f"{option.opts[0]} {value}"

    return spell


def _fail(error: BaseException, text: str, code: int) -> NoReturn:
    if os.environ.get("HEADSTART_TRACEBACK"):
        raise error
    click.echo(f"Error: {' '.join(text.split())}", err=True)
    sys.exit(code)


def out(text: str) -> None:
    """Print a result to stdout."""
    click.echo(text)


def out_json(result: Any) -> None:
    """Print one JSON value on one line to stdout."""
    click.echo(json.dumps(result, sort_keys=False))


def is_subcommand(context: click.Context) -> bool:
    """Say whether a subcommand follows. Raises UsageError for options in front of it."""
    name = context.invoked_subcommand
    if name is None:
        return False
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"{parameter.opts[0]} stands before {name!r}, which would not see it: put "
                f"options of {name!r} behind it."
            )
    return True


def pairs(context: click.Context, parameter: click.Parameter, values: Any) -> dict[str, str]:
    """Turn repeated ``name=value`` into a dictionary (a click callback)."""
    result = {}
    for value in values:
        name, found, text = value.partition("=")
        if not found or not name:
            raise click.BadParameter(f"must be spelled name=value. Got {value!r}.")
        result[name.strip()] = text.strip()
    return result


def options(*decorators: Decorator) -> Decorator:
    """Return one decorator that applies several, so that commands share options by name."""

    def apply(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


class Rate(click.FloatRange):
    """A number in a range; NaN, which click lets through any range, is refused."""

    def convert(self, value: Any, parameter: Any, context: Any) -> float:
        """Return the number."""
        number = super().convert(value, parameter, context)
        if number != number:
            self.fail(f"{value!r} is not a number.", parameter, context)
        return float(number)


class FilePath(click.ParamType):
    """A file or folder; ``~`` is the user's home, which a shell leaves alone in quotes and after ``=``."""

    name = "path"

    def convert(self, value: Any, parameter: Any, context: Any) -> Path:
        """Return the path."""
        try:
            return Path(value).expanduser()
        except RuntimeError:
            rule = "names the home of a user that is not known"
            self.fail(f"{rule}. Got {str(value)!r}.", parameter, context)


class Parsed(click.ParamType):
    """A value that a function makes of text; its ValueError says the rule that the text breaks."""

    def __init__(self, parse: Callable[[Any], Any], name: str) -> None:
        self.parse, self.name = parse, name

    def convert(self, value: Any, parameter: Any, context: Any) -> Any:
        """Return the value."""
        try:
            return self.parse(value)
        except ValueError as error:
            return self.fail(f"{error}. Got {value!r}.", parameter, context)


def _sizes(value: Any, counts: tuple[int, int], most: int, rule: str) -> tuple[int, ...]:
    if isinstance(value, tuple):
        return value
    parts = str(value).lower().split("x")
    if len(parts) not in counts or not all(p.isdecimal() and 1 <= int(p) <= most for p in parts):
        raise ValueError(rule)
    return tuple(map(int, parts))


def _image_size(value: Any) -> tuple[int, int]:
    rule = "must be a number of pixels or HEIGHTxWIDTH, each 1 to 4096"
    found = _sizes(value, (1, 2), 4096, rule)
    return found[0], found[-1]


def _shape(value: Any) -> tuple[int, ...]:
    rule = "must be HEIGHTxWIDTHxCHANNELS, or the number of columns"
    return _sizes(value, (1, 3), 1 << 24, rule)


def _span(value: Any) -> tuple[float, float]:
    try:
        low, high = map(float, value if isinstance(value, tuple) else value.split(","))
    except ValueError:
        low = high = 0
    if not -1e12 <= low < high <= 1e12:
        raise ValueError("must be two rising numbers, such as -1,1")
    return low, high


positive = click.IntRange(min=1)
image_size = Parsed(_image_size, "HxW")
shape = Parsed(_shape, "HxWxC")
span = Parsed(_span, "LOW,HIGH")


def config_options(*configs: type, without: Iterable[str] = ()) -> Decorator:
    """Return a decorator that gives a command the options of configurations (headstart.options).

    Args:
        *configs: dataclasses whose fields are options.
        without: names of fields that the command leaves out.
    """
    return options(
        *(
            _click_option(row, info)
            for config in configs
            for row, info in options_of(config)
            if info.command and row.name not in without
        )
    )


def configured(config: type[Config], given: dict[str, Any]) -> Config:
    """Take a configuration's options out of those of a command, and return the configuration."""
    names = [row.name for row, info in options_of(config) if info.command and row.name in given]
    return config(**{name: given.pop(name) for name in names})


def _click_option(row: Field[Any], info: OptionInfo) -> Decorator:
    default, text = default_of(row), info.help
    default = None if default is MISSING else default
    how: dict[str, Any] = {"default": default}
    if info.kind == "flag":
        how["is_flag"] = True
    elif info.kind == "pairs":
        how |= {"multiple": True, "callback": pairs}
        how["default"] = [f"{key}={value}" for key, value in (default or {}).items()]
    elif info.kind == "texts":
        how |= {"multiple": True, "default": list(default or ())}
    else:
        how["type"] = _click_type(info)
    if info.metavar:
        how["metavar"] = info.metavar
    if info.usual is not None:
        text += f" [default: {info.usual}]"
    elif how["default"] is not None and how["default"] != [] and not isinstance(default, bool):
        how["show_default"] = True
    return click.option(*_spellings(row, info), row.name, help=text, **how)


def _spellings(row: Field[Any], info: OptionInfo) -> list[str]:
    """Return a field's options as click takes them: ``--map/--no-map`` of a flag that is on by default."""
    names = [name.replace("_", "-") for name in info.spelled or (row.name,)]
    both = info.kind == "flag" and default_of(row) is True
    return [f"--{name}/--no-{name}" if both else f"--{name}" for name in names]


def _click_type(info: OptionInfo) -> Any:
    if info.parse is not None:
        return Parsed(info.parse, info.metavar or info.kind.upper())
    if info.choices:
        return click.Choice(info.choices)
    if info.kind in ("int", "float"):
        low, high, above, below = info.interval
        # Whole ends are shown without a decimal point.
        whole = [int(end) if end.is_integer() else end for end in (low, high)]
        ends: list[Any] = [end if math.isfinite(end) else None for end in whole]
        if info.kind == "int" and ends == [None, None]:
            return click.INT
        kind: Any = click.IntRange if info.kind == "int" else Rate
        return kind(*ends, min_open=above, max_open=below)
    return {"path": FilePath(), "size": image_size}.get(info.kind, str)


data_options = config_options(ReadOptions)
test_part = config_options(TestPartOptions)
checkpoint_seconds = config_options(CheckpointOptions, without=("threads", "force", "resume"))
import_options = options(
    click.option(
        "--cut",
        help="Last layer to keep of an imported model, by name or counted from the input (negative: from "
        "the output). [default: all below the classification]",
    ),
    click.option(
        "--input-shape",
        type=shape,
        help="Input shape of an imported model, such as 96x96x3. [default: its own, else 224x224x3]",
    ),
    click.option(
        "--value-range",
        type=span,
        help="Range of input values of an imported model. [default: by the model]",
    ),
)


def import_arguments(given: dict[str, Any], weights: str) -> dict[str, Any]:
    """Take the options of an imported model out of a command's, named as ``import_model`` does.

    ``weights`` is the name of the option for the weights of keras.applications.
    """
    own = {name: given.pop(name) for name in ("cut", "input_shape", "value_range")}
    return {"weights": given.pop(weights), **own}


run_options = options(
    click.option(
        "--seed",
        default=0,
        show_default=True,
        type=click.IntRange(0, 2**31 - 1),
        help="Random seed; it decides every random choice.",
    ),
    config_options(RunOptions),
    click.option("--quiet", is_flag=True, help="Show no progress."),
    click.option("--json", "as_json", is_flag=True, help="Print the result as one line of JSON."),
)


def paragraph(text: str, indent: str = "") -> str:
    """Return ``text`` wrapped to 88 columns."""
    return textwrap.fill(text, 88, initial_indent=indent, subsequent_indent=indent)
