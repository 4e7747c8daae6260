"""SimCLR for ``scripts/speed``: a plain PyTorch loop with this project's views, and the views alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

TEMPERATURE = 0.2


def views_alone(x: Any, batch: int, timed: Callable[..., dict]) -> dict:
    """Time what makes two views of each of the images ``x`` (N, H, W, 1) uint8, and nothing else."""
    from pretrain.engine.runtime import start

    start()
    import tensorflow as tf

    from pretrain.augment.views import augment

    options = recipe().options
    images = tf.constant(x)

    @tf.function
    def epoch(order):
        total = 0.0
        for i in tf.range(len(x) // batch):
            rows = tf.gather(images, order[i * batch : (i + 1) * batch])
            clean = tf.cast(rows, tf.float32) / 255
            for view in range(2):
                total += tf.reduce_sum(augment(clean, tf.stack([view, i]), options))
        return total

    return timed(lambda: epoch(tf.random.shuffle(tf.range(len(x)))).numpy(), len(x))


def recipe() -> Any:
    """Return the random views that a run on Fashion-MNIST has."""
    from pretrain.augment.recipes import Augmentation
    from tasks.loading.resolve import load_dataset

    return Augmentation.resolve(load_dataset("fashion-mnist/A"))


def torch_loop(x: Any, build: Callable[[Any], Any], batch: int, timed: Callable[..., dict]) -> dict:
    """Time PyTorch on images ``x`` (N, H, W, 1) uint8: same encoder, views, projector and loss.

    build: torch.nn -> the encoder with a last layer of 8 classes, which is cut off here.
    """
    import torch
    from torch import nn
    from torch.nn import functional

    options = recipe().options
    images = torch.from_numpy(x).float().div_(255).permute(0, 3, 1, 2).contiguous()
    images = images.contiguous(memory_format=torch.channels_last)
    encoder = build(nn)[:-1].to(memory_format=torch.channels_last)
    head = nn.Sequential(
        nn.Linear(128, 256, bias=False), nn.BatchNorm1d(256), nn.ReLU(), nn.Linear(256, 128)
    )
    update = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=1e-3)

    def step(clean: Any) -> float:
        with torch.no_grad():
            both = torch.cat([torch_view(clean, options), torch_view(clean, options)])
        z = functional.normalize(head(encoder(both)), dim=1)
        scores = (z @ z.T / TEMPERATURE).fill_diagonal_(-1e9)
        count = len(clean)
        other = torch.cat([torch.arange(count, 2 * count), torch.arange(count)])
        loss = functional.cross_entropy(scores, other)
        update.zero_grad()
        loss.backward()
        update.step()
        return float(loss.detach())

    def run_epoch() -> float:
        order = torch.randperm(len(images))
        return sum(step(images[order[at : at + batch]]) for at in range(0, len(images), batch))

    return timed(run_epoch, len(images))


def torch_view(x: Any, options: dict[str, float]) -> Any:
    """Return one random view of each image of ``x`` (B, 1, H, W): what ``augment`` does to grey images.

    Blur and noise are left out: no recipe has them.
    """
    import torch
    from torch.nn import functional

    count, _, height, width = x.shape

    def draw(low: float, high: float) -> Any:
        return torch.empty(count).uniform_(low, high)

    def each(low: float, high: float) -> Any:
        return draw(low, high)[:, None, None, None]

    side = draw(options["crop"], 1).sqrt()
    stretch = torch.exp(draw(-1, 1) * math.log(options["aspect"]) / 2)
    across, down = (side * stretch).clamp(max=1), (side / stretch).clamp(max=1)
    flip = torch.where(draw(0, 1) < options["flip"], -1.0, 1.0)
    # In units of half an image, as the grid has them.
    right, below = draw(-1, 1) * (1 - across), draw(-1, 1) * (1 - down)
    if options["shift"]:
        right = right + 2 * draw(-1, 1) * options["shift"]
        below = below + 2 * draw(-1, 1) * options["shift"]
    if options["turn"] or options["zoom"] or options["shear"]:
        zoom = torch.exp(draw(-1, 1) * math.log1p(options["zoom"]))
        angle = draw(-1, 1) * options["turn"] * math.pi / 180
        slant = draw(-1, 1) * options["shear"]
        cos, sin = angle.cos() * zoom, angle.sin() * zoom
        of_x = [across * cos * flip, across * (cos * slant - sin) * height / width, right]
        of_y = [down * sin * flip * width / height, down * (sin * slant + cos), below]
    else:
        zero = torch.zeros(count)
        of_x, of_y = [across * flip, zero, right], [zero, down, below]
    maps = torch.stack([torch.stack(of_x, dim=1), torch.stack(of_y, dim=1)], dim=1)
    grid = functional.affine_grid(maps, list(x.shape), align_corners=False)
    x = functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
    if options["gamma"]:
        power = torch.exp(each(-1, 1) * math.log1p(options["gamma"]))
        x = x.clamp(1e-6, 1).pow(power)
    if options["contrast"]:
        mean = x.mean(dim=(1, 2, 3), keepdim=True)
        x = mean + (x - mean) * each(1 - options["contrast"], 1 + options["contrast"])
    if options["brightness"]:
        x = x * each(1 - options["brightness"], 1 + options["brightness"])
    if options["erase"]:
        x = _torch_erase(x, draw, options["erase"])
    return x.clamp(0, 1)


def _torch_erase(x: Any, draw: Callable[[float, float], Any], probability: float) -> Any:
    import torch

    height, width = x.shape[2:]
    area, shape = draw(0.05, 0.25), torch.exp(draw(-0.7, 0.7))
    high, wide = (area * shape).sqrt(), (area / shape).sqrt()
    top, left = draw(0, 1) * (1 - high), draw(0, 1) * (1 - wide)
    rows = (torch.arange(height) + 0.5) / height
    columns = (torch.arange(width) + 0.5) / width
    in_rows = (rows >= top[:, None]) & (rows < (top + high)[:, None])
    in_columns = (columns >= left[:, None]) & (columns < (left + wide)[:, None])
    hole = in_rows[:, :, None] & in_columns[:, None, :]
    hole &= (draw(0, 1) < probability)[:, None, None]
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return torch.where(hole[:, None], mean, x)
