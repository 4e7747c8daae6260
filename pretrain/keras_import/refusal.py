"""Why a foreign model is not imported."""

from __future__ import annotations

SAVE_AGAIN = "load the model in Keras 3 and save it again as .keras"


class Refusal(Exception):
    """What is wrong with a model, and the way out; becomes an InputError that names the model."""

    def __init__(self, what: str, way_out: str = "give another model") -> None:
        super().__init__(f"{what}; {way_out}")
        self.what, self.way_out = what, way_out
