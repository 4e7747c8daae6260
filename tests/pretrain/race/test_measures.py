"""The measures by which candidates are compared, against slow ones in plain Python."""

from dataclasses import replace

import numpy as np
import pytest
from toys import patterns

from pretrain.config import PretrainConfig
from pretrain.encoders.encoder import Preprocessing
from pretrain.monitoring.probe import Probe
from pretrain.race.measures import (
    EXAMPLES,
    by_labels,
    mean_reciprocal_rank,
    standardised,
    without_labels,
)
from tasks.splits import stratified_split

CONFIG = PretrainConfig(strategy="auto")


def slow(first, second):
    total = 0.0
    for i, f in enumerate(first):
        cosines = [f @ g / np.linalg.norm(f) / np.linalg.norm(g) for g in second]
        total += 1 / (1 + sum(c > cosines[i] for c in cosines))
    return total / len(first)


def test_the_mean_reciprocal_rank():
    rng = np.random.default_rng(0)
    f = rng.normal(size=(30, 5))
    for noise in (0.0, 0.5, 2.0):
        g = f + noise * rng.normal(size=f.shape)
        assert mean_reciprocal_rank(f, g) == pytest.approx(slow(f, g), abs=1e-12)
    assert mean_reciprocal_rank(f, f) == 1.0
    # Features that are all alike find nothing.
    assert mean_reciprocal_rank(np.ones((8, 3)), np.ones((8, 3))) == pytest.approx(1 / 8)
    assert mean_reciprocal_rank(np.zeros((8, 3)), np.zeros((8, 3))) == pytest.approx(1 / 8)


def test_features_are_standardised_by_the_first():
    rng = np.random.default_rng(1)
    f, g = rng.normal(3, 5, (50, 4)), rng.normal(2, 5, (50, 4))
    f[:, 2] = 7.0
    a, b = standardised(f, g)
    kept = [0, 1, 3]
    assert a.mean(axis=0) == pytest.approx(0, abs=1e-12)
    assert a.std(axis=0)[kept] == pytest.approx(1)
    f, g = f[:, kept], g[:, kept]
    assert b[:, kept] == pytest.approx((g - f.mean(axis=0)) / f.std(axis=0))
    assert not a[:, 2].any()
    assert not b[:, 2].any()


class Flat:
    """Stands in for an encoder: the raw values, or their mean alone."""

    def __init__(self, mean=False):
        self.mean = mean

    def __call__(self, x, training):
        assert not training
        flat = np.asarray(x).reshape(len(x), -1)
        return flat.mean(axis=1, keepdims=True) if self.mean else flat


def test_without_labels_features_that_tell_examples_apart_are_better():
    pool = patterns(300, classes=3)
    measure, prepare = without_labels(pool, CONFIG), Preprocessing.fit(pool)
    assert len(measure.x) == min(EXAMPLES, 300)
    (whole, _), (mean, _) = (measure.score(Flat(mean), prepare) for mean in (False, True))
    # By chance it is the mean of 1 / rank over 300 ranks, 0.021.
    assert 0.1 < whole <= 1
    assert mean < whole / 2
    assert measure.score(Flat(), prepare) == (whole, 0.0)
    about = measure.to_json()
    assert (about["labels"], about["augmentation"]["name"]) == (0, "objects")


@pytest.mark.parametrize(
    ("given", "name", "flip"),
    [
        ({}, "objects", 0.5),
        ({"augment": "none"}, "objects", 0.5),
        ({"augment": "digits"}, "digits", 0),
    ],
)
def test_the_views_are_those_of_the_race(given, name, flip):
    found = without_labels(patterns(30), replace(CONFIG, **given)).augmentation
    assert (found.name, found.options["flip"]) == (name, flip)


def test_without_labels_held_out_examples_come_first():
    pool = patterns(2000, labelled=False)
    x = without_labels(pool, CONFIG).x
    assert len(x) == EXAMPLES
    _, held = stratified_split(None, 2000, 0.1, 0)
    assert (x[: len(held)] == pool.x[held]).all()


def test_vectors_have_views_too():
    rng = np.random.default_rng(0)
    pool = replace(patterns(60), x=rng.random((60, 6), np.float32), value_range=(0.0, 1.0))
    measure = without_labels(pool, CONFIG)
    # By chance it is 0.078.
    assert measure.score(Flat(), Preprocessing.fit(pool))[0] > 0.2


def test_with_labels_it_is_the_probes_accuracy():
    pool, judge = patterns(60), patterns(90, seed=1)
    views, prepare = without_labels(pool, CONFIG), Preprocessing.fit(pool)
    measure = by_labels(Probe.of(judge, pool), views)
    assert measure.score(Flat(), prepare) == (1.0, views.score(Flat(), prepare)[0])
    assert measure.score(Flat(mean=True), prepare)[0] < 1.0
    assert measure.margin(0.8) == pytest.approx((0.8 * 0.2 / 90) ** 0.5)
    assert (measure.margin(1.0), views.margin(0.8)) == (0, 0)
    about = measure.to_json()
    assert (about["labels"], about["data"]) == (90, "patterns")


def test_of_many_labels_some_are_taken_evenly():
    pool = patterns(60)
    many = Probe.of(patterns(900, seed=1), pool)
    judge = by_labels(many, without_labels(pool, CONFIG)).judge
    counts = np.bincount(judge.y)
    assert 495 <= len(judge.y) <= 500
    assert counts.max() - counts.min() <= 1
