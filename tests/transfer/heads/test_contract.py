"""What every head owes, for every target: learn, save, load in stock Keras, and say all of it."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest
from toys import patterns
from transfers import QUICK, source, transferred

from headstart.errors import InputError
from tasks.targets import KINDS
from tasks.task import TargetTask
from transfer.architecture import TransferArchitecture
from transfer.config import TransferConfig
from transfer.export.formats import export_model
from transfer.export.keras_file import ModelInfo, save_model
from transfer.heads import HEADS, SolvedHead
from transfer.inference import predict_batched
from transfer.report.model_card import card
from transfer.targets import TARGETS

Y = {
    "classes": lambda y: y,
    "numbers": lambda y: 1000.0 + 50 * y,
    "multi-label": lambda y: np.stack([y % 2, y // 2], axis=1).astype(np.uint8),
}
PAIRS = [
    (head, target)
    for head, row in HEADS.items()
    for target in TARGETS
    if not row.targets or target in row.targets
]


def task(target):
    data = patterns(classes=4, test=40)
    y, y_test = (Y[target](part) for part in (data.y, data.y_test))
    names = {"classes": data.class_names, "numbers": None, "multi-label": ("odd", "high")}
    return TargetTask.from_dataset(replace(data, y=y, y_test=y_test, class_names=names[target]))


def score(result):
    return result.get("accuracy", result.get("r2", result.get("micro_f1")))


def test_every_kind_of_y_has_a_target_and_every_target_examples_here():
    assert set(TARGETS) == set(KINDS) == set(Y)
    assert {name: row.name for name, row in TARGETS.items()} == {name: name for name in TARGETS}
    assert {name: row.name for name, row in HEADS.items()} == {name: name for name in HEADS}


@pytest.mark.parametrize(("head", "target"), PAIRS)
def test_a_head_learns_a_target_from_fit_to_file(head, target, tmp_path):
    on, given, row = task(target), source("convnet"), HEADS[head]
    recipe = replace(QUICK, freeze_epochs=30, head_learning_rate=3e-2)
    config = TransferConfig(recipe=recipe, labels=60, head=head)
    done = transferred(on, given, config)
    assert score(done.result) > 0.6

    path = tmp_path / "model.keras"
    save_model(done.model, path, done.inputs, done.result, on.x_test[:8])
    loaded = keras.models.load_model(path, safe_mode=True)
    outputs = predict_batched(loaded, on.x_test)
    np.testing.assert_allclose(
        outputs, predict_batched(done.model, on.x_test), rtol=1e-5, atol=1e-5
    )
    # The outputs of the ONNX file were compared with these before it was kept.
    assert export_model(path, ["onnx"], examples=on.x_test)[0]["examples"]["n"] == 40
    learnt = ModelInfo.read(path).target
    assert (learnt.name, outputs.shape) == (target, (40, learnt.outputs))
    # What stands in the result is what anybody measures on the file's outputs.
    header, rows = learnt.table(outputs)
    rows = list(rows)
    assert (len(rows), len(header)) == (40, len(rows[0]))

    result = json.loads(json.dumps(done.result))
    assert (result["head"], result["target"]) == (head, target)
    assert result["classes"] == list(on.class_names)
    if isinstance(row, SolvedHead):
        assert (result["updates"], done.history) == (0, [])
        if row.parameter:
            assert result["head_choice"][row.parameter] > 0
            assert len(result["head_choice"]["tried"]) > 1
    else:
        assert result["updates"] > 0
        assert "head_choice" not in result
    page = card(result, path.name)
    for part in (learnt.title(), f"| head | {head} |", "## Measured on the test examples"):
        assert part in page
    assert learnt.outputs_text(str)[:30] in page
    for name in ("accuracy", "r2", "micro_f1"):
        assert (name in result) == (name in learnt.measured(result).lower().replace("-", "_"))

    again = transferred(on, given, config).result
    other = transferred(on, given, replace(config, seed=1)).result
    assert again["digest"] == result["digest"] != other["digest"]


@pytest.mark.parametrize("head", [name for name, row in HEADS.items() if row.solved])
@pytest.mark.parametrize("how", [{"reuse": 0}, {"reuse": 1}, {"reuse": 1, "above": "add"}])
def test_a_solved_head_refuses_what_would_stay_random(head, how):
    with pytest.raises(InputError) as caught:
        TransferArchitecture(head=head, **how).check(source().encoder)
    assert (caught.value.argument, caught.value.value) == ("head", head)


@pytest.mark.parametrize("head", HEADS)
def test_a_head_refuses_options_that_change_nothing_and_no_others(head):
    row = HEADS[head]
    for option in ("epochs", "balance", "solve", "recipe"):
        if not row.solved or option in row.heeds:
            row.check_options([option])
        else:
            with pytest.raises(InputError) as caught:
                row.check_options([option, "gradual"])
            assert caught.value.argument == option
            assert f"head={head!r}" in str(caught.value)


@pytest.mark.parametrize("target", TARGETS)
def test_a_head_refuses_a_target_that_it_cannot_learn(target, monkeypatch):
    monkeypatch.setattr(type(HEADS["linear"]), "targets", ("classes",))
    config = TransferConfig(recipe=QUICK, labels=40)
    if target == "classes":
        transferred(task(target), source(), config)
        return
    with pytest.raises(InputError) as caught:
        transferred(task(target), source(), config)
    assert (caught.value.argument, caught.value.value) == ("head", "linear")
    assert target in caught.value.rule


@pytest.mark.parametrize("target", TARGETS)
def test_answers_are_the_outputs_of_a_head_that_is_always_right(target):
    on = task(target)
    learnt = TARGETS[target].of(on.y, on.class_names)
    y = learnt.encode(on.y)
    said = learnt.predictions(learnt.answers(y), logits=False)
    measured = learnt.measure(said, on.y)
    assert score(measured) == pytest.approx(1)
    worst = {
        name: np.abs(value).max()
        for name, value in learnt.judge(
            learnt.probabilities(learnt.answers(y), logits=False), y
        ).items()
    }
    assert worst.get("accuracy", 1) == 1
    assert worst.get("loss", worst.get("mean_squared_error")) == pytest.approx(0, abs=1e-6)
