"""The probes: what they measure, on which examples, and what it takes."""

import time
from dataclasses import replace

import numpy as np
import pytest
from pretraining import pretrained
from toys import Lines, patterns

from headstart.errors import InputError
from pretrain.config import PretrainConfig
from pretrain.monitoring.probe import MAX_EXAMPLES, Probe, probe
from pretrain.weights.file import WeightsFile

POOL = patterns()


def clusters(n, d, classes, gap, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    return (gap * rng.normal(size=(classes, d))[y] + rng.normal(size=(n, d))).astype(np.float32), y


def test_what_is_apart_is_told_apart_and_noise_is_not():
    x, y = clusters(200, 10, 4, 8.0)
    assert probe(x, y) == {"probe_linear": 1.0, "probe_knn": 1.0}
    x, y = clusters(400, 10, 4, 0.0)
    assert all(0.15 < value < 0.35 for value in probe(x, y).values())


def test_neighbours_see_what_a_plane_cannot():
    # Two classes around four corners, each class on a diagonal: no line parts them.
    corner = np.arange(200) % 4
    x = np.array([[0, 0], [1, 1], [0, 1], [1, 0]], np.float32)[corner]
    x = x + 0.05 * np.random.default_rng(0).normal(size=x.shape).astype(np.float32)
    found = probe(x, corner // 2)
    assert found["probe_knn"] == 1.0
    assert found["probe_linear"] < 0.7


def test_each_example_is_judged_by_models_that_have_not_seen_it():
    """With labels drawn at random, a neighbour that is the example itself would always be right."""
    x, _ = clusters(300, 5, 1, 0.0)
    y = np.random.default_rng(1).integers(0, 2, 300)
    assert probe(x, y)["probe_knn"] < 0.62


def test_scales_of_features_do_not_matter_and_constant_ones_do_no_harm():
    x, y = clusters(120, 6, 3, 2.0)
    scaled = x * np.array([1e-3, 1, 1e3, 1, 1, 1], np.float32)
    with_constants = np.concatenate([scaled, np.ones((120, 2), np.float32)], axis=1)
    assert probe(with_constants, y)["probe_knn"] == probe(x, y)["probe_knn"]
    assert probe(np.zeros((120, 4), np.float32), y)["probe_linear"] == pytest.approx(1 / 3)


def test_five_hundred_examples_take_less_than_a_second():
    x, y = clusters(500, 128, 10, 0.5)
    probe(x, y)  # imports
    began = time.process_time()
    first = probe(x, y)
    assert time.process_time() - began < 1
    assert probe(x, y) == first


def test_at_most_two_thousand_examples_evenly_over_the_classes():
    y = np.repeat([0, 1, 2, 4], [3000, 1500, 1497, 3])  # a class without examples, and a rare one
    dataset = replace(
        patterns(8, classes=5),
        x=np.arange(6000 * 64, dtype=np.uint32).astype(np.uint8).reshape(6000, 8, 8, 1),
        y=y,
    )
    made = Probe.of(dataset, POOL)
    counts = np.bincount(made.y)
    assert len(made.x) <= MAX_EXAMPLES
    assert list(counts[:3]) == pytest.approx([1000, 500, 500], abs=5)
    assert counts[3] >= 2
    assert len(counts) == 4
    again = Probe.of(dataset, POOL)
    assert np.array_equal(again.x, made.x)
    assert again.fingerprint == made.fingerprint
    # Of the training part alone: another test part is the same probe.
    other = replace(dataset, x_test=dataset.x[:9], y_test=dataset.y[:9])
    assert Probe.of(other, POOL).to_json() == made.to_json()


@pytest.mark.parametrize(
    ("epochs", "every", "found"),
    [
        (3, None, [1, 2, 3]),
        (20, None, list(range(1, 21))),
        (50, None, [*range(3, 50, 3), 50]),
        (7, 3, [3, 6, 7]),
        (2, 9, [2]),
    ],
)
def test_how_often(epochs, every, found):
    made = Probe.of(POOL, POOL, every)
    assert [e for e in range(1, epochs + 1) if made.due(e, epochs)] == found


CONFIG = PretrainConfig(
    strategy="autoencoder",
    encoder="mlp",
    encoder_options={"units": [16, 8]},
    epochs=4,
    batch_size=16,
)


@pytest.fixture(scope="module")
def programs():
    """Compiled steps that the runs of this file share."""
    from pretrain.engine.program import Programs

    return Programs()


@pytest.fixture
def run(programs):
    def run(folder, probed=None, **changes):
        how = {k: changes.pop(k) for k in ("resume", "reporter") if k in changes}
        how |= {"probe": probed, "companions": False, "programs": programs}
        return pretrained(POOL, replace(CONFIG, **changes), folder / "w.h5", **how)

    return run


@pytest.mark.parametrize(
    ("probed", "changes", "says"),
    [
        (patterns(labelled=False), {}, "probe must be labelled, and has no labels. Got 'patterns'"),
        (patterns(size=9), {}, r"uint8 of shape \(8, 8, 1\); its own .*\(9, 9, 1\).*image_size"),
        (
            replace(POOL, value_range=(0, 16)),
            {},
            "range of the pool's, 0 to 255; its own .* 0 to 16",
        ),
        (patterns(channels=3), {}, r"\(8, 8, 3\)"),
        (patterns(20, classes=1), {}, "two classes or more.* it has 1 and 20"),
        (patterns(4), {}, "two examples or more of each; it has 3 and 1"),
        (None, {"keep_best": "probe"}, "Give probe=DATA"),
        (None, {"probe_every": 2}, "probe_every changes nothing without probe=DATA"),
        (POOL, {"probe_every": 0}, "must be 1 or more"),
        (None, {"keep_best": "loss"}, "must be one of probe, validation. Got 'loss'"),
        (None, {"keep_best": "validation", "validation": 0.0}, "Give validation above 0"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, probed, changes, says, run):
    with pytest.raises(InputError, match=says):
        run(tmp_path, probed, **changes)
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_probed_and_its_identity_knows_on_what(tmp_path, run):
    heard = Lines()
    made = run(tmp_path, POOL, probe_every=2, reporter=heard)
    probed = [row["epoch"] for row in made.history if "probe_linear" in row]
    assert probed == [2, 4]
    assert all(row["probe_knn"] > 0.5 for row in made.history if "probe_knn" in row)
    read = WeightsFile.read(tmp_path / "w.h5")
    assert read.metadata["probe"]["examples"] == 80
    assert read.metadata["metrics"]["probe_linear"] == made.history[-1]["probe_linear"]
    assert run(tmp_path, POOL, probe_every=2, resume=True).resumed_from == "the end"
    for other in ({"probe_every": 1}, {"probe_every": 2, "keep_best": "probe"}):
        with pytest.raises(InputError, match="is another run's"):
            run(tmp_path, POOL, **other, resume=True)
    with pytest.raises(InputError, match="is another run's"):
        run(tmp_path, patterns(seed=1), probe_every=2, resume=True)


def test_probing_changes_no_weight(tmp_path, run):
    (tmp_path / "plain").mkdir()
    made, plain = run(tmp_path, POOL), run(tmp_path / "plain")
    assert all(np.array_equal(t, plain.weights.tensors[n]) for n, t in made.weights.tensors.items())
