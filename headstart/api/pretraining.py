"""Pretraining from Python: data in, an encoder out."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.api.session import parse, session_of
from headstart.errors import require, worded
from headstart.options import CheckpointOptions, ReadOptions, documented
from pretrain.commands.inspect import as_json
from pretrain.config import PretrainConfig
from pretrain.encoders.encoder import Encoder, Preprocessing, features, schema_of
from pretrain.engine.session import Session
from pretrain.keras_import.source import read_source
from pretrain.monitoring.artifacts import Companions
from pretrain.plan import PretrainPlan, pool_rows
from pretrain.race.plan import RacePlan
from pretrain.race.run import race
from pretrain.run import pretrain as run
from pretrain.strategies import AUTO
from pretrain.weights.file import assign
from pretrain.weights.load import encoder_model
from tasks.loading.resolve import as_dataset, check_apart
from tasks.loading.tables import TableReading

if TYPE_CHECKING:
    from pretrain.weights.file import WeightsFile


@dataclass(eq=False)
class PretrainedEncoder:
    """A pretrained encoder: its weights, and all that is needed to use and to judge them.

    Attributes:
        weights_file: what ``save`` writes and ``load_encoder`` reads.
        history: a row an epoch, as dictionaries: stage, epoch and metrics; empty of one that was loaded.
        name: the file's name, for messages and results; None of one that is in memory only.

    It holds arrays and configuration only, so it pickles; TensorFlow starts when it is first needed.
    """

    weights_file: WeightsFile
    history: list[dict[str, Any]] = field(default_factory=list, repr=False)
    name: str | None = None

    @property
    def info(self) -> dict[str, Any]:
        """Everything but the values of the weights, as plain data: strategy, data, encoder, metrics."""
        return as_json(self.weights_file)

    @property
    def digest(self) -> str:
        """The sha256 (hex) over weights, configuration and metadata."""
        return self.weights_file.digest

    @property
    def race(self) -> dict[str, Any] | None:
        """How the strategy was found, where it was "auto": trainings, measure, seconds, the plain command."""
        return self.weights_file.metadata.get("race")

    @property
    def keras(self) -> Any:
        """The encoder as a new ``keras.Model``: raw examples (B, ...) to features (B, D) float32."""
        return encoder_model(self.weights_file)

    def transform(self, x: Any) -> np.ndarray:
        """Return the features (N, D) float32 of raw examples.

        Args:
            x: examples (N, ...) of the shape and range that the pretraining had: an array, a DataFrame, a
                path or name.

        Raises:
            InputError: the examples have another shape.
        """
        schema = schema_of(self.weights_file.preprocessing)
        table = None if schema is None else TableReading(like=schema, rows="all")
        examples = as_dataset(x, argument="x", table=table).x
        shape = tuple(self.weights_file.encoder["input_shape"])
        shape = shape if schema is None else (len(schema.columns),)
        rule = f"must hold examples of shape {shape}"
        require(examples.shape[1:] == shape, "x", rule, value=examples.shape[1:])
        Session().start()
        encoder = Encoder(self.weights_file.encoder, seed=None)
        assign(self.weights_file.tensors, encoder.variables)
        return features(encoder, Preprocessing.from_json(self.weights_file.preprocessing), examples)

    def save(self, path: str | Path, *, force: bool = False) -> PretrainedEncoder:
        """Write the weights file, whole or not at all; returns the encoder under its new name.

        Raises:
            InputError: the file exists and ``force`` is false, or cannot be written.
        """
        path = Path(path).expanduser()
        return PretrainedEncoder(
            self.weights_file.write(path, force=force), self.history, name=path.name
        )

    def __repr__(self) -> str:
        about, config = self.weights_file.metadata, self.weights_file.encoder
        shape = "x".join(map(str, config["input_shape"]))
        return (
            f"<PretrainedEncoder: {about['strategy']} on {about['data']['name']}, "
            f"{config['architecture']} of {shape} examples, {self.weights_file.n_parameters:,} weights, "
            f"digest {self.digest[:16]}>"
        )


@documented(PretrainConfig, ReadOptions, CheckpointOptions)
def pretrain(
    data: Any, *, probe: Any = None, out: str | Path | None = None, **options: Any
) -> PretrainedEncoder:
    """Pretrain an encoder on many examples.

    The same options, data and seed give the digest that the command ``pretrain`` gives, and each of the two
    resumes what the other began.

    Args:
        data: the pool: an array (N, ...), (x, y), a DataFrame, a path, a name or a Dataset.
        probe: labelled data, to measure the features on during training; of "auto", to choose by.
        out: the weights file to write; with it a run can be interrupted and resumed. None: in memory only.
        **options: see the command.

    Returns:
        The encoder.

    Raises:
        InputError: the data, an option or the output cannot be used; nothing was written.
        CollapseError: all examples got the same features.
        NonFiniteError: training became infinite or not-a-number.
        Interrupted: Ctrl-C; with ``out``, a checkpoint was written.

    Example:
        >>> encoder = pretrain("digits", strategy="autoencoder", epochs=5)
        >>> encoder.transform(np.zeros((2, 8, 8, 1), "uint8")).shape
        (2, 128)
    """
    config, reading, running = parse(
        "pretrain", options, PretrainConfig, ReadOptions, CheckpointOptions
    )
    how = {"image_size": reading.image_size, "skip_unreadable": reading.skip_unreadable}
    path = None if out is None else Path(out).expanduser()
    for each in () if path is None else (path, *Companions(out=path).written()):
        check_apart(each, data, probe)
    session = session_of(running)
    try:
        table = TableReading.of(reading, rows=pool_rows(config))
        pool = as_dataset(data, seed=config.seed, table=table, **how)
        judge = None
        if probe is not None:
            table = TableReading.of(reading, like=pool.schema, needs_target=True)
            judge = as_dataset(probe, argument="probe", table=table, **how)
        if config.strategy == AUTO:
            done = race(
                RacePlan.make(pool, config, probe=judge, out=path, session=session), session
            )
        else:
            plan = PretrainPlan.make(pool, config, probe=judge, out=path, session=session)
            done = run(plan, session)
    finally:
        session.reporter.close()
    return PretrainedEncoder(done.weights, done.history, name=None if path is None else path.name)


def load_encoder(path: str | Path | PretrainedEncoder) -> PretrainedEncoder:
    """Read a weights file, or import a Keras model that was trained elsewhere.

    Args:
        path: the file that ``pretrain`` or ``PretrainedEncoder.save`` wrote, a ``.keras`` model, or
            "keras.applications:NAME".

    Raises:
        InputError: the file cannot be read, or is not exactly what was written.

    Example:
        >>> load_encoder("weights.h5").info["metadata"]["strategy"]
        'autoencoder'
    """
    if isinstance(path, PretrainedEncoder):
        return path
    said: list[str] = []
    where = str(Path(path).expanduser()) if Path(path).expanduser().exists() else str(path)
    weights = read_source(where, say=said.append)
    if said:
        warnings.warn(worded("; ".join(said)), UserWarning, stacklevel=2)
    return PretrainedEncoder(weights, name=Path(where).name)
