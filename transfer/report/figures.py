"""Figures of a transferred model: curves, confusion, a map of features, doubtful examples."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import InputError, arg
from headstart.files import check_output, write_bytes
from pretrain.monitoring.artifacts import metrics, panels
from tasks.task import TargetTask
from transfer.inference import predict_batched
from transfer.numerics import both_classes

NAMES = ("curves", "confusion", "features", "unsure", "wrong")
MAX_EXAMPLES = 24
"""Examples in a grid."""
MAX_POINTS = 2000
"""Test examples on the map."""
MAX_LETTERS = 22
"""Letters of a class name; more do not fit beside an axis."""
MAX_NUMBERED = 20
"""Classes up to which a confusion matrix shows its numbers."""
MAX_NAMED = 60
"""Classes up to which each one is named."""
COLUMNS = 6
DPI = 120


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """A model's outputs for N test examples.

    Attributes:
        probabilities: (N, K) float.
        features: (N, D) float, the encoder's; None of a model without a part called so.
    """

    probabilities: np.ndarray
    features: np.ndarray | None

    @classmethod
    def of(cls, model: Any, x: np.ndarray) -> Predictions:
        """Run a Keras model that ``transfer`` wrote on raw examples ``x`` (N, ...)."""
        probabilities = both_classes(predict_batched(model, x))
        try:
            parts = [model.get_layer(name) for name in ("inputs", "encoder")]
        except ValueError:
            return cls(probabilities=probabilities, features=None)
        features = predict_batched(parts, x).reshape(len(x), -1)
        return cls(probabilities=probabilities, features=features)


def folder_of(model: Path) -> Path:
    """Return the folder of the figures of the ``.keras`` file ``model``."""
    return model.with_name(f"{model.stem}-pictures")


def check_pictures(model: Path, kind: str, *, force: bool) -> None:
    """Check, before any work, that the figures of a ``.keras`` file can be drawn and written.

    Raises:
        InputError: a package is missing, or a file exists that ``force`` does not replace.
    """
    if kind == "umap" and find_spec("umap") is None:
        rule = "takes umap-learn, which this environment does not have"
        hint = f"Run: pip install 'headstart[umap]', or give {arg.map:pca}."
        raise InputError(rule, argument="map", value=kind, hint=hint)
    for name in NAMES:
        check_output(folder_of(model) / f"{name}.png", force)


def write_pictures(
    model: Path,
    task: TargetTask,
    seen: Predictions,
    history: Sequence[Mapping[str, Any]],
    *,
    kind: str = "pca",
    seed: int = 0,
) -> list[str]:
    """Draw the figures of a model of classes; those of an earlier model are replaced or removed.

    Args:
        model: the ``.keras`` file.
        task: its test part is drawn.
        seen: the model's outputs for the test part.
        history: one row an epoch, as in ``curves``.
        kind: of the map, "pca" or "umap".
        seed: of the map, and of the examples on it.

    Returns:
        Paths as text, in the order of NAMES.

    Raises:
        HeadstartError: the disk refuses.
    """
    names, y, probabilities = task.class_names, task.y_test, seen.probabilities
    predicted = probabilities.argmax(axis=1)
    drawn = {"confusion": confusion(y, predicted, names)}
    if history:
        drawn["curves"] = curves(history)
    if seen.features is not None and len(y) > 2:
        rows = np.arange(len(y))
        if len(y) > MAX_POINTS:
            rng = np.random.default_rng(seed)
            rows = np.sort(rng.choice(len(y), MAX_POINTS, replace=False))
        points, axes = project(seen.features[rows], kind, seed)
        drawn["features"] = scatter(points, y[rows], (predicted == y)[rows], names, axes)
    if task.x_test.ndim == 4 and task.x_test.shape[-1] in (1, 3):
        low, high = task.value_range
        for name, rows, title in (
            ("unsure", least_sure(probabilities), "least sure of"),
            ("wrong", most_wrong(probabilities, y), "most wrong about"),
        ):
            if len(rows):
                images = (task.x_test[rows].astype(np.float32) - low) / (high - low)
                title = f"The {len(rows)} test examples that the model is {title}"
                drawn[name] = grid(
                    np.clip(images, 0, 1), probabilities[rows], y[rows], names, title
                )
    written = []
    for name in NAMES:
        path = folder_of(model) / f"{name}.png"
        if name in drawn:
            write_bytes(path, drawn[name])
            written.append(str(path))
        else:
            # An earlier model's would be taken for this one's.
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
    return written


def least_sure(probabilities: np.ndarray) -> np.ndarray:
    """Return up to 24 rows of ``probabilities`` (N, K), the least probable prediction first."""
    return np.argsort(probabilities.max(axis=1), kind="stable")[:MAX_EXAMPLES]


def most_wrong(probabilities: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return up to 24 rows with a wrong prediction, the least probable truth first."""
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != y)
    return wrong[np.argsort(probabilities[wrong, y[wrong]], kind="stable")][:MAX_EXAMPLES]


