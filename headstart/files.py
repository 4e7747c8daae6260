"""Atomic writing: a result is whole or not there, and nothing else is lost."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from headstart.errors import HeadstartError, InputError, arg


def check_output(path: Path, force: bool = False) -> None:
    """Check, before the work that leads to it, that a file can be written.

    A trial file is written to the folder and removed again, as are missing parent folders: permission bits
    know nothing of read-only mounts, quotas or the superuser.

    Args:
        path: the file to be written.
        force: whether an existing file may be replaced.

    Raises:
        InputError: ``path`` exists and ``force`` is false, or is a folder or a device, or its folder cannot
            be created or written to.
    """
    with _tried(path) as final:
        if final.is_dir():
            raise InputError(f"{path} is a folder.", hint="Give the name of a file in it.")
        if final.exists() and not final.is_file():
            raise InputError(f"{path} is not a regular file.", hint="Give another name.")
        _check_new(path, final.exists() and not force)


def check_folder(path: Path, ours: Callable[[Path], bool], force: bool = False) -> None:
    """Check, before the work that leads to it, that a folder of results can be written.

    Args:
        path: the folder to be written.
        ours: says whether an existing folder is one of this kind. Only such a one, or an empty one, is ever
            replaced: ``force`` must not cost someone a folder of their own.
        force: whether an existing folder of this kind may be replaced.

    Raises:
        InputError: as ``check_output`` does, and when the folder is not ``ours``.
    """
    with _tried(path) as final:
        away = "Move it away."
        if final.exists() and not final.is_dir():
            raise InputError(f"{path} is a file, and a folder is to be written there.", hint=away)
        if final.is_dir() and any(final.iterdir()):
            if not ours(final):
                rule = f"The folder {path} holds something else, and is not replaced."
                raise InputError(rule, hint=away)
            _check_new(path, not force)


def _check_new(path: Path, old: bool) -> None:
    if old:
        raise InputError(
            f"{path} exists already and was left as it is.",
            hint=f"Give another name, or {arg.force:True} to replace it.",
        )


@contextlib.contextmanager
def _tried(path: Path) -> Iterator[Path]:
    """Give the path behind links; then write and remove a file there, and the parents that it takes."""
    try:
        final = _final(path)
        yield final
        missing = [folder for folder in final.parents if not folder.exists()]
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            temp = _temporary(final)
            os.close(os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
            temp.unlink()
        finally:
            for folder in missing:
                with contextlib.suppress(OSError):
                    folder.rmdir()
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be written: {_reason(error)}.",
            hint="Choose a folder that you may write to.",
        ) from None


def atomic_write(
    path: Path,
    write: Callable[[Path], object],
    *,
    verify: Callable[[Path], object] | None = None,
) -> None:
    """Write a file or a folder through a temporary one beside it, ``.NAME.tmp-PID``, renamed at the end.

    Missing parent folders are created. The temporary file is flushed to disk and verified, and its folder
    flushed after the renaming. Any error or interrupt removes it and leaves the old file as it was;
    ``kill -9`` leaves either the old file or the new one, of folders perhaps (between two renamings) the
    old one as ``.NAME.old-PID``.

    Args:
        path: the file or folder; an old one is replaced when the new one is verified.
        write: makes the temporary one at the path that it is given, which does not exist yet, and closes it.
        verify: raises when what it is given is not as it should be.

    Raises:
        HeadstartError: the disk refuses (full, quota, read-only); and whatever ``write`` and ``verify``
            raise.
    """
    final = _final(path)
    temp = _temporary(final)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        _remove(temp)
        write(temp)
        for part in [*(sorted(temp.rglob("*")) if temp.is_dir() else ()), temp]:
            _flush(part)
        if verify is not None:
            verify(temp)
        if temp.is_dir() and final.exists():
            _replace_folder(temp, final)
        else:
            temp.replace(final)
    except OSError as error:
        raise HeadstartError(
            f"{path} could not be written: {_reason(error)}.",
            hint="The file or folder that was there before is unchanged.",
        ) from error
    finally:
        # After success there is no temporary one any more.
        _remove(temp)
    # The new file is in place: a file system that cannot flush a folder is no failure.
    with contextlib.suppress(OSError):
        _flush(final.parent)


def _replace_folder(temp: Path, final: Path) -> None:
    """Rename a folder to where another one is, which no single call does."""
    old = final.with_name(f".{final.name}.old-{os.getpid()}")
    final.rename(old)
    try:
        temp.rename(final)
    except OSError:
        old.rename(final)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _final(path: Path) -> Path:
    """Follow a symbolic link, so that its target is replaced and the link stays."""
    return Path(os.path.realpath(path))


def _temporary(final: Path) -> Path:
    return final.with_name(f".{final.name}.tmp-{os.getpid()}")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(temp: Path) -> None:
    shutil.rmtree(temp, ignore_errors=True)
    with contextlib.suppress(OSError):
        temp.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file, or None when there is none or it was cut short."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8 through ``atomic_write``, which says what it raises."""
    atomic_write(path, lambda temp: temp.write_text(text, encoding="utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes through ``atomic_write``, which says what it raises."""
    atomic_write(path, lambda temp: temp.write_bytes(data))


def slug(text: str) -> str:
    """Return ``text`` as a part of a file name: "digits[5,6]" becomes "digits-5-6"."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
