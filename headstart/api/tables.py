"""Tables of what there is to choose from."""

from __future__ import annotations


def strategies() -> dict[str, str]:
    """Return each pretraining strategy's name and summary.

    Example:
        >>> "simclr" in strategies()
        True
    """
    from pretrain.strategies import strategies as table

    return {name: row.summary for name, row in table().items()}


def encoders() -> dict[str, str]:
    """Return each encoder architecture's name and summary.

    Example:
        >>> "convnet" in encoders()
        True
    """
    from pretrain.encoders import ARCHITECTURES, fresh_names

    return {name: ARCHITECTURES[name].summary for name in fresh_names()}


def heads() -> dict[str, str]:
    """Return each head's name and summary.

    Example:
        >>> "linear" in heads()
        True
    """
    from transfer.heads import HEADS

    return {name: row.summary for name, row in HEADS.items()}
