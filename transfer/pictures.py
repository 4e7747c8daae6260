"""What a transferred model does, in pictures: a folder of PNG files beside it.

For ``model.keras`` that is ``model-pictures``: ``curves.png``, ``confusion.png``, ``features.png``, and of
images ``unsure.png`` and ``wrong.png``. The same run gives the same bytes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import InputError
from headstart.files import atomic_write, check_output
from tasks.task import TargetTask

NAMES = ("curves", "confusion", "features", "unsure", "wrong")
MAPS = ("pca", "umap")
SHOWN = 24
"""Examples in a grid."""
MOST_POINTS = 2000
"""Test examples on the map."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """What a model made of the N test examples.

    probabilities: (N, K) float; features: (N, D) float, the encoder's, or None.
    """

    probabilities: np.ndarray
    features: np.ndarray | None

    @classmethod
    def of(cls, model: Any, x: np.ndarray) -> Seen:
        """Run the Keras model that ``transfer`` wrote on raw examples ``x`` (N, ...)."""
        from transfer.inputs import apply

        chances = apply(model, x)
        if chances.shape[1] == 1:
            chances = np.concatenate([1 - chances, chances], axis=1)
        try:
            parts = [model.get_layer(name) for name in ("inputs", "encoder")]
        except ValueError:
            return cls(probabilities=chances, features=None)
        features = x
        for part in parts:
            features = apply(part, features)
        return cls(probabilities=chances, features=features.reshape(len(x), -1))


def folder_of(model: Path) -> Path:
    """Return where the pictures of the ``.keras`` file ``model`` go."""
    return model.with_name(f"{model.stem}-pictures")


def check_pictures(model: Path, kind: str, *, force: bool) -> None:
    """Check, before any work, that they can be drawn and written. Raises InputError."""
    if find_spec("matplotlib") is None:
        raise InputError(
            "--pictures takes matplotlib, which this environment does not have: "
            "pip install 'headstart[plot]'"
        )
    if kind == "umap" and find_spec("umap") is None:
        raise InputError(
            "--map umap takes umap-learn, which this environment does not have: "
            "pip install 'headstart[umap]', or use --map pca."
        )
    for name in NAMES:
        check_output(folder_of(model) / f"{name}.png", force)


def write_pictures(
    model: Path,
    task: TargetTask,
    seen: Seen,
    history: Sequence[Mapping[str, Any]],
    *,
    kind: str = "pca",
    seed: int = 0,
) -> list[str]:
    """Draw what there is to draw, replace the pictures of an earlier model, and return the new ones.

    model: the ``.keras`` file that they are of. kind: of the map, "pca" or "umap".
    Returns paths as text, in the order of NAMES. Raises HeadstartError on a full disk.
    """
    from transfer.drawing import confusion, curves, grid, scatter

    names, y = task.class_names, task.y_test
    drawn: dict[str, bytes | None] = {
        "curves": curves(history) if history else None,
        "confusion": confusion(y, seen.probabilities.argmax(axis=1), names),
    }
    if seen.features is not None and len(y) > 2:
        rows = _some(len(y), seed)
        points, axes = project(seen.features[rows], kind, seed)
        right = seen.probabilities.argmax(axis=1)[rows] == y[rows]
        drawn["features"] = scatter(points, y[rows], right, names, axes)
    if task.x_test.ndim == 4 and task.x_test.shape[-1] in (1, 3):
        for name, rows, title in (
            ("unsure", least_sure(seen.probabilities), "least sure of"),
            ("wrong", most_wrong(seen.probabilities, y), "most wrong about"),
        ):
            if len(rows):
                images = _shown(task.x_test[rows], task.value_range)
                drawn[name] = grid(
                    images,
                    seen.probabilities[rows],
                    y[rows],
                    names,
                    f"The {len(rows)} test examples that the model is {title}",
                )
    folder, written = folder_of(model), []
    for name in NAMES:
        path, content = folder / f"{name}.png", drawn.get(name)
        if content is not None:
            atomic_write(path, _writing(content))
            written.append(str(path))
        else:
            # An earlier model's: it would be taken for this one's.
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
    return written


def least_sure(probabilities: np.ndarray) -> np.ndarray:
    """Return up to 24 rows of ``probabilities`` (N, K), the one with the smallest greatest value first."""
    return np.argsort(probabilities.max(axis=1), kind="stable")[:SHOWN]


def most_wrong(probabilities: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return up to 24 rows that are predicted wrongly, the least probable truth first."""
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != y)
    return wrong[np.argsort(probabilities[wrong, y[wrong]], kind="stable")][:SHOWN]


def project(features: np.ndarray, kind: str, seed: int) -> tuple[np.ndarray, tuple[str, str]]:
    """Return a map (N, 2) of standardised ``features`` (N, D), and what its axes are called.

    kind: "pca", the two directions of greatest variance, or "umap" (McInnes, Healy and Melville 2018).
    """
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    x = StandardScaler().fit_transform(features.astype(np.float64))
    if kind == "umap":
        return _umap(x, seed), ("UMAP 1", "UMAP 2")
    if x.shape[1] == 1:
        x = np.concatenate([x, np.zeros_like(x)], axis=1)
    pca = PCA(2, svd_solver="full")
    with np.errstate(invalid="ignore"):  # features that are all equal have no variance to share out
        points = pca.fit_transform(x)
    first, second = (
        f"{100 * share:.0f} %" for share in np.nan_to_num(pca.explained_variance_ratio_)
    )
    return points, (
        f"component 1 ({first} of the variance)",
        f"component 2 ({second} of the variance)",
    )


def _umap(x: np.ndarray, seed: int) -> np.ndarray:
    import warnings

    with warnings.catch_warnings():
        # It says that a seed costs it its threads, and numba that some things are deprecated.
        warnings.simplefilter("ignore")
        from umap import UMAP

        neighbours = min(15, len(x) - 1)
        made = UMAP(n_neighbors=neighbours, random_state=seed, n_jobs=1).fit_transform(x)
    return np.asarray(made, np.float64)


def _some(count: int, seed: int) -> np.ndarray:
    """Return at most MOST_POINTS of ``count`` rows, drawn without their order."""
    if count <= MOST_POINTS:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, MOST_POINTS, replace=False))


def _shown(x: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    """Return images (n, H, W, C) as floats from 0 to 1."""
    low, high = value_range
    return np.clip((x.astype(np.float32) - low) / (high - low), 0, 1)


def _writing(content: bytes) -> Any:
    def write(path: Path) -> None:
        path.write_bytes(content)

    return write
