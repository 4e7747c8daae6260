"""A look, before a run starts, at whether its random views differ at all."""

from __future__ import annotations

import numpy as np

from headstart.errors import InputError
from pretrain.augment.recipes import Augmentation
from pretrain.encoders.encoder import Preprocessing, sample
from tasks.dataset import Dataset

EXAMPLES = 64
LEAST = 0.5


def check_views(dataset: Dataset, augmentation: Augmentation, owner: str) -> None:
    """Refuse an augmentation that leaves examples as they are. Raises InputError.

    A strategy that compares two views of an example learns nothing from two equal ones, and its loss
    still falls. ``owner``: the strategy's name.
    """
    from pretrain.augment.views import views_differ

    x = np.asarray(Preprocessing.fit(dataset)(sample(EXAMPLES, dataset.x)))
    part = views_differ(x, augmentation.options)
    if part <= LEAST:
        raise InputError(
            f"The strategy {owner!r} learns from random views of an example, and with the "
            f"augmentation {augmentation.name!r} the views differ for {part:.0%} of the examples only; "
            f"it takes more than {LEAST:.0%}. Choose another --augment (pretrain --list), or set "
            f"stronger changes with --augment-opt."
        )
