"""A benchmark's options from a TOML file: the same names, checked, and errors that name the line.

docs/running.md has an example.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import click

from benchmark.config import OWN
from headstart.errors import InputError, suggest

TASK = ("data", "pretrain-data")
NOT_HERE = ("config", "help")
MAX_BYTES = 1 << 20


def config_file(context: click.Context, parameter: click.Parameter, value: Path | None) -> None:
    """Read the file and make its values the defaults of the command (a click callback).

    So options on the command line win, and required ones may stand in the file. Raises InputError.
    """
    if value is None:
        return
    context.default_map = {**(context.default_map or {}), **defaults(value, context)}


def drop_unrelated_pools(given: dict[str, Any]) -> dict[str, Any]:
    """Return the options without the file's pools when the command line names other data."""
    source = click.get_current_context().get_parameter_source
    origin = click.core.ParameterSource
    if source("data") is origin.COMMANDLINE and source("pretrain_data") is origin.DEFAULT_MAP:
        return {**given, "pretrain_data": ()}
    return given


def defaults(path: Path, context: click.Context) -> dict[str, Any]:
    """Return the file's values by the names of the command's parameters. Raises InputError."""
    text, table = _read(path)
    known = {
        name.removeprefix("--"): parameter
        for parameter in context.command.params
        if isinstance(parameter, click.Option)
        for name in parameter.opts
        if name.startswith("--") and name.removeprefix("--") not in NOT_HERE
    }
    found: dict[str, Any] = {}
    for key, value in table.items():
        where = f"{path}, line {line_of(text, key)}"
        if key == "task":
            found |= _tasks(path, text, value)
        elif key in known:
            found[str(known[key].name)] = _value(known[key], f"{where}: {key}", value, context)
        else:
            raise InputError(
                f"{where}: there is no option {key!r}.{suggest(key, [*known, 'task'])}",
                hint="The names are those of the command's options (benchmark --help), without the dashes.",
            )
    if "task" in table and {"data", "pretrain-data"} & table.keys():
        raise InputError(
            f"{path}, line {line_of(text, 'data', 'pretrain-data')}: [[task]] tables name the data.",
            hint="Remove this line, or those.",
        )
    return found


def line_of(text: str, *keys: str, occurrence: int = 1) -> int:
    """Return the number of the line where one of ``keys`` is set, or its table begins; 1 if nowhere."""
    names = "|".join(re.escape(key) for key in keys)
    pattern = re.compile(rf"""^\s*(?:\[\[?\s*)?["']?(?:{names})["']?\s*(?:=|\.|\])""")
    numbers = [n for n, line in enumerate(text.splitlines(), start=1) if pattern.match(line)]
    return numbers[occurrence - 1] if len(numbers) >= occurrence else 1


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(
                "must name a configuration, and this file is larger than a megabyte",
                argument="config",
                value=path,
            )
        text = path.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path} cannot be read: {reason}", argument="config") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not TOML: {error}", argument="config") from None


def _value(option: click.Option, where: str, value: Any, context: click.Context) -> Any:
    """Return the value as the command line would have it, checked. Raises InputError."""
    if isinstance(value, dict):
        if not option.multiple:
            raise InputError(f"{where} must be a value, not a table.")
        value = [f"{name}={_text(item)}" for name, item in _flat(value)]
    elif option.multiple:
        value = [_text(v) for v in (value if isinstance(value, list) else [value])]
    elif option.is_flag and not isinstance(value, list):
        if not isinstance(value, bool):
            raise InputError(f"{where} must be true or false.", value=value)
        return value
    else:
        value = _text(value)
    try:
        option.type_cast_value(context, value)
    except click.BadParameter as error:
        raise InputError(f"{where}: {error.message}") from None
    return value


def _tasks(path: Path, text: str, tables: Any) -> dict[str, Any]:
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise InputError(
            f"{path}, line {line_of(text, 'task')}: task must be spelled [[task]], once a data set."
        )
    for number, table in enumerate(tables, start=1):
        where = f"{path}, line {line_of(text, 'task', occurrence=number)}"
        for key, value in table.items():
            if key not in TASK:
                raise InputError(
                    f"{where}: a [[task]] has no {key!r}.{suggest(key, TASK)}",
                    hint=f"It has: {', '.join(TASK)}.",
                )
            if not isinstance(value, str):
                raise InputError(f"{where}: {key} must be text.", value=value)
        if "data" not in table:
            raise InputError(f"{where}: a [[task]] must name its data.")
    pools = [table.get("pretrain-data", OWN) for table in tables]
    return {"data": [table["data"] for table in tables], "pretrain_data": pools}


def _flat(table: dict[str, Any], before: str = "") -> list[tuple[str, Any]]:
    """Return a table's values by dotted names, so that rbm.k = 2 is the option rbm.k."""
    found: list[tuple[str, Any]] = []
    for name, value in table.items():
        nested = isinstance(value, dict)
        found += _flat(value, f"{before}{name}.") if nested else [(before + name, value)]
    return found


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(_text, value)) if isinstance(value, list) else str(value)
