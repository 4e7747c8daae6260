"""Transfer cells a minute: a benchmark's workers against a plain loop in stock Keras."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

STRATEGY = "autoencoder"


def bench(encoder: str, labels: list[int], seeds: int, folder: Path):
    """Return the plan of one strategy on sandals and shirts, one epoch of pretraining."""
    from benchmark.config import BenchmarkConfig, RunnerConfig
    from benchmark.data import BenchmarkData
    from benchmark.planning.plan import BenchmarkPlan

    config = BenchmarkConfig(
        strategies=STRATEGY, labels=labels, seeds=seeds, encoder=encoder, pretrain_epochs=1
    )
    # As for workers of one thread, in whichever process this is called.
    runner = RunnerConfig(workers=2)
    data = [BenchmarkData.of("fashion-mnist/B")]
    return BenchmarkPlan.make(data, config, folder, runner=runner).tasks[0]


def ours(encoder: str, labels: list[int], seeds: int, workers: int) -> dict:
    """Time the cells of the strategy in workers that have started and loaded their data."""
    from benchmark.runner.workers import WorkerProcesses
    from benchmark.work.cell import CellItem
    from benchmark.work.measure import MeasureItem

    with tempfile.TemporaryDirectory() as folder:
        made = bench(encoder, labels, seeds, Path(folder))
        items = made.compile([cell for cell in made.cells if cell.base == STRATEGY])
        processes = WorkerProcesses(workers)
        try:
            first = [item for item in items if not isinstance(item, CellItem)]
            starts = [
                MeasureItem(
                    key=f"start {number}",
                    data=made.data.config,
                    pretrain=first[0].pretrain,
                    budget=None,
                    decides="",
                    environment=made.environment,
                )
                for number in range(workers)
            ]
            list(processes.run(starts))
            list(processes.run(first))
            cells = [item for item in items if isinstance(item, CellItem)]
            began = time.perf_counter()
            done = [outcome for _, outcome in processes.run(cells)]
            seconds = time.perf_counter() - began
        finally:
            processes.close()
    return {
        "seconds": seconds,
        "cells": len(done),
        "updates": sum(record["updates"] for record in done),
        "accuracy": sum(record["accuracy"] for record in done) / len(done),
    }


def plain(encoder: str, labels: list[int], seeds: int) -> dict:
    """Time a loop that builds, compiles, fits and evaluates a Keras model for each of the same cells."""
    import keras
    import numpy as np

    from pretrain.encoders.encoder import Encoder
    from transfer.recipes import recipe

    with tempfile.TemporaryDirectory() as folder:
        made = bench(encoder, labels, seeds, Path(folder))
    (source,) = made.pretrainings.fresh.values()
    config, task = source.encoder, made.task
    weights = [weight.numpy() for weight in Encoder(config, 0).model.weights]
    x_test, y_test = task.x_test.astype("float32") / 255, task.y_test
    cells, updates, right = 0, 0, 0.0
    began = time.perf_counter()
    for budget in labels:
        plan = recipe("default").for_budget(budget)
        for seed in range(seeds):
            rows = task.labels(budget, seed)
            x, y = task.x[rows].astype("float32") / 255, task.y[rows].astype("float32")
            reused = Encoder(config, seed).model
            reused.set_weights(weights)
            model = keras.Sequential([reused, keras.layers.Dense(1)])
            stages = [
                (False, plan.freeze_epochs, plan.head_learning_rate),
                (True, plan.epochs, plan.learning_rate),
            ]
            steps = -(-budget // plan.batch_size)
            for free, epochs, rate in stages:
                reused.trainable = free
                decay = keras.optimizers.schedules.CosineDecay(rate, epochs * steps)
                model.compile(
                    optimizer=keras.optimizers.Adam(decay),
                    loss=keras.losses.BinaryCrossentropy(from_logits=True),
                )
                model.fit(x, y, batch_size=plan.batch_size, epochs=epochs, verbose=0)
                updates += epochs * steps
            found = model.predict(x_test, batch_size=512, verbose=0)[:, 0] > 0
            right += float(np.mean(found == y_test))
            cells += 1
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "cells": cells, "updates": updates, "accuracy": right / cells}
