"""The corpus, second part: what the JSON inside says. Everything is signed again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from malformed import Draft, canonical, good_content
from malformed_table import K1, case, draft


def content(name: str, says: str, part: str, **changes: Any) -> None:
    """Change entries of one part of the description; None removes one. Signed again."""

    def image() -> bytes:
        described = good_content()
        described[part].update(changes)
        described[part] = {k: v for k, v in described[part].items() if v is not None}
        return Draft(content=described).image()

    case(name, says, image)


def options(name: str, says: str, **changes: Any) -> None:
    base = {"units": [5, 5, 5], "activation": "selu"}
    content(name, says, "encoder", options={**base, **changes})


def metadata(name: str, says: str, data: bytes) -> None:
    draft(name, says, metadata_bytes=data)


# JSON.
_GOOD = canonical(good_content())
metadata("json_too_large", "at most 16,777,216 bytes", b'"' + b"x" * (16 << 20) + b'"')
metadata("json_depth_bomb", "nested deeper than 32", b"[" * 100_000 + b"]" * 100_000)
metadata("json_open_depth_bomb", "nested deeper than 32", b'{"a":' * 90_000)
metadata("json_many_values", "more than 500,000 values", b"[" + b"[]," * 5_000_000 + b"[]]")
metadata("json_unclosed_string", "not valid JSON", b'"' + b"\\" * 3_000_001)
metadata("json_nan", "NaN is not a JSON number", _GOOD.replace(b'"seed":1', b'"seed":NaN'))
metadata("json_infinity", "Infinity is not a JSON", _GOOD.replace(b'"seed":1', b'"seed":-Infinity'))
metadata("json_overflow", "not valid JSON", _GOOD.replace(b'"seed":1', b'"seed":1e999'))
metadata("json_long_number", "not valid JSON", _GOOD.replace(b'"seed":1', b'"seed":' + b"9" * 9999))
metadata("json_twice", "key 'seed' appears twice", _GOOD.replace(b'"seed":1', b'"seed":1,"seed":1'))
metadata("json_blank", "not canonical", _GOOD.replace(b'"seed":1', b'"seed": 1'))
metadata("json_surrogate", "not valid JSON", _GOOD.replace(b'"toy"', b'"\\ud800"'))
metadata("json_not_utf8", "not valid JSON", _GOOD.replace(b'"toy"', b'"\xff"'))
metadata("json_not_json", "not valid JSON", b"import os")
metadata("json_list", "must hold exactly encoder, preprocessing and metadata", b"[]")
metadata(
    "json_extra", "must hold exactly encoder", canonical({**good_content(), "code": "import os"})
)

# The encoder's configuration, preprocessing, metadata, manifest; all signed again.
content(
    "config_unknown",
    "encoder must be one of .*'mpl'. Did you mean 'mlp'",
    "encoder",
    architecture="mpl",
)
content(
    "config_lambda", "exactly 'architecture'", "encoder", module="keras.layers", class_name="Lambda"
)
for name, kind, size, says in (
    ("lambda", "Lambda", {}, "has a layer 'a' of an unknown class"),
    ("private", "__init__", {}, "has a layer 'a' of an unknown class"),
    ("code", "Activation", {"activation": "os.system"}, "'activation' that must be one of"),
    ("object", "Dense", {"units": {"class_name": "x"}}, "where a plain value belongs"),
    ("huge", "Reshape", {"target_shape": [1 << 40]}, "must be a number of at most"),
    (
        "initial",
        "Dense",
        {"units": 3, "kernel_initializer": "zeros"},
        "options that are never stored",
    ),
    ("others", "Flatten", {}, "has no layer for the tensor 'block1"),
):
    layer = {"name": "a", "class": kind, "config": size, "inputs": ["input"]}
    content(
        f"config_keras_{name}",
        says,
        "encoder",
        architecture="keras",
        input_shape=[8, 8, 1],
        options={"blocks": [[layer]]},
    )
content(
    "config_keras_shapes",
    "has no option 'shapes' in a file",
    "encoder",
    architecture="keras",
    options={"blocks": [[layer]], "shapes": []},
)
content("config_no_options", "exactly 'architecture'", "encoder", options=None)
content("config_type", "must be text", "encoder", architecture=["mlp"])
content("config_shape", "1 to 4 positive integers", "encoder", input_shape=[5.0])
content("config_huge_input", "at most 16777216 values", "encoder", input_shape=[1 << 30])
content("config_long_input", "positive integers", "encoder", input_shape=[1] * 100_000)
options("config_units", "units.*integer from 1 to 65536", units=[10**9])
options("config_parameters", "more than 536870912 parameters", units=[65536] * 64)
options("config_bool", "integer", units=[5, 5, True])
options("config_text", "'units' is not in the form", units="5,5,5")
options("config_extra", "no option 'function'", function="lambda x: x")
options("config_activation", "must be one of selu", activation="__import__('os')")
content("prep_extra", "preprocessing must hold exactly", "preprocessing", code="x")
content("prep_lacks", "preprocessing must hold exactly", "preprocessing", scale=None)
content("prep_dtype", "'input_dtype' must be one of", "preprocessing", input_dtype="object")
content("prep_range", "'value_range' must rise", "preprocessing", value_range=[1, 1])
content("prep_length", "'scale' must be a list of 1 or 5", "preprocessing", scale=[1.0, 2.0])
content("prep_huge", "'offset' must be a list", "preprocessing", offset=[1e300])
content("prep_huge_integer", "'offset' must be a list", "preprocessing", offset=[10**999])
content("prep_bool", "'scale' must be a list", "preprocessing", scale=[True])
content("meta_seed", r"lacks 'seed' \(an integer\)", "metadata", seed="1")
content("meta_data", "lacks 'data' with 'name'", "metadata", data={"name": "toy"})
content("meta_several", "lacks 'strategy'.*'versions'", "metadata", strategy="", versions=None)


def manifest(name: str, says: str, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    entries = Draft().listed()
    draft(name, says, manifest=change(entries) or entries)


manifest("manifest_lacks", f"manifest lacks {K1}", lambda m: m[1:])
manifest("manifest_order", "not in the encoder's order", lambda m: m[::-1])
manifest("manifest_twice", "names .* twice", lambda m: [*m, m[0]])
manifest("manifest_object", "must be a list", lambda m: {"a": 1})
manifest(
    "manifest_path", "unexpected '../../etc/passwd'", lambda m: m[0].update(name="../../etc/passwd")
)
manifest("manifest_nul", r"unexpected 'block1\\x00'", lambda m: m[0].update(name="block1\0"))
manifest("manifest_shape", "without name or shape", lambda m: m[0].update(shape=[5, -5]))
manifest(
    "manifest_other_shape", rf"{K1} is \(25,\) in its manifest", lambda m: m[0].update(shape=[25])
)
manifest("manifest_dtype", "the dtype object", lambda m: m[0].update(dtype="object"))
manifest("manifest_sha", "no sha256", lambda m: m[0].update(sha256="x"))
manifest("manifest_pickle", "must hold exactly name, shape", lambda m: m[0].update(pickle="gASV"))
