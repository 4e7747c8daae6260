"""Writing a result so that it is either there and whole, or not there and nothing else was lost."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headstart.errors import HeadstartError, InputError


def check_output(path: Path, force: bool = False) -> None:
    """Check, before the work that leads to it, that the file ``path`` can be written.

    The folder is really tried, with a file that is removed again, as are the missing parent folders
    that it takes: permission bits say nothing of read-only mounts, quotas or the superuser.

    Raises InputError when ``path`` exists and ``force`` is false, when it is a folder or a device,
    or when its folder cannot be created or written to.
    """
    try:
        final = _final(path)
        if final.is_dir():
            raise InputError(f"{path} is a folder; give the name of a file in it.")
        if final.exists() and not final.is_file():
            raise InputError(f"{path} is not a regular file; give another name.")
        if final.exists() and not force:
            raise InputError(
                f"{path} exists already and was left as it is. "
                "Give another name, or --force to replace it."
            )
        _try(final)
    except (OSError, ValueError) as error:
        raise _refused(path, error) from None


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the object in the file, or None where there is none or it was cut short."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def check_folder(path: Path, ours: Callable[[Path], bool], force: bool = False) -> None:
    """Check, before the work that leads to it, that ``path`` can be written as a folder of results.

    ours: says whether a folder that is there already is one of this kind. Only such a one, or an
        empty one, is ever replaced: ``--force`` must not cost someone a folder of their own.

    Raises InputError as ``check_output`` does, and when the folder is not ``ours``.
    """
    try:
        final = _final(path)
        if final.exists() and not final.is_dir():
            raise InputError(
                f"{path} is a file, and a folder is to be written there. Move it away."
            )
        if final.is_dir() and any(final.iterdir()):
            if not ours(final):
                raise InputError(
                    f"The folder {path} holds something else, and is not replaced. Move it away."
                )
            if not force:
                raise InputError(
                    f"{path} exists already and was left as it is. "
                    "Give another name, or --force to replace it."
                )
        _try(final)
    except (OSError, ValueError) as error:
        raise _refused(path, error) from None


def atomic_folder(
    path: Path,
    write: Callable[[Path], None],
    *,
    verify: Callable[[Path], object],
) -> None:
    """Write the folder ``path`` as ``atomic_write`` writes a file, through one beside it.

    ``write`` is given a path that does not exist yet and makes the folder there. What was at ``path``
    goes when the new folder is verified; ``kill -9`` leaves the old one, the new one, or (between two
    renamings) the old one as ``.NAME.old-PID``.

    Raises HeadstartError when the disk refuses, and whatever ``write`` and ``verify`` raise.
    """
    final = _final(path)
    temp = _temporary(final)
    old = final.with_name(f".{final.name}.old-{os.getpid()}")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temp, ignore_errors=True)
        write(temp)
        for part in [*sorted(temp.rglob("*")), temp]:
            _flush(part)
        verify(temp)
        if final.exists():
            final.rename(old)
        try:
            temp.rename(final)
        except OSError:
            if old.exists():
                old.rename(final)
            raise
    except OSError as error:
        raise HeadstartError(
            f"{path} could not be written: {_reason(error)}. What was there before is unchanged."
        ) from error
    finally:
        # After success there is no temporary folder any more.
        shutil.rmtree(temp, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    with contextlib.suppress(OSError):
        _flush(final.parent)


def _try(final: Path) -> None:
    """Write and remove a file where ``final`` is to be; take away the parents that it took."""
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


def _refused(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path} cannot be written: {_reason(error)}. Choose a folder that you may write to."
    )


def atomic_write(
    path: Path,
    write: Callable[[Path], None],
    *,
    verify: Callable[[Path], object] | None = None,
) -> None:
    """Write ``path`` through a temporary file beside it, ``.NAME.tmp-PID``, renamed at the end.

    Missing parent folders are created.
    ``write`` is given the temporary file's path and must close what it opens. The file is flushed
    to disk, handed to ``verify`` (which raises when it is not as it should be), renamed over
    ``path``, and the folder is flushed. Any error or interrupt removes the temporary file and
    leaves what was at ``path`` as it was; ``kill -9`` leaves either the old file or the new one.

    Raises HeadstartError when the disk refuses (full, quota, read-only), and whatever ``write`` and
    ``verify`` raise.
    """
    final = _final(path)
    temp = _temporary(final)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        temp.unlink(missing_ok=True)
        write(temp)
        _flush(temp)
        if verify is not None:
            verify(temp)
        temp.replace(final)
    except OSError as error:
        _remove(temp)
        raise HeadstartError(
            f"{path} could not be written: {_reason(error)}. What was there before is unchanged."
        ) from error
    except BaseException:
        _remove(temp)
        raise
    # The new file is in place: a file system that cannot flush a folder is no failure.
    with contextlib.suppress(OSError):
        _flush(final.parent)


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
    with contextlib.suppress(OSError):
        temp.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 through ``atomic_write``. Raises as it does."""

    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8")

    atomic_write(path, write)


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``, whole or not at all."""

    def write(temporary: Path) -> None:
        temporary.write_bytes(data)

    atomic_write(path, write)


def slug(text: str) -> str:
    """Return a part of a file name: "digits[5,6]" becomes "digits-5-6"."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
