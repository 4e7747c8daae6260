from dataclasses import replace

import numpy as np
import pytest
from toys import Lines, patterns
from transfers import QUICK, encoder_weights, source, task, transferred

from headstart.errors import InputError, NonFiniteError
from pretrain.encoders import ARCHITECTURES
from pretrain.engine.program import Programs
from tasks.task import TargetTask
from transfer.config import TransferConfig
from transfer.plan import TransferPlan

FROZEN = replace(QUICK, epochs=0)
# Adam moves a weight by about this a step: less than float32 can add to any but a zero.
STILL = replace(FROZEN, head_learning_rate=1e-30)


# Compiled once for all tests but those that are about compiling.
SHARED = Programs()


def run(
    source,
    recipe=QUICK,
    on=None,
    *,
    labels=40,
    reuse=None,
    seed=0,
    head=None,
    programs=SHARED,
    **how,
):
    config = TransferConfig(recipe=recipe, labels=labels, reuse=reuse, seed=seed, head=head)
    return transferred(on or task(), source, config, programs=programs, **how)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_frozen_stage_leaves_the_encoder_bitwise(name):
    given = source(name)
    before = {n: tensor.copy() for n, tensor in given.tensors.items()}
    done = run(given, FROZEN, head="linear")
    for tensor, weight in zip(before.values(), encoder_weights(done.model), strict=True):
        assert tensor.tobytes() == weight.tobytes()
    assert done.history[-1]["loss"] < done.history[0]["loss"]
    assert {row["stage"] for row in done.history} == {"head on frozen encoder"}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_fine_tuning_moves_every_weight_and_leaves_the_source(name):
    given = source(name)
    before = {n: tensor.copy() for n, tensor in given.tensors.items()}
    done = run(given, head="linear")
    for path, weight in zip(before, encoder_weights(done.model), strict=True):
        assert not np.array_equal(before[path], weight), path
        assert np.array_equal(before[path], given.tensors[path])
    stages = [row["stage"] for row in done.history]
    assert stages == ["head on frozen encoder"] * 3 + ["fine-tune"] * 3
    losses = [row["loss"] for row in done.history]
    assert losses == sorted(losses, reverse=True)


def test_reuse_keeps_the_lowest_blocks_and_draws_the_others():
    from pretrain.encoders.encoder import Encoder

    given = source()
    for reuse in (1, 2, 3):
        done = run(given, STILL, reuse=reuse, seed=5)
        fresh = Encoder(given.encoder, seed=5).tensors()
        weights = dict(zip(fresh, encoder_weights(done.model), strict=True))
        for path, weight in weights.items():
            kept = int(path.removeprefix("block")[0]) <= reuse
            expected = given.tensors[path] if kept else fresh[path]
            assert np.allclose(weight, expected, rtol=0, atol=1e-25), (reuse, path)
        assert done.result["reuse"] == reuse


def test_what_is_not_reused_is_trained_with_the_head():
    given = source()
    still = dict(zip(given.tensors, encoder_weights(run(given, STILL, reuse=1).model), strict=True))
    moved = dict(
        zip(given.tensors, encoder_weights(run(given, FROZEN, reuse=1).model), strict=True)
    )
    same = [path for path in still if np.array_equal(still[path], moved[path])]
    assert same == ["block1/dense/kernel", "block1/dense/bias"]


def test_reusing_nothing_is_training_from_scratch():
    given = source()
    scratch = run(replace(given, tensors=None, digest=None))
    nothing = run(given, reuse=0)
    assert nothing.result["digest"] == scratch.result["digest"]
    assert {row["stage"] for row in scratch.history} == {"from scratch"}
    assert scratch.result["updates"] == 3 * 3
    assert run(given).result["digest"] != scratch.result["digest"]


@pytest.mark.parametrize(("classes", "outputs"), [(2, 1), (3, 3)])
def test_two_classes_are_a_sigmoid_and_more_a_softmax(classes, outputs):
    on = task(classes=classes)
    done = run(source(), on=on)
    chances = np.asarray(done.model(on.x_test))
    assert chances.shape == (30, outputs)
    assert done.model.layers[-1].activation.__name__ == ("sigmoid" if classes == 2 else "softmax")
    if classes == 2:
        predicted = (chances[:, 0] > 0.5).astype(int)
    else:
        assert np.allclose(chances.sum(axis=1), 1, atol=1e-6)
        predicted = chances.argmax(axis=1)
    assert done.result["accuracy"] == (predicted == on.y_test).mean()


