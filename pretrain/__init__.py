"""Encoders, strategies, the training engine and the weights file."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pretrain.weights.load import load_encoder

__all__ = ["load_encoder"]


def __getattr__(name: str) -> Any:
    # Found when asked for, so that importing the package stays light.
    if name == "load_encoder":
        from headstart.packages import check_packages

        check_packages()
        from pretrain.weights.load import load_encoder

        return load_encoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
