"""Consistency training for ``scripts/speed``: this project's stage, and the same in plain PyTorch.

Both have the default convnet, a linear head, 32 labelled and 128 unlabelled images a step, the same random
views, SoftMatch's weights, aligned distributions, the graph's prior, Adam and averaged weights.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

# Images of the pool: a block of steps, after which the contenders change over, is one pass over them.
POOL, LABELS, CLASSES = 8192, 100, 10
# Blocks of each contender that are not measured: the first compiles.
WARM = 2
UPDATES = 10**6


def alternate(command: list[str], names: list[str], threads: int, blocks: int) -> dict[str, Any]:
    """Return [(wall seconds, CPU seconds)] of each contender's blocks, in processes that take turns.

    Machines drift, and may be busy with other things: only seconds of the same turn are comparable.

    Args:
        command: starts a contender when its name is added.
        names: of the contenders.
        threads: of each.
        blocks: of each.
    """
    limits = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    env = os.environ | dict.fromkeys(limits, str(threads))
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    running = {}
    for name in names:
        running[name] = subprocess.Popen([*command, name], env=env, **pipes)
        if running[name].stdout.readline() != "ready\n":
            raise RuntimeError(f"{name} did not start")
    seconds: dict[str, Any] = {name: [] for name in names}
    for _ in range(blocks):
        for name, process in running.items():
            process.stdin.write("go\n")
            process.stdin.flush()
            wall, cpu = process.stdout.readline().split()
            seconds[name].append((float(wall), float(cpu)))
    for process in running.values():
        process.communicate()
    return seconds


def turns() -> Iterator[None]:
    """Yield at each line of the standard input; print the seconds until the next item is asked for."""
    print("ready", flush=True)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        print(time.perf_counter() - wall, time.process_time() - cpu, flush=True)


def images_a_block() -> int:
    """Return the images that a block's steps learn from."""
    from transfer.semi_supervised.consistency import LABELLED, UNLABELLED

    return POOL // UNLABELLED * (LABELLED + UNLABELLED)


def arrays() -> tuple[Any, Any, Any]:
    """Return images (POOL + LABELS, 28, 28, 1) float32 in [0, 1], classes, and soft labels of the pool."""
    import numpy as np

    from tasks.loading.resolve import load_dataset

    whole = load_dataset("fashion-mnist")
    rows = np.random.default_rng(0).permutation(len(whole.x))[: POOL + LABELS]
    x, y = (whole.x[rows] / 255).astype(np.float32), whole.y[rows].astype(np.int32)
    soft = np.full((POOL, CLASSES), 0.2 / CLASSES, np.float32)
    soft[np.arange(POOL), y[:POOL]] += 0.8
    return x, y, soft


def augmentation(recipe: str) -> Any:
    """Return the random views of both."""
    from pretrain.augment.recipes import Augmentation

    return Augmentation.of(recipe, (28, 28, 1))


def stage(recipe: str) -> tuple[Any, Any]:
    """Return the stage as a transfer from scratch makes it, and its network."""
    from pretrain.encoders import encoder_config
    from transfer.architecture import TransferArchitecture
    from transfer.model.network import TransferNetwork
    from transfer.semi_supervised.consistency import Consistency
    from transfer.targets import Classification

    x, y, soft = arrays()
    target = Classification(names=tuple(map(str, range(CLASSES))))
    config = encoder_config("convnet", (28, 28, 1))
    network = TransferNetwork(config, TransferArchitecture(reuse=0), outputs=CLASSES, seed=0)
    made = Consistency(x=x[:POOL], soft=soft, augmentation=augmentation(recipe), updates=UPDATES)
    labelled = {"x": x[POOL:], "y": y[POOL:]}
    return next(iter(made.stages(labelled, network, target, frozen=0))), network


