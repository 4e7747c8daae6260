"""Encoders from wherever they are: weights files, Keras model files, models of ``keras.applications``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from headstart.errors import InputError, arg
from pretrain.keras_import import Refusal
from pretrain.keras_import.applications import PREFIX, SCALINGS, made, parse
from pretrain.keras_import.archive import load_archive
from pretrain.keras_import.convert import convert
from pretrain.keras_import.live import read_model
from pretrain.keras_import.scaling import Scaling, guessed, spanning
from pretrain.weights.file import WeightsFile

Say = Callable[[str], None]


def read_source(
    spec: str,
    *,
    threads: int | None = None,
    say: Say = lambda line: None,
    **given: Any,
) -> WeightsFile:
    """Return an encoder as a weights file with its digest, imported in memory if needed.

    given: options of ``import_model``, which a weights file has no use for. Raises InputError.
    """
    if spec.startswith("~"):
        spec = str(Path(spec).expanduser())
    if spec.startswith(PREFIX) or Path(spec).suffix.lower() == ".keras":
        return import_model(spec, threads=threads, say=say, **given)
    if extra := [name for name, value in given.items() if value is not None]:
        raise InputError(
            f"is for models that are imported, and {spec} is a weights file",
            argument="from_weights" if extra[0] == "weights" else extra[0],
            hint="Leave it out.",
        )
    return WeightsFile.read(Path(spec))


def import_model(
    spec: str,
    *,
    cut: str | None = None,
    weights: str | None = None,
    input_shape: tuple[int, ...] | None = None,
    value_range: tuple[float, float] | None = None,
    threads: int | None = None,
    say: Say = lambda line: None,
) -> WeightsFile:
    """Return a foreign model below a cut as a weights file with its digest, not written anywhere.

    spec: a ``.keras`` file or ``keras.applications:NAME``. cut: a layer's name or number; see ``Graph.find``.
    weights: of an application: "imagenet" (the default), "none" or a file. value_range: of the values that
    the model expects. say: is told what was assumed and dropped. Raises InputError, HeadstartError.
    """
    from pretrain.engine.runtime import keras_defaults, start

    name = spec if spec.startswith(PREFIX) else Path(spec).name
    try:
        if spec.startswith(PREFIX):
            application, options = parse(spec)
            start(threads)
            graph, model, about = made(application, options, weights or "imagenet", input_shape)
            scaling = SCALINGS[application]
        else:
            if weights is not None:
                raise InputError(
                    f"{spec} is a model with weights of its own: leave its weights option out."
                )
            model, digest = load_archive(Path(spec), lambda: start(threads))
            graph, about = read_model(model, input_shape), {"sha256": digest}
            scaling = guessed(graph)
        if value_range is not None:
            scaling = spanning(*value_range, f"as {arg.value_range} says")
        with keras_defaults():
            file = convert(graph, model, {"name": name, **about}, cut=cut, scaling=scaling)
    except Refusal as refusal:
        raise InputError(f"{name} cannot be imported: {refusal.what}; {refusal.way_out}.") from None
    _tell(file, scaling, say)
    return file.sealed()


def _tell(file: WeightsFile, scaling: Scaling, say: Say) -> None:
    source = file.metadata["source"]
    dropped = source["dropped"]
    above = f"dropped above it: {_few(dropped)}" if dropped else "nothing dropped"
    say(f"Imported {source['name']} up to the layer {source['cut']}; {above}")
    if source["left_out"]:
        say(f"Left out, for they do nothing outside training: {_few(source['left_out'])}")
    low, high = scaling.expected
    say(f"Values: the model is taken to expect {low:.4g} to {high:.4g} ({scaling.why})")
    blocks = source["blocks"]
    shown = "; ".join(blocks if len(blocks) <= 6 else [*blocks[:3], "...", *blocks[-2:]])
    say(f"Blocks, for {arg.reuse}: {len(blocks)}, lowest first: {shown}")


def _few(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
