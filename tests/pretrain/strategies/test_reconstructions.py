"""The picture that the autoencoders end with: what went in, what was seen of it, what came out."""

from dataclasses import replace

import numpy as np
import pytest
from setups import Passing, setup_of
from toys import patterns

from pretrain.strategies import strategy


@pytest.mark.parametrize("name", ["autoencoder", "denoising-autoencoder", "masked-autoencoder"])
def test_examples_stand_above_what_was_made_of_them(name):
    held_out = patterns(12)
    height, width, _ = held_out.input_shape
    made = setup_of(name, Passing(*held_out.input_shape), held_out=held_out)
    (stage,) = strategy(name).stages(made)
    # After the last epoch only.
    assert stage.snapshot_epochs == stage.epochs
    picture = stage.snapshot().pictures["reconstructions"]
    rows = 2 if name == "autoencoder" else 3
    assert picture.shape[:2] == (rows * (height + 1) - 1, 10 * (width + 1) - 1)
    assert np.array_equal(picture, stage.snapshot().pictures["reconstructions"])
    cut = [picture[k * (height + 1) :][:height] for k in range(rows)]
    seen = made.encoder.seen.reshape(10, height, width)
    for i in range(10):
        columns = slice(i * (width + 1), i * (width + 1) + width)
        assert np.array_equal(cut[0][:, columns], held_out.x[i, ..., 0])
        if rows == 3:
            assert cut[1][:, columns] == pytest.approx(255 * seen[i], abs=0.51)
            assert (cut[1] != cut[0]).any()
        # The stand-in hands what it saw on as logits.
        assert cut[-1][:, columns] == pytest.approx(255 / (1 + np.exp(-seen[i])), abs=0.51)


def test_tables_have_no_picture():
    images = patterns(12)
    made = setup_of("autoencoder", "mlp", replace(images, x=images.x.reshape(12, -1)))
    (stage,) = strategy("autoencoder").stages(made)
    assert stage.snapshot is None
