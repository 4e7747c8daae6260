"""Tables from the file to the predictions of the exported model."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from commands import run
from people import people, raw_columns

import headstart as hs
from headstart.errors import InputError
from pretrain.weights.file import WeightsFile
from tasks.loading.resolve import as_dataset

pandas = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

SHORT = {"strategy": "autoencoder", "epochs": 2}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a table, an encoder pretrained on it, and a model of its target."""
    folder = tmp_path_factory.mktemp("tables")
    people().to_csv(folder / "people.csv", index=False)
    encoder = hs.pretrain(folder / "people.csv", target="churn", out=folder / "w.h5", **SHORT)
    how = {"labels": 30, "freeze_epochs": 3, "epochs": 2}
    model = hs.transfer(folder / "w.h5", folder / "people.csv", out=folder / "m.keras", **how)
    return folder, encoder, model


def test_other_forms_of_the_table_give_the_same_weights(made):
    encoder, frame = made[1], people()
    frame = frame[sorted(frame.columns, reverse=True)].astype({"age": float, "member": int})
    again = hs.pretrain(frame, target="churn", **SHORT).weights_file
    for name, tensor in encoder.weights_file.tensors.items():
        assert np.array_equal(tensor, again.tensors[name])
    assert again.metadata["data"]["fingerprint"] == encoder.info["metadata"]["data"]["fingerprint"]


def test_weights_named_after_their_table_leave_it_alone(tmp_path, capfd):
    table = tmp_path / "people.csv"
    people().to_csv(table, index=False)
    before, out = table.read_bytes(), tmp_path / "people.h5"
    given = ("--strategy", "autoencoder", "--epochs", "1", "--target", "churn", "--force")
    done = run(capfd, "pretrain", "--data", table, "--out", out, *given)
    assert (done.code, table.read_bytes()) == (0, before)
    # And where the table has the name of a file beside the weights, it is an input all the same.
    own = table.rename(tmp_path / "people.epochs.csv")
    done = run(capfd, "pretrain", "--data", own, "--out", out, *given)
    assert done.code == 2
    assert "people.epochs.csv" in done.err
    with pytest.raises(InputError, match=r"people\.epochs\.csv"):
        hs.pretrain(own, target="churn", out=out, force=True, **SHORT)
    assert own.read_bytes() == before


def test_the_weights_file_holds_the_schema(made, tmp_path, capfd):
    folder, encoder, _ = made
    read = WeightsFile.read(folder / "w.h5")
    assert (read.version, read.encoder["architecture"]) == (3, "table")
    assert read.preprocessing == encoder.weights_file.preprocessing
    assert read.preprocessing["table"]["target"] == "churn"
    assert read.fingerprints.examples == len(people())
    replace(read, fingerprints=None).write(tmp_path / "bare.h5")
    assert WeightsFile.read(tmp_path / "bare.h5").fingerprints is None
    said = run(capfd, "pretrain", "inspect", folder / "w.h5").out
    assert "a table of 6 columns: 3 numeric (age, pay, stamp)" in said


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"table": {}}, "exactly columns"),
        ({"table": None}, "exactly columns"),
        ({"scale": [2.0]}, "must be"),
        ({"value_range": [0.0, 2.0]}, "must be"),
    ],
)
def test_a_damaged_schema_is_not_written(made, tmp_path, change, says):
    weights = made[1].weights_file
    with pytest.raises(InputError, match=says):
        replace(weights, preprocessing={**weights.preprocessing, **change}).write(tmp_path / "w.h5")
    narrow = {**weights.preprocessing["table"]}
    narrow["columns"] = narrow["columns"][1:]
    bad = {**weights.preprocessing, "table": narrow}
    with pytest.raises(InputError, match="its encoder takes"):
        replace(weights, preprocessing=bad).write(tmp_path / "w.h5")


def test_the_encoder_takes_raw_columns(made):
    _, encoder, _ = made
    frame = people(seed=5, rows=20)
    model = encoder.keras
    raw = raw_columns(frame, [tensor.name for tensor in model.inputs])
    assert np.asarray(model(raw)) == pytest.approx(encoder.transform(frame), abs=1e-4)
    without = encoder.transform(frame.drop(columns="churn"))
    assert np.array_equal(without, encoder.transform(frame))


def test_the_exported_model_takes_raw_columns_in_stock_keras(made):
    import keras

    folder, _, model = made
    frame = people(seed=5, rows=40)
    stock = keras.models.load_model(folder / "m.keras")
    raw = raw_columns(frame, [tensor.name for tensor in stock.inputs])
    wanted = model.predict_proba(frame)
    assert np.asarray(stock(raw))[:, 0] == pytest.approx(wanted[:, 1], abs=1e-5)
    # An unseen level and gaps.
    frame.loc[:10, "job"], frame.loc[5:15, "age"] = "king", None
    raw = raw_columns(frame, list(raw))
    assert np.asarray(stock(raw))[:, 0] == pytest.approx(model.predict_proba(frame)[:, 1], abs=1e-5)
    assert "a dictionary of columns (N, 1) by name: 3 numeric (age, pay, stamp)" in model.report
    again = hs.load_model(folder / "m.keras")
    assert np.array_equal(again.predict(frame), model.predict(frame))


