"""Stratified splits and orders: held-out examples, and the examples that a label budget buys."""

from __future__ import annotations

import heapq

import numpy as np

from headstart.errors import InputError, require


def stratified_split(
    y: np.ndarray | None, n: int, fraction: float, seed: int, *, each_class: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Split 0..n-1 into (kept, held out): two sorted int64 index arrays, disjoint and complete.

    Every class keeps at least one example, so of classes of a single example nothing is held out.

    Args:
        y: (n,) integer labels to stratify by, or None for a plain random split.
        n: number of examples.
        fraction: the part to hold out, 0 <= fraction < 1; when above 0, at least one example is.
        seed: 0 or more.
        each_class: hold out at least one example of every class as well.

    Raises:
        InputError: an argument breaks its rule.
    """
    require(0 <= fraction < 1, "fraction", "must be 0 or more and below 1", value=fraction)
    count = n if y is None else len(y)
    require(count == n, "y", f"must have {n} labels, one an example", value=count)
    rng = generator(seed)
    groups = [np.arange(n)] if y is None else [np.flatnonzero(y == k) for k in np.unique(y)]
    sizes = [len(group) for group in groups]
    wanted = max(1, round(n * fraction)) if fraction > 0 else 0
    lows = [min(1, size - 1) if each_class and fraction > 0 else 0 for size in sizes]
    takes = _apportion(sizes, wanted, lows, [max(0, size - 1) for size in sizes])
    held = [rng.permutation(group)[:take] for group, take in zip(groups, takes, strict=True)]
    held_out = np.sort(np.concatenate([np.empty(0, np.int64), *held]))
    return np.setdiff1d(np.arange(n), held_out), held_out


def class_split(y: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split by whole classes (people, items) into (kept, held out), two sorted int64 index arrays.

    At least two classes are held out, since one class has no pair of different items, and at least two kept.

    Args:
        y: (n,) integer labels of four classes or more.
        fraction: the part of the classes to hold out, 0 < fraction < 1.
        seed: 0 or more.

    Raises:
        InputError: there are fewer classes, or ``fraction`` breaks its rule.
    """
    classes = np.unique(y)
    count = min(len(classes) - 2, max(2, round(fraction * len(classes))))
    require(0 < fraction < 1, "fraction", "must be above 0 and below 1", value=fraction)
    if count < 2:
        raise InputError(f"A split by classes needs four or more, and y has {len(classes)}.")
    held = np.isin(y, generator(seed).permutation(classes)[:count])
    return np.flatnonzero(~held), np.flatnonzero(held)


def _apportion(sizes: list[int], total: int, lows: list[int], caps: list[int]) -> list[int]:
    """Share ``total`` out in proportion to ``sizes`` by largest remainder, within the bounds."""
    whole = max(1, sum(sizes))
    quotas = [total * size / whole for size in sizes]
    takes = [max(low, min(cap, int(q))) for q, low, cap in zip(quotas, lows, caps, strict=True)]
    step = 1 if sum(takes) < total else -1
    while sum(takes) != total:
        free = [
            k for k, take in enumerate(takes) if (take < caps[k] if step > 0 else take > lows[k])
        ]
        if not free:
            break
        takes[max(free, key=lambda k: step * (quotas[k] - takes[k]))] += step
    return takes


def stratified_order(y: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Order examples so that every prefix is stratified.

    For K <= m <= n the first m hold every class at least once and class k at most ceil(m N_k / N) times; and,
    from m = N / min(N_k) on, at least floor(m N_k / N) times. The order does not depend on n.

    Largest remainder alone is not nested (a bigger budget can take a seat away), so seats go by
    earliest deadline: seat j of class k opens after (j-1) N/N_k places and is due by j N/N_k.

    Args:
        y: (N,) class indices 0..K-1, every class present.
        n: length of the order, K <= n <= N.
        seed: 0 or more.

    Returns:
        (n,) int64 indices into ``y``.
    """
    rng = generator(seed)
    pools = [rng.permutation(np.flatnonzero(y == k)) for k in range(int(y.max()) + 1)]
    whole = len(y)
    order = [int(pool[0]) for pool in pools]
    opens = [(whole // len(pool) + 1, k) for k, pool in enumerate(pools)]
    heapq.heapify(opens)
    due: list[tuple[float, int]] = []
    taken = [1] * len(pools)
    for place in range(len(pools) + 1, n + 1):
        while opens and opens[0][0] <= place:
            _, k = heapq.heappop(opens)
            heapq.heappush(due, ((taken[k] + 1) / len(pools[k]), k))
        _, k = heapq.heappop(due)
        order.append(int(pools[k][taken[k]]))
        taken[k] += 1
        heapq.heappush(opens, (taken[k] * whole // len(pools[k]) + 1, k))
    return np.array(order[:n], dtype=np.int64)


def generator(seed: int) -> np.random.Generator:
    """Return NumPy's generator for a seed. Raises InputError unless it is an integer, 0 or more."""
    good = isinstance(seed, int | np.integer) and not isinstance(seed, bool) and seed >= 0
    require(good, "seed", "must be an integer, 0 or more", value=seed)
    return np.random.default_rng(int(seed))
