import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tasks.duplicates import exact as module
from tasks.duplicates.exact import content_hashes, overlap

few_values = hnp.arrays(
    np.uint8, st.tuples(st.integers(1, 12), st.just(2)), elements=st.integers(0, 3)
)


@given(few_values, few_values)
def test_overlap_is_exact(x_a, x_b):
    rows = {tuple(row) for row in x_a.tolist()}
    expected = [i for i, row in enumerate(x_b.tolist()) if tuple(row) in rows]
    assert overlap(x_a, x_b).tolist() == expected
    assert overlap(x_a.astype(np.float32), x_b).tolist() == expected


def test_equal_hashes_are_not_taken_for_equal_examples(monkeypatch):
    monkeypatch.setattr(module, "content_hashes", lambda x: np.zeros(len(x), np.uint64))
    assert overlap(np.array([[1], [2]]), np.array([[2], [3]])).tolist() == [0]


def test_shapes_types_and_zeros():
    images = np.zeros((2, 2, 2, 1), np.uint8)
    assert overlap(images, images.reshape(2, 4)).tolist() == []
    assert overlap(images, images.astype(np.float32)).tolist() == [0, 1]
    assert overlap(np.array([[0.0]]), np.array([[-0.0], [1.0]])).tolist() == [0]
    assert content_hashes(images).dtype == np.uint64
    assert overlap(images, images).dtype == np.int64


def test_hashes_tell_the_real_set_apart_quickly(fashion):
    begin = time.perf_counter()
    hashes = content_hashes(fashion.x)
    assert time.perf_counter() - begin < 5
    assert len(np.unique(hashes)) == 60000
    assert overlap(fashion.x, fashion.x_test).tolist() == []
    mixed = np.concatenate([fashion.x_test[:3], fashion.x[7:9]])
    assert overlap(fashion.x, mixed).tolist() == [3, 4]
