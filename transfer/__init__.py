"""From a weights file and a few labels to a model."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transfer.estimators import EncoderTransformer, TransferClassifier, TransferRegressor

__all__ = ["EncoderTransformer", "TransferClassifier", "TransferRegressor"]


def __getattr__(name: str) -> Any:
    # Found when asked for: they need scikit-learn, and the commands must start without it.
    if name in __all__:
        from importlib import import_module

        return getattr(import_module("transfer.estimators"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
