"""Models are written so that Keras 3.9 and newer load them: no argument of a layer that came later.

Measured with Keras 3.9.0, 3.10.0, 3.11.3, 3.12.4, 3.13.2, 3.14.1, 3.15.0 and 3.15.1 on TensorFlow 2.21: each
loads every kind of model and gives the very same outputs. Keras 3.4 to 3.8 load those that resize nothing.
"""

import keras

from transfer.export.keras_file import LATER, plain_config


def test_only_what_is_a_default_of_keras_is_left_out():
    layers = [
        (keras.layers.BatchNormalization(), ("renorm", "renorm_clipping", "renorm_momentum")),
        (keras.layers.Dense(3), ("quantization_config",)),
        (keras.layers.Resizing(3, 4), ("pad_to_aspect_ratio", "fill_mode", "fill_value")),
        (keras.initializers.HeNormal(), ("input_axes", "output_axes")),
        (keras.layers.InputLayer(shape=(3,)), ("optional", "ragged")),
        (keras.layers.LayerNormalization(), ("rms_scaling",)),
    ]
    assert {name for _, names in layers for name in names} == set(LATER)
    for made, names in layers:
        config = made.get_config()
        assert all(config.get(name, LATER[name]) == LATER[name] for name in names), made
        kept = plain_config({"class_name": type(made).__name__, "config": config})["config"]
        assert not set(names) & set(kept)
        again = type(made).from_config(kept).get_config()
        assert {k: again[k] for k in names if k in again} == {
            k: config[k] for k in names if k in config
        }


def test_what_is_asked_for_stays():
    config = keras.layers.Resizing(3, 4, pad_to_aspect_ratio=True, fill_value=7.0).get_config()
    kept = plain_config({"class_name": "Resizing", "config": config})["config"]
    assert (kept["pad_to_aspect_ratio"], kept["fill_value"]) == (True, 7.0)
