"""From a weights file and a few labels to a model."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transfer.estimators import EncoderTransformer, TransferClassifier, TransferRegressor
    from transfer.export.formats import export_model

__all__ = ["EncoderTransformer", "TransferClassifier", "TransferRegressor", "export_model"]


def __getattr__(name: str) -> Any:
    # Found when asked for: they need scikit-learn, and the commands must start without it.
    if name in __all__:
        from importlib import import_module

        from headstart.packages import check_packages

        check_packages()
        module = "transfer.export.formats" if name == "export_model" else "transfer.estimators"
        return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
