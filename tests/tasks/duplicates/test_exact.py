import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tasks.duplicates.exact import overlap

few_values = hnp.arrays(
    np.uint8, st.tuples(st.integers(1, 12), st.just(2)), elements=st.integers(0, 3)
)


@given(few_values, few_values)
def test_overlap_is_exact(x_a, x_b):
    rows = {tuple(row) for row in x_a.tolist()}
    expected = [i for i, row in enumerate(x_b.tolist()) if tuple(row) in rows]
    assert overlap(x_a, x_b).tolist() == expected
    assert overlap(x_a.astype(np.float32), x_b).tolist() == expected


def test_shapes_types_and_zeros():
    images = np.zeros((2, 2, 2, 1), np.uint8)
    assert overlap(images, images.reshape(2, 4)).tolist() == []
    assert overlap(images, images.astype(np.float32)).tolist() == [0, 1]
    assert overlap(np.array([[0.0]]), np.array([[-0.0], [1.0]])).tolist() == [0]
    assert overlap(images, images).dtype == np.int64
    assert overlap(images[:0], images[:0]).dtype == np.int64


def test_the_real_set_is_told_apart_quickly(fashion):
    begin = time.perf_counter()
    assert overlap(fashion.x, fashion.x_test).tolist() == []
    assert time.perf_counter() - begin < 5
    assert overlap(fashion.x, fashion.x).tolist() == list(range(60000))
    mixed = np.concatenate([fashion.x_test[:3], fashion.x[7:9]])
    assert overlap(fashion.x, mixed).tolist() == [3, 4]
