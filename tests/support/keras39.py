"""The configurations that Keras 3.9 reads."""

# What the layers of Keras 3.9.0 take, beside name, trainable and dtype: read off its source.
KNOWN = {
    "Activation": {"activation"},
    "Add": set(),
    "BatchNormalization": {
        *("axis", "momentum", "epsilon", "center", "scale", "synchronized"),
        *("beta_initializer", "gamma_initializer", "beta_regularizer", "gamma_regularizer"),
        *("moving_mean_initializer", "moving_variance_initializer"),
        *("beta_constraint", "gamma_constraint"),
    },
    "Concatenate": {"axis"},
    "Conv2D": {
        *("filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "groups"),
        *("activation", "use_bias", "kernel_initializer", "bias_initializer"),
        *("kernel_regularizer", "bias_regularizer", "activity_regularizer"),
        *("kernel_constraint", "bias_constraint"),
    },
    "Dense": {
        *("units", "activation", "use_bias", "kernel_initializer", "bias_initializer"),
        *("kernel_regularizer", "bias_regularizer", "activity_regularizer"),
        *("kernel_constraint", "bias_constraint", "lora_rank"),
    },
    "Flatten": {"data_format"},
    "GlobalAveragePooling2D": {"data_format", "keepdims"},
    "GlorotUniform": {"seed"},
    "GroupNormalization": {
        *("groups", "axis", "epsilon", "center", "scale", "beta_initializer", "gamma_initializer"),
        *("beta_regularizer", "gamma_regularizer", "beta_constraint", "gamma_constraint"),
    },
    "HeNormal": {"seed"},
    "LecunNormal": {"seed"},
    "InputLayer": {"batch_shape", "sparse", "ragged", "optional"},
    "Ones": set(),
    "RGBToGrayscale": {"data_format"},
    "Rescaling": {"scale", "offset"},
    "Resizing": {
        *("height", "width", "interpolation", "crop_to_aspect_ratio", "pad_to_aspect_ratio"),
        *("fill_mode", "fill_value", "antialias", "data_format"),
    },
    "Zeros": set(),
}


def parts(node):
    """Every (class, configuration) inside a model's configuration."""
    if isinstance(node, dict):
        if "class_name" in node and isinstance(node.get("config"), dict):
            yield node["class_name"], node["config"]
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from parts(inner)
