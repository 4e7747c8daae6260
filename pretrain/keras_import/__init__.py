"""Models that were trained elsewhere, turned into a weights file: read as data, never as code."""

from __future__ import annotations

from pretrain.weights.validation import Fault

STRATEGY = "imported"
"""The strategy that a weights file names when the model came from elsewhere."""

SAVE_AGAIN = "load the model in Keras 3 and save it again as .keras"
COPY_AGAIN = "copy or download it again"


class Refusal(Fault):
    """A model that cannot be imported, and the way out; becomes an InputError that names the model."""

    def __init__(self, what: str, way_out: str = "give another model") -> None:
        super().__init__(what, way_out)
