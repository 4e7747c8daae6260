"""Transfer from Python: an encoder and a few labels in, a model out."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.api.pretraining import load_encoder
from headstart.api.session import parse, session_of
from headstart.errors import InputError
from headstart.files import read_json, write_text
from headstart.options import CheckpointOptions, ReadOptions, TestPartOptions, documented
from pretrain.encoders.encoder import schema_of
from pretrain.engine.session import Session
from tasks.loading.resolve import as_dataset, folder_size
from tasks.loading.tables import TableReading
from tasks.task import TargetTask
from transfer.config import TransferConfig
from transfer.encoder_source import EncoderSource
from transfer.export.formats import export_model
from transfer.export.keras_file import ModelInfo, write_model
from transfer.export.keras_file import load_model as load
from transfer.export.predict import examples_for
from transfer.inference import predict_batched
from transfer.numerics import both_classes
from transfer.plan import TransferPlan
from transfer.report.artifacts import Artifacts
from transfer.report.model_card import card
from transfer.run import transfer as run

if TYPE_CHECKING:
    from tasks.dataset import Dataset


class Report(str):
    """A page of Markdown, which a notebook shows as one."""

    __slots__ = ()

    def _repr_markdown_(self) -> str:
        return str(self)


@dataclass(eq=False)
class TransferredModel:
    """A trained model: stock Keras inside, its measurements beside it.

    Attributes:
        result: the measurements and all that led to them, the JSON that the command writes.
        history: a row an epoch, as dictionaries: stage, epoch and metrics.
        classes: (K,) the classes, as they were given in y; empty of numbers.
        path: the ``.keras`` file; None of a model in memory only.
        info: the kind of y, and the shape, type and range of raw examples.
        keras: the ``keras.Model``: raw examples (B, ...) to probabilities (B, K), of two classes (B, 1).

    It pickles with its ``.keras`` file inside. As with every pickle: load only what you trust.
    """

    result: dict[str, Any] = field(repr=False)
    history: list[dict[str, Any]] = field(repr=False)
    classes: np.ndarray = field(repr=False)
    path: Path | None
    info: ModelInfo = field(repr=False)
    keras: Any = field(repr=False)
    _examples: np.ndarray = field(repr=False)

    @property
    def report(self) -> Report:
        """The model's card, a page of Markdown."""
        return Report(card(self.result, "model.keras" if self.path is None else self.path.name))

    def predict_proba(self, x: Any) -> np.ndarray:
        """Return probabilities (N, K) float32: of the classes, or of each of several labels.

        Args:
            x: raw examples (N, ...), as an array, DataFrame, path or name.

        Raises:
            InputError: the examples do not fit the model, or it predicts numbers.
        """
        if self.result["target"] == "numbers":
            raise InputError("A model of numbers has no probabilities.", hint="Call predict.")
        return self._outputs(x)

    def predict(self, x: Any) -> np.ndarray:
        """Return predictions (N,): classes as they were given, or numbers; of several labels (N, K) 0 and 1.

        Args and Raises are those of ``predict_proba``.
        """
        outputs, target = self._outputs(x), self.result["target"]
        if target == "numbers":
            return outputs[:, 0]
        if target == "multi-label":
            return (outputs > 0.5).astype(np.uint8)
        return self.classes[outputs.argmax(axis=1)]

    def score(self, x: Any, y: Any) -> float:
        """Return the accuracy against y (N,); of numbers R squared, of several labels the micro F1."""
        from sklearn.metrics import f1_score, r2_score

        predicted, y = self.predict(x), np.asarray(y)
        if self.result["target"] == "numbers":
            return float(r2_score(y, predicted))
        if self.result["target"] == "multi-label":
            return float(f1_score(y, predicted, average="micro", zero_division=0.0))
        return float(np.mean(predicted.astype(str) == y.astype(str)))

    def save(self, path: str | Path, *, force: bool = False) -> TransferredModel:
        """Write the ``.keras`` file, and its result and card beside it; returns the model under its name.

        Raises:
            InputError: ``path`` does not end in .keras, exists without ``force``, or cannot be written.
        """
        artifacts = Artifacts(model=Path(path).expanduser())
        artifacts.check(force=force)
        write_model(self.keras, artifacts.model, self.info, self._examples)
        saved = replace(self, path=artifacts.model)
        kept = {k: v for k, v in self.result.items() if k not in ("exports", "pictures")}
        write_text(artifacts.result, json.dumps({**kept, "history": self.history}, indent=1) + "\n")
        write_text(artifacts.card, saved.report)
        return saved

    def export(self, format: str, path: str | Path | None = None, *, force: bool = False) -> Path:
        """Write the model in another format, compared with the model before it counts.

        Args:
            format: "onnx" or "savedmodel".
            path: the ``.keras`` file beside which it is written; None: the model's own.
            force: replace an existing file.

        Returns:
            The file or folder that was written.
        """
        model = self if path is None else self.save(path, force=force)
        if model.path is None:
            rule = "must name a .keras file, for the model lies in memory"
            raise InputError(rule, argument="path")
        (made,) = export_model(model.path, [format], force=force)
        return Path(made["path"])

    def _outputs(self, x: Any) -> np.ndarray:
        """Return probabilities (N, K) or numbers (N, 1) of raw examples."""
        table = None if self.info.table is None else TableReading(rows="all", like=self.info.table)
        dataset = as_dataset(x, argument="x", table=table)
        examples = self.info.raw(examples_for("The model", self.info, dataset))
        outputs = predict_batched(self.keras, examples)
        return both_classes(outputs) if self.result["target"] == "classes" else outputs

    def __getstate__(self) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.keras"
            write_model(self.keras, file, self.info, self._examples)
            return {**self.__dict__, "keras": file.read_bytes()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.keras"
            file.write_bytes(state["keras"])
            self.__dict__.update({**state, "keras": load(file)})

    def __repr__(self) -> str:
        result = self.result
        names = [name for name in ("accuracy", "rmse", "micro_f1") if name in result]
        measured = ", ".join(f"{name} {result[name]:.4f}" for name in names)
        kind = f"{len(result['classes'])} classes" if result["classes"] else "numbers"
        return (
            f"<TransferredModel: {kind} from {result['labels']} labels of {result['data']}, "
            f"{measured} on {result['test']['n']:,} test examples, digest {result['digest'][:16]}>"
        )


@documented(TransferConfig, TestPartOptions, ReadOptions, CheckpointOptions)
def transfer(
    encoder: Any,
    data: Any,
    *,
    unlabelled: Any = None,
    out: str | Path | None = None,
    **options: Any,
) -> TransferredModel:
    """Put a new head on a pretrained encoder, train it on a few labels, and test it once.

    The same options, data and seed give the digest that the command ``transfer`` gives, and each of the two
    resumes what the other began.

    Args:
        encoder: what ``pretrain`` returned, the path of a weights file or of a ``.keras`` model, or
            "keras.applications:NAME".
        data: labelled examples: (x, y), (x, y, x_test, y_test), a path, a name or a Dataset.
        unlabelled: more examples, which are used if validation says that they help.
        out: the ``.keras`` file to write, with its result and card beside it; with it a run can be
            interrupted and resumed. None: in memory only.
        **options: see the command.

    Returns:
        The model.

    Raises:
        InputError: something cannot be used, or the pretraining used labels of test examples; nothing was
            written.
        NonFiniteError: training became infinite or not-a-number.
        Interrupted: Ctrl-C; with ``out``, a checkpoint was written.

    Example:
        >>> model = transfer(encoder, "digits", labels=100)
        >>> model.predict(np.zeros((2, 8, 8, 1), "uint8")).shape
        (2,)
    """
    config, testing, reading, running = parse(
        "transfer", options, TransferConfig, TestPartOptions, ReadOptions, CheckpointOptions
    )
    source = load_encoder(encoder)
    how: dict[str, Any] = {
        "image_size": reading.image_size,
        "skip_unreadable": reading.skip_unreadable,
        "seed": config.seed,
    }
    like = schema_of(source.weights_file.preprocessing)
    if reading.image_size is None and isinstance(data, str | Path):
        how["image_size"] = folder_size(str(data), source.weights_file.encoder["input_shape"])
    session = session_of(running)
    try:
        table = TableReading.of(reading, like=like, needs_target=True)
        dataset = as_dataset(data, table=table, **how)
        more = None
        if unlabelled is not None:
            table = TableReading(delimiter=reading.delimiter, rows="all", like=like)
            more = as_dataset(unlabelled, argument="unlabelled", table=table, **how)
        task = TargetTask.from_dataset(dataset, seed=config.seed, test_fraction=testing.test_part)
        plan = TransferPlan.make(
            task,
            EncoderSource.from_weights(source.weights_file, source.name),
            config,
            unlabelled=more,
            out=None if out is None else Path(out).expanduser(),
            session=session,
        )
        done = run(plan, session)
    finally:
        session.reporter.close()
    return TransferredModel(
        result=done.result,
        history=done.history,
        classes=_classes(data, dataset),
        path=done.path,
        info=ModelInfo.of(done.inputs, done.result),
        keras=done.model,
        _examples=task.x_test[:64],
    )


def load_model(path: str | Path) -> TransferredModel:
    """Read a model that ``transfer`` wrote, with the result beside it.

    Raises:
        InputError: the file is no such model, or the result beside it is missing.
    """
    path = Path(path).expanduser()
    info = ModelInfo.read(path)
    result = read_json(path.with_suffix(".json"))
    if result is None:
        raise InputError(
            f"There is no result {path.with_suffix('.json')} beside the model.",
            hint="Keep the two files together, or load the model alone with keras.models.load_model.",
        )
    Session().start()
    return TransferredModel(
        result=result,
        history=result.get("history", []),
        classes=np.array(info.target.names),
        path=path,
        info=info,
        _examples=np.zeros((1, *info.shape), info.dtype),
        keras=load(path),
    )


def _classes(data: Any, dataset: Dataset) -> np.ndarray:
    """Return the classes (K,) in the type in which y holds them."""
    if dataset.target == "numbers":
        return np.array([])
    names = dataset.class_names or tuple(map(str, range(dataset.n_classes)))
    if isinstance(data, tuple) and len(data) > 1 and dataset.target == "classes":
        given = np.unique(np.asarray(data[1]))
        if tuple(map(str, given.tolist())) == tuple(names):
            return given
    return np.array(names)
