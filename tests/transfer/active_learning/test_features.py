"""The space in which examples are compared to choose some."""

from dataclasses import replace

import numpy as np
import pytest
from toys import patterns
from transfers import weights

from headstart.errors import InputError
from pretrain.encoders.dictionary import random_words
from pretrain.encoders.encoder import Encoder
from pretrain.weights.file import assign
from transfer.active_learning import features
from transfer.active_learning.features import encode, whitening
from transfer.data.input_adapter import InputAdapter


def whitened(x):
    """Principal components by NumPy's eigenvectors, up to signs."""
    x = x.astype(np.float64) - x.mean(axis=0, dtype=np.float64)
    variances, axes = np.linalg.eigh(x.T @ x / (len(x) - 1))
    points = x @ axes / np.sqrt(variances + 0.1 * variances.mean())
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def products(x):
    """Of all pairs: what signs and the order of the components leave alone."""
    return x.astype(np.float64) @ x.T.astype(np.float64)


def test_whitened_components_are_those_of_numpy():
    rng = np.random.default_rng(0)
    x = (3 + rng.normal(size=(200, 5)) * [9, 4, 1, 0.3, 0.1]).astype(np.float32)
    points = whitening(x)(x)
    assert points.dtype == np.float32
    assert products(points) == pytest.approx(products(whitened(x)), abs=1e-4)


def test_a_hundred_components_at_most():
    x = np.random.default_rng(0).normal(size=(300, 140)).astype(np.float32)
    assert whitening(x)(x[:7]).shape == (7, 100)
    assert whitening(x[:9])(x).shape == (300, 9)


@pytest.mark.parametrize("count", [1, 2, 50])
@pytest.mark.parametrize("value", [0.0, 0.1, 3e4])
def test_equal_examples_are_equal_points_near_zero(count, value):
    x = np.full((count, 4), value, np.float32)
    points = whitening(x)(x)
    assert (points == points[0]).all()
    assert np.linalg.norm(points[0]) < 0.1


def test_what_is_not_finite_is_refused():
    x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    project = whitening(x)
    x[3, 1] = np.nan
    for call in (lambda: whitening(x), lambda: project(x)):
        with pytest.raises(InputError, match="not all finite"):
            call()


def adapted(data, shape):
    file = weights(shape=shape)
    return file, InputAdapter.of(data, shape, file.preprocessing)


def test_features_and_patches_count_the_same():
    data = patterns(60)
    file, inputs = adapted(data, (8, 8, 1))
    points = encode(file, inputs, data.x, seed=3)
    assert (points.dtype, len(points)) == (np.float32, 60)
    assert np.linalg.norm(points, axis=1) == pytest.approx(np.ones(60), abs=1e-5)
    x = np.asarray(inputs.model()(data.x))
    encoder = Encoder(file.encoder, seed=0)
    assign(file.tensors, encoder.variables)
    alone = [
        products(whitening(np.asarray(model(x)), 3)(np.asarray(model(x))))
        for model in (encoder.model, random_words(x, 3).model)
    ]
    assert products(points) == pytest.approx(sum(alone) / 2, abs=1e-4)


def test_batches_do_not_matter_and_the_seed_decides(monkeypatch):
    data = patterns(60)
    file, inputs = adapted(data, (8, 8, 1))
    points = encode(file, inputs, data.x)
    assert np.array_equal(points, encode(file, inputs, data.x))
    assert not np.allclose(products(points), products(encode(file, inputs, data.x, 1)), atol=1e-3)
    monkeypatch.setattr(features, "BATCH", 7)
    assert encode(file, inputs, data.x) == pytest.approx(points, abs=1e-4)


def test_the_encoder_alone_decides_of_tables():
    x = patterns(60)
    table = patterns(60).x.reshape(60, -1)
    data = replace(x, x=table)
    file, inputs = adapted(data, (64,))
    encoder = Encoder(file.encoder, seed=0)
    assign(file.tensors, encoder.variables)
    found = np.asarray(encoder.model(inputs.model()(table)))
    assert encode(file, inputs, table) == pytest.approx(whitening(found)(found), abs=1e-5)


def test_few_examples_of_a_large_set_find_the_components(monkeypatch):
    monkeypatch.setattr(features, "SAMPLE", 20)
    data = patterns(200)
    file, inputs = adapted(data, (8, 8, 1))
    points = encode(file, inputs, data.x)
    # Examples of one pattern are still nearer to one another than to others.
    near = products(points) - 2 * np.eye(200)
    assert (data.y[near.argmax(axis=1)] == data.y).mean() > 0.95
