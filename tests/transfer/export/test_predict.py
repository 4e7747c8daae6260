import csv
from dataclasses import replace

import numpy as np
import pytest
from toys import listing, patterns
from transfers import QUICK, source, task, transferred

from headstart.errors import InputError
from tasks.loading.resolve import load_dataset
from tasks.task import TargetTask
from transfer.config import TransferConfig
from transfer.export.keras_file import ModelInfo, save_model
from transfer.export.predict import examples_for, predict
from transfer.targets import Classification


def trained(folder, **how):
    on = task(**how)
    done = transferred(on, source(), TransferConfig(recipe=QUICK, labels=40))
    path = folder / "model.keras"
    save_model(done.model, path, done.inputs, done.result, on.x_test[:8])
    return on, done, path


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("three"))


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("two"), classes=2)


def table(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("which", ["two", "three"])
def test_a_row_an_example_with_every_classs_probability(which, request, tmp_path):
    on, done, path = request.getfixturevalue(which)
    new = patterns(25, classes=len(on.class_names), seed=8)
    result = predict(path, new, tmp_path / "out.csv")
    header, *rows = table(tmp_path / "out.csv")
    assert header == ["index", "predicted", "probability", *(f"p({n})" for n in on.class_names)]
    assert [row[0] for row in rows] == [str(i) for i in range(25)]
    chances = np.asarray(done.model(new.x))
    if which == "two":
        chances = np.concatenate([1 - chances, chances], axis=1)
    told = np.array([[float(p) for p in row[3:]] for row in rows])
    assert np.allclose(told, chances, atol=2e-6)
    assert [row[1] for row in rows] == [on.class_names[k] for k in chances.argmax(axis=1)]
    assert [float(row[2]) for row in rows] == [max(map(float, row[3:])) for row in rows]
    assert result["examples"] == 25
    assert result["accuracy"] == (chances.argmax(axis=1) == new.y).mean()


def test_classes_without_names_are_scored_by_their_numbers():
    new = replace(patterns(4, classes=3), class_names=None)  # y is 0, 1, 2, 0
    said = np.eye(3)[[0, 1, 2, 2]]
    assert Classification(names=("0", "1", "2")).scores(said, new) == {"accuracy": 0.75}
    assert Classification(names=("a", "b", "c")).scores(said, new) == {}


def test_unlabelled_examples_have_no_accuracy(three, tmp_path):
    result = predict(three[2], patterns(4, labelled=False), tmp_path / "out.csv")
    assert set(result) == {"examples", "out", "model"}
    assert len(table(tmp_path / "out.csv")) == 5


def test_classes_that_the_model_does_not_know_have_no_accuracy(two, tmp_path):
    assert "accuracy" not in predict(two[2], patterns(6, classes=3), tmp_path / "out.csv")


def test_values_of_the_models_own_type_are_taken_as_they_are(three, tmp_path):
    _, done, path = three
    new = replace(patterns(9, classes=3, seed=8), value_range=(0, 16))
    predict(path, new, tmp_path / "out.csv")
    got = np.array([row[-3:] for row in table(tmp_path / "out.csv")[1:]], float)
    np.testing.assert_allclose(got, np.asarray(done.model(new.x)), atol=1e-5)


def test_images_of_another_type_do_not_hang_on_what_else_is_in_the_file(three, tmp_path):
    from tasks.arrays import natural_range

    bytes_ = patterns(9, classes=3, seed=8)
    predict(three[2], bytes_, tmp_path / "bytes.csv")
    whole = table(tmp_path / "bytes.csv")
    for part in (slice(None), slice(2, 3)):
        x = bytes_.x[part].astype(np.float32)
        floats = replace(bytes_, x=x, y=bytes_.y[part], value_range=natural_range(x))
        predict(three[2], floats, tmp_path / "floats.csv", force=True)
        got = [row[1:] for row in table(tmp_path / "floats.csv")[1:]]
        assert got == [row[1:] for row in whole[1:][part]]
    beyond = replace(floats, x=floats.x + 200, value_range=(200, 455))
    with pytest.raises(InputError, match="whole numbers from 0 to 255"):
        predict(three[2], beyond, tmp_path / "beyond.csv")


def test_float_images_are_taken_to_the_models_type_and_range(three, tmp_path):
    from dataclasses import replace

    bytes_ = patterns(20, seed=3)
    floats = replace(bytes_, x=(bytes_.x / 255).astype(np.float32), value_range=(0, 1))
    predict(three[2], bytes_, tmp_path / "bytes.csv")
    predict(three[2], floats, tmp_path / "floats.csv")
    assert table(tmp_path / "bytes.csv") == table(tmp_path / "floats.csv")


def test_images_resized_by_a_spline_are_cut_off_at_white(three, tmp_path):
    bytes_ = patterns(20, seed=3)
    bytes_ = replace(bytes_, x=np.where(bytes_.x == bytes_.x.max(), 255, bytes_.x))
    x = np.where(bytes_.x == 255, 1.05, bytes_.x / 255).astype(np.float32)
    predict(three[2], bytes_, tmp_path / "bytes.csv")
    predict(three[2], replace(bytes_, x=x, value_range=(0, 1)), tmp_path / "floats.csv")
    assert table(tmp_path / "bytes.csv") == table(tmp_path / "floats.csv")


def test_what_is_plainly_of_another_range_is_taken_to_the_models_own(three, tmp_path):
    bytes_ = patterns(60)
    floats = replace(bytes_, x=(bytes_.x / 255).astype(np.float32), value_range=(0, 1))
    on = TargetTask.from_dataset(floats)
    done = transferred(on, source(), TransferConfig(recipe=QUICK))
    path = tmp_path / "model.keras"
    save_model(done.model, path, done.inputs, done.result, on.x_test)
    around = replace(floats, x=2 * floats.x - 1, value_range=(-1, 1))
    np.testing.assert_allclose(
        examples_for(path, ModelInfo.read(path), around), floats.x, atol=1e-6
    )
    yes = replace(bytes_, x=(bytes_.x > 127).astype(np.uint8), value_range=(0, 1))
    info = ModelInfo.read(three[2])
    assert np.array_equal(examples_for(three[2], info, yes), 255 * yes.x)
    # 0 and 1 of a table mean what they mean.
    flat = replace(yes, x=yes.x.reshape(60, -1))
    table = replace(info, shape=(64,))
    assert np.array_equal(examples_for(three[2], table, flat), flat.x)


def test_what_has_no_finite_prediction_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (40, 4)).astype(np.float32)
    np.savez(tmp_path / "table.npz", x=x, y=(x[:, 0] > 0).astype(int))
    on = TargetTask.from_dataset(load_dataset(str(tmp_path / "table.npz")))
    given = source("mlp", shape=(4,))
    given = replace(given, preprocessing={**given.preprocessing, "scale": [255.0]})
    done = transferred(on, given, TransferConfig(recipe=QUICK))
    save_model(done.model, tmp_path / "model.keras", done.inputs, done.result, on.x_test)
    x[[3, 5]] = [3e38, -3e38, 3e38, -3e38]
    np.savez(tmp_path / "far.npz", x=x)
    before = listing(tmp_path)
    with pytest.raises(InputError, match=r"for 2 of the 40 examples of 'far.npz'.* is number 3"):
        predict(
            tmp_path / "model.keras", load_dataset(str(tmp_path / "far.npz")), tmp_path / "o.csv"
        )
    assert listing(tmp_path) == before


