"""What collapse is, in numbers by hand, and when a run is warned of it and stopped for it."""

from dataclasses import replace

import numpy as np
import pytest
from pretraining import pretrained
from toys import Lines, StopAt, listing, patterns

from headstart.errors import InputError, Interrupted
from pretrain.config import PretrainConfig
from pretrain.monitoring.collapse import (
    CollapseError,
    Limits,
    Monitor,
    due,
    effective_rank,
    measure,
    spread,
)


def draw(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def test_a_spread_by_hand():
    # Mean (2, 0), distances 1 and 1; lengths 1 and 3, mean square 5.
    assert spread(np.array([[1, 0], [3, 0]], np.float32)) == pytest.approx((1 / 5) ** 0.5)
    assert spread(np.array([[1, 2], [-1, -2]], np.float32)) == pytest.approx(1)
    assert spread(np.zeros((4, 3), np.float32)) == 0
    assert spread(np.full((4, 3), 7, np.float32)) == 0


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_neither_number_changes_with_the_scale(scale):
    x = 1 + 0.3 * draw(60, 8)
    for found in (spread, effective_rank):
        assert found(x * np.float32(scale)) == pytest.approx(found(x), rel=1e-5)


def test_a_rank_by_hand():
    # Centred already; singular values sqrt(2) * (3, 1, 0), shares 3/4 and 1/4.
    x = np.array([[3, 0, 0], [-3, 0, 0], [0, 1, 0], [0, -1, 0]], np.float32)
    expected = np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))
    assert effective_rank(x) == pytest.approx(expected)
    assert effective_rank(x + 5) == pytest.approx(expected, rel=1e-6)  # the mean is no direction
    assert effective_rank(x[:2]) == pytest.approx(1)
    assert effective_rank(np.full((4, 3), 0.1, np.float32)) == 0


@pytest.mark.parametrize("shape", [(40, 7), (7, 40), (20, 20), (1, 5), (2, 3)])
def test_the_rank_is_that_of_the_singular_values(shape):
    x = draw(*shape)
    values = np.linalg.svd(x.astype(float) - x.astype(float).mean(axis=0), compute_uv=False)
    if values.sum() < 1e-9:
        assert effective_rank(x) == 0
        return
    shares = values[values > 1e-9] / values.sum()
    assert effective_rank(x) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-6)


def test_at_most_about_fifty_looks_and_always_the_last():
    for epochs in (1, 7, 50, 51, 99, 1000, 1001):
        looks = [epoch for epoch in range(1, epochs + 1) if due(epoch, epochs)]
        assert looks[-1] == epochs
        assert len(looks) == epochs if epochs <= 50 else 25 <= len(looks) <= 51


def test_limits_are_those_of_the_kind_of_strategy():
    examples, before = draw(50, 6), 1 + draw(50, 4)
    first = measure(before)
    views = Limits.of(examples, before, compares=True, labelled=False)
    assert views.std == pytest.approx(0.3 * first["feature_std"])
    assert views.rank == pytest.approx(0.15 * first["feature_rank"])
    assert Limits.of(examples, before, compares=True, labelled=True) == Limits(
        std=views.std, rank=0
    )
    narrow = Limits.of(examples, 100 + before, compares=True, labelled=False)
    assert narrow.rank == 0  # features that hardly vary at first have no rank to fall from
    assert 0 < narrow.std < views.std
    other = Limits.of(examples, before, compares=False, labelled=False)
    assert other == Limits(std=pytest.approx(1e-4 * spread(examples)), rank=0)
    # Examples that are all alike may have features that are.
    same = Limits.of(np.ones((9, 6)), np.ones((9, 4)), compares=False, labelled=False)
    assert not same.passed({"feature_std": 0.0, "feature_rank": 0.0})


GOOD, FLAT, THIN = (0.5, 20.0), (0.1, 20.0), (0.5, 2.0)


def judge(looks, *, mode="stop", stages=None):
    """Judge the looks one by one; return how many were before the stop, and what was said."""
    said, history = [], []
    monitor = Monitor(
        limits=Limits(std=0.15, rank=4.0), mode=mode, advice="Do this.", say=said.append
    )
    for i, (std, rank) in enumerate(looks):
        stage = stages[i] if stages else "only"
        row = {"stage": stage, "epoch": i + 1, "feature_std": std, "feature_rank": rank}
        try:
            monitor.judge(history, row)
        except CollapseError as error:
            return i + 1, said, str(error)
        history += [row, {"stage": stage, "epoch": i + 1}]  # epochs without a look are between
    return None, said, ""


