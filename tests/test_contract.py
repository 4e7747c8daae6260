"""What every strategy must do with every encoder. A new one is tested without an edit here."""

from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

import numpy as np
import pytest
from kills import POINTS, Killed, kill_at
from pretraining import pretrained
from toys import StopAt, patterns

import pretrain.strategies as table
from headstart.errors import InputError
from pretrain.config import PretrainConfig
from pretrain.encoders import ARCHITECTURES, encoder_config, expected_shapes, fresh_names
from pretrain.plan import PretrainPlan
from pretrain.run import Pretrained
from pretrain.strategies import strategies
from pretrain.strategies.base import Recipe, Strategy
from pretrain.weights.file import WeightsFile

CASES = [
    (name, encoder)
    for name, row in strategies().items()
    for encoder in ARCHITECTURES
    if row.trains(encoder)
]
EPOCHS = 6
QUICK = ("mlp", "patches")
# Compiling is what takes long: runs are compiled anew with the small encoder, and once with every other.
COMPILED_ANEW = {
    case
    for i, case in enumerate(CASES)
    if case[1] == "mlp" or case[1] not in [encoder for _, encoder in CASES[:i]]
}


def run(folder, case, *, seed=0, companions=False, **how):
    strategy, encoder = case
    config = PretrainConfig(
        strategy=strategy,
        encoder=encoder,
        epochs=EPOCHS,
        batch_size=16,
        # Losses over a batch's statistics are noise on a handful of examples: 48 are held out of 120.
        validation=0.4,
        seed=seed,
    )
    out = folder / f"weights-{seed}.h5"
    return pretrained(patterns(120), config, out, companions=companions, **how)


@dataclass(frozen=True)
class Made:
    done: Pretrained
    programs: Any
    traces: int


# A quick look trains the small encoder, and the one that needs no gradients.
PARAMS = [
    pytest.param(case, id="-".join(case), marks=[pytest.mark.slow] * (case[1] not in QUICK))
    for case in CASES
]


@pytest.fixture(scope="module", params=PARAMS)
def case(request):
    return request.param


@pytest.fixture(scope="module")
def made(case, tmp_path_factory):
    """An uninterrupted run, the first with its compiled steps."""
    from pretrain.engine.program import Programs

    programs = Programs()
    done = run(tmp_path_factory.mktemp("made"), case, programs=programs, companions=True)
    return Made(done=done, programs=programs, traces=programs.traces)


def features(weights, x):
    from pretrain.encoders.encoder import Encoder, Preprocessing
    from pretrain.weights.file import assign

    encoder = Encoder(weights.encoder, seed=123)
    assign(weights.tensors, encoder.variables)
    return np.asarray(encoder(Preprocessing.from_json(weights.preprocessing)(x), False))


def test_the_loss_falls(case, made):
    assert made.done.history
    for stage in {row["stage"] for row in made.done.history}:
        rows = [row for row in made.done.history if row["stage"] == stage]
        assert [row["epoch"] for row in rows] == list(range(1, len(rows) + 1))
        assert all(np.isfinite(v) for row in rows for k, v in row.items() if k != "stage")
        # Objectives that work against each other need not all fall.
        if "loss" in rows[0]:
            assert rows[-1]["loss"] < 0.98 * rows[0]["loss"]
            # After 30 steps the moving averages in the projectors of those that compare views, which held-out
            # losses are computed with, still follow the first steps.
            if not strategies()[case[0]].augments:
                assert rows[-1]["val_loss"] < rows[0]["val_loss"]


def test_its_row_says_whether_the_first_stage_has_one_validation_loss(case):
    from pretrain.encoders.encoder import Encoder

    strategy, encoder = case
    for pool in (patterns(120), patterns(30, classes=28)):
        config = PretrainConfig(strategy=strategy, encoder=encoder, validation=0.2, epochs=1)
        plan = PretrainPlan.resolve(pool, config)
        arrays, held_out = plan.split()
        with plan.setting_up(Encoder(plan.encoder, seed=None), arrays, held_out) as setup:
            first = next(iter(plan.row.stages(setup)))
        one = len(first.objectives) == 1 and first.validation is not None
        assert plan.row.measures(held_out) == one