def project(features: np.ndarray, kind: str, seed: int) -> tuple[np.ndarray, tuple[str, str]]:
    """Return a map (N, 2) of standardised features, and the names of its axes.

    Args:
        features: (N, D) float.
        kind: "pca", the two directions of greatest variance, or "umap" (McInnes, Healy and Melville 2018).
        seed: of "umap".
    """
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    x = StandardScaler().fit_transform(features.astype(np.float64))
    if kind == "umap":
        with warnings.catch_warnings():
            # UMAP warns that a seed costs it its threads, numba of deprecations.
            warnings.simplefilter("ignore")
            from umap import UMAP

            umap = UMAP(n_neighbors=min(15, len(x) - 1), random_state=seed, n_jobs=1)
            return np.asarray(umap.fit_transform(x), np.float64), ("UMAP 1", "UMAP 2")
    if x.shape[1] == 1:
        x = np.concatenate([x, np.zeros_like(x)], axis=1)
    pca = PCA(2, svd_solver="full")
    with np.errstate(invalid="ignore"):  # equal features have no variance
        points = pca.fit_transform(x)
    first, second = (
        f"component {i} ({100 * share:.0f} % of the variance)"
        for i, share in enumerate(np.nan_to_num(pca.explained_variance_ratio_), start=1)
    )
    return points, (first, second)


def curves(history: Sequence[Mapping[str, Any]]) -> bytes:
    """Draw each metric over the epochs of all stages, whose names stand above it.

    history: one row an epoch: stage, epoch (from 1 in each stage), and the metrics.
    """
    from matplotlib.ticker import MaxNLocator

    groups = panels(metrics(history))
    figure = _figure(5.0 * max(1, len(groups)), 3.6)
    starts = [i for i, row in enumerate(history) if row["epoch"] == 1]
    ends = [*starts[1:], len(history)]
    for place, (title, names) in enumerate(groups.items(), start=1):
        axes = figure.add_subplot(1, len(groups), place)
        for name in names:
            points = [(i, row[name]) for i, row in enumerate(history, start=1) if name in row]
            label = "validation" if name.startswith("val_") else "training"
            marker = "." if len(points) < 40 else ""
            axes.plot(*zip(*points, strict=True), label=label, marker=marker)
        if len(names) > 1:
            axes.legend(fontsize=9)
        axes.set_xlim(0.5, len(history) + 0.5)
        for start in starts[1:]:
            axes.axvline(start + 0.5, color="0.7", linewidth=1)
        for start, end in zip(starts, ends, strict=True):
            if len(starts) > 1 and end - start > 0.1 * len(history):
                middle = (start + end + 1) / 2
                stage = textwrap.fill(str(history[start]["stage"]), 18)
                axes.annotate(
                    stage,
                    (middle, 1.02),
                    xycoords=axes.get_xaxis_transform(),
                    ha="center",
                    va="bottom",
                    fontsize=9,
                    color="0.3",
                )
        axes.set_ylabel(title, fontsize=10)
        axes.set_xlabel("epoch, of all stages" if len(starts) > 1 else "epoch", fontsize=10)
        axes.tick_params(labelsize=9)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    return _png(figure)


