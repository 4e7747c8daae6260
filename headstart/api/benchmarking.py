"""Benchmarks from Python: strategies against each other, against no pretraining and against raw values."""

from __future__ import annotations

import html
import os
import secrets
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmark.config import BenchmarkConfig, ReadingConfig, RunnerConfig
from headstart.api.session import parse, shown
from headstart.options import RunOptions, documented
from tasks.dataset import Dataset
from tasks.loading.resolve import as_dataset
from tasks.loading.tables import TableReading
from tasks.tables.read import is_frame


@dataclass(frozen=True)
class Table:
    """A table of a benchmark: one row a strategy, scratch or baseline, at one label budget.

    Attributes:
        title: the label budget, and the data set or encoder where there are several.
        header: (C,) the names of the columns.
        rows: the cells as text, a tuple (C,) a row.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        lines = [self.header, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        shown = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
        return "\n".join([self.title, *shown])

    def _repr_html_(self) -> str:
        def row(cells: Sequence[str], kind: str) -> str:
            return "<tr>" + "".join(f"<{kind}>{html.escape(c)}</{kind}>" for c in cells) + "</tr>"

        body = "".join(row(cells, "td") for cells in self.rows)
        title = html.escape(self.title)
        return f"<table><caption>{title}</caption><thead>{row(self.header, 'th')}</thead>{body}</table>"


class Tables(tuple[Table, ...]):
    """The tables of a benchmark, shown one below the other."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\n\n".join(map(str, self))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return "".join(table._repr_html_() for table in self)


@dataclass(frozen=True, eq=False)
class BenchmarkResult:
    """A finished benchmark.

    Attributes:
        folder: the results, of which a later call with the same folder keeps what is finished.
        verdict: whether pretraining helped, as sentences.
        table: the tables, one a label budget.
        summary: the verdict and every row's mean, interval and difference, as plain data.
        records: one a cell, as in ``results.jsonl``.
        report: the page ``report.html``.
        figures: the files of the figures.
        notes: remarks for the reader, failed cells among them.
    """

    folder: Path
    verdict: str
    table: Tables = field(repr=False)
    summary: dict[str, Any] = field(repr=False)
    records: list[dict[str, Any]] = field(repr=False)
    report: Path = field(repr=False)
    figures: list[Path] = field(repr=False)
    notes: list[str] = field(repr=False)

    def __repr__(self) -> str:
        return f"<BenchmarkResult: {self.verdict} Report: {self.report}>"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self.verdict)}</p>{self.table._repr_html_()}"


@documented(BenchmarkConfig, ReadingConfig, RunnerConfig, RunOptions)
def benchmark(
    data: Any, *, pool: Any = None, out: str | Path | None = None, **options: Any
) -> BenchmarkResult:
    """Set strategies against each other, against no pretraining and against raw values.

    Args:
        data: labelled examples: (x, y), (x, y, x_test, y_test), a path, a name or a Dataset.
        pool: the examples to pretrain on, in any of these forms, and without labels; None takes the training
            part of ``data`` without its labels.
        out: the folder of the results, in which finished cells are kept for the next call; None: a new
            temporary one.
        **options: see the command.

    Returns:
        The verdict, the tables and the report.

    Raises:
        InputError: something cannot be used; nothing was written.
        Interrupted: Ctrl-C; finished cells are kept in ``out``.

    Example:
        >>> result = benchmark("digits", strategies=["autoencoder"], labels=[50], seeds=3)
        >>> print(result.verdict)
    """
    from benchmark.data import BenchmarkData, DataConfig
    from benchmark.planning.plan import BenchmarkPlan
    from benchmark.runner.progress import make_progress
    from benchmark.runner.run import run_benchmark
    from headstart.errors import python_spelling
    from pretrain.engine.session import Session

    config, reading, runner, running = parse(
        "benchmark", options, BenchmarkConfig, ReadingConfig, RunnerConfig, RunOptions
    )

    def given(value: Any, argument: str, **how: Any) -> Any:
        # Names stay names: other processes load them for themselves, and the records hold them.
        if value is None or isinstance(value, str | os.PathLike):
            return value and os.fspath(value)
        table = TableReading.of(reading, **how)
        return as_dataset(value, argument=argument, image_size=reading.image_size, table=table)

    # Only named: nothing is made where the plan refuses.
    new = Path(tempfile.gettempdir()) / f"headstart-{secrets.token_hex(8)}"
    folder = new if out is None else Path(out).expanduser()
    # The benchmark shows cells, not the steps of each training.
    session = Session(threads=running.threads, force=running.force)
    known = given(pool, "pool", rows="all")
    like = known.schema if isinstance(known, Dataset) else None
    labelled = given(data, "data", like=like)
    if known is None and is_frame(data):
        # Rows without a target are the pool, with the labelled ones.
        every = given(data, "data", rows="all")
        known = every if len(every.x) > len(labelled.x) else None
    settings = DataConfig(**asdict(reading), seed=config.seed)
    read = BenchmarkData.of(labelled, known, settings)
    plan = BenchmarkPlan.make([read], config, folder, session=session, runner=runner)
    run_benchmark(plan, session, progress=make_progress(not shown(running), python_spelling))
    return load_result(folder)


def load_result(folder: str | Path, *, intervals: str = "t") -> BenchmarkResult:
    """Read a benchmark's folder, and draw its report again.

    Args:
        folder: what ``benchmark`` wrote.
        intervals: "t" (Student's) or "bootstrap" (BCa over seeds).

    Raises:
        InputError: the folder holds no benchmark.
    """
    from benchmark.analysis.formatting import place_name
    from benchmark.analysis.rows import places
    from benchmark.report.build import REPORT, redraw
    from benchmark.report.markdown import table_lines

    made = redraw(Path(folder), intervals)
    tables = []
    for title, labels, rows in places(made.found):
        header, *body = table_lines(rows)
        tables.append(Table(place_name(title, labels), header, tuple(body)))
    return BenchmarkResult(
        folder=made.folder,
        verdict=" ".join(made.judged.lines()),
        table=Tables(tables),
        summary=made.summary,
        records=made.records,
        report=made.folder / REPORT,
        figures=[path for path in made.written if path.parent.name == "figures"],
        notes=made.notes,
    )