def test_rows_of_a_table_do_not_depend_on_the_others_of_their_file(tmp_path):
    """Floating point was trained on; whole numbers, and other rows, are the same columns."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0.5, 87, (40, 4)).astype(np.float32)
    np.savez(tmp_path / "table.npz", x=x, y=(x[:, 0] > 40).astype(int))
    on = TargetTask.from_dataset(load_dataset(str(tmp_path / "table.npz")))
    done = transferred(on, source("mlp", shape=(4,)), TransferConfig(recipe=QUICK))
    path = tmp_path / "model.keras"
    save_model(done.model, path, done.inputs, done.result, on.x_test)
    rows = np.array([[63, 1, 45, 20], [10, 80, 3, 7]])
    found = []
    for name, new in (("whole", rows), ("float", rows.astype(float)), ("one", rows[:1])):
        np.savez(tmp_path / f"{name}.npz", x=new)
        predict(path, load_dataset(str(tmp_path / f"{name}.npz")), tmp_path / f"{name}.csv")
        found.append(table(tmp_path / f"{name}.csv")[1:])
    assert found[0] == found[1]
    assert found[0][:1] == found[2]


def test_what_cannot_be_predicted_is_refused_and_nothing_changes(three, tmp_path):
    (tmp_path / "old.csv").write_text("old")
    (tmp_path / "bad.keras").write_bytes(three[2].read_bytes()[:-40])
    before = listing(tmp_path)
    for model, new, out, says in (
        (three[2], patterns(3, size=9), "new.csv", r"shape \(8, 8, 1\).*image_size=.8x8"),
        (three[2], patterns(3), "old.csv", "exists already"),
        (tmp_path / "bad.keras", patterns(3), "new.csv", "is not a readable .keras model"),
    ):
        with pytest.raises(InputError, match=says):
            predict(model, new, tmp_path / out)
    assert listing(tmp_path) == before
    predict(three[2], patterns(3), tmp_path / "old.csv", force=True)
    assert len(table(tmp_path / "old.csv")) == 4
