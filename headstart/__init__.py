"""Pretraining for people with many unlabelled examples and few labelled ones.

::

    import headstart as hs

    encoder = hs.pretrain(x, strategy="simclr", epochs=30)
    model = hs.transfer(encoder, (x_few, y_few))
    result = hs.benchmark((x_few, y_few), pool=x, strategies=["simclr"], labels=[50], seeds=5)

Everything is found when it is asked for: importing this imports nothing heavy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from headstart.errors import HeadstartError, InputError

if TYPE_CHECKING:
    from headstart.api.benchmarking import BenchmarkResult, benchmark
    from headstart.api.pretraining import PretrainedEncoder, load_encoder, pretrain
    from headstart.api.tables import encoders, heads, strategies
    from headstart.api.transferring import TransferredModel, load_model, transfer
    from tasks.dataset import Dataset
    from transfer.estimators import EncoderTransformer, TransferClassifier, TransferRegressor

_HOMES = {
    "headstart.api.benchmarking": ("BenchmarkResult", "benchmark"),
    "headstart.api.pretraining": ("PretrainedEncoder", "load_encoder", "pretrain"),
    "headstart.api.tables": ("encoders", "heads", "strategies"),
    "headstart.api.transferring": ("TransferredModel", "load_model", "transfer"),
    "tasks.dataset": ("Dataset",),
    "transfer.estimators": ("EncoderTransformer", "TransferClassifier", "TransferRegressor"),
}
__all__ = [
    "BenchmarkResult",
    "Dataset",
    "EncoderTransformer",
    "HeadstartError",
    "InputError",
    "PretrainedEncoder",
    "TransferClassifier",
    "TransferRegressor",
    "TransferredModel",
    "benchmark",
    "encoders",
    "heads",
    "load_encoder",
    "load_model",
    "pretrain",
    "strategies",
    "transfer",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(home), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
