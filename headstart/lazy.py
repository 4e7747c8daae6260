"""TensorFlow and Keras, imported when they are first used: a help text must not wait seconds for them."""

from __future__ import annotations

import importlib
from typing import Any


class _Lazy:
    """Stands for a module, and imports it when an attribute is asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        # Names like __wrapped__ are asked for by tools that only look around.
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        return getattr(importlib.import_module(self._name), attribute)


tf: Any = _Lazy("tensorflow")
keras: Any = _Lazy("keras")