def test_every_weight_of_the_encoder_moved(made):
    from pretrain.encoders.encoder import Encoder

    before = Encoder(made.done.weights.encoder, seed=0).tensors()
    assert list(before) == list(made.done.weights.tensors)
    still = [
        n for n, tensor in before.items() if np.array_equal(tensor, made.done.weights.tensors[n])
    ]
    assert still == []


def test_the_file_gives_the_features_that_were_trained(case, made):
    strategy, encoder = case
    read = WeightsFile.read(made.done.path)
    assert read.digest == made.done.weights.digest
    assert read.encoder["architecture"] == encoder
    assert read.metadata["strategy"] == strategy
    x = patterns(seed=5).x
    trained = features(made.done.weights, x)
    assert trained.shape[0] == len(x)
    assert trained.ndim == 2
    assert np.array_equal(features(read, x), trained)
    assert trained.std(axis=0).max() > 0


def test_seeds_decide_and_sharing_compiled_steps_changes_nothing(case, made, tmp_path):
    other = run(tmp_path, case, seed=1, programs=made.programs)
    assert made.programs.traces == made.traces > 0
    assert other.weights.digest != made.done.weights.digest
    if case in COMPILED_ANEW:
        (tmp_path / "anew").mkdir()
        alone = run(tmp_path / "anew", case, seed=1)
        again = run(tmp_path / "anew", case, seed=0, programs=made.programs)
        assert made.programs.traces == made.traces
        assert other.weights.digest == alone.weights.digest
        assert again.weights.digest == made.done.weights.digest


