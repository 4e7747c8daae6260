"""A stage compiled: its steps as one TensorFlow function, kept and reused by runs of the same shape.

The data stays in memory as a tensor and a batch is gathered inside the loop, so Python is entered once
for many steps. Dense stages can be compiled by XLA (4-5 times faster than ``fit``); convolutions never
are, since XLA's are 30 times slower than the plain graph's on a CPU.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from headstart.lazy import tf
from pretrain.engine.stage import Batch, Objective, Stage

# Compiling takes 2-3 s and saves about 1 ms a step (scripts/speed), so it pays from here on.
XLA_STEPS = 2000
EVALUATION_SEED = 0


class Program:
    """The compiled steps of one stage, with the variables and optimizers that they were traced on."""

    def __init__(self, stage: Stage, xla: bool) -> None:
        self.stage = stage
        self.variables = stage.variables
        self.xla = xla
        self.names = metric_names(stage)
        # One optimizer for each learning rate that an objective has.
        self.optimizers = [
            [(scale, indices, objective.optimizer.make()) for scale, indices in objective.groups()]
            for objective in stage.objectives
        ]
        for groups, objective in zip(self.optimizers, stage.objectives, strict=True):
            for _, indices, optimizer in groups:
                optimizer.build([objective.variables[i] for i in indices])
        self.slots = [v for groups in self.optimizers for *_, o in groups for v in o.variables]
        self._fresh_slots = [v.numpy() for v in self.slots]
        data = [
            {n: tf.TensorSpec([None, *a.shape[1:]], a.dtype) for n, a in arrays.items()}
            for arrays in (stage.arrays, stage.tables)
        ]
        order, rates = (tf.TensorSpec([None], dtype) for dtype in (tf.int32, tf.float32))
        numbers, sums = tf.TensorSpec([5], tf.int32), tf.TensorSpec([len(self.names)], tf.float32)
        # Loops are written with tf.while_loop: without AutoGraph tracing takes a quarter less time.
        self._steps = tf.function(
            self._loop, input_signature=[*data, order, rates, numbers, sums], autograph=False
        )
        # Without a signature: XLA wants static shapes, so each size of data is compiled by itself.
        self._xla_steps = tf.function(
            partial(self._loop, static=True), jit_compile=True, autograph=False
        )
        size = tf.TensorSpec([], tf.int32)
        self._evaluate = tf.function(
            self._evaluation_loop, input_signature=[*data, size], autograph=False
        )
        self.traces = 0

    def reset(
        self, values: Sequence[np.ndarray], slots: Sequence[np.ndarray] | None = None
    ) -> None:
        """Start a run from ``values`` of the variables, with optimizers fresh or as they were saved."""
        assign(self.variables, values)
        assign(self.slots, self._fresh_slots if slots is None else slots)

    def run(
        self,
        arrays: Mapping[str, Any],
        tables: Mapping[str, Any],
        order: Any,
        rates: Any,
        *,
        start: int,
        count: int,
        before: int,
        seed: int,
        sums: np.ndarray,
    ) -> tuple[np.ndarray, bool]:
        """Make ``count`` updates from step ``start`` of an epoch.

        Args:
            arrays, tables: the stage's as tensors; arrays are (N, ...) each.
            order: int32 (N,), the epoch's order of examples.
            rates: float32 (steps,), the epoch's learning rates.
            start, count: which steps of the epoch.
            before: updates made in the epochs before this one (random numbers depend on it).
            seed: the run's seed.
            sums: float32 (metrics,), what the epoch's earlier steps added up.

        Returns:
            The sums with these steps added, and whether they and all variables are finite.
        """
        batch = self.stage.batch_size
        total, finite = tf.constant(sums, tf.float32), True
        full = min(count, max(0, self.stage.size // batch - start)) if self.xla else 0
        if full:
            numbers = tf.constant([start, full, before, seed, batch], tf.int32)
            total, finite = self._xla_steps(arrays, tables, order, rates, numbers, total)
        if count > full:
            numbers = tf.constant([start + full, count - full, before, seed, batch], tf.int32)
            total, rest = self._steps(arrays, tables, order, rates, numbers, total)
            finite = bool(finite) and bool(rest)
        return total.numpy(), bool(finite)

    def evaluate(self, arrays: Mapping[str, Any], tables: Mapping[str, Any]) -> dict[str, float]:
        """Return the mean over ``arrays`` of each metric, computed with ``training=False``."""
        size = len(next(iter(arrays.values())))
        sums = self._evaluate(arrays, tables, tf.constant(size, tf.int32)).numpy()
        return {name: float(value) / size for name, value in zip(self.names, sums, strict=True)}

    def check_variables(self) -> None:
        """Raise ValueError when the step touches a variable that no objective declares."""
        declared = {id(v.value.handle) for v in (*self.variables, *self.slots)}
        traced = (f._list_all_concrete_functions() for f in (self._steps, self._xla_steps))
        for tensor in (t for several in traced for one in several for t in one.captured_inputs):
            if tensor.dtype == tf.resource and id(tensor) not in declared:
                raise ValueError(
                    f"The stage {self.stage.name!r} computes with a variable that none of its "
                    f"objectives lists in 'variables' or 'state' (shape and type: "
                    f"{tensor._handle_data.shape_and_type if tensor._handle_data else '?'}). "
                    f"List it in 'state' when it is frozen or updates itself."
                )

    def _loop(
        self,
        arrays: Any,
        tables: Any,
        order: Any,
        rates: Any,
        numbers: Any,
        sums: Any,
        static: bool = False,
    ) -> Any:
        """Make the updates; ``static``: of batches whose size XLA knows, so that none may be smaller."""
        self.traces += 1
        start, count, before, seed, batch = tf.unstack(numbers)
        size, whole = tf.shape(order)[0], self.stage.batch_size

        def body(i: Any, sums: Any) -> Any:
            if static:
                rows = tf.slice(order, [i * whole], [whole])
            else:
                rows = order[i * batch : tf.minimum((i + 1) * batch, size)]
            return i + 1, self._update(arrays, tables, rows, rates[i], before + i, seed, sums)

        stop = start + count
        _, sums = tf.while_loop(lambda i, _: i < stop, body, [start, sums], parallel_iterations=1)
        # Weights are looked at too: oneDNN's relu can turn NaN weights into a loss of zero.
        floating = [v.value for v in self.variables if v.value.dtype.is_floating]
        checks = [tf.reduce_all(tf.math.is_finite(value)) for value in (sums, *floating)]
        return sums, tf.reduce_all(checks)

    def _update(
        self, arrays: Any, tables: Any, rows: Any, rate: Any, step: Any, seed: Any, sums: Any
    ) -> Any:
        cut = {name: tf.gather(array, rows) for name, array in arrays.items()}
        batch = Batch(arrays=cut, seed=tf.stack([seed, step]), training=True, tables=tables)
        values: list[Any] = []
        for objective, groups in zip(self.stage.objectives, self.optimizers, strict=True):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch([v.value for v in objective.variables])
                result = objective.loss(batch)
            moved = objective.variables
            gradients = tape.gradient(result["loss"], [v.value for v in moved])
            unused = [v.path for v, g in zip(moved, gradients, strict=True) if g is None]
            if unused:
                raise ValueError(
                    f"The loss of objective {objective.name!r} does not depend on {unused}, which it "
                    f"lists in 'variables'. List what it only reads in 'state'."
                )
            for scale, indices, optimizer in groups:
                optimizer.learning_rate.assign(rate if scale == 1 else scale * rate)
                optimizer.apply([gradients[i] for i in indices], [moved[i] for i in indices])
            if objective.after is not None:
                objective.after(batch)
            values += _reported(objective, result)
        return sums + tf.cast(tf.shape(rows)[0], tf.float32) * tf.stack(values)

    def _evaluation_loop(self, arrays: Any, tables: Any, size: Any) -> Any:
        self.traces += 1

        def body(i: Any, sums: Any) -> Any:
            stop = tf.minimum(i + self.stage.evaluation_batch, size)
            cut = {name: array[i:stop] for name, array in arrays.items()}
            seed = tf.stack([EVALUATION_SEED, i])
            batch = Batch(arrays=cut, seed=seed, training=False, tables=tables)
            found = [_reported(o, o.loss(batch)) for o in self.stage.objectives]
            values = [value for values in found for value in values]
            return stop, sums + tf.cast(stop - i, tf.float32) * tf.stack(values)

        zeros = tf.zeros([len(self.names)])
        return tf.while_loop(lambda i, _: i < size, body, [0, zeros], parallel_iterations=1)[1]


def _reported(objective: Objective, result: Mapping[str, Any]) -> list[Any]:
    return [result[name] for name in ("loss", *objective.metrics)]


class Programs:
    """Compiled stages by what they compute, so that runs of one shape are traced once."""

    def __init__(self, most: int = 32) -> None:
        self._kept: OrderedDict[str, Program] = OrderedDict()
        self._most = most

    def get(self, key: str, stage: Stage, xla: bool) -> Program:
        """Return the program of an equal stage, or compile this one.

        ``key`` says all that the stage's computation depends on but its variables' values, its data
        and its seed; what the engine itself knows of the stage is added here.
        """
        shapes = [
            {name: (a.shape[1:], str(a.dtype)) for name, a in sorted(arrays.items())}
            for arrays in (stage.arrays, stage.tables)
        ]
        sizes = [stage.size, *(len(table) for _, table in sorted(stage.tables.items()))]
        optimizers = [(o.name, o.optimizer, o.groups()) for o in stage.objectives]
        # XLA compiles for one size of data: another size has its own program, and its own counter.
        batches = (stage.batch_size, stage.evaluation_batch)
        whole = repr((key, stage.name, stage.key, shapes, optimizers, batches, xla and sizes))
        if whole not in self._kept:
            self._kept[whole] = Program(stage, xla)
        self._kept.move_to_end(whole)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return self._kept[whole]

    @property
    def traces(self) -> int:
        """How often any kept program was traced: the number that must not grow with seeds."""
        return sum(program.traces for program in self._kept.values())


def metric_names(stage: Stage) -> list[str]:
    """Return the names of a stage's sums: "loss" and metrics, prefixed when there are several objectives."""
    several = len(stage.objectives) > 1
    return [
        f"{objective.name}_{name}" if several else name
        for objective in stage.objectives
        for name in ("loss", *objective.metrics)
    ]


def assign(variables: Sequence[Any], values: Sequence[np.ndarray]) -> None:
    """Set each variable to its value."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def use_xla(stage: Stage) -> bool:
    """Say whether compiling pays: a pure function of the plan, so a resumed run decides the same."""
    full = stage.epochs * (stage.size // stage.batch_size)
    return not stage.convolutional and full >= XLA_STEPS
