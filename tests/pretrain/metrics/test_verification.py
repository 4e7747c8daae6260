"""AUC and equal error rate by hand, and against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.metrics.verification import Thresholds, distances, resampled, verify
from tasks.pairs import all_pairs


def measured(same, different, weights=None):
    distance = np.r_[same, different].astype(float)
    kinds = np.r_[np.ones(len(same)), np.zeros(len(different))]
    found = Thresholds(distance, kinds).verify(
        None if weights is None else np.array(weights, float)
    )
    return found.auc, found.eer


def test_by_hand():
    assert measured([1, 2], [3, 4]) == (1, 0)
    assert measured([3, 4], [1, 2]) == (0, 1)
    # Of 2 x 2 comparisons (1, 3), (1, 2.5), (2.8, 3) are right and (2.8, 2.5) is wrong. Taking pairs up to
    # 2.5 for the same misses one of two and wrongly takes one of two.
    assert measured([1, 2.8], [3, 2.5]) == (0.75, 0.5)
    # One tie counts half; the line from (F, M) = (0, 1) to (1, 0) crosses F = M at 1/2.
    assert measured([1], [1]) == (0.5, 0.5)
    # (F, M) goes (0, 1), (0, 1/2), (1/3, 1/4), (1/3, 0), (1, 0): on the way from M = 1/2 to 1/4
    # F - M goes from -1/2 to 1/12, so F = M after 6/7 of it: F = 2/7.
    same, different = [1, 1, 2, 3], [2, 4, 5]
    assert measured(same, different) == pytest.approx((1 - (0.5 + 1) / 12, 2 / 7))


def test_weights_count_pairs_more_than_once():
    whole = measured([1, 3, 3], [2, 2, 5])
    assert measured([1, 3], [2, 5], [1, 2, 2, 1]) == pytest.approx(whole)
    assert measured([1, 3, 9], [2, 5], [1, 2, 0, 2, 1]) == pytest.approx(whole)


@given(st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=2, max_size=40))
def test_as_scikit_learn(pairs):
    from sklearn.metrics import roc_auc_score, roc_curve

    distance, same = (np.array(part, float) for part in zip(*pairs, strict=True))
    if len(set(same)) < 2:
        return
    auc, eer = measured(distance[same == 1], distance[same == 0])
    assert auc == pytest.approx(roc_auc_score(same, -distance))
    false, hits, _ = roc_curve(same, -distance, drop_intermediate=False)
    # On a fine grid along the curve, F and M are nowhere nearer to each other.
    at = np.linspace(0, len(false) - 1, 20_001)
    f, m = (np.interp(at, np.arange(len(false)), line) for line in (false, 1 - hits))
    assert eer == pytest.approx(f[np.argmin(np.abs(f - m))], abs=2e-3)


def test_distances_of_unit_length_are_by_angle():
    values = np.array([[3, 0], [0, 5], [1, 0], [0, 0]])
    pairs = np.array([0, 0, 0]), np.array([1, 2, 3]), np.zeros(3)
    assert distances(values, pairs) == pytest.approx([2**0.5, 0, 1])
    assert distances(values, pairs, unit=False) == pytest.approx([34**0.5, 2, 3])


def test_distances_are_the_same_in_pieces(monkeypatch):
    values = np.random.default_rng(0).normal(size=(9, 2, 2))
    pairs = all_pairs(np.arange(9) % 3)
    whole = distances(values, pairs)
    monkeypatch.setattr("pretrain.metrics.verification.CHUNK", 12)
    assert np.array_equal(distances(values, pairs), whole)


def test_features_that_point_to_the_class_are_perfect():
    y = np.repeat(np.arange(3), 4)
    clean = np.eye(3)[y] * np.arange(1, 13)[:, None]
    assert verify(clean, all_pairs(y)).auc == 1
    noise = np.random.default_rng(0).normal(size=(300, 8))
    found = verify(noise, all_pairs(np.arange(300) % 3))
    assert found.auc == pytest.approx(0.5, abs=0.02)
    assert found.eer == pytest.approx(0.5, abs=0.02)


def test_people_are_drawn_and_never_taken_for_two():
    y = np.array([0, 0, 1, 1, 2, 2, 2])
    pairs = all_pairs(y)
    left, right, same = pairs
    samples = list(resampled(y, pairs, 200, seed=0))
    assert len(samples) == 200
    for weights in samples:
        # From the same pairs' weights, how often each was drawn: as many as there are people.
        drawn = np.array([weights[(same == 1) & (y[left] == k)][0] for k in range(3)])
        assert drawn.sum() == 3
        assert drawn.max() < 3  # nobody else to differ from
        expected = np.where(y[left] == y[right], drawn[y[left]], drawn[y[left]] * drawn[y[right]])
        assert np.array_equal(weights, expected)
    # Of the 24 draws with two people or more, 6 have all three.
    assert 30 < sum(bool((weights == 1).all()) for weights in samples) < 70
    again = list(resampled(y, pairs, 3, seed=0))
    assert np.array_equal(again, samples[:3])
