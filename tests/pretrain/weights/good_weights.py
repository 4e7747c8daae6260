"""Good weights files for the tests, and how two are compared."""

import numpy as np
from malformed import good_content

from pretrain.encoders import encoder_config, expected_shapes
from pretrain.weights.file import WeightsFile


def make(seed=0, units=(300, 100, 50, 50, 50), shape=(28, 28, 1), **metadata):
    config = encoder_config("mlp", shape, {"units": list(units)})
    rng = np.random.default_rng(seed)
    content = good_content()
    return WeightsFile(
        encoder=config,
        preprocessing=content["preprocessing"],
        tensors={
            n: rng.normal(size=s).astype(np.float32) for n, s in expected_shapes(config).items()
        },
        metadata={**content["metadata"], **metadata},
    )


def names(folder):
    return [file.name for file in folder.iterdir()]


def same(a, b):
    assert list(a.tensors) == list(b.tensors)
    for name, tensor in a.tensors.items():
        assert tensor.tobytes() == b.tensors[name].tobytes()
        assert tensor.shape == b.tensors[name].shape
    assert (a.encoder, a.preprocessing) == (b.encoder, b.preprocessing)
    assert a.metadata == b.metadata
