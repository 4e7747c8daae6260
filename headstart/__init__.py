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

if TYPE_CHECKING:
    from headstart.api.benchmarking import BenchmarkResult, benchmark
    from headstart.api.pretraining import PretrainedEncoder, load_encoder, pretrain
    from headstart.api.tables import encoders, heads, strategies
    from headstart.api.transferring import TransferredModel, load_model, transfer
    from tasks.dataset import Dataset
    from transfer.estimators import EncoderTransformer, TransferClassifier, TransferRegressor

_HOMES = {
    "benchmark": "headstart.api.benchmarking",
    "BenchmarkResult": "headstart.api.benchmarking",
    "pretrain": "headstart.api.pretraining",
    "load_encoder": "headstart.api.pretraining",
    "PretrainedEncoder": "headstart.api.pretraining",
    "transfer": "headstart.api.transferring",
    "load_model": "headstart.api.transferring",
    "TransferredModel": "headstart.api.transferring",
    "encoders": "headstart.api.tables",
    "heads": "headstart.api.tables",
    "strategies": "headstart.api.tables",
    "Dataset": "tasks.dataset",
    "EncoderTransformer": "transfer.estimators",
    "TransferClassifier": "transfer.estimators",
    "TransferRegressor": "transfer.estimators",
    "HeadstartError": "headstart.errors",
    "InputError": "headstart.errors",
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
    if name in _HOMES:
        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
