"""``linear``: one layer, trained."""

from __future__ import annotations

from transfer.heads.base import Head


class Linear(Head):
    """One Dense layer."""

    name = "linear"
    summary = "one layer"


ROW = Linear()
