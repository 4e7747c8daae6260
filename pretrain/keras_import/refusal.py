"""Why a foreign model is not imported."""

from __future__ import annotations

from pretrain.weights.validation import Fault

SAVE_AGAIN = "load the model in Keras 3 and save it again as .keras"


class Refusal(Fault):
    """A model that cannot be imported, and the way out; becomes an InputError that names the model."""

    def __init__(self, what: str, way_out: str = "give another model") -> None:
        super().__init__(what, way_out)
