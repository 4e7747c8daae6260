"""The options of a benchmark, as a command's texts and as Python's values."""

import pytest

from benchmark.config import (
    AUTO,
    FINE_TUNE,
    LINEAR_PROBE,
    BenchmarkConfig,
    Budget,
    Mode,
    RunnerConfig,
)
from headstart.errors import InputError
from transfer.recipes import recipe


def test_texts_and_values_are_the_same_configuration():
    texts = BenchmarkConfig(strategies="gan, rbm", labels="200,50", modes="auto,fine-tune")
    values = BenchmarkConfig(
        strategies=["gan", "rbm"], labels=[50, 200, 200], modes=["auto", "fine-tune"]
    )
    assert texts == values
    assert (texts.strategies, texts.labels) == (("gan", "rbm"), (50, 200))
    assert BenchmarkConfig(labels=50, seeds=3, seed=7).seed_values == [7, 8, 9]
    flat = BenchmarkConfig(labels=50, options={"rbm.k": "2", "rbm.finetune": 3})
    nested = BenchmarkConfig(labels=50, options={"rbm": {"k": "2", "finetune": 3}})
    assert flat.strategy_options == nested.strategy_options == {"rbm": {"k": "2", "finetune": 3}}


@pytest.mark.parametrize(
    ("given", "argument"),
    [
        ({"labels": None}, "labels"),
        ({"labels": "50,x"}, "labels"),
        ({"labels": [0]}, "labels"),
        ({"labels": [2.5]}, "labels"),
        ({"labels": 50, "strategies": ","}, "strategies"),
        ({"labels": 50, "seeds": 0}, "seeds"),
        ({"labels": 50, "seeds": True}, "seeds"),
        ({"labels": 50, "pretrain_seconds": 0}, "pretrain_seconds"),
        ({"labels": 50, "pretrain_epochs": 1, "pretrain_updates": 1}, None),
    ],
)
def test_values_that_break_a_rule_are_refused_by_their_name(given, argument):
    with pytest.raises(InputError) as caught:
        BenchmarkConfig(**given)
    assert caught.value.argument == argument
    if argument is None:
        assert "pretrain_epochs, pretrain_seconds and pretrain_updates" in str(caught.value)


def test_options_without_a_strategy_and_modes_that_do_not_exist_are_refused():
    with pytest.raises(InputError) as caught:
        _ = BenchmarkConfig(labels=50, options={"k": 2}).strategy_options
    assert caught.value.argument == "options"
    with pytest.raises(InputError) as caught:
        BenchmarkConfig(labels=50, modes="auto,linear").mode_table()
    assert caught.value.argument == "modes"


def test_modes_are_those_named_or_the_one_that_the_recipe_is():
    usual, probe = recipe("default"), recipe(LINEAR_PROBE)
    assert BenchmarkConfig(labels=50).mode_table() == {FINE_TUNE: Mode(recipe=usual)}
    named = BenchmarkConfig(labels=50, recipe=LINEAR_PROBE).mode_table()
    assert named == {LINEAR_PROBE: Mode(recipe=probe)}
    both = BenchmarkConfig(labels=50, modes="auto,linear-probe").mode_table()
    assert both[LINEAR_PROBE] == Mode(recipe=probe)
    assert (both[AUTO].recipe, both[AUTO].search > 0) == (usual, True)
    pooled = BenchmarkConfig(labels=50, modes="pool").mode_table()["pool"]
    assert (pooled.recipe, pooled.search, pooled.pool) == (usual, None, True)
    assert "pool" not in both[AUTO].to_json()
    own = {"mine": Mode(recipe=probe)}
    assert BenchmarkConfig(labels=50, modes=own).mode_table() == own


def test_the_recipe_of_the_notebook_brings_its_encoder_and_both_spellings_are_the_same():
    new, old = (BenchmarkConfig(labels=50, recipe=r).with_recipe() for r in ("notebook", "seed"))
    assert new.encoder == old.encoder == "mlp"
    assert new.mode_table() == old.mode_table()
    assert (
        BenchmarkConfig(labels=50, recipe="seed", encoder="convnet").with_recipe().encoder
        == "convnet"
    )
    assert BenchmarkConfig(labels=50, pretrain_updates=9).budget == Budget(updates=9)


def test_a_runner_has_one_thread_a_process_unless_it_is_this_process():
    assert RunnerConfig().threads(None) is None
    assert RunnerConfig(workers=2).threads(None) == 1
    assert RunnerConfig(engine="dask").threads(3) == 3
    with pytest.raises(InputError) as caught:
        RunnerConfig(export_best="some")
    assert caught.value.argument == "export_best"
