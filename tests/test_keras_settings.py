"""Settings that a user gave Keras elsewhere change no number here, and are theirs again afterwards."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from toys import patterns
from transfers import QUICK, SMALL, source, task, weights

from headstart.errors import InputError
from pretrain import load_encoder
from pretrain.config import PretrainConfig
from pretrain.engine import runtime
from pretrain.plan import PretrainPlan
from pretrain.run import pretrain
from transfer import TransferClassifier
from transfer.config import TransferConfig
from transfer.export.keras_file import load_model, save_model
from transfer.plan import TransferPlan
from transfer.run import transfer

HOSTILE = {"floatx": "float16", "epsilon": 0.01, "image_data_format": "channels_first"}


def settings():
    config = keras.config
    return (
        config.floatx(),
        config.epsilon(),
        config.image_data_format(),
        config.dtype_policy().name,
        tf.config.functions_run_eagerly(),
    )


def set_all(floatx, epsilon, layout, policy, eager):
    keras.config.set_floatx(floatx)
    keras.config.set_epsilon(epsilon)
    keras.config.set_image_data_format(layout)
    keras.config.set_dtype_policy(policy)
    tf.config.run_functions_eagerly(eager)


@pytest.fixture
def twice():
    """Do something under Keras' own settings and under a notebook's; return both results."""

    def run(work):
        plain, before = work(), settings()
        others = (*HOSTILE.values(), "mixed_bfloat16", True)
        set_all(*others)
        try:
            result = work()
            assert settings() == others
        finally:
            set_all(*before)
        return plain, result

    return run


def pretrained():
    config = PretrainConfig(
        strategy="simclr",
        encoder="convnet",
        encoder_options=SMALL["convnet"],
        epochs=2,
        batch_size=16,
    )
    return pretrain(PretrainPlan.make(patterns(), config)).weights


def test_a_pretraining(twice):
    plain, other = twice(pretrained)
    assert plain.digest
    assert plain.digest == other.digest


def test_a_transfer_and_its_exported_model(twice, tmp_path):
    """Images are resized and turned to grey on their way."""
    on, given, path = (
        task(channels=3),
        source("convnet", shape=(10, 6, 1)),
        tmp_path / "model.keras",
    )
    x = on.x_test

    def work():
        done = transfer(TransferPlan.make(on, given, TransferConfig(recipe=QUICK, labels=40)))
        save_model(done.model, path, done.inputs, done.result, x[:8])
        # As anybody loads it: with no word of ours about settings.
        loaded = keras.models.load_model(path)
        return done.result["digest"], np.asarray(load_model(path)(x)), np.asarray(loaded(x))

    plain, other = twice(work)
    assert plain[0] == other[0]
    assert np.array_equal(plain[1], other[1])
    assert other[2].dtype == np.float32
    assert np.array_equal(plain[2], other[2])


def test_an_estimator(twice, tmp_path):
    weights("convnet").write(tmp_path / "w.h5")
    on = task()

    def work():
        model = TransferClassifier(
            tmp_path / "w.h5", epochs=2, freeze_epochs=2, value_range=(0, 255)
        )
        return model.fit(on.x[:40], on.y[:40]).predict_proba(on.x_test)

    plain, other = twice(work)
    assert np.array_equal(plain, other)


def test_an_encoder_for_keras_users(twice, tmp_path):
    weights("convnet").write(tmp_path / "w.h5")
    x = patterns().x

    def work():
        made = load_encoder(tmp_path / "w.h5")
        return np.asarray(made(x, training=False))

    plain, other = twice(work)
    assert plain.dtype == other.dtype == np.float32
    assert np.array_equal(plain, other)


def test_two_threads_give_the_settings_back_when_the_last_has_done():
    before, first_in, first_out = settings(), threading.Event(), threading.Event()
    keras.config.set_epsilon(0.01)

    def first():
        with runtime.keras_defaults():
            first_in.set()
            first_out.wait(60)

    thread = threading.Thread(target=first)
    try:
        thread.start()
        assert first_in.wait(60)
        with runtime.keras_defaults():
            first_out.set()
            thread.join(60)
            assert keras.config.epsilon() == 1e-7
        assert keras.config.epsilon() == 0.01
    finally:
        set_all(*before)


@pytest.mark.slow
def test_a_keras_json_of_the_users(tmp_path):
    """Through the commands, where Keras reads it before anything of ours runs."""
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text(json.dumps({**HOSTILE, "backend": "jax"}))
    digests = []
    for home in (Path.home(), tmp_path):
        kept = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
        for command in (
            "pretrain --strategy autoencoder --encoder convnet --data digits[0,1,2] --epochs 1 "
            "--out w.h5",
            "transfer --from w.h5 --data digits[3,4,5] --labels 30 --epochs 1 --freeze-epochs 1 "
            "--out m.keras",
        ):
            done = subprocess.run(
                [sys.executable, "-m", *command.split(), "--force", "--quiet", "--json"],
                cwd=tmp_path,
                env=kept | {"HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[1])},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            digests.append(json.loads(done.stdout)["digest"])
    assert digests[:2] == digests[2:]


@pytest.mark.parametrize("content", ['{"floatx": "bfloat16"}', '{"epsilon": 1}'])
def test_a_keras_json_that_keras_refuses_is_named(tmp_path, content):
    (tmp_path / "keras.json").write_text(content)
    code = "from pretrain.engine.runtime import start; start()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"KERAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stderr.strip().splitlines()[-1]
    words = f"headstart.errors.InputError: Keras cannot start with the settings in {tmp_path}"
    assert last.startswith(words)
    assert last.endswith("correct or delete that file.")


def test_another_backend_is_refused_and_an_empty_one_is_none(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with pytest.raises(InputError, match="KERAS_BACKEND is 'torch'"):
        runtime.start()
    monkeypatch.setenv("KERAS_BACKEND", "")
    runtime.start()
    assert os.environ["KERAS_BACKEND"] == "tensorflow"


def test_what_changes_bits_is_recorded_where_it_is_set(monkeypatch):
    for name in (*runtime.VARIABLES, "TF_NUM_INTRAOP_THREADS"):
        monkeypatch.delenv(name, raising=False)
    assert runtime.variables() == {}
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "3")
    assert runtime.settings()["threads"]["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    assert runtime.cores() == 3