@pytest.mark.parametrize("low", [FLAT, THIN])
def test_three_collapsed_looks_in_a_row_stop_a_run(low):
    stopped, said, text = judge([GOOD, low, low, GOOD, low, low, low, low])
    assert stopped == 7
    assert len(said) == 1
    assert "epoch 2" in said[0]
    for part in ("epochs 5, 6, 7 of stage 'only'", "limit 0.15", "limit 4.0", "Do this.", "warn"):
        assert part in text
    assert "nothing was exported" in text


def test_projections_that_collapse_behind_lively_features_are_a_collapse():
    monitor = Monitor(limits=Limits(std=0.1, rank=1.0), mode="stop", advice="", say=print)
    rows = [
        {"stage": "s", "epoch": e, "feature_std": 0.5, "feature_rank": 20.0, "spread": spread}
        for e, spread in enumerate((0.9, 0.05, 0.09, 0.01), start=1)
    ]
    for i, row in enumerate(rows[:3]):
        monitor.judge(rows[:i], row)
    with pytest.raises(CollapseError, match=r"projections' spread 0.01 \(limit 0.1\)"):
        monitor.judge(rows[:3], rows[3])


def test_a_stack_that_starts_narrow_is_not_a_collapse():
    # Eight layers of sigmoids: the first features hardly vary until the upper blocks are trained.
    before = 1 + 1e-6 * draw(50, 4)
    limits = Limits.of(draw(50, 6), before, compares=False, labelled=False)
    assert not limits.passed(measure(before))


def test_what_is_not_in_a_row_or_in_one_stage_does_not_stop_it():
    assert judge([FLAT, FLAT, GOOD] * 4)[0] is None
    assert judge([FLAT] * 4, stages=["one", "one", "two", "two"])[0] is None
    assert judge([FLAT] * 5, stages=["one", "one", "two", "two", "two"])[0] == 5


@pytest.mark.parametrize(("mode", "lines"), [("warn", 1), ("off", 0)])
def test_it_can_be_told_not_to_stop(mode, lines):
    stopped, said, _ = judge([FLAT] * 9, mode=mode)
    assert stopped is None
    assert len(said) == lines


COLLAPSING = PretrainConfig(
    strategy="siamese",
    options={"margin": "0.01", "pairs": "views"},
    encoder="mlp",
    encoder_options={"units": [32, 16]},
    epochs=8,
    batch_size=16,
    learning_rate=3e-3,
)


@pytest.fixture(scope="module")
def programs():
    """Compiled steps that the runs of this file share."""
    from pretrain.engine.program import Programs

    return Programs()


@pytest.fixture
def run(programs):
    def run(folder, **how):
        changes = {k: how.pop(k) for k in ("collapse", "options") if k in how}
        how |= {"companions": False, "programs": programs}
        return pretrained(patterns(), replace(COLLAPSING, **changes), folder / "w.h5", **how)

    return run


def test_a_run_made_to_collapse_is_stopped_and_exports_nothing(tmp_path, monkeypatch, run):
    monkeypatch.setattr("pretrain.engine.train.CALL_SECONDS", 0)
    texts = []
    for folder, interrupted in ((tmp_path / "a", False), (tmp_path / "b", True)):
        folder.mkdir()
        if interrupted:
            with pytest.raises(Interrupted):
                run(folder, reporter=StopAt(12))  # two looks before the one that stops it
        with pytest.raises(CollapseError, match=r"nothing was exported.*larger margin") as caught:
            run(folder, resume=True)
        assert not (folder / "w.h5").exists()
        assert caught.value.exit_code == 1
        texts.append(str(caught.value))
    assert texts[0] == texts[1]


def test_how_a_collapse_is_met_changes_no_bits(tmp_path, run):
    heard = Lines()
    warned = run(tmp_path, collapse="warn", reporter=heard)
    assert sum("are collapsing" in line for line in heard.said) == 1
    before = listing(tmp_path)
    again = run(tmp_path, collapse="off", resume=True)
    assert again.resumed_from == "the end"
    assert listing(tmp_path) == before
    assert warned.history[-1]["feature_std"] < 0.3 * warned.history[0]["feature_std"] or (
        warned.history[-1]["feature_std"] < 0.1
    )
    with pytest.raises(InputError, match="must be one of stop, warn, off"):
        run(tmp_path, collapse="never")


def test_a_healthy_run_of_the_same_strategy_goes_on(tmp_path, run):
    heard = Lines()
    made = run(tmp_path, options={"pairs": "views"}, reporter=heard)
    assert not any("collaps" in line for line in heard.said)
    assert made.history[-1]["feature_std"] > 0.3
