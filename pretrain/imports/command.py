"""What ``pretrain import`` does with its options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pretrain.engine.progress import LineReporter, Reporter
from pretrain.imports.source import import_model
from tasks.outputs import check_output


def import_command(
    *,
    source: str,
    weights: str | None,
    cut: str | None,
    input_shape: tuple[int, ...] | None,
    value_range: tuple[float, float] | None,
    output: Path,
    threads: int | None,
    force: bool,
    quiet: bool,
) -> dict[str, Any]:
    """Import, write, and return what was written, as JSON."""
    check_output(output, force=force)

    made = import_model(
        source,
        cut=cut,
        weights=weights,
        input_shape=input_shape,
        value_range=value_range,
        threads=threads,
        say=(Reporter if quiet else LineReporter)().say,
    )
    written = made.write(output, force=force)
    return {
        "out": str(output),
        "digest": written.digest,
        "receipt": written.receipt(),
        "input_shape": written.encoder["input_shape"],
        "preprocessing": written.preprocessing,
        "source": written.metadata["source"],
    }
