"""A kill at a chosen point of an atomic write, without another process.

``kill -9`` leaves the files as they are at that moment, so they are copied then; the run in this process is
ended by an exception that nothing catches, and what it tidies up afterwards is no part of the copy.
"""

import shutil
import sys

from headstart import files

POINTS = ("before the write", "before the rename", "after the rename")


class Killed(BaseException):
    """Ends the run at the point."""


def kill_at(monkeypatch, point, folder, copy, *, matching, number=1):
    """Copy ``folder`` to ``copy`` and raise Killed at a point of an atomic write.

    matching: a part of the written file's name; number: which of such writes, counted from 1.
    """
    temporary, flush, writes = files._temporary, files._flush, []

    def die():
        monkeypatch.setattr(files, "_temporary", temporary)
        monkeypatch.setattr(files, "_flush", flush)
        shutil.copytree(folder, copy)
        raise Killed(point)

    def begin(final):
        # Outputs are also checked, before any work, by a file that is written and removed.
        if sys._getframe(1).f_code.co_name != "atomic_write":
            return temporary(final)
        writes.append(matching in final.name)
        if writes[-1] and point == POINTS[0] and sum(writes) == number:
            die()
        return temporary(final)

    def flushed(path):
        flush(path)
        here = writes and writes[-1] and sum(writes) == number
        if here and path.is_dir() == (point == POINTS[2]):
            die()

    monkeypatch.setattr(files, "_temporary", begin)
    monkeypatch.setattr(files, "_flush", flushed)
