"""``transfer``: read, plan, train and print."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headstart.options import ReadOptions
from pretrain.encoders.encoder import schema_of
from pretrain.engine.session import Session
from pretrain.keras_import.source import read_source
from tasks.loading.resolve import check_apart, folder_size, load_dataset
from tasks.loading.tables import TableReading
from tasks.task import TargetTask
from transfer.commands.console import show
from transfer.config import TransferConfig
from transfer.encoder_source import EncoderSource
from transfer.plan import TransferPlan
from transfer.run import transfer


def transfer_command(
    config: TransferConfig,
    session: Session,
    *,
    encoder: str,
    imported: dict[str, Any],
    data: str,
    test_part: float,
    unlabelled: str | None,
    out: Path,
    reading: ReadOptions,
    as_json: bool,
) -> None:
    """Read everything, plan, train, and print what was measured.

    imported: of an ``encoder`` that is no weights file, the options of ``import_model``.
    """
    check_apart(out, encoder, data, config.labels_from, unlabelled)
    say, seed = session.reporter.say, config.seed
    try:
        file = read_source(encoder, threads=session.threads, say=say, **imported)
        source = EncoderSource.from_weights(file, Path(encoder).name)
        size = reading.image_size or folder_size(data, source.encoder["input_shape"])
        how: dict[str, Any] = {"skip_unreadable": reading.skip_unreadable, "seed": seed}
        like = schema_of(source.preprocessing)
        table = TableReading.of(reading, like=like, needs_target=True)
        dataset = load_dataset(data, image_size=size, table=table, **how)
        more = None
        if unlabelled is not None:
            # At the labelled ones' size: equal examples are found only so.
            size = size or folder_size(unlabelled, dataset.input_shape)
            rest = TableReading(delimiter=reading.delimiter, rows="all", like=like)
            more = load_dataset(unlabelled, image_size=size, table=rest, **how)
        task = TargetTask.from_dataset(dataset, seed=seed, test_fraction=test_part)
        plan = TransferPlan.make(task, source, config, unlabelled=more, out=out, session=session)
        done = transfer(plan, session)
    finally:
        session.reporter.close()
    show(done, as_json=as_json)
