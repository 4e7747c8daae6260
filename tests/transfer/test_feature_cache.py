"""What frozen blocks make of examples: the same as without a memory, and computed once."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from transfers import QUICK, source, task

from pretrain.engine.session import Session
from transfer.architecture import TransferArchitecture
from transfer.config import TransferConfig
from transfer.inference import FeatureCache, predict_batched
from transfer.model.network import TransferNetwork
from transfer.plan import TransferPlan
from transfer.selection.candidates import candidates
from transfer.selection.search import search

ROWS = np.array([4, 1, 7, 1])


@pytest.fixture(scope="module")
def blocks():
    given = source("convnet")
    arrangement = TransferArchitecture(reuse=3)
    body = TransferNetwork(given.encoder, arrangement, outputs=2, seed=0, tensors=given.tensors)
    return [block for _, block in body.kept]


@pytest.fixture
def computed(monkeypatch):
    """Return [(model, how many examples)] of what is computed from here on."""
    calls = []

    def counting(model, x, batch=1024):
        if not isinstance(model, Sequence):
            calls.append((model, len(x)))
        return predict_batched(model, x, batch)

    monkeypatch.setattr("transfer.inference.predict_batched", counting)
    return calls


def examples(blocks, count=9):
    shape = (count, *blocks[0].input_shape[1:])
    return np.random.default_rng(0).random(shape, dtype=np.float32)


@pytest.mark.parametrize("most_bytes", [0, 1 << 30])
def test_outputs_are_those_of_the_blocks(blocks, most_bytes):
    x = examples(blocks)
    given = FeatureCache(x, most_bytes=most_bytes)
    assert np.array_equal(given.x, x)
    assert np.array_equal(given.take(ROWS).x, x[ROWS])
    assert np.array_equal(given.take(ROWS).take(np.array([2, 0])).x, x[[7, 4]])
    assert (len(given), len(given.take(ROWS))) == (9, 4)
    for depth in (2, 0, 3, 1):
        expected = x
        for block in blocks[:depth]:
            expected = predict_batched(block, expected)
        assert np.array_equal(given.above(blocks[:depth]), expected)
        part = given.take(ROWS).above(blocks[:depth])
        np.testing.assert_allclose(part, expected[ROWS], rtol=1e-4, atol=1e-5)


def test_each_depth_is_computed_once_and_from_the_nearest(blocks, computed):
    given = FeatureCache(examples(blocks), most_bytes=1 << 30)
    for depth in (2, 2, 3, 2, 1):
        given.take(ROWS).above(blocks[:depth])
    first, second, third = blocks
    assert computed == [(first, 9), (second, 9), (third, 9), (first, 9)]


def test_what_has_no_room_is_computed_for_its_rows_alone(blocks, computed):
    size = 4 * 9 * int(np.prod(blocks[0].output_shape[1:]))
    given = FeatureCache(examples(blocks), most_bytes=size)
    given.above(blocks[:1])
    given.take(ROWS).above(blocks[:2])
    given.take(ROWS).above(blocks[:1])
    first, second, _ = blocks
    assert computed == [(first, 9), (first, 4), (second, 4)]


def test_a_search_computes_what_is_frozen_once_for_all_folds_and_candidates(computed):
    given, on = source("convnet"), task()
    recipe = replace(QUICK, freeze_epochs=1, epochs=1)
    plan = TransferPlan.make(on, given, TransferConfig(recipe=recipe, labels=30))
    frozen = [c for c in candidates(given.encoder, recipe, 30) if c.cheap]
    assert len({c.architecture for c in frozen}) == 3
    y = on.y[plan.rows].astype(np.int32)
    found = search(on.x[plan.rows], y, plan.fit, Session(), among=frozen)
    assert found.folds == 5
    lowest = [n for model, n in computed if model.name == "block1"]
    assert lowest == [30] * len(lowest)  # never a fold's rows
    assert 1 <= len(lowest) <= 3  # once for each depth at most
