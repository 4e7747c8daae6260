"""The rows without pretraining of a benchmark on images."""

from benchmark.baselines import BASELINES, TREES

OF_IMAGES = tuple(name for name in BASELINES if name != TREES)
