"""Small Keras models as other people save them, their files spoilt, and what comes of them."""

import json
import zipfile

import keras
import numpy as np
import pytest
from keras import layers as kl

from headstart.errors import InputError
from pretrain.encoders.encoder import Preprocessing
from pretrain.keras_import import archive
from pretrain.keras_import.source import import_model


def small(shape=(12, 10, 3), classes=5):
    """A convnet with a residual connection, normalisation and dropout; weights at random, statistics too."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input(shape)
    x = kl.Conv2D(6, 3, padding="same", use_bias=False, name="stem")(inputs)
    x = kl.BatchNormalization(name="stem_bn")(x)
    x = skip = kl.ReLU(name="stem_relu")(x)
    x = kl.DepthwiseConv2D(3, padding="same", name="depth")(x)
    x = kl.Conv2D(6, 1, activation="swish", name="point")(x)
    x = kl.Add(name="sum")([x, skip])
    x = kl.Dropout(0.3, name="drop")(x)
    x = kl.MaxPooling2D(name="pool")(x)
    x = kl.SeparableConv2D(8, 3, strides=2, padding="same", name="top")(x)
    x = kl.Flatten(name="flat")(x)
    x = kl.Dense(7, activation="tanh", name="hidden")(x)
    x = kl.Dense(classes, name="classes")(x)
    model = keras.Model(inputs, kl.Activation("softmax", name="chances")(x), name="small")
    return shaken(model)


def shaken(model):
    """Give every weight a value of its own, so that nothing can be mistaken for its neighbour."""
    random = np.random.default_rng(0)
    model.set_weights(
        [np.abs(random.normal(0.5, 0.3, w.shape)).astype(w.dtype) for w in model.get_weights()]
    )
    return model


def save(model, path):
    model.save(path)
    return path


def below(model, name):
    """The Keras model up to a layer, as Keras cuts it."""
    return keras.Model(model.input, model.get_layer(name).output)


def respelt(path, to, change=None, members=None, left_out=(), more=()):
    """Copy a .keras file: ``change`` edits its config in place, ``members`` replace, ``more`` adds."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = (members or {}).get(name, old.read(name))
            if name == "config.json" and change is not None:
                config = json.loads(data)
                change(config)
                data = json.dumps(config).encode()
            if name not in left_out:
                new.writestr(name, data)
        for name, data in more:
            new.writestr(name, data)
    return to


def layer_of(config, name):
    return next(one for one in config["config"]["layers"] if one["config"]["name"] == name)


def refused(path, says, by_keras=False):
    """The file is refused before Keras has seen anything of it, or before a weight takes memory."""
    with pytest.MonkeyPatch.context() as patch:
        if by_keras:
            patch.setattr(
                "keras.src.backend.common.variables.initialize_all_variables",
                lambda: pytest.fail("weights were allocated"),
            )
        else:
            patch.setattr(archive, "_load", lambda *_: pytest.fail("Keras was given the file"))
        with pytest.raises(InputError, match=says) as caught:
            import_model(str(path))
    assert str(caught.value).startswith(f"{path.name} cannot be imported: "), caught.value


def features(made, x):
    """What the encoder that was made of a model computes of raw examples."""
    from pretrain.encoders.encoder import Encoder
    from pretrain.weights.file import assign

    encoder = Encoder(made.encoder, seed=5)
    assign(made.tensors, encoder.variables)
    return np.asarray(encoder(Preprocessing.from_json(made.preprocessing)(x), False))


def images(shape=(12, 10, 3), n=3):
    return np.random.default_rng(1).integers(0, 256, (n, *shape)).astype(np.uint8)


def averaged(maps):
    """Maps (N, ..., C) as features (N, C), as an encoder hands them on."""
    maps = np.asarray(maps)
    return maps.mean(axis=tuple(range(1, maps.ndim - 1)))


def shapes_of(shape, blocks):
    """The option ``shapes`` of the encoder of these blocks: what Keras makes of them, in its order."""
    from pretrain.encoders.base import by_path
    from pretrain.encoders.keras_graph import build_model

    made = []
    for i, block in enumerate(blocks, start=1):
        made.append((f"block{i}", build_model(shape, block, f"block{i}")))
        shape = made[-1][1].output_shape[1:]
    return [[path, list(weight.shape)] for path, weight in by_path(made).items()]