def ours(recipe: str, threads: int) -> None:
    """Train the stage by the engine; an epoch is a block."""
    from pretrain.engine.progress import Reporter
    from pretrain.engine.session import Session
    from pretrain.engine.train import Run, train

    class Turns(Reporter):
        asked: Iterator[None] | None = None

        def epoch(self, row: Any, *, rate: float) -> None:
            if row["epoch"] >= WARM:
                self.asked = self.asked or turns()
                if next(self.asked, self) is self:
                    raise SystemExit

    session = Session(threads=threads, reporter=Turns()).start()
    train([stage(recipe)[0]], Run(seed=0, key="speed", session=session))


def torch_loop(recipe: str, threads: int, *, tuned: bool = False, compiled: bool = False) -> None:
    """Train in plain PyTorch, in channels-last memory.

    Args:
        recipe, threads: as ``ours``.
        tuned: with the fused Adam, and one call for the averages of all weights; not PyTorch's defaults.
        compiled: the loss by torch.compile.
    """
    import torch
    from speed_simclr import torch_view
    from torch import nn
    from torch.nn import functional

    import transfer.semi_supervised.consistency as c

    torch.set_num_threads(threads)
    x, y, soft = map(torch.from_numpy, arrays())
    x = x.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    y, soft = y.long(), soft + c.LEAST
    labelled_x, labelled_y = x[POOL:], y[POOL:]
    goal = soft.mean(dim=0).sqrt()
    goal /= goal.sum()
    widths = itertools.pairwise((1, 32, 64, 128))
    filters = [m for a, b in widths for m in (nn.Conv2d(a, b, 3, 2, padding=1), nn.ReLU())]
    top = [nn.Flatten(), nn.Linear(2048, 128), nn.ReLU(), nn.Linear(128, CLASSES)]
    network = nn.Sequential(*filters, *top).to(memory_format=torch.channels_last)
    weights = list(network.parameters())
    average = [w.detach().clone() for w in weights]
    update = torch.optim.Adam(weights, lr=c.LEARNING_RATE, eps=1e-7, fused=tuned)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(update, UPDATES)
    said, sure = torch.full((CLASSES,), 1 / CLASSES), torch.tensor([1 / CLASSES, 1.0])
    options = augmentation(recipe).options
    weak, strong = c.weak_view(options), c.strong_view(options)

    def loss_of(some_x: Any, some_y: Any, more_x: Any, prior: Any, power: Any) -> Any:
        with torch.no_grad():
            view = torch_view(torch.cat([some_x, more_x]), weak)
            p = network(view[c.LABELLED :]).softmax(dim=1)
            said.lerp_(p.mean(dim=0), 1 - c.RUNNING)
            p = p * (goal / said.clamp(min=1e-6)) * prior**power
            p = p / p.sum(dim=1, keepdim=True)
            confidence, made = p.max(dim=1)
            now = torch.stack([confidence.mean(), confidence.var(correction=0)])
            sure.lerp_(now, 1 - c.RUNNING)
            mean = torch.minimum(sure[0], now[0])
            below = torch.exp(-2 * (confidence - mean) ** 2 / (sure[1] + 1e-8))
            counts = torch.where(confidence < mean, below, 1.0)
            hard = torch_view(more_x, strong)
        z = network(torch.cat([view[: c.LABELLED], hard]))
        lost = functional.cross_entropy(z[c.LABELLED :], made, reduction="none")
        return functional.cross_entropy(z[: c.LABELLED], some_y) + (counts * lost).mean()

    loss_of = torch.compile(loss_of) if compiled else loss_of
    done = 0

    def run_block() -> float:
        nonlocal done
        order, total = torch.randperm(POOL), 0.0
        for at in range(0, POOL, c.UNLABELLED):
            rows, some = order[at : at + c.UNLABELLED], torch.randint(0, LABELS, (c.LABELLED,))
            power = torch.tensor(c.PRIOR * (1 - done / UPDATES))
            loss = loss_of(labelled_x[some], labelled_y[some], x[rows], soft[rows], power)
            update.zero_grad()
            loss.backward()
            update.step()
            schedule.step()
            done += 1
            kept = min(c.AVERAGE, (1 + done) / (10 + done))
            with torch.no_grad():
                if tuned:
                    torch._foreach_lerp_(average, weights, 1 - kept)
                else:
                    for mean, weight in zip(average, weights, strict=True):
                        mean.lerp_(weight, 1 - kept)
            total += float(loss.detach())
        return total

    for _ in range(WARM):
        run_block()
    for _ in turns():
        run_block()


