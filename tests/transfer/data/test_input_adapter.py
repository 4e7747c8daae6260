import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transfers import PREPROCESSING

from headstart.errors import InputError
from transfer.data.input_adapter import InputAdapter, resolve_value_range
from transfer.inference import predict_batched


def match(shape, encoder_shape=(8, 8, 1), span=(0, 255), **preprocessing):
    return InputAdapter.match(
        shape, "uint8", span, encoder_shape, {**PREPROCESSING, **preprocessing}
    )


def images(*shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 256, shape).astype(dtype)


def test_examples_that_fit_are_only_rescaled():
    inputs = match((8, 8, 1))
    x = images(5, 8, 8, 1)
    assert inputs.changes == ()
    assert np.allclose(predict_batched(inputs.model(), x), x / 255, atol=1e-6)


def test_another_range_is_mapped_to_the_pretrainings():
    inputs = match((8, 8, 1), span=(0, 16))
    assert inputs.changes == ("values 0..16 mapped to 0..255",)
    x = np.array([0, 4, 16], np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 1), np.uint8)
    assert predict_batched(inputs.model(), x)[:, 0, 0, 0] == pytest.approx([0, 0.25, 1])


@settings(max_examples=100)
@given(
    low=st.floats(-1e3, 1e3),
    width=st.floats(1e-2, 1e3),
    known=st.floats(-1e3, 1e3),
    known_width=st.floats(1e-2, 1e3),
    scale=st.floats(1e-3, 10),
    offset=st.floats(-10, 10),
)
def test_the_ends_of_one_range_go_where_the_ends_of_the_other_went(
    low, width, known, known_width, scale, offset
):
    inputs = match(
        (4,),
        (4,),
        (low, low + width),
        value_range=[known, known + known_width],
        scale=[scale],
        offset=[offset],
    )
    for part in (0, 0.5, 1):
        raw, saw = low + part * width, known + part * known_width
        size = abs(raw * inputs.scale) + abs(inputs.offset) + abs(saw * scale) + abs(offset)
        assert raw * inputs.scale + inputs.offset == pytest.approx(
            saw * scale + offset, abs=1e-9 * (1 + size)
        )


@pytest.mark.parametrize(
    ("shape", "given", "known", "taken"),
    [
        ((4,), (-2.7, 2.9), (-4, 4), (-4, 4)),  # other rows of the same columns
        ((4,), (0, 1), (-1, 1), (-1, 1)),
        ((4,), (0, 255), (0.5, 87), (0.5, 87)),  # whole numbers
        ((4,), (0, 1), (0, 255), (0, 255)),  # bytes that happen to be 0 and 1
        ((4,), (0, 255), (-1, 1), (-1, 1)),
        ((8, 8, 1), (0, 16), (0, 255), (0, 16)),
    ],
)
def test_tables_are_taken_as_they_are_and_images_are_stretched(shape, given, known, taken):
    assert resolve_value_range(shape, given, known) == taken


def test_grey_becomes_colour_and_colour_grey():
    grey, colour = images(3, 8, 8, 1), images(3, 8, 8, 3)
    inputs = match((8, 8, 1), (8, 8, 3))
    assert inputs.changes == ("grey repeated as colour (1 -> 3 channels)",)
    assert np.allclose(
        predict_batched(inputs.model(), grey), np.repeat(grey, 3, -1) / 255, atol=1e-6
    )
    inputs = match((8, 8, 3), (8, 8, 1))
    assert inputs.changes == ("colour turned to grey (3 -> 1 channels)",)
    # ITU-R BT.601 luma
    expected = (colour @ np.array([0.2989, 0.587, 0.114]))[..., None] / 255
    assert np.allclose(predict_batched(inputs.model(), colour), expected, atol=1e-3)


@pytest.mark.parametrize("size", [(16, 16), (5, 9), (1, 1)])
def test_another_size_is_resized(size):
    inputs = match((*size, 1))
    assert inputs.changes == (f"resized from {size[0]}x{size[1]} to 8x8",)
    flat = np.full((2, *size, 1), 51, np.uint8)
    assert np.allclose(predict_batched(inputs.model(), flat), 0.2, atol=1e-6)
    assert predict_batched(inputs.model(), images(2, *size, 1)).shape == (2, 8, 8, 1)


def test_halving_a_picture_averages_it():
    x = images(1, 16, 16, 1)
    found = predict_batched(match((16, 16, 1)).model(), x)
    # Antialiased: a fine checkerboard becomes grey instead of black or white.
    board = (np.indices((16, 16)).sum(axis=0) % 2 * 255).astype(np.uint8)[None, ..., None]
    assert (
        np.abs(predict_batched(match((16, 16, 1)).model(), board)[0, 2:-2, 2:-2] - 0.5).max() < 0.05
    )
    assert found.mean() == pytest.approx(x.mean() / 255, abs=0.05)


@pytest.mark.parametrize(
    ("shape", "encoder_shape", "says"),
    [
        ((64,), (8, 8, 1), r"expects examples of shape \(8, 8, 1\), and the data has \(64,\)"),
        ((64,), (8, 8, 1), "A table cannot be given to an encoder of images"),
        ((8, 8, 1), (64,), "Images cannot be given to an encoder of tables"),
        ((3,), (4,), "a table of the same columns"),
        ((8, 8, 2), (8, 8, 1), r"expects 1 channels, and the data has 2\. Only grey"),
        ((8, 8, 3), (8, 8, 4), "expects 4 channels"),
    ],
)
def test_what_cannot_be_fitted_is_refused(shape, encoder_shape, says):
    with pytest.raises(InputError, match=says):
        match(shape, encoder_shape)


@pytest.mark.parametrize("shape", [(8, 8, 3), (8, 8, 1), (16, 5, 3)])
def test_preprocessing_by_channel_comes_after_size_colour_and_range(shape):
    scale, offset = [1 / 10, 1 / 20, 1 / 30], [-1.0, 0.5, 2.0]
    inputs = match(shape, (8, 8, 3), span=(0, 16), scale=scale, offset=offset)
    x = np.full((2, *shape), 4, np.uint8)
    expected = 4 * 255 / 16 * np.array(scale) + offset
    assert np.allclose(predict_batched(inputs.model(), x), expected, atol=1e-4)


def test_one_offset_a_channel_and_one_scale_for_all():
    inputs = match((8, 8, 3), (8, 8, 3), scale=[1.0], offset=[-3.0, -2.0, -1.0])
    x = images(4, 8, 8, 3)
    assert np.allclose(predict_batched(inputs.model(), x), x - np.array([3, 2, 1]), atol=1e-4)


def test_apply_works_through_the_last_partial_batch():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Rescaling(2.0)])
    x = np.arange(14, dtype=np.float32).reshape(7, 2)
    assert np.array_equal(predict_batched(model, x, batch=3), 2 * x)


def test_wide_layers_get_smaller_batches(monkeypatch):
    """A photo net's maps of 1024 examples would take gigabytes; batches are cut, and nothing else changes."""
    inside = keras.Sequential([keras.Input((2,)), keras.layers.Dense(50), keras.layers.Dense(1)])
    model = keras.Sequential([keras.Input((2,)), inside])
    x = np.random.default_rng(0).random((40, 2)).astype(np.float32)
    expected = predict_batched(model, x)
    monkeypatch.setattr("transfer.inference.MAX_VALUES", 500)
    seen = []

    def counted(part, training):
        seen.append(len(part))
        return model(part, training=training)

    counted.layers = model.layers
    assert np.allclose(predict_batched(counted, x), expected, atol=1e-6)
    assert seen == [10] * 4
