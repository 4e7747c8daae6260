"""Adapt raw examples to a pretrained encoder's shape and value range, in stock Keras layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.errors import InputError
from headstart.lazy import keras
from pretrain.encoders.encoder import design, schema_of
from tasks.tables.schema import Schema

if TYPE_CHECKING:
    from tasks.dataset import Dataset
    from tasks.task import TargetTask


@dataclass(frozen=True, kw_only=True)
class InputAdapter:
    """The way of raw examples of one shape, dtype and value range to an encoder of another.

    Attributes:
        shape: of a raw example: (D,) or (H, W, C).
        dtype: of the raw examples.
        value_range: (low, high) of the raw examples.
        encoder_shape: of an example as the encoder takes it.
        scale, offset: ``x * scale + offset`` maps the raw range to the values of the pretraining.
        changes: the conversions in words; empty when the examples fit as they are.
        channel_scale, channel_offset: one a channel of the encoder, applied last; empty when one scale serves
            all channels.
        table: of a table with named columns, its schema; the encoder takes its design.

    Example:
        >>> adapter = InputAdapter.of(task, weights.encoder["input_shape"], weights.preprocessing)
        >>> features = encoder.model(adapter.model()(task.x))
    """

    shape: tuple[int, ...]
    dtype: str
    value_range: tuple[float, float]
    encoder_shape: tuple[int, ...]
    scale: float
    offset: float
    changes: tuple[str, ...]
    channel_scale: tuple[float, ...] = ()
    channel_offset: tuple[float, ...] = ()
    table: Schema | None = None

    @classmethod
    def of(
        cls,
        data: Dataset | TargetTask,
        encoder_shape: tuple[int, ...],
        preprocessing: dict[str, Any],
    ) -> InputAdapter:
        """Return the adapter of a data set's examples, by the range that was read off them.

        Other arguments and errors are those of ``match``; a table must have been read by the encoder's
        schema.
        """
        table = schema_of(preprocessing)
        if table is not None or data.schema is not None:
            return cls._of_table(data, tuple(encoder_shape), table)
        known = preprocessing["value_range"]
        taken = resolve_value_range(data.input_shape, data.value_range, (known[0], known[1]))
        return cls.match(
            data.input_shape, str(data.x.dtype), taken, tuple(encoder_shape), preprocessing
        )

    @classmethod
    def _of_table(
        cls, data: Dataset | TargetTask, encoder_shape: tuple[int, ...], table: Schema | None
    ) -> InputAdapter:
        """Return the adapter of a table with named columns. Raises InputError."""
        if data.schema is None:
            raise InputError(
                f"The encoder was pretrained on a table with named columns, and {data.name!r} has none.",
                hint="Give a .csv, .tsv or .parquet file, or a DataFrame, with the same columns.",
            )
        if table is None:
            raise InputError(
                f"The encoder was not pretrained on a table with named columns, as {data.name!r} is one.",
                hint="Pretrain on a table, or give an array of numbers.",
            )
        if data.schema.columns != table.columns:
            raise InputError(
                f"The table {data.name!r} was read by its own columns, not by those of the pretraining.",
                hint="Give the file or the DataFrame itself, not a data set made of it.",
            )
        return cls(
            shape=data.input_shape,
            dtype="float32",
            value_range=(0.0, 1.0),
            encoder_shape=encoder_shape,
            scale=1.0,
            offset=0.0,
            changes=(),
            table=data.schema,
        )

    @classmethod
    def match(
        cls,
        shape: tuple[int, ...],
        dtype: str,
        value_range: tuple[float, float],
        encoder_shape: tuple[int, ...],
        preprocessing: dict[str, Any],
    ) -> InputAdapter:
        """Return the adapter of raw examples; the arguments are its attributes.

        preprocessing: of the weights file: "value_range", and "scale" and "offset", one or one a channel.

        Raises:
            InputError: the raw examples have another number of axes, columns or channels.
        """
        changes = []
        if preprocessing.get("table") is not None:
            raise InputError(
                "The encoder was pretrained on a table with named columns, and arrays have none.",
                hint="Give a .csv, .tsv or .parquet file, or a DataFrame, with the same columns.",
            )
        if len(shape) != len(encoder_shape) or (len(shape) == 1 and shape != encoder_shape):
            raise InputError(
                f"The encoder expects examples of shape {encoder_shape}, and the data has {shape}.",
                hint=_other_axes(len(shape), len(encoder_shape)),
            )
        if len(shape) == 3:
            if shape[-1] != encoder_shape[-1]:
                if {shape[-1], encoder_shape[-1]} != {1, 3}:
                    raise InputError(
                        f"The encoder expects {encoder_shape[-1]} channels, and the data has {shape[-1]}.",
                        hint="Only grey (1) and colour (3) can be turned into one another.",
                    )
                change = (
                    "colour turned to grey" if encoder_shape[-1] == 1 else "grey repeated as colour"
                )
                changes.append(f"{change} ({shape[-1]} -> {encoder_shape[-1]} channels)")
            if shape[:2] != encoder_shape[:2]:
                changes.append(
                    f"resized from {shape[0]}x{shape[1]} to {encoder_shape[0]}x{encoder_shape[1]}"
                )
        low, high = value_range
        known_low, known_high = preprocessing["value_range"]
        if (low, high) != (known_low, known_high):
            changes.append(f"values {low:g}..{high:g} mapped to {known_low:g}..{known_high:g}")
        stretch = (known_high - known_low) / (high - low)
        scale, offset = preprocessing["scale"], preprocessing["offset"]
        by_channel: dict[str, Any] = {}
        if len(scale) != 1 or len(offset) != 1:
            channels = encoder_shape[-1]
            by_channel = {
                "channel_scale": tuple(map(float, scale * (channels // len(scale)))),
                "channel_offset": tuple(map(float, offset * (channels // len(offset)))),
            }
            scale, offset = [1.0], [0.0]
        return cls(
            shape=shape,
            dtype=dtype,
            value_range=(float(low), float(high)),
            encoder_shape=encoder_shape,
            scale=stretch * scale[0],
            offset=(known_low - low * stretch) * scale[0] + offset[0],
            changes=tuple(changes),
            **by_channel,
        )

    def to_json(self) -> dict[str, Any]:
        """Return shape, dtype and range of the raw examples, and the schema of a table."""
        return {
            "shape": list(self.shape),
            "dtype": self.dtype,
            "value_range": list(self.value_range),
            **({} if self.table is None else {"table": self.table.to_json()}),
        }

    def model(self) -> Any:
        """Return the adapter as a Keras model: raw (B, *shape) to float32 (B, *encoder_shape)."""
        inputs = keras.Input(self.shape, dtype=self.dtype, name="examples")
        if self.table is not None:
            return keras.Model(inputs, design(inputs, self.table.layout), name="inputs")
        hidden = keras.layers.Rescaling(self.scale, self.offset, name="rescale")(inputs)
        if len(self.shape) == 3:
            if self.shape[:2] != self.encoder_shape[:2]:
                height, width = self.encoder_shape[:2]
                hidden = keras.layers.Resizing(height, width, antialias=True, name="resize")(hidden)
            if self.shape[-1] > self.encoder_shape[-1]:
                hidden = keras.ops.image.rgb_to_grayscale(hidden, data_format="channels_last")
            elif self.shape[-1] < self.encoder_shape[-1]:
                hidden = keras.layers.Concatenate(name="colour")([hidden] * 3)
        if self.channel_scale:
            scale, offset = list(self.channel_scale), list(self.channel_offset)
            hidden = keras.layers.Rescaling(scale, offset, name="channels")(hidden)
        return keras.Model(inputs, hidden, name="inputs")


def resolve_value_range(
    shape: tuple[int, ...], given: tuple[float, float], known: tuple[float, float]
) -> tuple[float, float]:
    """Return the range of new raw examples that corresponds to the range a model was made for.

    Images are stretched from one range to the other: 0..1 and 0..255 both span black to white. The columns
    of a table mean the same in every file, and a file's range depends on the rows in it; so tables are
    taken as they are.

    Args:
        shape: of an example.
        given: (low, high) of the new examples.
        known: (low, high) of the examples that the model was made for.
    """
    return known if len(shape) == 1 else given


def _other_axes(given: int, expected: int) -> str:
    """Return the way out for examples with ``given`` axes and an encoder of ``expected`` ones."""
    if given == expected == 1:
        return "Give a table of the same columns, or an encoder of this width."
    if expected == 1:
        return "Images cannot be given to an encoder of tables: give a table, or another encoder."
    kind = "A table" if given == 1 else "Anything but images"
    return f"{kind} cannot be given to an encoder of images: give images, or another encoder."