def test_seeds_decide_and_sharing_compiled_steps_changes_nothing():
    programs = Programs()
    alone = run(source(), seed=0, programs=Programs()).result["digest"]
    shared = [run(source(), seed=s, programs=programs).result["digest"] for s in (1, 0)]
    assert shared[1] == alone != shared[0]
    traces = programs.traces
    for labels in (20, 33, 80):
        run(source(), labels=labels, seed=2, programs=programs)
    assert programs.traces == traces


def test_a_later_run_that_shares_compiled_steps_leaves_an_earlier_model_as_it_was():
    programs, on = Programs(), task()
    first = run(source(), on=on, seed=0, programs=programs).model
    before = np.asarray(first(on.x_test))
    run(source(), on=on, seed=1, programs=programs)
    np.testing.assert_array_equal(np.asarray(first(on.x_test)), before)


def test_the_test_part_is_never_trained_on():
    on = task()
    other = replace(on, x_test=255 - on.x_test, y_test=on.y_test[::-1].copy())
    first, second = (run(source(), on=t).result for t in (on, other))
    assert first["digest"] == second["digest"]
    assert first["loss"] != second["loss"]


def test_only_the_budgets_labels_are_trained_on():
    on = task()
    rows = on.labels(12, seed=3)
    rest = np.setdiff1d(np.arange(len(on.x)), rows)
    x = on.x.copy()
    x[rest] = 255 - x[rest]
    changed = replace(on, x=x)
    first, second = (run(source(), on=t, labels=12, seed=3).result for t in (on, changed))
    assert first["labels"] == 12
    assert first["digest"] == second["digest"]


def test_the_result_says_everything():
    given = source()
    heard = Lines()
    result = run(given, seed=2, reporter=heard).result
    assert result["data"] == "patterns"
    assert result["classes"] == ["pattern 0", "pattern 1", "pattern 2"]
    assert (result["labels"], result["seed"], result["encoder"]) == (40, 2, "mlp")
    assert (result["reuse"], result["blocks"]) == (3, 3)
    assert result["test"] == {"n": 30, "origin": "the set's own test part"}
    assert np.array(result["confusion"]).sum() == 30
    assert result["updates"] == 2 * 3 * 3
    assert result["source_digest"] == given.digest
    assert result["recipe"]["freeze_epochs"] == 3
    assert len(result["digest"]) == 64
    assert result["seconds"] > 0
    for name in (
        "accuracy",
        "balanced_accuracy",
        "macro_f1",
        "loss",
        "accuracy_interval",
        "inputs",
    ):
        assert name in result
    assert len(heard.rows) == 6


def test_inputs_of_another_kind_are_fitted_and_it_is_told():
    done = run(source("convnet", shape=(12, 10, 3)), on=task(size=8))
    assert done.result["inputs"] == [
        "grey repeated as colour (1 -> 3 channels)",
        "resized from 8x8 to 12x10",
    ]
    assert np.asarray(done.model(task().x_test)).shape == (30, 3)
    assert done.history[-1]["loss"] < done.history[0]["loss"]


def test_a_learning_rate_that_is_too_high_is_no_result():
    with pytest.raises(NonFiniteError, match="head on frozen encoder"):
        run(source(), replace(QUICK, head_learning_rate=1e38))


@pytest.mark.parametrize(
    ("labels", "reuse", "says"),
    [
        (40, 4, r"reuse must be 'auto', 'all' or 0 to 3.*block1, block2, block3.*Got 4"),
        (2, None, "labels must be .* or more"),
        (81, None, "labels must be 80 or less.*Got 81"),
    ],
)
def test_what_cannot_be_is_refused_before_training(labels, reuse, says):
    config = TransferConfig(recipe=QUICK, labels=labels, reuse=reuse)
    with pytest.raises(InputError, match=says):
        TransferPlan.make(task(), source(), config)


def test_a_table_cannot_be_given_to_an_encoder_of_images():
    flat = patterns(test=6)
    table = TargetTask.from_dataset(
        replace(flat, x=flat.x.reshape(80, -1), x_test=flat.x_test.reshape(6, -1))
    )
    with pytest.raises(InputError, match=r"expects examples of shape \(8, 8, 1\).*has \(64,\)"):
        TransferPlan.make(table, source(), TransferConfig(recipe=QUICK))
