"""The files of a named data set in local folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from headstart.errors import InputError


def local_folders(name: str) -> list[tuple[Path, str]]:
    """Return the folders in which to search for a data set, each with a text that spares the user's home."""
    places = []
    if os.environ.get("HEADSTART_DATA"):
        folder = Path(os.environ["HEADSTART_DATA"]).expanduser() / name
        places.append((folder, f"$HEADSTART_DATA/{name}"))
    own = f"~/.cache/headstart/{name}"
    return [*places, (Path(own).expanduser(), own)]


def find_files(
    name: str, files: Sequence[str], places: Iterable[tuple[Path, str]], hint: str
) -> tuple[Path, str] | None:
    """Return the first of ``places``, as ``local_folders`` gives them, that holds all files; None: none does.

    Raises:
        InputError: a folder before it holds only some of them.
    """
    for folder, label in places:
        missing = [file for file in files if not (folder / file).exists()]
        if not missing:
            return folder, label
        # Keras fills its own cache file by file: a part of it is no error there.
        if len(missing) < len(files) and "Keras" not in label:
            raise InputError(
                f"{name} in {folder} is incomplete: {missing[0]} is missing.", hint=hint
            )
    return None
