"""One block at a time: what moves, what a block is given, and what its loss means."""

from dataclasses import replace

import numpy as np
import pytest
from setups import batch_of, setup_of
from toys import patterns

from pretrain.strategies import greedy, strategy

SMALL = {
    "mlp": {"units": [7, 5, 4]},
    "convnet": {"filters": [4, 6], "features": 5},
    "resnet": {"filters": [8, 10], "depth": 1},
}


def setup(encoder="mlp", **how):
    return setup_of("greedy-autoencoder", encoder, encoder_options=SMALL[encoder], **how)


def stages(found):
    """The stages, without any training between them."""
    return list(strategy("greedy-autoencoder").stages(found))


def loss(stage, rows=slice(None)):
    (objective,) = stage.objectives
    return float(objective.loss(batch_of({n: a[rows] for n, a in stage.arrays.items()}))["loss"])


def selu(z):
    return 1.0507009873554805 * np.where(z > 0, z, 1.6732632423543772 * (np.exp(z) - 1))


@pytest.mark.parametrize(
    ("below", "above"),
    [
        ((28, 28, 1), (14, 14, 3)),
        ((7, 9, 3), (4, 5, 8)),
        ((10, 6, 2), (4, 6, 8)),
        ((5, 5, 4), (5, 5, 4)),
        ((1, 1, 2), (1, 1, 4)),
        ((4, 4, 6), (12,)),
        ((30,), (10,)),
        ((6, 3), (2, 5)),
    ],
    ids=str,
)
def test_the_decoder_leads_back_to_the_blocks_input_and_is_linear(below, above):
    import keras

    inputs = keras.Input(below)
    dense = keras.layers.Dense(int(np.prod(above)))(keras.layers.Flatten()(inputs))
    block = keras.Model(inputs, keras.layers.Reshape(above)(dense))
    decoder = greedy.one_layer_decoder(block, "decoder")
    a, b = np.random.default_rng(0).normal(size=(2, 3, *above)).astype(np.float32)
    zero, of_a, of_b, of_both = (np.asarray(decoder(h)) for h in (0 * a, a, b, a + b))
    assert of_a.shape == (3, *below)
    assert len(decoder.trainable_variables) == len(decoder.variables) == 2
    assert of_a + of_b == pytest.approx(of_both + zero, abs=1e-4)
    # Every value of the input can be reached, also those at the edge.
    assert (np.abs(of_a - zero).max(axis=0) > 0).all()


@pytest.mark.parametrize(
    ("encoder", "room"), [("mlp", 1 << 29), ("convnet", 0), ("resnet", 1 << 29)]
)
def test_only_the_block_in_training_and_its_decoder_move(encoder, room, monkeypatch):
    """To the bit; and the engine finds each variable that a step reads in its lists."""
    from pretrain.engine.train import Run, train

    monkeypatch.setattr(greedy, "CACHE_BYTES", room)
    found = setup(encoder, held_out=patterns(6, seed=1))
    names = [name for name, _ in found.encoder.blocks]
    encoders, decoders = [found.encoder.tensors()], {}

    def watched():
        own = {id(v) for v in found.encoder.trainable}
        for stage in strategy("greedy-autoencoder").stages(found):
            decoder = [v for v in stage.objectives[0].variables if id(v) not in own]
            before = [v.numpy() for v in decoder]
            yield replace(stage, epochs=1, batch_size=8, learning_rate=0.01)
            encoders.append(found.encoder.tensors())
            for variable, values in decoders.values():
                assert np.array_equal(variable.numpy(), values)
            decoders.update({id(v): (v, v.numpy()) for v in decoder})
            assert len(decoder) == 2
            assert all((v.numpy() != b).any() for v, b in zip(decoder, before, strict=True))

    run = Run(seed=0, key="greedy")
    train(watched(), run)
    assert [row["stage"] for row in run.history] == names
    assert all(np.isfinite(row["val_loss"]) for row in run.history)
    assert len(decoders) == 2 * len(names)
    for name, before, after in zip(names, encoders[:-1], encoders[1:], strict=True):
        moved = {path for path in before if not np.array_equal(before[path], after[path])}
        assert moved == {path for path in before if path.startswith(f"{name}/")}


def test_the_first_blocks_loss_is_the_autoencoders():
    for kind in ("bce", "mse"):
        found = setup(loss=kind)
        stage = stages(found)[0]
        x = (found.arrays["x"] / 255).reshape(24, -1)
        w, b, back, offset = (v.numpy().astype(float) for v in stage.objectives[0].variables)
        r = 1 / (1 + np.exp(-(selu(x @ w + b) @ back + offset)))
        values = (x - r) ** 2 if kind == "mse" else -x * np.log(r) - (1 - x) * np.log(1 - r)
        assert loss(stage) == pytest.approx(values.mean(), rel=1e-4)


