"""Names of layers as a weights file can hold them."""

from __future__ import annotations

import re
from typing import Any

INPUT = "input"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


def check_name(value: Any) -> str:
    """Return ``value`` if a layer may be called so. Raises ValueError with the rule."""
    if not isinstance(value, str) or not NAME.fullmatch(value) or value == INPUT:
        raise ValueError(
            "must name each layer by at most 64 letters, digits, '_', '.' and '-', and not 'input'"
        )
    return value


def free_name(wanted: str, taken: set[str]) -> str:
    """Return ``wanted`` as a name that is allowed and not in ``taken``."""
    base = re.sub(r"[^A-Za-z0-9_.-]", "_", wanted)[:56] or "layer"
    base = base if NAME.fullmatch(base) else f"_{base}"[:56]
    name, number = base, 1
    while name in taken or name == INPUT:
        number += 1
        name = f"{base}.{number}"
    return name