def parts(recipe: str, threads: int, rounds: int = 5, steps: int = 40) -> dict[str, float]:
    """Return the CPU milliseconds of a step of the stage ("whole"), and of each part by itself.

    The median of ``rounds``, in which each part is done ``steps`` times in a compiled loop.
    """
    from pretrain.engine.runtime import start

    start(threads)
    import numpy as np
    import tensorflow as tf

    import transfer.semi_supervised.consistency as c
    from pretrain.augment.views import augment
    from pretrain.engine.program import Program
    from pretrain.engine.train import tensors

    made, network = stage(recipe)
    program = Program(made, xla=False)
    data = (tensors(made.arrays), tensors(made.tables))
    order = tf.range(made.size)
    rates, sums = tf.fill([made.steps_per_epoch], 1e-3), np.zeros(len(program.names), np.float32)
    x = data[0]["x"][: c.LABELLED + c.UNLABELLED]
    some, more = x[: c.LABELLED], x[c.LABELLED :]
    options = augmentation(recipe).options
    weak, strong = c.weak_view(options), c.strong_view(options)
    objective = made.objectives[0]
    own, average = objective.variables, objective.state[: len(objective.variables)]
    gradients = [1e-3 * tf.ones_like(v.value) for v in own]
    optimizer = objective.optimizer.make()
    optimizer.build(own)

    def view(x: Any, number: int, i: Any, how: Any) -> Any:
        return tf.reduce_sum(augment(x, tf.stack([number, i]), how))

    def outputs(x: Any, i: Any) -> Any:
        return network.head(network.model(x + tf.cast(i, tf.float32), training=False))

    def both_ways(i: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(outputs(x, i) ** 2)
        found = tape.gradient(loss, [v.value for v in own])
        return loss + tf.add_n([gradient[(0,) * len(gradient.shape)] for gradient in found])

    def moved(i: Any) -> Any:
        optimizer.apply(gradients, own)
        return 0.0

    def averaged(i: Any) -> Any:
        for mean, value in zip(average, own, strict=True):
            mean.assign(c.AVERAGE * mean + (1 - c.AVERAGE) * value)
        return 0.0

    def looped(part: Callable[[Any], Any]) -> Callable[[], Any]:
        def body(i: Any, total: Any) -> Any:
            return i + 1, total + part(i)

        def loop() -> Any:
            return tf.while_loop(lambda i, _: i < steps, body, [0, 0.0], parallel_iterations=1)[1]

        return tf.function(loop, autograph=False)

    def whole() -> None:
        how = {"start": 0, "count": steps, "before": 0, "seed": 0, "sums": sums}
        program.run(*data, order, rates, **how)

    loops: dict[str, Callable[[], Any]] = {
        "whole": whole,
        "forward and backward": looped(both_ways),
        "forward without gradient": looped(lambda i: tf.reduce_sum(outputs(more, i))),
        "weak views": looped(lambda i: view(more, 0, i, weak) + view(some, 1, i, weak)),
        "strong views": looped(lambda i: view(more, 2, i, strong)),
        "Adam": looped(moved),
        "average of the weights": looped(averaged),
    }
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for turn in range(rounds + 1):
        for name, loop in loops.items():
            began = time.process_time()
            loop()
            # The first compiles.
            seconds[name] += [time.process_time() - began] if turn else []
    return {name: 1000 * median(found) / steps for name, found in seconds.items()}