@pytest.mark.parametrize("room", [0, 1 << 29], ids=["in the step", "kept"])
def test_higher_blocks_lose_a_part_of_the_variance_below(room, monkeypatch):
    monkeypatch.setattr(greedy, "CACHE_BYTES", room)
    found = setup()
    _, second, third = stages(found)
    w, b = (v.numpy().astype(float) for v in found.encoder.blocks[0][1].variables)
    h = selu((found.arrays["x"] / 255).reshape(24, -1) @ w + b)
    w, b, back, offset = (v.numpy().astype(float) for v in second.objectives[0].variables)
    deviation = np.sqrt(h.var(axis=0).mean())
    r = h.mean(axis=0) + deviation * (selu(h @ w + b) @ back + offset)
    assert loss(second) == pytest.approx(((h - r) ** 2).mean() / deviation**2, rel=1e-4)
    # A decoder that always answers the mean loses all of it, whatever the scale.
    for variable in third.objectives[0].variables[-2:]:
        variable.assign(np.zeros(variable.shape, np.float32))
    assert loss(third) == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("encoder", SMALL)
def test_what_is_below_is_computed_once_or_in_the_step_alike(encoder, monkeypatch):
    held_out = patterns(6, seed=1)
    found = setup(encoder, held_out=held_out)
    kept = stages(found)
    monkeypatch.setattr(greedy, "CACHE_BYTES", 0)
    afresh = stages(found)
    hidden, hidden_out = (found.preprocess(x) for x in (found.arrays["x"], held_out.x))
    names, blocks = zip(*found.encoder.blocks, strict=True)
    for i, (ready, raw, block) in enumerate(zip(kept, afresh, blocks, strict=True)):
        (of_ready,), (of_raw,) = ready.arrays.items(), raw.arrays.items()
        assert of_raw[0] == "x"
        assert of_raw[1] is found.arrays["x"]
        assert of_ready[0] == ("x" if i == 0 else names[i - 1])
        if i:
            assert of_ready[1].dtype == np.float32
            assert of_ready[1] == pytest.approx(np.asarray(hidden), rel=1e-4, abs=1e-5)
            (below,) = ready.validation.values()
            assert below == pytest.approx(np.asarray(hidden_out), rel=1e-4, abs=1e-5)
        # The same weights in both, but for the decoders'.
        for mine, other in zip(
            raw.objectives[0].variables, ready.objectives[0].variables, strict=True
        ):
            mine.assign(other.value)
        assert loss(raw) == pytest.approx(loss(ready), rel=1e-4)
        hidden, hidden_out = block(hidden), block(hidden_out)


def test_all_that_is_kept_together_stays_below_the_limit(monkeypatch):
    held_out = patterns(6, seed=1)
    sizes = [4 * 30 * units for units in SMALL["mlp"]["units"]]
    for room, sources in [
        (sizes[0] + sizes[1], ["x", "block1", "block2"]),
        (sizes[0] + sizes[1] - 1, ["x", "block1", "block1"]),
        (sizes[0] - 1, ["x", "x", "block2"]),
        (sizes[1] - 1, ["x", "x", "x"]),
    ]:
        monkeypatch.setattr(greedy, "CACHE_BYTES", room)
        found = stages(setup(held_out=held_out))
        assert [next(iter(stage.arrays)) for stage in found] == sources
        assert [next(iter(stage.validation)) for stage in found] == sources


def test_mean_and_variance_against_numpy():
    x = np.random.default_rng(0).normal(3, [1, 2, 0], (700, 5, 3))
    mean, variance = greedy.mean_and_variance(lambda rows: rows, x)
    assert mean == pytest.approx(x.mean(axis=0))
    assert variance == pytest.approx(x.var(axis=0).mean())
    # Of many, a sample that is spread evenly: here a ramp, of which the first rows know little.
    ramp = np.arange(5000.0)[:, None]
    mean, variance = greedy.mean_and_variance(lambda rows: rows, ramp)
    assert mean == pytest.approx(2500, rel=0.01)
    assert variance == pytest.approx(ramp.var(), rel=0.01)


def test_dead_units_have_nothing_to_lose():
    mean, variance = greedy.mean_and_variance(lambda rows: rows, np.full((9, 4), 0.5))
    assert mean == pytest.approx([0.5] * 4)
    assert variance == 1
