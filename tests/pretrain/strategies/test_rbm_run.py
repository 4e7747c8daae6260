"""Runs of stacked RBMs: stopped and resumed, and encoders that they cannot train."""

import pytest
from pretraining import pretrained
from toys import StopAt, patterns

from headstart.errors import InputError, Interrupted
from pretrain.config import PretrainConfig


@pytest.mark.parametrize("stage", [2, 3])
def test_a_run_that_stopped_in_a_later_stage_goes_on_to_the_same_bits(tmp_path, stage, monkeypatch):
    from pretrain.engine import train
    from pretrain.engine.program import Programs

    config = PretrainConfig(
        strategy="rbm",
        encoder="mlp",
        encoder_options={"units": [6, 5]},
        options={"persistent": 10, "finetune": 2},
        epochs=2,
        batch_size=16,
    )
    programs = Programs()
    whole = pretrained(patterns(), config, tmp_path / "whole.h5", programs=programs)
    monkeypatch.setattr(train, "CALL_SECONDS", 0)  # look up after every step
    with pytest.raises(Interrupted):
        pretrained(
            patterns(),
            config,
            tmp_path / "part.h5",
            reporter=StopAt(7, stage=stage),
            programs=programs,
        )
    resumed = pretrained(patterns(), config, tmp_path / "part.h5", resume=True)
    assert resumed.resumed_from == f"stage {stage}, epoch 2, step 2"
    assert resumed.weights.digest == whole.weights.digest
    assert resumed.history == whole.history
    assert [row["stage"] for row in whole.history[::2]] == ["rbm1", "rbm2", "unrolled"]


def test_other_units_are_refused_before_anything_is_written(tmp_path):
    config = PretrainConfig(
        strategy="rbm", encoder="mlp", encoder_options={"activation": "relu", "units": [4]}
    )
    with pytest.raises(InputError, match=r"must set activation=sigmoid.*Got 'activation=relu'"):
        pretrained(patterns(), config, tmp_path / "w.h5")
    assert list(tmp_path.iterdir()) == []


def test_convolutions_are_refused(tmp_path):
    with pytest.raises(
        InputError, match=r"cannot be trained by the strategy 'rbm'\. Got 'convnet'"
    ):
        pretrained(patterns(), PretrainConfig(strategy="rbm", encoder="convnet"), tmp_path / "w.h5")
