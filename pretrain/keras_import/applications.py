"""Models of ``keras.applications``, with weights that are downloaded, given as a file, or random."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

from headstart.errors import HeadstartError, InputError, suggest
from headstart.lazy import keras
from pretrain.encoders.base import number
from pretrain.engine.runtime import keras_defaults
from pretrain.keras_import.graph import Graph, Shape
from pretrain.keras_import.live import read_model
from pretrain.keras_import.scaling import MODES
from pretrain.keras_import.weights_hdf5 import fit_by_name, read_legacy
from pretrain.weights.validation import file_sha256, short

PREFIX = "keras.applications:"
DEFAULT_SHAPE = (224, 224, 3)

# The mode of preprocess_input of each family, by the module that the model is in.
FAMILIES = {
    "tf": (
        *("MobileNet", "MobileNetV2", "InceptionV3", "InceptionResNetV2", "Xception"),
        *("NASNetMobile", "NASNetLarge", "ResNet50V2", "ResNet101V2", "ResNet152V2"),
    ),
    "caffe": ("VGG16", "VGG19", "ResNet50", "ResNet101", "ResNet152"),
    "torch": ("DenseNet121", "DenseNet169", "DenseNet201"),
    "inside": (
        *("MobileNetV3Small", "MobileNetV3Large"),
        *(f"EfficientNetB{i}" for i in range(8)),
        *(f"EfficientNetV2B{i}" for i in range(4)),
        *("EfficientNetV2S", "EfficientNetV2M", "EfficientNetV2L"),
        *(f"ConvNeXt{size}" for size in ("Tiny", "Small", "Base", "Large", "XLarge")),
    ),
}
SCALINGS = {name: MODES[mode] for mode, names in FAMILIES.items() for name in names}


def parse(spec: str) -> tuple[str, dict[str, Any]]:
    """Return the name and options of ``keras.applications:MobileNetV2:alpha=0.35``. Raises InputError."""
    name, *given = spec.removeprefix(PREFIX).split(":")
    if name not in SCALINGS:
        raise InputError(
            f"keras.applications has no model {name!r}.{suggest(name, SCALINGS)} "
            f"There are: {', '.join(sorted(SCALINGS))}."
        )
    options = {}
    for text in given:
        if not text.startswith("alpha="):
            raise InputError(
                f"{spec}: {text!r} is no option of a model. There is: alpha=NUMBER, the width of "
                f"MobileNet, MobileNetV2 and MobileNetV3."
            )
        value = text.removeprefix("alpha=")
        try:
            options["alpha"] = number(0.01, 10)(value)
        except ValueError as error:
            raise InputError(f"{spec}: alpha {error}. Got {value!r}.") from None
    if options and not name.startswith("MobileNet"):
        raise InputError(f"{spec}: only the MobileNets take alpha.")
    return name, options


@keras_defaults()
def made(
    name: str, options: dict[str, Any], weights: str, input_shape: Shape | None
) -> tuple[Graph, Any, dict[str, Any]]:
    """Build the model without its classification; return (graph, Keras model, what to record).

    weights: "imagenet" downloads (or takes from Keras' cache), "none" draws them at random, else a file of
    keras.applications (.h5). Raises Refusal, InputError; HeadstartError when a download fails.
    """
    shape = input_shape or DEFAULT_SHAPE
    about: dict[str, Any] = {"weights": weights}
    found = None
    if weights not in ("imagenet", "none"):
        path = Path(weights)
        if not path.is_file():
            raise InputError(
                f"There is no weights file {weights!r}. Give a .h5 file of keras.applications, or "
                f"'imagenet' to download one, or 'none' for random weights."
            )
        found = read_legacy(path)
        about = {"weights": path.name, "sha256": file_sha256(path)}
    try:
        # Keras tells of a download on stdout, which belongs to the result.
        with contextlib.redirect_stdout(sys.stderr):
            model = getattr(keras.applications, name)(
                include_top=False,
                weights="imagenet" if weights == "imagenet" else None,
                input_shape=shape,
                **options,
            )
    except Exception as error:
        text = short(" ".join(str(error).split()), 300)
        if weights == "imagenet" and not isinstance(error, ValueError | TypeError):
            raise HeadstartError(
                f"The weights of {name} could not be downloaded ({text}). Try again with a "
                f"network, or download the file that ends in no_top.h5 elsewhere and give it as a file."
            ) from None
        raise InputError(f"{name} cannot be built for {shape}: {text}.") from None
    graph = read_model(model, tuple(shape))
    if found is not None:
        about["left_over"] = fit_by_name(found, model.layers, name)
    return graph, model, {**about, "options": options}
