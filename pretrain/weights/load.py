"""A weights file's encoder for Keras users."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headstart.lazy import keras
from pretrain.engine.runtime import keras_defaults
from pretrain.engine.session import Session
from pretrain.weights.file import WeightsFile, assign


def load_encoder(path: str | Path) -> Any:
    """Return a weights file's encoder as a ``keras.Model``, with its preprocessing inside.

    Args:
        path: a file that ``pretrain`` wrote.

    Returns:
        A ``keras.Model`` from raw examples (B, ...), as the pretraining had them (0 to 255 for images that
        were uint8; any dtype, cast to float32), to features (B, D) float32. It holds stock Keras layers
        only: ``rescale``, then ``encoder``, whose layers ``block1``, ``block2``, ... are models too. Of a
        table it takes raw columns (B, 1) by name, as ``table_inputs`` describes.

    Raises:
        InputError: the file cannot be read, or is not exactly what ``pretrain`` wrote.

    Example:
        >>> encoder = load_encoder("weights.h5")
        >>> features = encoder.predict(images)
    """
    return encoder_model(WeightsFile.read(Path(path)))


@keras_defaults()
def encoder_model(weights: WeightsFile) -> Any:
    """Return the encoder of a weights file in memory as ``load_encoder`` does."""
    Session().start()
    from pretrain.encoders.encoder import Encoder, schema_of
    from pretrain.encoders.table_inputs import table_inputs

    encoder = Encoder(weights.encoder, seed=None)
    assign(weights.tensors, encoder.variables)
    schema = schema_of(weights.preprocessing)
    if schema is not None:
        front = table_inputs(schema)
        return keras.Model(front.input, encoder.model(front.output), name="headstart_encoder")
    scale, offset = (
        # One number, or one a channel.
        values[0] if len(values) == 1 else list(values)
        for values in (weights.preprocessing["scale"], weights.preprocessing["offset"])
    )
    # Not the raw dtype: Keras would cut floats down to uint8 without a word.
    raw = keras.Input(weights.encoder["input_shape"], dtype="float32", name="raw")
    rescaled = keras.layers.Rescaling(scale, offset, name="rescale")(raw)
    return keras.Model(raw, encoder.model(rescaled), name="headstart_encoder")