def confusion(y: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> bytes:
    """Draw the confusion matrix of true ``y`` (N,) and ``predicted`` (N,) labels.

    Rows are true classes, shaded by the share of the row; the numbers are counts.
    """
    from sklearn.metrics import confusion_matrix

    classes = len(names)
    counts = confusion_matrix(y, predicted, labels=np.arange(classes))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(16.0, 2.5 + max(0.48 * classes if classes <= MAX_NUMBERED else 0.2 * classes, 1.5))
    figure = _figure(side + 0.8, side)
    axes = figure.add_subplot()
    shown = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    step = math.ceil(classes / MAX_NAMED)
    ticks = range(0, classes, step)
    size = 9 if classes <= MAX_NUMBERED else 7
    labels = [_name(names[k]) for k in ticks]
    flat = max(map(len, labels)) <= 2 or (classes <= 4 and max(map(len, labels)) <= 10)
    axes.set_xticks(ticks, labels, fontsize=size, rotation=0 if flat else 90)
    axes.set_yticks(ticks, labels, fontsize=size)
    axes.set_xlabel("predicted", fontsize=10)
    axes.set_ylabel("true", fontsize=10)
    if classes <= MAX_NUMBERED:
        for i, j in np.argwhere(counts):
            colour = "white" if shares[i, j] > 0.5 else "black"
            axes.text(j, i, str(counts[i, j]), ha="center", va="center", fontsize=9, color=colour)
    right = int(counts.diagonal().sum())
    axes.set_title(f"{right:,} of {len(y):,} test examples right", fontsize=11)
    bar = figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.04)
    bar.set_label("share of the true class", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    return _png(figure)


def scatter(
    points: np.ndarray,
    y: np.ndarray,
    right: np.ndarray,
    names: Sequence[str],
    labels: tuple[str, str],
) -> bytes:
    """Draw points (N, 2), coloured by the true class ``y`` (N,); crosses where not ``right`` (N,)."""
    classes = len(names)
    figure = _figure(8.6 if classes <= MAX_NUMBERED else 7.4, 6.2)
    axes = figure.add_subplot()
    size, width = (18, 0.6) if len(points) <= 1000 else (9, 0.4)
    colours = _colours(classes)
    dot = {"s": size, "alpha": 0.75, "linewidths": 0}
    cross = {"s": 2.4 * size, "marker": "X", "edgecolors": "black", "linewidths": width}
    for chosen, style in ((right, dot), (~right, cross)):
        for k, colour in enumerate(colours):
            axes.scatter(*points[(y == k) & chosen].T, color=colour, **style)
    axes.set_xlabel(labels[0], fontsize=10)
    axes.set_ylabel(labels[1], fontsize=10)
    axes.tick_params(labelsize=8)
    wrong = int((~right).sum())
    axes.set_title(
        f"Encoder's features of {len(points):,} test examples, coloured by their class\n"
        f"crosses: the {wrong:,} predicted wrongly",
        fontsize=11,
    )
    if classes <= MAX_NUMBERED:
        _legend(axes, colours, names)
    else:
        _middles(axes, points, y, names)
    return _png(figure)


def grid(
    images: np.ndarray, probabilities: np.ndarray, y: np.ndarray, names: Sequence[str], title: str
) -> bytes:
    """Draw images (n, H, W, 1 or 3) in [0, 1], each with its true and its predicted class.

    probabilities: (n, K); y: (n,). Wrong predictions are written in red.
    """
    columns = min(COLUMNS, len(images))
    rows = math.ceil(len(images) / columns)
    tall = min(max(images.shape[1] / images.shape[2], 0.3), 2.0)
    figure = _figure(max(1.75 * columns, 5.2), (1.6 * tall + 0.55) * rows + 0.5)
    for i, image in enumerate(images):
        axes = figure.add_subplot(rows, columns, i + 1)
        axes.imshow(image[..., 0] if image.shape[-1] == 1 else image, cmap="gray", vmin=0, vmax=1)
        axes.set_xticks([])
        axes.set_yticks([])
        best, true = int(probabilities[i].argmax()), int(y[i])
        lines = [f"true: {_name(names[true], 15)}"]
        if best == true:
            lines.append(f"said too ({_percent(probabilities[i, best])})")
        else:
            lines[0] += f" ({_percent(probabilities[i, true])})"
            lines.append(f"said: {_name(names[best], 14)} ({_percent(probabilities[i, best])})")
        colour = "black" if best == true else "#b00020"
        axes.set_xlabel("\n".join(lines), fontsize=8, color=colour)
    figure.suptitle(title, fontsize=11)
    return _png(figure)


def _colours(classes: int) -> list[Any]:
    from matplotlib import colormaps

    if classes > MAX_NUMBERED:
        return list(colormaps["turbo"](np.linspace(0, 1, classes)))
    return list(colormaps["tab10" if classes <= 10 else "tab20"](np.arange(classes)))


def _legend(axes: Any, colours: Sequence[Any], names: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    dots = [
        Line2D([], [], marker="o", linestyle="", markersize=6, color=colour) for colour in colours
    ]
    # A label with "_" in front would be left out.
    labels = [f" {_name(name)}" if name.startswith("_") else _name(name) for name in names]
    axes.legend(
        dots, labels, fontsize=9, loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0
    )


def _middles(axes: Any, points: np.ndarray, y: np.ndarray, names: Sequence[str]) -> None:
    """Write the names of many classes at their medians, as far as there is room."""
    size = np.maximum(np.ptp(points, axis=0), 1e-9)
    placed: list[np.ndarray] = []
    for k in np.unique(y):
        middle = np.median(points[y == k], axis=0)
        # A name is about a tenth of the picture wide.
        if any(np.all(np.abs(middle - other) / size < (0.12, 0.035)) for other in placed):
            continue
        placed.append(middle)
        box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.6, "linewidth": 0}
        axes.text(*middle, _name(names[k], 12), fontsize=8, ha="center", va="center", bbox=box)


def _name(name: str, longest: int = MAX_LETTERS) -> str:
    """Return a class name that fits, and that matplotlib does not take for a formula."""
    # The end is kept: long names often differ only there.
    end = longest // 3
    short = name if len(name) <= longest else f"{name[: longest - end - 1]}…{name[-end:]}"
    return short.replace("$", r"\$")


def _percent(probability: float) -> str:
    """Return 0.98 as "98 %"; only certainty reads as 0 or 100."""
    if 0 < probability < 0.01:
        return "<1 %"
    return ">99 %" if 0.99 < probability < 1 else f"{100 * probability:.0f} %"


def learning_rate_curve(curve: Mapping[str, Any]) -> bytes:
    """Draw the search for a learning rate, from its JSON; return PNG bytes."""
    figure = _figure(6, 4)
    axes = figure.add_subplot()
    axes.plot(curve["rates"], curve["losses"], color="#0072b2")
    axes.axvline(curve["found"], color="#d55e00", linestyle="--")
    axes.annotate(
        f"found {curve['found']:.2g}",
        (curve["found"], 1.45 * max(curve["losses"][:10])),
        xytext=(6, -4),
        textcoords="offset points",
        color="#a33f00",
        va="top",
    )
    axes.set_xscale("log")
    # The height of the divergence says nothing.
    axes.set_ylim(0, 1.5 * max(curve["losses"][:10]))
    axes.set_xlabel("learning rate, rising from step to step")
    axes.set_ylabel("loss on the batch, smoothed")
    axes.set_title("Learning-rate finder")
    return _png(figure)


def _figure(width: float, height: float) -> Any:
    # The first import in an account logs that a cache of fonts is built.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def _png(figure: Any) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        # A class name may have letters that the font lacks; they are drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        # Without the program's version, which would make figures of the same run differ.
        figure.savefig(
            file, format="png", bbox_inches="tight", pad_inches=0.1, metadata={"Software": None}
        )
    return file.getvalue()
