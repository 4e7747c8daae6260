import numpy as np
import pytest

from headstart.errors import InputError
from pretrain.encoders import encoder_config, expected_shapes
from tasks.tables.schema import Column, Schema

SCHEMA = Schema(
    columns=(
        Column(name="a", kind="numeric", gaps=True),
        Column(name="b", kind="categorical", levels=tuple("bcdefghijkl"), gaps=True),
        Column(name="c", kind="boolean"),
        Column(name="d", kind="categorical", levels=("x", "y"), rare=True),
    )
)
X = np.array(
    [[0.5, 3, 1, 0], [np.nan, 11, 0, 2], [-9, np.nan, np.nan, np.nan], [1e18, 0, 1, 1]], np.float32
)


def test_the_design_of_keras_is_that_of_numpy():
    import keras

    from pretrain.encoders.encoder import Preprocessing, design

    plain = {"input_dtype": "float32", "value_range": (0, 1), "scale": (1,), "offset": (0,)}
    preprocess = Preprocessing(**plain, table=SCHEMA)
    assert np.asarray(preprocess(X)) == pytest.approx(SCHEMA.design(X), abs=1e-6)
    inputs = keras.Input((4,))
    model = keras.Model(inputs, design(inputs, SCHEMA.layout))
    assert model.predict(X, verbose=0) == pytest.approx(SCHEMA.design(X), abs=1e-6)
    assert Preprocessing.from_json(preprocess.to_json()) == preprocess


def test_features_by_hand():
    from pretrain.encoders.encoder import Encoder

    options = {"columns": SCHEMA.tokens, "width": 5, "hidden": 7, "depth": 1, "embedding": 3}
    config = encoder_config("table", (SCHEMA.width,), options)
    encoder = Encoder(config, 0)
    rng = np.random.default_rng(0)
    for variable in encoder.variables.values():
        variable.assign(rng.normal(size=variable.shape))
    w = encoder.tensors()
    x = SCHEMA.design(X)
    # a and its gap; b, embedded; c; d.
    value = np.concatenate([x[:, :1] * 6 - 3, x[:, 1:2]], axis=1)
    embedded = x[:, 2:14] @ w["columns/embed1/kernel"]
    joined = np.concatenate([value, embedded, x[:, 14:]], axis=1)
    h = joined @ w["columns/mix/kernel"] + w["columns/mix/bias"]

    def norm(z, name):
        centred = z - z.mean(axis=1, keepdims=True)
        scaled = centred / np.sqrt(z.var(axis=1, keepdims=True) + 1e-3)
        return scaled * w[f"block1/{name}/gamma"] + w[f"block1/{name}/beta"]

    inner = np.maximum(norm(h, "norm") @ w["block1/inner/kernel"] + w["block1/inner/bias"], 0)
    h = h + inner @ w["block1/outer/kernel"] + w["block1/outer/bias"]
    wanted = np.maximum(norm(h, "last"), 0)
    assert np.asarray(encoder(x, training=False)) == pytest.approx(wanted, abs=1e-4)
    assert expected_shapes(config)["columns/embed1/kernel"] == (12, 3)


@pytest.mark.parametrize(
    ("columns", "says"), [("n1,c5", "hold 6 values"), ("x3", "words such as"), ("n0", "words")]
)
def test_columns_that_do_not_fit_are_refused(columns, says):
    with pytest.raises(InputError, match=says):
        expected_shapes(encoder_config("table", (4,), {"columns": columns}))
