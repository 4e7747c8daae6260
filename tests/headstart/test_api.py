"""`import headstart as hs`: the same runs as the commands', from data in memory."""

import inspect
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from commands import environment, run
from toys import StopAt

import headstart as hs

QUICK = {"progress": False}


@pytest.fixture(scope="module")
def digits():
    from sklearn.datasets import load_digits

    found = load_digits()
    return found.images.astype(np.uint8), found.target


@pytest.fixture(scope="module")
def encoder(digits):
    return hs.pretrain(digits[0][:600], strategy="autoencoder", epochs=2, **QUICK)


@pytest.fixture(scope="module")
def model(encoder, digits):
    x, y = digits
    few = (x[:150], y[:150])
    return hs.transfer(encoder, few, freeze_epochs=20, epochs=5, allow_leakage=True, **QUICK)


def test_importing_is_fast_and_light():
    code = (
        "import sys, time; began = time.perf_counter(); import headstart as hs; "
        "took = time.perf_counter() - began; "
        "heavy = {'tensorflow', 'keras', 'sklearn', 'pandas', 'numpy'} & set(sys.modules); "
        "assert not heavy, heavy; print(took)"
    )
    seconds = [
        float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout)
        for _ in range(3)
    ]
    assert min(seconds) < 0.3


def test_everything_that_is_named_is_there():
    assert set(hs.__all__) <= set(dir(hs))
    for name in hs.__all__:
        assert getattr(hs, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'pretrian'"):
        _ = hs.pretrian
    assert {"simclr", "autoencoder"} <= set(hs.strategies())
    assert "convnet" in hs.encoders()
    assert {"linear", "knn"} <= set(hs.heads())


@pytest.mark.parametrize("name", ["pretrain", "transfer", "benchmark"])
def test_options_are_keywords_with_explanations(name):
    function = getattr(hs, name)
    parameters = inspect.signature(function).parameters
    assert {"seed", "out", "threads"} <= set(parameters)
    for option in parameters:
        assert f"{option}:" in function.__doc__
    with pytest.raises(TypeError, match=r"sede.*Did you mean 'seed'"):
        function(*["digits"] * (2 if name == "transfer" else 1), sede=1)


def test_an_encoder_from_arrays(encoder, digits, tmp_path):
    x = digits[0][:20]
    features = encoder.transform(x)
    assert features.shape == (20, 128)
    assert features.dtype == np.float32
    assert np.allclose(np.asarray(encoder.keras(x[..., None])), features, atol=1e-5)
    assert encoder.info["metadata"]["strategy"] == "autoencoder"
    assert "autoencoder on arrays" in repr(encoder)
    saved = encoder.save(tmp_path / "w.h5")
    read = hs.load_encoder(tmp_path / "w.h5")
    again = pickle.loads(pickle.dumps(encoder))  # noqa: S301
    for other in (saved, read, again):
        assert other.digest == encoder.digest
        assert np.array_equal(other.transform(x), features)
    with pytest.raises(hs.InputError) as caught:
        encoder.transform(np.zeros((2, 5, 5)))
    assert caught.value.argument == "x"


def test_a_model_from_a_few_labels(model, digits, tmp_path):
    x, y = digits
    assert model.score(x[600:], y[600:]) > 0.6
    assert model.predict(x[:5]).dtype == y.dtype
    chances = model.predict_proba(x[:5])
    assert chances.shape == (5, 10)
    assert np.allclose(chances.sum(axis=1), 1, atol=1e-5)
    assert "accuracy" in repr(model)
    assert "# " in model.report
    saved = model.save(tmp_path / "m.keras")
    read = hs.load_model(tmp_path / "m.keras")
    again = pickle.loads(pickle.dumps(model))  # noqa: S301
    for other in (saved, read, again):
        assert np.allclose(other.predict_proba(x[:5]), chances, atol=1e-6)
    assert read.result["digest"] == model.result["digest"]
    assert (tmp_path / "m.md").read_text() == saved.report
    assert saved.export("savedmodel").is_dir()


def test_classes_come_back_as_they_were_given(encoder, digits):
    x, y = digits
    words = np.where(y < 5, "low", "high")
    given = (x[:100], words[:100], x[100:150], words[100:150])
    model = hs.transfer(encoder, given, head="logistic", allow_leakage=True, **QUICK)
    assert set(model.predict(x[:20])) <= {"low", "high"}
    assert model.result["test"]["n"] == 50
    assert model.score(x[150:], words[150:]) > 0.6


def test_an_estimator_takes_an_encoder(encoder, digits):
    x, y = digits
    found = hs.TransferClassifier(encoder, head="logistic").fit(x[:150], y[:150])
    assert found.score(x[600:], y[600:]) > 0.6


@pytest.mark.slow
def test_a_benchmark_of_arrays(digits, tmp_path):
    x, y = digits
    options = {"strategies": ["autoencoder"], "labels": [20, 40], "seeds": 2, "encoder": "mlp"}
    found = hs.benchmark(
        (x[:300], y[:300]),
        pool=x[300:700],
        pretrain_epochs=1,
        recipe="linear-probe",
        out=tmp_path / "report",
        **options,
        **QUICK,
    )
    assert found.verdict
    assert "raw logistic regression" in str(found.table)
    assert len(found.table) == 2
    assert "<table>" in found._repr_html_()
    assert found.report.exists()
    assert {record["status"] for record in found.records} == {"done"}
    assert len(found.figures) > 0


@pytest.mark.slow
def test_the_interface_in_one_go(digits, tmp_path, monkeypatch, short_pool_training):
    """What a notebook does, from arrays to a verdict."""
    monkeypatch.chdir(tmp_path)
    x, y = digits
    x_few, y_few = x[:120], y[:120]
    encoder = hs.pretrain(x, strategy="simclr", epochs=1)
    encoder.save("w.h5")
    encoder = hs.load_encoder("w.h5")
    assert encoder.keras.output_shape == (None, encoder.transform(x[:3]).shape[1])
    assert encoder.info["metadata"]["strategy"] == "simclr"
    model = hs.transfer(encoder, (x_few, y_few), unlabelled=x, freeze_epochs=10, epochs=2)
    assert model.result["pool"]["reason"]
    assert model.score(x[1000:], y[1000:]) > 0.3
    assert model.predict(x[:4]).shape == (4,)
    assert model.predict_proba(x[:4]).shape == (4, 10)
    model.save("m.keras")
    assert model.export("savedmodel", "n.keras").is_dir()
    assert "# " in model.report
    found = hs.TransferClassifier(encoder, epochs=1, freeze_epochs=5).fit(x_few, y_few)
    assert found.predict(x[:4]).shape == (4,)
    result = hs.benchmark(
        (x_few, y_few), pool=x, strategies=["simclr"], labels=[50], seeds=2, pretrain_epochs=1
    )
    assert result.verdict
    assert "scratch" in str(result.table)
    assert result.report.read_text().startswith("<!")
    assert hs.Dataset.from_arrays(x, y).n_classes == 10


def digest_of(capfd, *arguments):
    done = run(capfd, *arguments, "--json", "--quiet")
    assert done.code == 0, done.err
    return json.loads(done.out)["digest"]


PRETRAIN = {"strategy": "greedy-autoencoder", "epochs": 3, "encoder": "mlp", "seed": 3}


def words(options):
    return [
        part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", value)
    ]


@pytest.mark.slow
def test_python_and_the_command_give_one_digest(tmp_path):
    """In processes of their own, so that neither finds TensorFlow as the other left it."""
    code = (
        "import headstart as hs; "
        f"print(hs.pretrain('digits[0,1]', out={str(tmp_path / 'p.h5')!r}, **{PRETRAIN!r}).digest); "
        f"print(hs.transfer({str(tmp_path / 'p.h5')!r}, 'digits[3,8]', labels=20, epochs=2, "
        f"out={str(tmp_path / 'p.keras')!r}).result['digest'])"
    )
    python = subprocess.run(
        [sys.executable, "-c", code], env=environment(), check=True, capture_output=True, text=True
    ).stdout.split()
    commands = [
        ["pretrain", "--data", "digits[0,1]", "--out", "c.h5", *words(PRETRAIN)],
        ["transfer", "--from", "p.h5", "--data", "digits[3,8]", "--labels", 20, "--epochs", 2],
    ]
    for command, digest in zip(commands, python, strict=True):
        done = subprocess.run(
            [sys.executable, "-m", *map(str, command), "--json", "--quiet"],
            env=environment(),
            cwd=tmp_path,
            check=True,
            capture_output=True,
            text=True,
        )
        assert json.loads(done.stdout)["digest"] == digest
    assert (tmp_path / "p.h5").read_bytes() == (tmp_path / "c.h5").read_bytes()


@pytest.mark.parametrize("first", ["python", "command"])
def test_each_resumes_the_others_checkpoint(first, capfd, tmp_path, monkeypatch, look_up):
    """Interrupted here after some steps, finished there: the digest of a run that was never interrupted."""
    whole = hs.pretrain("digits[0,1]", **PRETRAIN, **QUICK).digest
    out = tmp_path / "w.h5"
    command = ["pretrain", "--data", "digits[0,1]", "--out", out, *words(PRETRAIN)]
    with monkeypatch.context() as patch:
        for module in ("commands.pretrain", "engine.progress"):
            patch.setattr(f"pretrain.{module}.make_reporter", lambda *_, **__: StopAt(2, 2))
        if first == "python":
            with pytest.raises(hs.HeadstartError):
                hs.pretrain("digits[0,1]", out=out, **PRETRAIN, **QUICK)
        else:
            assert run(capfd, *command).code == 130
    assert not out.exists()
    assert list(tmp_path.glob("w.h5.checkpoints/*"))
    if first == "python":
        assert digest_of(capfd, *command, "--resume") == whole
    else:
        assert hs.pretrain("digits[0,1]", out=out, resume=True, **PRETRAIN, **QUICK).digest == whole


@pytest.fixture
def look_up(monkeypatch):
    monkeypatch.setattr("pretrain.engine.train.CALL_SECONDS", 0)


def test_errors_speak_python(encoder, digits):
    with pytest.raises(hs.InputError) as caught:
        hs.transfer(encoder, digits, labels=3, labels_from="x.csv")
    assert "--" not in str(caught.value)
    with pytest.raises(hs.InputError) as caught:
        hs.pretrain("digits", strategy="autoencoder", epochs=0)
    assert caught.value.argument == "epochs"
