"""A model that plain Keras code trained: imported, cut, transferred; and inputs that differ from its own."""

import keras
import numpy as np
import pytest
from commands import run
from foreign import save, shaken
from keras import layers as kl
from PIL import Image
from toys import patterns
from transfers import transferred

from headstart.errors import InputError
from pretrain.encoders import block_names
from pretrain.keras_import.source import import_model
from tasks.loading.resolve import load_dataset
from tasks.task import TargetTask
from transfer import EncoderTransformer
from transfer.config import TransferConfig
from transfer.data.input_adapter import InputAdapter
from transfer.data.leakage import describe, leakage
from transfer.encoder_source import EncoderSource
from transfer.inference import predict_batched
from transfer.plan import TransferPlan
from transfer.recipes import recipe


def trained_by_others(path):
    """What a Keras tutorial does: a small convnet on the digits 0 to 4, scaled to 0..1, then saved."""
    keras.utils.set_random_seed(0)
    data = load_dataset("digits[0,1,2,3,4]")
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            kl.Conv2D(16, 3, padding="same", activation="relu"),
            kl.BatchNormalization(),
            kl.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
            kl.BatchNormalization(),
            kl.Flatten(),
            kl.Dropout(0.3),
            kl.Dense(64, activation="relu", name="features"),
            kl.Dense(5, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(data.x / np.float32(16), data.y, epochs=12, batch_size=32, verbose=0)
    return save(model, path)


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    return trained_by_others(tmp_path_factory.mktemp("others") / "digits.keras")


@pytest.mark.slow
def test_it_beats_scratch_on_other_digits(others):
    """The same encoder from nothing, on the same 20 labels of the digits 5 to 9, over five seeds."""
    from pretrain.engine.program import Programs

    made = import_model(str(others))
    source = EncoderSource.from_weights(made)
    fresh = EncoderSource(encoder=source.encoder, preprocessing=source.preprocessing)
    task = TargetTask.from_dataset(load_dataset("digits[5,6,7,8,9]"), seed=0)
    programs = Programs()
    scores = {
        name: [
            transferred(
                task,
                one,
                TransferConfig(recipe=recipe("default"), labels=20, seed=seed),
                programs=programs,
            ).result["accuracy"]
            for seed in range(5)
        ]
        for name, one in (("imported", source), ("scratch", fresh))
    }
    print(scores)
    differences = np.subtract(scores["imported"], scores["scratch"])
    assert differences.mean() > 0.02
    assert (differences > 0).sum() >= 3


@pytest.mark.parametrize("statistics", ["kept", "moving"])
def test_the_statistics_of_frozen_blocks_stay_and_of_others_may_move(others, statistics):
    """Batch normalisation keeps the other pool's mean and variance where it is frozen."""
    made = import_model(str(others))
    task = TargetTask.from_dataset(load_dataset("digits[5,6,7,8,9]"), seed=0)
    quick = recipe(
        "default", {"freeze_epochs": 1, "epochs": 2, "unfreeze": 1, "statistics": statistics}
    )
    config = TransferConfig(recipe=quick, labels=20, reuse=2)
    done = transferred(task, EncoderSource.from_weights(made), config)
    after = {
        f"{block.name}/{layer.name}/{weight.name}": weight.numpy()
        for block in done.model.get_layer("encoder").layers[1:]
        for layer in block.layers
        for weight in layer.weights
    }
    kept = [name for name in after if name.startswith(("block1", "block2"))]
    for name in kept:
        same = after[name].tobytes() == made.tensors[name].tobytes()
        stays = statistics == "kept" and "moving" in name
        assert same == (name.startswith("block1") or stays), name
    assert [n for n in after if "moving" in n and n in kept]
    assert done.result["blocks"] == len(block_names(made.encoder)) == 3


def test_the_leakage_of_an_imported_model_is_unknown(others):
    made = import_model(str(others))
    task = TargetTask.from_dataset(load_dataset("digits[5,6,7,8,9]"), seed=0)
    found = leakage(task, np.arange(20), made)
    assert found["pool"] == {"name": "unknown", "fingerprints": None, "imported": True}
    assert found["test"]["exact"] is found["test"]["near"] is found["labelled"]["exact"] is None
    assert found["labels_used"] is None
    assert not found["leaks"]
    assert describe(found).startswith("Leakage: unknown. The model was imported")


def test_the_command_takes_a_model_of_keras(others, tmp_path, capfd):
    out = tmp_path / "new.keras"
    done = run(
        capfd,
        "transfer",
        *("--from", others, "--cut", "features", "--data", "digits[5,6]", "--labels", 10),
        *("--epochs", 1, "--freeze-epochs", 1, "--out", out, "--json"),
    )
    assert done.code == 0, done.err
    assert "Imported digits.keras up to the layer features" in done.err
    assert "Leakage: unknown" in done.err
    assert "Inputs: values 0..16 mapped to 0..255" in done.err
    assert '"test": {"n": 73, "exact": null, "near": null}' in done.out
    x = load_dataset("digits[5,6]").x[:5]
    assert keras.models.load_model(out).predict(x, verbose=0).shape == (5, 1)


def test_suggestions_and_estimators_take_a_model_of_keras(others, tmp_path, capfd):
    out = tmp_path / "suggested.csv"
    given = ("--pool", "digits[5,6]", "--labels", 5, "--out", out, "--json")
    done = run(capfd, "transfer", "suggest", "--from", others, "--cut", "features", *given)
    assert done.code == 0, done.err
    assert "Imported digits.keras up to the layer features" in done.err
    assert len(out.read_text().splitlines()) == 6
    done = run(capfd, "transfer", "suggest", *given)
    assert (done.code, "Missing option '--from'" in done.err) == (2, True)
    data = load_dataset("digits[5,6]")
    x = data.x.reshape(len(data.x), -1)
    with pytest.warns(UserWarning, match=r"Imported digits\.keras"):
        features = EncoderTransformer(others, value_range=(0, 16)).fit(x).transform(x[:5])
    assert features.shape == (5, 64)


@pytest.mark.slow
def test_a_mobile_net_passes_through_the_same_path(tmp_path, capfd):
    """With random weights; those of ImageNet take a network."""
    out = tmp_path / "mobile.keras"
    np.savez(tmp_path / "few.npz", x=patterns(24, size=8).x, y=patterns(24).y)
    done = run(
        capfd,
        "transfer",
        *("--from", "keras.applications:MobileNetV2:alpha=0.35", "--from-weights", "none"),
        *("--input-shape", "96x96x3", "--data", tmp_path / "few.npz", "--labels", 6),
        *("--freeze-epochs", 1, "--epochs", 1, "--out", out),
    )
    assert done.code == 0, done.err
    assert "20 of 20 blocks reused" in done.out
    for change in (
        "grey repeated as colour (1 -> 3 channels)",
        "resized from 8x8 to 96x96",
    ):
        assert f"Inputs: {change}, to fit the encoder" in done.err
    model = keras.models.load_model(out)
    assert model.predict(patterns(3).x, verbose=0).shape == (3, 3)


def small(path, *, table=False):
    keras.utils.set_random_seed(0)
    first = [keras.Input((20,))] if table else [keras.Input((16, 12, 3)), kl.Conv2D(4, 3)]
    layers = [*first, kl.Flatten(), kl.Dense(6, activation="tanh"), kl.Dense(2)]
    return str(save(shaken(keras.Sequential(layers)), path))


def test_images_of_another_size_colour_and_range_are_fitted(tmp_path):
    made = import_model(small(tmp_path / "m.keras"), value_range=(-1, 1))
    x = np.random.default_rng(0).random((4, 8, 6, 1)).astype(np.float32)
    inputs = InputAdapter.match((8, 6, 1), "float32", (0, 1), (16, 12, 3), made.preprocessing)
    assert inputs.changes == (
        "grey repeated as colour (1 -> 3 channels)",
        "resized from 8x6 to 16x12",
        "values 0..1 mapped to 0..255",
    )
    found = predict_batched(inputs.model(), x)
    assert found.shape == (4, 16, 12, 3)
    assert found.min() >= -1.0001
    assert found.max() <= 1.0001
    assert found.mean() == pytest.approx(2 * x.mean() - 1, abs=0.05)


@pytest.mark.parametrize(
    ("table", "data", "says"),
    [
        (False, "table.npz", "A table cannot be given to an encoder of images"),
        (True, "images.npz", "Images cannot be given to an encoder of tables"),
        (True, "folder", "Images cannot be given to an encoder of tables"),
        (True, "wide.npz", "Give a table of the same columns"),
        (False, "words.txt", "nor a folder of images"),
    ],
)
def test_data_of_another_kind_is_a_clear_error(tmp_path, capfd, table, data, says):
    path = small(tmp_path / "m.keras", table=table)
    y = np.arange(10) % 2
    np.savez(tmp_path / "table.npz", x=np.eye(10, 20, dtype=np.float32), y=y)
    np.savez(tmp_path / "wide.npz", x=np.eye(10, 21, dtype=np.float32), y=y)
    np.savez(tmp_path / "images.npz", x=np.ones((10, 16, 12, 3), np.uint8), y=y)
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    (tmp_path / "words.txt").write_text("some words\n")
    for kind in "ab":
        for i in range(5):
            (tmp_path / "folder" / kind).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (6, 8), (i, i, i)).save(tmp_path / "folder" / kind / f"{i}.png")
    out = tmp_path / "new.keras"
    done = run(
        capfd, "transfer", "--from", path, "--data", tmp_path / data, "--out", out, "--quiet"
    )
    assert done.code == 2
    assert says in done.err
    assert done.err.startswith("Error: ")
    assert not out.exists()