def test_prediction_keeps_columns_and_guards_formulas(made, tmp_path, capfd):
    folder, _, model = made
    frame = people(seed=6, rows=30)
    frame.insert(0, "-name", [f"@row {k}" for k in range(30)])
    frame.to_csv(tmp_path / "new.csv", index=False)
    out = tmp_path / "out.csv"
    data = ("--data", tmp_path / "new.csv", "--out", out)
    ended = run(capfd, "transfer", "predict", "--model", folder / "m.keras", *data)
    assert ended.code == 0, ended.err
    assert "had no columns '-name'" in ended.err
    with out.open(newline="") as file:
        header, *rows = csv.reader(file)
    names = ["'-name", *frame.columns[1:]]
    assert header == [*names, "predicted", "probability", "p(no)", "p(yes)"]
    with (tmp_path / "new.csv").open(newline="") as file:
        given = list(csv.reader(file))[1:]
    for row, cells in zip(rows, given, strict=True):
        assert [cell.removeprefix("'") for cell in row[: len(cells)]] == cells
        assert not any(cell.startswith(("=", "@")) for cell in row)
    assert "'=cmd()" in {row[2] for row in rows}
    assert [row[-4] for row in rows] == model.predict(frame).tolist()


def test_what_does_not_fit_is_refused(made, tmp_path):
    encoder = made[1]
    x = np.random.default_rng(0).normal(size=(40, 6))
    arrays = hs.pretrain(x, **SHORT)
    y = np.arange(40) % 2
    frame = people()
    cases = [
        (encoder, (x, y), {}, "has none"),
        (arrays, (pandas.DataFrame(x), y), {}, "not pretrained on a table"),
        (encoder, as_dataset((people(seed=1), np.arange(180) % 2)), {}, "by its own columns"),
        (encoder, frame.rename(columns={"pay": "Pay"}), {}, "no column 'pay'"),
        (encoder, frame, {"target": "age"}, "learnt from"),
        (encoder, frame, {"export": ["onnx"], "out": tmp_path / "m.keras"}, "by name"),
    ]
    for source, data, how, says in cases:
        with pytest.raises(InputError) as caught:
            hs.transfer(source, data, labels=10, **how)
        assert says in caught.value.rule
    assert not list(tmp_path.iterdir())


def test_frames_with_their_targets_beside_them(made):
    _, encoder, _ = made
    frame = people(labelled=1)
    how = {"labels": 20, "freeze_epochs": 2, "epochs": 1}
    one = hs.transfer(encoder, (frame.drop(columns="churn"), frame.churn), **how)
    other = hs.transfer(encoder, frame, **how)
    assert one.result["digest"] == other.result["digest"]


def test_a_related_column_is_learnt_from_labelled_rows_alone(made):
    frame = people()
    encoder = hs.pretrain(frame, target="churn", strategy="supervised", epochs=1)
    assert encoder.info["metadata"]["data"]["examples"] == int(frame.churn.notna().sum())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--target", "chrun"), ("--target", "'churn'")),
        (("--ignore", "pey"), ("--ignore", "'pay'")),
        (("--column", "pay=number"), ("--column", "numeric")),
        (("--delimiter", ";"), ("no semicolon in line 1", "--delimiter ','")),
    ],
)
def test_commands_name_their_options(made, tmp_path, capfd, options, says):
    data = ("--data", made[0] / "people.csv", "--out", tmp_path / "w.h5", "--quiet")
    ended = run(capfd, "pretrain", "--strategy", "autoencoder", *data, *options)
    assert (ended.code, ended.out) == (2, "")
    for text in says:
        assert text in ended.err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("strategy", hs.strategies())
def test_every_strategy_learns_a_table_or_says_why_not(strategy):
    how = {"target": "churn", "epochs": 1, "batch_size": 32, "collapse": "off"}
    frame = people(rows=120, labelled=1)
    if strategy in ("rotation", "patch-dictionary"):
        with pytest.raises(InputError, match="images"):
            hs.pretrain(frame, strategy=strategy, **how)
        return
    encoder = hs.pretrain(frame, strategy=strategy, **how)
    again = hs.pretrain(frame, strategy=strategy, **how)
    assert encoder.digest == again.digest
    assert np.isfinite(encoder.transform(frame)).all()
