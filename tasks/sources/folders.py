"""Local folders in which the files of a named data set are looked for."""

from __future__ import annotations

import os
from pathlib import Path


def local_folders(name: str) -> list[tuple[Path, str]]:
    """Return the folders to search, in order, each with a text that spares the user's home.

    Args:
        name: of the data set.
    """
    places = []
    if os.environ.get("HEADSTART_DATA"):
        folder = Path(os.environ["HEADSTART_DATA"]).expanduser() / name
        places.append((folder, f"$HEADSTART_DATA/{name}"))
    own = f"~/.cache/headstart/{name}"
    return [*places, (Path(own).expanduser(), own)]
