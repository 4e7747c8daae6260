import numpy as np
import pytest

from tasks.tables.schema import Column, Schema

SCHEMA = Schema(
    columns=(
        Column(name="a", kind="numeric", gaps=True),
        Column(name="b", kind="categorical", levels=("x", "y", "z")),
        Column(name="c", kind="boolean"),
    )
)
X = np.array([[0.5, 0, 1], [np.nan, 2, 0], [-2, 3, 1]], np.float32)  # the last b is unseen


@pytest.fixture
def columns():
    from pretrain.strategies.columns import Columns

    return Columns(SCHEMA)


@pytest.mark.parametrize("kind", ["bce", "mse"])
@pytest.mark.parametrize("hidden", [None, [[1, 0, 1], [0, 1, 0], [0, 0, 0]]])
def test_the_loss_is_of_the_kind_of_each_column(columns, kind, hidden):
    from pretrain.strategies.autoencoder import column_loss

    x = SCHEMA.design(X)
    logits = np.random.default_rng(0).normal(size=x.shape).astype(np.float32)
    r = 1 / (1 + np.exp(-logits))
    each = (x - r) ** 2 if kind == "mse" else -x * np.log(r) - (1 - x) * np.log(1 - r)
    shares = np.exp(logits[:, 2:5]) / np.exp(logits[:, 2:5]).sum(axis=1, keepdims=True)
    levels = -(x[:, 2:5] * np.log(shares)).sum(axis=1)
    wanted = np.stack([each[:, :2].mean(axis=1), levels, each[:, 5]], axis=1)
    assert levels[2] == 0
    if hidden is None:
        assert float(column_loss(columns)(x, logits, kind)) == pytest.approx(
            wanted.mean(), rel=1e-5
        )
        return
    part = np.array(hidden, bool)
    found = column_loss(columns)(x, logits, columns.spread(part), kind)
    assert float(found) == pytest.approx(wanted[part].mean(), rel=1e-5)


def test_a_column_is_hidden_with_all_its_numbers(columns):
    x = SCHEMA.design(X)
    hidden = np.array([[1, 1, 0], [1, 0, 1], [0, 1, 0]], bool)
    found = np.asarray(columns.hide(x, hidden))
    wanted = x.copy()
    wanted[0, :5] = [0.5, 0, 0, 0, 0]
    wanted[1, [0, 1, 5]] = [0.5, 0, 0]
    wanted[2, 2:5] = 0
    assert found.tolist() == wanted.tolist()


def test_views_swap_whole_columns():
    from pretrain.augment.views import augment

    rng = np.random.default_rng(0)
    x = np.stack([rng.random(200), np.zeros(200)], axis=1)
    levels = np.eye(3)[rng.integers(0, 3, 200)]
    x = np.concatenate([x, levels], axis=1).astype(np.float32)
    options = {"swap": 0.5, "noise": 0.0}
    whole = np.asarray(augment(x, [0, 1], options, (2, 3)))
    assert (whole[:, 2:].sum(axis=1) == 1).all()
    assert 0.3 < (whole[:, 0] != x[:, 0]).mean() < 0.7
    single = np.asarray(augment(x, [0, 1], options))
    assert not (single[:, 2:].sum(axis=1) == 1).all()
