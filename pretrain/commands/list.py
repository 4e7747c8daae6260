"""``pretrain --list`` and ``--describe``: strategies, encoders and augmentations, without TensorFlow."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import ModuleType
from typing import Any

from headstart.cli import paragraph
from headstart.errors import InputError, suggest
from pretrain import race
from pretrain.augment.recipes import RECIPES
from pretrain.augment.recipes import Recipe as Views
from pretrain.encoders import ARCHITECTURES
from pretrain.encoders.base import Architecture, Option
from pretrain.strategies import AUTO, strategies
from pretrain.strategies.base import Recipe, Strategy
from tasks.sources import describe_sources

INDENT = " " * 9
RACE = "race the strategies that fit, within --minutes, and keep the one whose features are best"
WIDTH = 17


def listing() -> str:
    """Return strategies, encoders and augmentations with their options, and the named data sets."""
    table = strategies()
    width = max(map(len, [*table, *ARCHITECTURES, *RECIPES]))
    lines = ["Strategies (--strategy NAME, --opt name=value):"]
    for row in table.values():
        lines.append(f"  {row.name:{width}} {row.summary}")
        lines.append(f"{INDENT}needs {needs(row)}")
        lines.append(f"{INDENT}{recipe_text(row.recipe)}")
        lines += _options(row.options)
    lines.append(f"  {AUTO:{width}} {RACE}")
    lines += ["", "Encoders (--encoder NAME, --encoder-opt name=value):"]
    for architecture in ARCHITECTURES.values():
        lines.append(f"  {architecture.name:{width}} {architecture.summary}")
        lines += _options(architecture.options)
    lines += ["", "Augmentations (--augment NAME, --augment-opt name=value):"]
    for views in RECIPES.values():
        lines.append(f"  {views.name:{width}} {views.summary}")
        if views.values:
            lines.append(f"{INDENT}{numbers(views.values)}")
    lines += ["", "Data (--data NAME, NAME[class,class] or a path):"]
    lines += [f"  {spelling:{width}} {about}" for spelling, about in describe_sources()]
    lines += ["", "pretrain --describe NAME explains one strategy, encoder or augmentation."]
    return "\n".join(lines)


def description(name: str) -> str:
    """Return a page about a strategy, an encoder or an augmentation. Raises InputError."""
    tables: list[tuple[Mapping[str, Any], Callable[[Any], str]]]
    tables = [(strategies(), _strategy), (ARCHITECTURES, _encoder), (RECIPES, _views)]
    found = [page(table[name]) for table, page in tables if name in table]
    if name == AUTO:
        found = [f"{AUTO} (a race of strategies): {RACE}\n\n{inspect.getdoc(race)}"]
    if not found:
        known = [*(name for table, _ in tables for name in table), AUTO]
        rule = f"must name a strategy, encoder or augmentation: {', '.join(known)}"
        raise InputError(rule, argument="describe", value=name, hint=suggest(name, known))
    return "\n\n".join(found)


def needs(row: Strategy) -> str:
    """Return in words the demands of a strategy on the pool and the encoder."""
    if row.needs_labels:
        parts = ["a labelled pool"]
    elif row.takes_labels is not Strategy.takes_labels:
        parts = ["examples only, and uses labels where there are any"]
    else:
        parts = ["examples only, no labels"]
    if row.split == "classes":
        parts[0] += " (items or people, several examples of each)"
    if row.square_images:
        parts.append("images as high as wide")
    if row.augments:
        parts.append("random views (--augment)")
    if row.encoders is not None:
        parts.append(
            "the encoder " + " or ".join(with_options(n, o) for n, o in row.encoders.items())
        )
    return ", ".join(parts)


def recipe_text(recipe: Recipe) -> str:
    """Return how long and how fast a strategy trains by default, on one line."""
    return (
        f"{recipe.epochs:g} epochs, batch {recipe.batch_size}, {recipe.optimizer.name} "
        f"{recipe.learning_rate:g}, {recipe.schedule}"
    )


def numbers(values: Mapping[str, float]) -> str:
    """Return "crop=0.3, flip=0.5"."""
    return ", ".join(f"{name}={value:g}" for name, value in values.items())


def changes(options: Mapping[str, float]) -> dict[str, float]:
    """Return those of an augmentation's options that change something."""
    tables = {name: option for row in RECIPES.values() for name, option in row.table.items()}
    return {name: value for name, value in options.items() if value != tables[name].default}


def _strategy(row: Strategy) -> str:
    facts = [("needs", needs(row)), ("default", recipe_text(row.recipe))]
    if row.recipe.least_updates:
        facts.append(("", f"more epochs for a small pool, for {row.recipe.least_updates} updates"))
    if row.advice:
        facts.append(("if it collapses", row.advice))
    module = sys.modules.get(getattr(row.stages, "__module__", ""))
    return _page(row, "strategy", module, facts, "--opt", row.options)


def _encoder(row: Architecture) -> str:
    module = sys.modules[row.build.__module__]
    return _page(row, "encoder", module, [], "--encoder-opt", row.options)


def _views(row: Views) -> str:
    facts = [("numbers", numbers(row.values))] if row.values else []
    table = {
        name: replace(o, default=row.values.get(name, o.default)) for name, o in row.table.items()
    }
    return _page(row, "augmentation", None, facts, "--augment-opt", table)


def _page(
    row: Any,
    kind: str,
    module: ModuleType | None,
    facts: list[tuple[str, str]],
    flag: str,
    options: Mapping[str, Option],
) -> str:
    """Return what is said of a row: its summary, its module's own words, facts and options."""
    lines = [f"{row.name} ({kind}): {row.summary}"]
    if about := module and inspect.getdoc(module):
        lines += ["", about]
    if facts:
        lines += ["", *_facts(facts)]
    if options:
        lines += ["", f"Options ({flag} name=value):"]
    for name, option in options.items():
        lines += _facts([(f"  {name}", f"{option.help}. [default: {shown(option.default)}]")])
    return "\n".join(lines)


def _facts(pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{name:<{WIDTH}}{paragraph(text, ' ' * WIDTH)[WIDTH:]}" for name, text in pairs]


def _options(options: Mapping[str, Option]) -> list[str]:
    return [f"{INDENT}{name}={shown(o.default)}: {o.help}" for name, o in options.items()]


def with_options(name: str, options: Mapping[str, object]) -> str:
    """Return "mlp (activation=sigmoid units=500,250)"."""
    given = " ".join(f"{key}={shown(value)}" for key, value in options.items())
    return f"{name} ({given})" if given else name


def shown(value: object) -> str:
    """Return an option's value as it is spelled in a command."""
    return ",".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
