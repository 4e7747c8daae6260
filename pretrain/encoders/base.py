"""An encoder architecture: one row of a table, with its weights' shapes (without Keras) and its builder.

A configuration is plain JSON and is all that is ever stored of an architecture:
``{"architecture": "mlp", "input_shape": [28, 28, 1], "options": {"units": [300, 100]}}``.
Everything here and in ``shapes`` runs without TensorFlow, so that a hostile weights file is refused before
TensorFlow is even imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from headstart.errors import InputError, suggest

Shapes = dict[str, tuple[int, ...]]
"""``"block/layer/variable"`` -> shape, in the encoder's order."""

# Above these an encoder is refused as a mistake or an attack; far beyond what a CPU can train.
MAX_INPUT_SIZE = 1 << 24
MAX_PARAMETERS = 1 << 29


@dataclass(frozen=True)
class Option:
    """One option of an architecture, a strategy or an augmentation.

    Attributes:
        default: its value where none is given.
        help: one line about its effect.
        parse: from a value, or its text on a command line, to the value that is stored as JSON; raises
            ``ValueError`` with the rule that the value breaks.
    """

    default: Any
    help: str
    parse: Callable[[Any], Any]


def integers(low: int, high: int, most: int = 64) -> Callable[[Any], list[int]]:
    """Rule: a list of 1 to ``most`` integers from ``low`` to ``high``; text is read as "300,100"."""

    def parse(value: Any) -> list[int]:
        parts = value.replace("-", ",").split(",") if isinstance(value, str) else value
        if not isinstance(parts, list | tuple) or not 1 <= len(parts) <= most:
            raise ValueError(f"must be a list of 1 to {most} integers")
        return [integer(low, high)(part) for part in parts]

    return parse


def integer(low: int, high: int) -> Callable[[Any], int]:
    """Rule: an integer from ``low`` to ``high``."""
    return _ranged(int, f"an integer from {low} to {high}", low, high)


def number(low: float, high: float) -> Callable[[Any], float]:
    """Rule: a number from ``low`` to ``high``."""
    return _ranged(float, f"a number from {low} to {high}", low, high)


def _ranged(kind: type, what: str, low: float, high: float) -> Callable[[Any], Any]:
    def parse(value: Any) -> Any:
        given = isinstance(value, str | int | kind) and not isinstance(value, bool)
        try:
            result = kind(value) if given else None
        except ValueError:
            result = None
        if result is None or not low <= result <= high:
            raise ValueError(f"must be {what}")
        return result

    return parse


def choice(*names: str) -> Callable[[Any], str]:
    """Rule: one of ``names``."""

    def parse(value: Any) -> str:
        if value not in names:
            raise ValueError(f"must be one of {', '.join(names)}")
        return str(value)

    return parse


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One row of the table of encoders.

    Attributes:
        name: as options name it.
        summary: one line for the list.
        shapes: (input_shape, options) -> every weight's path and shape, without Keras.
        build: (input_shape, options) -> [(block name, keras.Model from the block's input to its output)],
            lowest first; the last block's output is the features, shape (B, D).
        decode: (input_shape, options) -> a keras.Model from features (B, D) to logits of the input's shape
            (B, ...), used by strategies that reconstruct.
        convolutional: True when it holds convolutions (XLA on CPU is then never used).
        computed: True when its weights are computed, not learnt by gradients: only strategies that name it
            train it.
        imported: True when its options describe a model from elsewhere, which no pretraining can choose.
        options: its own, by name.
    """

    name: str
    summary: str
    shapes: Callable[[tuple[int, ...], Mapping[str, Any]], Shapes]
    build: Callable[[tuple[int, ...], Mapping[str, Any]], list[tuple[str, Any]]]
    decode: Callable[[tuple[int, ...], Mapping[str, Any]], Any]
    convolutional: bool
    computed: bool = False
    imported: bool = False
    options: Mapping[str, Option] = field(default_factory=dict)


def resolve_options(
    owner: str, table: Mapping[str, Option], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Check options against a table, and fill in the defaults.

    Args:
        owner: in errors: "the encoder 'mlp'".
        table: the options that there are.
        given: values, or texts of a command line, by name.

    Raises:
        InputError: names the owner, the option, its rule and the value.
    """
    for name in given:
        if name not in table:
            has = ", ".join(sorted(table)) or "none"
            raise InputError(
                f"{owner} has no option {name!r}.", hint=f"{suggest(name, table)} It has: {has}."
            )
    resolved = {}
    for name, option in table.items():
        value = given.get(name, option.default)
        try:
            resolved[name] = option.parse(value)
        except ValueError as error:
            raise InputError(f"Option {name!r} of {owner} {error}", value=value) from None
    return resolved


def affine(path: str, *kernel: int) -> Shapes:
    """Return the shapes of a layer's kernel, and of its bias of one number an output."""
    return {f"{path}/kernel": kernel, f"{path}/bias": kernel[-1:]}


def by_path(blocks: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return every weight of (name, keras.Model) pairs by its "block/layer/variable" path."""
    return {
        f"{name}/{layer.name}/{variable}": weight
        for name, block in blocks
        for layer in block.layers
        for variable, weight in weights_of(layer).items()
    }


def weights_of(layer: Any) -> dict[str, Any]:
    """Return a layer's weights by name, in Keras' order; no random-generator state.

    Where layers inside it have weights of one name, as an attention's query and key have, the names are
    paths: "query.kernel".
    """
    weights = [weight for weight in layer.weights if "seed_generator" not in weight.path]
    names = [weight.name for weight in weights]
    if len(set(names)) < len(names):
        paths = [f"/{weight.path}".rpartition(f"/{layer.name}/")[2] for weight in weights]
        names = [path.replace("/", ".") for path in paths]
    return dict(zip(names, weights, strict=True))
