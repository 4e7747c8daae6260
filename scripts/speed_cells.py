"""Transfer cells a minute: a benchmark's workers against a plain loop in stock Keras."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

STRATEGY = "autoencoder"


def bench(encoder: str, labels: list[int], seeds: int, folder: Path):
    """Return a benchmark of one strategy on sandals and shirts, one epoch of pretraining."""
    from benchmark.runner.launch import Running, make_benches

    from benchmark.data import DataConfig
    from benchmark.planning.plan import BenchmarkConfig
    from transfer.recipes import recipe

    config = BenchmarkConfig(
        strategies=[STRATEGY],
        labels=labels,
        seeds=range(seeds),
        recipe=recipe("default"),
        encoder=encoder,
        pretrain_fields={"epochs": 1},
    )
    # As for workers of one thread, in whichever process this is called.
    run = Running(workers=2)
    return make_benches([DataConfig(data="fashion-mnist/B")], config, folder, run)[0]


def ours(encoder: str, labels: list[int], seeds: int, workers: int) -> dict:
    """Time the cells of the strategy in workers that have started and loaded their data."""
    from benchmark.planning.budget import MeasureUnit

    from benchmark.runner.workers import Pool
    from benchmark.work.queue import Unit

    with tempfile.TemporaryDirectory() as folder:
        made = bench(encoder, labels, seeds, Path(folder))
        units = made.units([cell for cell in made.cells if cell.base == STRATEGY])
        pool = Pool(workers)
        try:
            first = [unit for unit in units if not unit.is_cell]
            starts = [
                MeasureUnit(
                    data=made.source,
                    pretrain=first[0].config.pretrain,
                    budget=None,
                    settings=made.settings,
                )
            ] * workers
            list(pool.run([Unit(key=f"start {i}", config=c) for i, c in enumerate(starts)]))
            list(pool.run(first))
            cells = [unit for unit in units if unit.is_cell]
            began = time.perf_counter()
            done = [outcome for _, outcome in pool.run(cells)]
            seconds = time.perf_counter() - began
        finally:
            pool.close()
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
    config, task = made.fresh.encoder, made.task
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