def test_options_of_an_import_do_not_fit_a_weights_file(files, tmp_path, capfd):
    done = run(
        capfd,
        "transfer",
        *("--from", files / "mlp.h5", "--cut", "1", "--data", "digits"),
        *("--out", tmp_path / "new.keras"),
    )
    assert done.code == 2
    assert "--cut is for models that are imported, and" in done.err


def test_a_plan_needs_no_tensorflow_for_an_encoder_of_channels(tmp_path):
    """Means and spreads by channel reach the encoder; a wrong number of channels does not."""
    made = import_model(small(tmp_path / "m.keras"))
    preprocessing = {**made.preprocessing, "scale": [1.0, 2.0, 3.0], "offset": [5.0]}
    source = EncoderSource(encoder=made.encoder, preprocessing=preprocessing, tensors=made.tensors)
    task = TargetTask.from_dataset(patterns(40, channels=3, test=20))
    inputs = TransferPlan.make(task, source, TransferConfig(recipe=recipe("default"))).fit.inputs
    assert inputs.channel_scale == (1.0, 2.0, 3.0)
    assert inputs.channel_offset == (5.0, 5.0, 5.0)
    with pytest.raises(InputError, match="expects 3 channels, and the data has 2"):
        InputAdapter.match((8, 8, 2), "uint8", (0, 255), (16, 12, 3), preprocessing)
