"""``pretrain import``: turn a foreign Keras model into a weights file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.cli import out, out_json
from headstart.files import check_output
from pretrain.engine.progress import make_reporter
from pretrain.keras_import.source import import_model
from tasks.loading.resolve import check_apart


def import_command(
    *,
    source: str,
    imported: Mapping[str, Any],
    output: Path,
    threads: int | None,
    force: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Import, write, and print what was written. imported: options of ``import_model``."""
    check_apart(output, source)
    check_output(output, force=force)

    say = make_reporter(quiet).say
    made = import_model(source, threads=threads, say=say, **imported)
    written = made.write(output, force=force)
    if not as_json:
        out(f"Wrote {output}: {written.receipt()}, digest {written.digest[:16]}")
        return
    out_json(
        {
            "out": str(output),
            "digest": written.digest,
            "receipt": written.receipt(),
            "input_shape": written.encoder["input_shape"],
            "preprocessing": written.preprocessing,
            "source": written.metadata["source"],
        }
    )
