"""A check, before a run starts, that its random views differ."""

from __future__ import annotations

import numpy as np

from headstart.errors import InputError, arg
from pretrain.augment.recipes import Augmentation
from pretrain.encoders.encoder import Preprocessing, sample
from tasks.dataset import Dataset

EXAMPLES = 64
MIN_PART = 0.5


def check_views(dataset: Dataset, augmentation: Augmentation, owner: str) -> None:
    """Refuse an augmentation that leaves examples as they are.

    A strategy that compares two views of an example learns nothing from two equal ones, and its loss
    still falls.

    Args:
        dataset: some of its examples are tried.
        augmentation: makes the views.
        owner: the strategy's name.

    Raises:
        InputError: of the argument ``augment``.
    """
    from pretrain.augment.views import views_differ

    x = np.asarray(Preprocessing.fit(dataset)(sample(EXAMPLES, dataset.x)))
    part = views_differ(x, augmentation.options)
    if part <= MIN_PART:
        raise InputError(
            f"must make views that differ for more than {MIN_PART:.0%} of the examples, because the "
            f"strategy {owner!r} learns from them; they differ for {part:.0%}",
            argument="augment",
            value=augmentation.name,
            hint=f"Choose another {arg.augment}, or set stronger changes with {arg.augment_options}.",
        )
