"""Self-training: a fine-tuned model's soft labels of unlabelled examples, distilled into the same encoder.

The third step of SimCLR v2 (Chen et al. 2020, "Big Self-Supervised Models are Strong Semi-Supervised
Learners", section 2): the student starts from the same weights as the teacher did, and learns from the
teacher's distributions over these together with the labelled examples. Here, an unlabelled example counts
by how sure the teacher is of it.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from transfer.numerics import class_probabilities
from transfer.recipes import TransferRecipe

BATCH = 64
# Of each stage of the student, whose examples are many: as many epochs as for the labels would be too many.
UPDATES = 200
# The labelled examples are repeated until they are this part of what the student sees.
LABELLED = 0.25


def soft_labels(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return distributions (N, K) float32 of a teacher's logits, (N, K), or (N, 1) for two classes."""
    return class_probabilities(logits / temperature)


def confidence(soft: np.ndarray) -> np.ndarray:
    """Return (N,) float32 in 0..1 of distributions (N, K): 1 less the entropy as a part of the largest.

    A row of zeros, of which nothing is known, has confidence 0.
    """
    p = np.clip(soft.astype(np.float64), 0, 1)
    entropy = -(p * np.log(np.clip(p, 1e-12, 1))).sum(axis=1)
    sure = np.where(p.sum(axis=1) > 0, 1 - entropy / math.log(p.shape[1]), 0)
    return np.clip(sure, 0, 1).astype(np.float32)


def student_examples(
    x: np.ndarray, y: np.ndarray, unlabelled: np.ndarray, soft: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what a student learns from: examples, distributions float32 (M, K), weights float32 (M,).

    x, y: labelled examples (N, ...) and int classes (N,); unlabelled, soft: (P, ...) of the same kind of
    example, and their distributions (P, K).
    """
    times = max(1, round(LABELLED / (1 - LABELLED) * len(unlabelled) / len(x)))
    hard = np.eye(soft.shape[1], dtype=np.float32)[y]
    return (
        np.concatenate([*[x] * times, unlabelled]),
        np.concatenate([*[hard] * times, soft.astype(np.float32)]),
        np.concatenate([np.ones(times * len(x), np.float32), confidence(soft)]),
    )


def student_recipe(recipe: TransferRecipe, examples: int) -> TransferRecipe:
    """Return the teacher's recipe with UPDATES updates in each stage that it has."""
    epochs = math.ceil(UPDATES / math.ceil(examples / BATCH))
    return replace(
        recipe,
        batch_size=BATCH,
        freeze_epochs=epochs if recipe.freeze_epochs else 0,
        epochs=epochs if recipe.epochs else 0,
        scratch_epochs=2 * epochs,
        least_updates=0,
        validation=0.0,  # repeated examples would be on both sides
    )
