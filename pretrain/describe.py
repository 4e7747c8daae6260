"""``pretrain --list``: what there is to choose from."""

from __future__ import annotations

from collections.abc import Mapping

from pretrain.encoders import ARCHITECTURES
from pretrain.encoders.base import Option
from pretrain.strategies import strategies
from tasks.sources import describe_sources


def listing() -> str:
    """Return strategies and encoders with their options and defaults, and the named data sets."""
    lines = ["Strategies (--strategy NAME, --opt name=value):"]
    for row in strategies().values():
        needs = "a labelled pool" if row.needs_labels else "examples only"
        r = row.recipe
        lines.append(f"  {row.name:14} {row.summary}")
        lines.append(
            f"  {'':14} needs {needs}; {r.epochs} epochs, batch {r.batch_size}, {r.optimizer.name} "
            f"{r.learning_rate:g}, {r.schedule}"
        )
        lines += _options(row.options)
    lines += ["", "Encoders (--encoder NAME, --encoder-opt name=value):"]
    for architecture in ARCHITECTURES.values():
        lines.append(f"  {architecture.name:14} {architecture.summary}")
        lines += _options(architecture.options)
    lines += ["", "Data (--data NAME, NAME[class,class] or a path):"]
    lines += [f"  {spelling:18} {about}" for spelling, about in describe_sources()]
    return "\n".join(lines)


def _options(options: Mapping[str, Option]) -> list[str]:
    lines = []
    for name, option in options.items():
        default = option.default
        shown = ",".join(map(str, default)) if isinstance(default, list) else default
        lines.append(f"  {'':14} {name}={shown}: {option.help}")
    return lines
