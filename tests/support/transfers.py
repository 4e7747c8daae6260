"""Small transfers: a task of patterns, an encoder with known weights, a quick recipe."""

from dataclasses import replace

from toys import patterns

from pretrain.encoders import encoder_config
from pretrain.engine.session import Session
from pretrain.weights.file import WeightsFile
from tasks.task import TargetTask
from transfer.encoder_source import EncoderSource
from transfer.plan import TransferPlan
from transfer.recipes import TransferRecipe
from transfer.run import transfer
from transfer.targets import Classification

SMALL = {
    "mlp": {"units": [24, 12, 8]},
    "convnet": {"filters": [4, 8], "features": 12},
    "resnet": {"filters": [4, 8]},
    "patches": {"words": 6, "grid": 2},
    "table": {"width": 12, "hidden": 8, "depth": 2},
    "keras": {
        "blocks": [
            [
                {
                    "name": "conv",
                    "class": "Conv2D",
                    "config": {
                        "filters": 4,
                        "kernel_size": [3, 3],
                        "strides": [2, 2],
                        "padding": "same",
                        "dilation_rate": [1, 1],
                        "groups": 1,
                        "activation": "relu",
                        "use_bias": True,
                    },
                    "inputs": ["input"],
                },
                {"name": "flat", "class": "Flatten", "config": {}, "inputs": ["conv"]},
            ],
            [
                {
                    "name": "dense",
                    "class": "Dense",
                    "config": {"units": 12, "activation": "relu", "use_bias": True},
                    "inputs": ["input"],
                }
            ],
        ]
    },
}
QUICK = TransferRecipe(
    freeze_epochs=3,
    epochs=3,
    batch_size=16,
    head_learning_rate=1e-2,
    learning_rate=1e-3,
    scratch_epochs=3,
    scratch_learning_rate=1e-3,
)
PREPROCESSING = {
    "input_dtype": "uint8",
    "value_range": [0.0, 255.0],
    "scale": [1 / 255],
    "offset": [0.0],
}


def task(**how):
    return TargetTask.from_dataset(patterns(**{"test": 30, **how}))


def classes(count):
    """The target of so many classes."""
    return Classification(names=tuple(map(str, range(count))))


def config_of(name, shape, **options):
    """The configuration of a small encoder; an imported one declares what Keras makes of its layers."""
    options = {**SMALL[name], **options}
    if name == "keras":
        from foreign import shapes_of

        options["shapes"] = shapes_of(shape, options["blocks"])
    return encoder_config(name, shape, options)


def weights(name="mlp", shape=(8, 8, 1), seed=77):
    """An encoder with random weights as a weights file that was not written yet."""
    from pretrain.encoders.encoder import Encoder

    config = config_of(name, shape)
    return WeightsFile(
        encoder=config,
        preprocessing=PREPROCESSING,
        tensors=Encoder(config, seed).tensors(),
        metadata={
            "strategy": "none",
            "seed": seed,
            "data": {"name": "none", "fingerprint": "none"},
            "versions": {"headstart": "0"},
        },
    )


def source(name="mlp", **how):
    return EncoderSource.from_weights(weights(name, **how))


def planned(on, given, config, **how):
    return TransferPlan.make(on, given, config, **how)


def transferred(on, given, config, *, programs=None, checkpoints=None, unlabelled=None, **session):
    """Plan and do a transfer that writes nothing."""
    plan = planned(on, given, config, unlabelled=unlabelled)
    plan = replace(plan, checkpoints=checkpoints)
    session = Session(**session)
    return transfer(plan, session if programs is None else session.sharing(programs))


def encoder_weights(model):
    """The encoder's weights inside an exported model, in the encoder's order."""
    return [weight.numpy() for weight in model.get_layer("encoder").weights]
