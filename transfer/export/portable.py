"""The configuration inside a ``.keras`` file, written so that older versions of Keras read it too.

Keras writes every argument of a layer, and an older version refuses an argument that it does not know, even
where it asks for nothing new. Those that stand at their default are left out here, which means the same to
every version.
"""

from __future__ import annotations

import copy
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

OLDEST = "3.9"
"""The oldest Keras that loads every model: it brought the antialiasing with which images are resized."""
LATER: dict[str, Any] = {
    "fill_mode": "constant",
    "fill_value": 0.0,
    "input_axes": None,
    "optional": False,
    "output_axes": None,
    "pad_to_aspect_ratio": False,
    "quantization_config": None,
    "ragged": False,
    "renorm": False,
    "renorm_clipping": None,
    "renorm_momentum": 0.99,
    "rms_scaling": False,
}
"""Arguments that came after Keras 3.0, with the values that change nothing."""


def plain_config(node: Any) -> Any:
    """Return a model's configuration, as JSON, without what older versions refuse and nobody needs."""
    if isinstance(node, list):
        return [plain_config(value) for value in node]
    if not isinstance(node, dict):
        return node
    if node.get("class_name") == "DTypePolicy":
        # Its name says it all, and every version takes that.
        return node["config"]["name"]
    made = {key: plain_config(value) for key, value in node.items()}
    config = made.get("config")
    if "class_name" in made and isinstance(config, dict):
        kept = {k: v for k, v in config.items() if k not in LATER or v != LATER[k]}
        if str(made.get("module")).startswith("keras.src.ops."):
            # An operation's name stands beside its configuration; inside, Keras 3.10 refuses it.
            kept.pop("name", None)
        made["config"] = kept
    return made


def copy_plainly(source: Path, target: Path) -> None:
    """Copy a ``.keras`` file with its configuration made plain."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for member in old.infolist():
            if member.filename == "config.json":
                new.writestr(
                    member.filename, json.dumps(plain_config(json.loads(old.read(member))))
                )
                continue
            with old.open(member) as content, new.open(copy.copy(member), "w") as place:
                shutil.copyfileobj(content, place)