def test_killed_while_it_writes_and_resumed_equals_uninterrupted(case, made, tmp_path, monkeypatch):
    """Killed at its second checkpoint, resumed, killed at its weights file, and resumed to the end."""
    from pretrain.engine import train

    monkeypatch.setattr(train, "CALL_SECONDS", 0)  # look up after every step
    # Over the cases, each point of a write has its turn, for checkpoints and for weights.
    number = CASES.index(case)
    kills = [("checkpoint-", 2, POINTS[number % 3]), ("weights-0.h5", 1, POINTS[number // 3 % 3])]
    folder = tmp_path / "0"
    folder.mkdir()
    for matching, count, point in kills:
        left = tmp_path / matching
        kill_at(monkeypatch, point, folder, left, matching=matching, number=count)
        # Ctrl-C makes sure of a second checkpoint; the first is written as soon as one may be.
        reporter = StopAt(7) if matching == "checkpoint-" else None
        how = {"reporter": reporter, "resume": folder.name != "0", "programs": made.programs}
        with pytest.raises(Killed):
            run(folder, case, checkpoint_seconds=0, companions=True, **how)
        folder = left
    # Compiles anew, as another process would.
    programs = None if case in COMPILED_ANEW else made.programs
    resumed = run(folder, case, resume=True, companions=True, programs=programs)
    assert resumed.resumed_from is not None
    assert resumed.weights.digest == made.done.weights.digest
    assert resumed.history == made.done.history
    # What a kill leaves half written is hidden, and never taken for anything.
    files = {p.name: p.read_bytes() for p in folder.iterdir() if ".tmp-" not in p.name}
    assert {"weights-0.h5", "weights-0.epochs.csv", "weights-0.curves.png"} <= set(files)
    assert files == {p.name: p.read_bytes() for p in made.done.path.parent.iterdir()}


SHAPES = [(8, 8, 1), (9, 7, 3), (28, 28, 1), (1, 1, 2), (5, 16, 4), (17, 2, 1), (6,), (1,)]


@pytest.mark.parametrize("name", fresh_names())
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_shapes_told_are_the_shapes_built(name, shape):
    from pretrain.encoders.encoder import Encoder

    if len(shape) == 1 and ARCHITECTURES[name].convolutional:
        with pytest.raises(InputError, match=f"{name!r} needs images"):
            expected_shapes(encoder_config(name, shape))
        return
    config = encoder_config(name, shape)
    told = expected_shapes(config)
    encoder = Encoder(config, seed=0)
    made = [
        (f"{block}/{layer.name}/{weight.name}", tuple(weight.shape))
        for block, model in encoder.blocks
        for layer in model.layers
        for weight in layer.weights
    ]
    assert made == list(told.items())
    assert [block for block, _ in encoder.blocks] == list(
        dict.fromkeys(p.split("/")[0] for p in told)
    )
    x = np.random.default_rng(0).random((3, *shape), np.float32)
    found = np.asarray(encoder(x, False))
    assert found.shape == (3, encoder.feature_size)
    decoder = encoder.row.decode(shape, config["options"])
    assert np.asarray(decoder(found)).shape == x.shape


@pytest.mark.parametrize("name", fresh_names())
def test_initial_weights_are_a_function_of_the_seed(name):
    from pretrain.encoders.encoder import Encoder

    config = encoder_config(name, (8, 8, 1))
    first, again, other = (Encoder(config, seed).tensors() for seed in (3, 3, 4))
    for path, tensor in first.items():
        assert np.array_equal(tensor, again[path])
        drawn = path.endswith("kernel")  # biases, gains and shifts start as constants
        assert drawn != np.array_equal(tensor, other[path])


def compress(setup):
    """A third party's strategy: predict the mean brightness of an image."""
    import keras
    import tensorflow as tf

    from pretrain.engine.stage import Objective

    head = keras.layers.Dense(1)
    head.build((None, setup.encoder.feature_size))

    def loss(batch):
        target = tf.reduce_mean(tf.cast(batch.x, tf.float32), axis=[1, 2, 3])[:, None] / 255
        return {
            "loss": tf.reduce_mean((head(setup.features(batch.x, batch.training)) - target) ** 2)
        }

    objective = Objective(
        name="brightness",
        loss=loss,
        variables=[*setup.encoder.trainable, *head.trainable_weights],
        state=setup.encoder.state,
    )
    yield setup.stage("brightness", objective)


BRIGHTNESS = Strategy(
    name="brightness", summary="guess it", stages=compress, recipe=Recipe(epochs=2, batch_size=16)
)
NAMESAKE = Strategy(name=next(iter(strategies())), summary="a name that is taken", stages=compress)


class Distribution:
    name = "acme-strategies"


@pytest.fixture
def third_party(monkeypatch):
    """Make another package's entry points be found, which name things in this file."""

    def bring(attribute):
        class Point(EntryPoint):
            dist = Distribution()

            def load(self):
                if attribute not in globals():
                    raise ImportError("no module named acme")
                return globals()[attribute]

        point = Point("brightness", f"acme:{attribute}", table.GROUP)
        monkeypatch.setattr(
            table, "entry_points", lambda *, group: [point] * (group == table.GROUP)
        )

    return bring


def test_a_third_partys_strategy_is_found_runs_and_exports(third_party, tmp_path):
    from pretrain.commands.list import listing

    third_party("BRIGHTNESS")
    assert "guess it" in listing()
    made = run(tmp_path, ("brightness", "mlp"))
    assert made.history[-1]["loss"] < made.history[0]["loss"]
    assert WeightsFile.read(made.path).metadata["strategy"] == "brightness"


@pytest.mark.parametrize(
    ("attribute", "says"),
    [
        ("missing", r"'brightness' of acme-strategies cannot be loaded.*no module named acme"),
        ("EPOCHS", r"of acme-strategies must be a Strategy row"),
        ("NAMESAKE", r"acme-strategies brings a strategy .* a name that is taken"),
    ],
)
def test_a_broken_entry_point_names_its_package(third_party, tmp_path, attribute, says):
    third_party(attribute)
    with pytest.raises(InputError, match=says):
        run(tmp_path, CASES[0])
    assert list(tmp_path.iterdir()) == []
