"""The loop: stages one after the other, epoch by epoch, with checkpoints and finiteness checks."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from headstart.errors import HeadstartError, Interrupted, NonFiniteError, arg
from headstart.lazy import tf
from pretrain.engine.checkpoint import Best, Checkpoint
from pretrain.engine.order import learning_rates, permutation
from pretrain.engine.program import Program, assign, use_xla
from pretrain.engine.session import Session
from pretrain.engine.stage import Stage

# A call into the compiled loop lasts about this long: Ctrl-C and the bar answer within it.
CALL_SECONDS = 0.3


@dataclass(kw_only=True)
class Run:
    """One training run: what decides its bits, and what surrounds it.

    Attributes:
        seed: decides the order of examples and every random number inside the steps.
        key: all that the stages' computation depends on besides data and seed; runs with equal keys
            share compiled steps through the session's ``programs``.
        session: progress, compiled steps, and where to save and find the run's state.
        history: filled by ``train``: one row an epoch.
        watch: called with the stage and the epoch's row; returns numbers to add to the row. It may
            raise to stop the run. A pure function of the variables and of ``history``.
        gallery: called with a picture's name, the epoch's row and the picture, uint8 (H, W[, 3]).
        keep_best: (metric, 1 or -1): a stage whose rows have the metric ends with the variables of the
            epoch where it was largest (1) or smallest (-1).
    """

    seed: int
    key: str
    session: Session = field(default_factory=Session)
    history: list[dict[str, Any]] = field(default_factory=list)
    watch: Callable[[Stage, Mapping[str, Any]], Mapping[str, float]] | None = None
    gallery: Callable[[str, Mapping[str, Any], np.ndarray], None] | None = None
    keep_best: tuple[str, int] | None = None
    updates: int = 0
    resumed_from: str | None = None


def train(stages: Iterable[Stage], run: Run) -> None:
    """Train each stage in turn; ``stages`` may be a generator that looks at trained variables.

    The stages' own variables hold the result; ``run.history`` and ``run.updates`` are filled.

    Raises:
        NonFiniteError: a loss or a weight became NaN or infinite.
        Interrupted: Ctrl-C or SIGTERM; the step was finished and a checkpoint written.
        InputError: the checkpoint to resume from belongs to another run.
    """
    session = run.session
    saved = session.checkpoints.load() if session.resume and session.checkpoints else None
    if saved is not None:
        run.history[:] = [dict(row) for row in saved.history]
        run.resumed_from = f"stage {saved.stage + 1}, epoch {saved.epoch + 1}, step {saved.step}"
        session.reporter.say(f"Resuming at {run.resumed_from}.")
    finished: list[list[np.ndarray]] = []
    with _Interrupts() as interrupts:
        for index, stage in enumerate(stages):
            run.updates += stage.updates
            if saved is not None and index < saved.stage:
                assign(stage.variables, saved.finished[index])
            else:
                here = saved if saved is not None and index == saved.stage else None
                _Loop(stage, index, run, finished, interrupts, here).train()
            finished.append([v.numpy() for v in stage.variables])


Tensors = tuple[Mapping[str, Any], Mapping[str, Any]]
"""A stage's arrays and its tables, as tensors."""


def tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return ``arrays`` as constants of TensorFlow."""
    return {name: tf.constant(array) for name, array in arrays.items()}


class _Loop:
    """One stage of one run."""

    def __init__(
        self,
        stage: Stage,
        index: int,
        run: Run,
        finished: list[list[np.ndarray]],
        interrupts: _Interrupts,
        saved: Checkpoint | None,
    ) -> None:
        self.stage, self.index, self.run = stage, index, run
        self.finished, self.interrupts = finished, interrupts
        self.program: Program = run.session.programs.get(
            f"{run.key} stage {index}", stage, use_xla(stage)
        )
        # A shared program computes on the variables of the stage it was compiled for: an earlier run's
        # trained model, which gets its own values back when this run is over.
        self.saved_values = None if self.program.stage is stage else self._values()
        self.epoch, self.step = 0, 0
        self.sums = np.zeros(len(self.program.names), np.float32)
        self.best: Best | None = None
        if saved is None:
            self.program.reset([v.numpy() for v in stage.variables])
        else:
            self.program.reset(saved.variables, saved.slots)
            self.epoch, self.step, self.sums = saved.epoch, saved.step, saved.sums
            self.best = saved.best
        self.saved_at, self.save_cost = time.monotonic(), 0.0
        self.call_steps, self.checked = 1, False

    def _values(self) -> list[np.ndarray]:
        return [v.numpy() for v in self.program.variables]

    def train(self) -> None:
        """Run the epochs that are left, and hand the result to the stage's own variables."""
        stage, steps = self.stage, self.stage.steps_per_epoch
        try:
            if stage.epochs:
                self.run.session.reporter.stage(
                    stage.name,
                    steps=stage.updates,
                    done=self.epoch * steps + self.step,
                    epochs=stage.passes,
                    examples=stage.size,
                )
                data = (tensors(stage.arrays), tensors(stage.tables))
                held_out = None
                if stage.validation is not None:
                    held_out = (tensors(stage.validation), tensors(stage.validation_tables))
                while self.epoch < stage.passes:
                    self._train_epoch(data, held_out)
            if self.best is not None:
                assign(self.program.variables, self.best.variables)
        finally:
            trained = self._values()
            if self.saved_values is not None:
                assign(self.program.variables, self.saved_values)
        assign(stage.variables, trained)

    def _train_epoch(self, data: Tensors, held_out: Tensors | None) -> None:
        stage, run = self.stage, self.run
        whole, steps = stage.steps_per_epoch, stage.steps_in(self.epoch)
        order = tf.constant(permutation(stage.size, run.seed, self.index, self.epoch))
        pace = (stage.learning_rate, stage.schedule, self.epoch, whole, stage.updates)
        rates = tf.constant(learning_rates(*pace, stage.warmup))
        rate, examples, first = 0.0, 0, time.perf_counter()
        while self.step < steps:
            count = min(self.call_steps, steps - self.step)
            began = time.perf_counter()
            self.sums, finite = self.program.run(
                *data,
                order,
                rates,
                start=self.step,
                count=count,
                before=self.epoch * whole,
                seed=run.seed,
                sums=self.sums,
            )
            seconds = time.perf_counter() - began
            if not self.checked:
                self.program.check_variables()
                self.checked = True
            if not finite:
                self._stop_non_finite(count)
            self.step += count
            # At most doubled: the first call also traces and compiles, and says nothing of the pace.
            self.call_steps = max(1, min(2 * count, int(CALL_SECONDS * count / seconds)))
            seen = min(self.step * stage.batch_size, stage.size)
            examples += min(count * stage.batch_size, stage.size)
            rate = examples / max(1e-9, time.perf_counter() - first)
            run.session.reporter.step(
                self.epoch * whole + self.step,
                epoch=self.epoch + 1,
                loss=float(self.sums[0]) / seen,
                rate=rate,
            )
            self._look_up()
        means = {
            n: float(v) / min(stage.size, steps * stage.batch_size)
            for n, v in zip(self.program.names, self.sums, strict=True)
        }
        row: dict[str, Any] = {"stage": stage.name, "epoch": self.epoch + 1, **means}
        if held_out is not None:
            measured = self.program.evaluate(*held_out)
            row |= {f"val_{name}": value for name, value in measured.items()}
        self._look_at(row)
        run.history.append(row)
        run.session.reporter.epoch(row, rate=rate)
        self.epoch, self.step = self.epoch + 1, 0
        self.sums = np.zeros_like(self.sums)

    def _look_at(self, row: dict[str, Any]) -> None:
        """Add to an epoch's row what the stage and the run's watcher see, and note the best epoch."""
        stage, run = self.stage, self.run
        last = row["epoch"] == stage.passes
        if self.saved_values is not None and (stage.snapshot or run.watch):
            assign(stage.variables, self._values())
        if stage.snapshot and (last or row["epoch"] % stage.snapshot_epochs == 0):
            seen = stage.snapshot()
            row |= seen.metrics
            for name, picture in seen.pictures.items():
                if run.gallery:
                    run.gallery(name, row, picture)
        if run.watch:
            row |= run.watch(stage, row)
        if run.keep_best and run.keep_best[0] in row:
            name, sign = run.keep_best
            if self.best is None or sign * row[name] > sign * self.best.score:
                self.best = Best(epoch=row["epoch"], score=row[name], variables=self._values())

    def _look_up(self) -> None:
        """Between two calls: save when it is time, stop when asked to."""
        interrupted = self.interrupts.asked
        # Never spend more than a twentieth of the time on saving.
        checkpoints = self.run.session.checkpoints
        if checkpoints is not None:
            due = max(checkpoints.seconds, 20 * self.save_cost)
            if interrupted or time.monotonic() - self.saved_at > due:
                self._save()
        if interrupted:
            where = f"epoch {self.epoch + 1} of stage {self.stage.name!r}"
            resume = f"Repeat it with {arg.resume:True} to go on."
            raise Interrupted(
                f"Interrupted in {where}, after {self.step} of its steps.",
                hint="Nothing was written." if checkpoints is None else resume,
            )

    def _save(self) -> None:
        assert self.run.session.checkpoints is not None
        began = time.monotonic()
        checkpoint = Checkpoint(
            stage=self.index,
            epoch=self.epoch,
            step=self.step,
            variables=self._values(),
            slots=[v.numpy() for v in self.program.slots],
            sums=self.sums,
            finished=self.finished,
            history=self.run.history,
            best=self.best,
        )
        try:
            self.run.session.checkpoints.save(checkpoint)
        except (OSError, HeadstartError) as error:
            # The training itself is sound: say it, and let it reach its end.
            self.run.session.reporter.say(f"Warning: no checkpoint could be written: {error}.")
        self.saved_at = time.monotonic()
        self.save_cost = self.saved_at - began

    def _stop_non_finite(self, count: int) -> None:
        floating = [v for v in self.program.variables if v.value.dtype.is_floating]
        bad = [v.path for v in floating if not np.isfinite(v.numpy()).all()]
        what = f"the weights {', '.join(bad[:3])}" if bad else "the loss"
        raise NonFiniteError(
            f"Training became non-finite: {what} of stage {self.stage.name!r}, epoch "
            f"{self.epoch + 1}, within steps {self.step + 1} to {self.step + count}. Nothing was "
            f"exported.",
            hint=f"Use a smaller {arg.learning_rate} (it was {self.stage.learning_rate:g}), or look for "
            f"extreme values in the data.",
        )


class _Interrupts:
    """Turns the first Ctrl-C or SIGTERM into a question between steps; a second one is at once."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
