"""The verdict on made-up benchmarks: what it claims when nothing, something or everything is true."""

from dataclasses import asdict

import numpy as np
import pytest
from records import RAW, SPREAD, benchmark, failed
from scipy import stats

from benchmark.analysis.rows import tables
from benchmark.analysis.verdict import (
    EMPTY,
    HELPED,
    NO_HELP,
    UNCLEAR,
    guessing,
    seeds_needed,
    verdict,
)
from benchmark.grid import RANDOM, SCRATCH
from benchmark.report.markdown import claims

NOTHING = dict.fromkeys(("one", "two", "three", "four"), 0.0)
SIMULATED = 400


def kinds(times, **how):
    return [verdict(benchmark(seed, **how)).kind for seed in range(times)]


@pytest.mark.parametrize(("labels", "seeds"), [((50, 200), 10), ((50, 200, 1000), 5)])
def test_when_no_strategy_is_better_a_winner_is_claimed_in_at_most_one_of_twenty(labels, seeds):
    found = kinds(SIMULATED, gains=NOTHING, labels=labels, seeds=seeds)
    assert found.count(HELPED) <= 0.05 * SIMULATED
    # The uncorrected rule would not pass this test.
    alone = [
        any(
            row.gain.mean > 0 and row.p < 0.05
            for rows in tables(benchmark(seed, gains=NOTHING, labels=labels, seeds=seeds))[
                ""
            ].values()
            for row in rows
            if row.kind == "strategy"
        )
        for seed in range(40)
    ]
    assert np.mean(alone) > 0.05


def test_coarse_accuracies_of_few_test_examples_do_not_fool_it():
    def coarse(seed):
        records = benchmark(seed, gains=NOTHING, seeds=3)
        for record in records:
            record["accuracy"] = round(20 * record["accuracy"]) / 20
        return records

    found = [verdict(coarse(seed)).kind for seed in range(200)]
    assert found.count(HELPED) <= 0.05 * 200


@pytest.mark.parametrize(
    ("gains", "labels"),
    [
        ({"one": SPREAD}, (50,)),
        ({"one": SPREAD, "two": 0, "three": 0}, (50,)),
        ({"one": SPREAD, "two": 0, "three": 0}, (50, 200)),
        ({"one": SPREAD, "two": 0, "three": 0, "four": 0, "five": 0}, (50, 200, 1000)),
    ],
)
def test_a_gain_of_one_standard_deviation_is_mostly_found_with_ten_seeds(gains, labels):
    found = [verdict(benchmark(s, gains=gains, labels=labels, seeds=10)) for s in range(60)]
    right = [
        v.kind == HELPED and {j.use for j in v.judgements if j.kind == HELPED} == {"one"}
        for v in found
    ]
    assert np.mean(right) > 0.55


def test_it_agrees_with_scipy_on_recorded_numbers():
    records = benchmark(3, gains={"one": 0.03, "two": 0.01})
    rows = {r.name: r for r in tables(records)[""][50]}
    scores = {
        name: [r["accuracy"] for r in records if (r["row"], r["labels"]) == (name, 50)]
        for name in ("one", "two", SCRATCH)
    }
    for name in ("one", "two"):
        test = stats.ttest_rel(scores[name], scores[SCRATCH])
        assert rows[name].p == pytest.approx(test.pvalue)
        interval = test.confidence_interval()
        assert [rows[name].gain.low, rows[name].gain.high] == pytest.approx(list(interval))
        wide = test.confidence_interval(1 - 0.05 / 4)  # of two strategies at two budgets
        assert [rows[name].simultaneous.low, rows[name].simultaneous.high] == pytest.approx(
            list(wide)
        )
    p = {
        (r.name, r.labels): r
        for rows in tables(records)[""].values()
        for r in rows
        if r.kind == "strategy"
    }
    ordered = sorted(p.values(), key=lambda r: r.p)
    expected = np.maximum.accumulate([min(1, (4 - i) * r.p) for i, r in enumerate(ordered)])
    assert [r.corrected for r in ordered] == pytest.approx(list(expected))
    assert {r.comparisons for r in ordered} == {4}


def test_the_best_of_the_winners_is_named_with_gain_certainty_worth_and_cost():
    found = verdict(benchmark(1, gains={"good": 0.05, "better": 0.08}, seeds=8))
    assert found.kind == HELPED
    assert found.headline.startswith(
        "Pretraining helped: use better. Over training from scratch it gains +"
    )
    first = found.judgements[0]
    assert (first.labels, first.use) == (50, "better")
    for words in (
        "better reaches 8",
        "8 seeds paired, p ",
        "after correction for 4 comparisons",
        "Scratch would need ",
        "It also beats the best baseline on raw values",
        " of pretraining and ",
    ):
        assert words in first.text


def test_a_raw_baseline_that_is_better_is_what_to_use():
    found = verdict(benchmark(1, gains={"one": 0.06}, raw=0.93, labels=(50,)))
    assert found.kind == NO_HELP
    assert found.headline.startswith("Pretraining did not help here; use raw ")
    (here,) = found.judgements
    assert "one is at +" in here.text  # that it beats scratch is told all the same
    assert "without pretraining reaches 9" in here.text


@pytest.mark.parametrize(("bonus", "kind"), [(0.12, NO_HELP), (0.02, HELPED)])
def test_rows_without_pretraining_of_other_tables_count_too(bonus, kind):
    """From scratch with the pool may be better than what was pretrained, without it."""
    records = [
        {**r, "mode": mode, "accuracy": r["accuracy"] + extra}
        for mode, extra in (("fine-tune", 0.0), ("pool", bonus))
        for r in benchmark(1, gains={"one": 0.06}, labels=(50,), seeds=8)
        if mode == "fine-tune" or r["row"] == SCRATCH
    ]
    first = next(j for j in verdict(records).judgements if j.title == "fine-tune")
    assert first.kind == kind
    assert first.use == (f"{SCRATCH} (pool)" if kind == NO_HELP else "one")


def test_intervals_that_exclude_a_useful_gain_say_that_it_did_not_help():
    found = verdict(benchmark(1, gains={"one": -0.05, "two": -0.03}, seeds=6))
    assert found.kind == NO_HELP
    assert found.headline == "Pretraining did not help here; use scratch."
    assert "no strategy gains what would be of use" in found.judgements[0].text


def test_a_small_harm_in_many_seeds_is_no_help():
    found = verdict(benchmark(0, gains={"one": 0.0}, seeds=30, noise=0.004))
    assert found.kind == NO_HELP


@pytest.mark.parametrize("seed", range(5))
def test_labels_that_are_random_say_that_it_did_not_help(seed):
    chance = {"scratch": 0.25, "raw": 0.25, "slope": 0.0, "gains": NOTHING}
    found = verdict(benchmark(seed, **chance))
    assert found.kind == NO_HELP
    assert found.headline == "Pretraining did not help here: nothing did better than guessing."
    assert {j.use for j in found.judgements} == {None}


def test_few_seeds_are_too_few_to_tell():
    found = verdict(benchmark(2, gains={"one": 0.01}, seeds=3))
    assert found.kind == UNCLEAR
    assert found.headline == "Too few seeds to tell whether pretraining helps here."
    assert "seeds would show it" in " ".join(found.lines())
    two = verdict(benchmark(0, gains={"one": 0.1}, seeds=2, labels=(50,)))
    assert (
        next(
            r
            for r in tables(benchmark(0, gains={"one": 0.1}, seeds=2, labels=(50,)))[""][50]
            if r.name == "one"
        ).p
        < 0.05
    )
    assert two.kind == UNCLEAR  # whatever its p value
    one = verdict(benchmark(2, gains={"one": 0.3}, seeds=1))
    assert one.kind == UNCLEAR
    assert "one seed proves nothing" in one.judgements[0].text


def test_what_alone_would_be_a_gain_is_told_apart():
    many = {f"way {i}": 0.0 for i in range(30)} | {"lucky": 0.035}
    found = verdict(benchmark(8, gains=many, labels=(50,)))
    assert found.kind == UNCLEAR
    assert (
        "Alone, that would be a gain; the best of 31 comparisons may look so by luck"
        in found.judgements[0].text
    )


def test_the_seeds_that_are_said_to_be_enough_are():
    records = benchmark(7, gains={"one": SPREAD}, labels=(50,), seeds=4)
    row = next(r for r in tables(records)[""][50] if r.name == "one")
    needed = seeds_needed(row)
    spread = np.std(
        list(row.scores.values()), ddof=1
    )  # not of the differences: a check of the inverse only
    assert spread > 0
    s = (row.gain.high - row.gain.mean) / stats.t.ppf(0.975, 3) * 2
    rng = np.random.default_rng(0)
    drawn = rng.normal(row.gain.mean, s, (4000, needed))
    power = (stats.ttest_1samp(drawn, 0, axis=1).pvalue < 0.05).mean()
    assert 0.7 < power < 0.95


def test_they_are_the_same_whichever_intervals_are_shown():
    records = benchmark(7, gains={"one": SPREAD, "two": 0.0}, labels=(50,), seeds=6)
    shown = [
        next(r for r in tables(records, method)[""][50] if r.name == "one")
        for method in ("t", "bootstrap")
    ]
    assert shown[0].gain != shown[1].gain
    assert seeds_needed(shown[0]) == seeds_needed(shown[1]) > 2


def changed(records, **accuracies):
    return [
        {**r, "accuracy": accuracies[r["row"]](r)} if r["row"] in accuracies else r for r in records
    ]


def test_nothing_can_be_gained_over_a_scratch_that_makes_no_error():
    records = benchmark(0, gains={"one": 0.0}, labels=(50,), seeds=10)
    perfect = changed(records, one=lambda r: 1.0, scratch=lambda r: 1.0)
    (here,) = verdict(perfect).judgements
    assert (here.kind, here.use) == (NO_HELP, SCRATCH)
    assert "nothing is left to gain" in here.text


def test_differences_that_are_all_equal_are_claimed_by_the_sign_test_alone():
    records = benchmark(0, gains={"one": 0.0}, labels=(50,), seeds=3, raw=0.2)
    same = changed(
        records, one=lambda r: 0.82 + r["seed"] / 20, scratch=lambda r: 0.8 + r["seed"] / 20
    )
    (here,) = verdict(same).judgements
    assert here.kind == UNCLEAR
    assert "Alone, that would be a gain" not in here.text
    (said,) = claims(tables(same))
    assert "one is not shown to differ from scratch" in said
    assert said.endswith("p = 0.25.")


def test_places_may_differ_and_each_is_told():
    found = verdict(benchmark(3, gains={"one": (0.08, -0.04)}, seeds=8))
    assert [j.kind for j in found.judgements] == [HELPED, NO_HELP]
    assert "at 50 labels" in found.headline
    assert "Pretraining did not help at 200 labels; use " in found.headline


def test_many_gains_are_told_in_short():
    records = [
        r for i in range(4) for r in benchmark(i, gains={"one": 0.1}, labels=(50,), task=f"set {i}")
    ]
    headline = verdict(records).headline
    assert headline.startswith("Pretraining helped at set 0, 50 labels; set 1, 50 labels; set 2")
    assert "use one. Over training from scratch it gains +" in headline
    assert headline.count("points") == 1


def test_failed_cells_and_missing_rows_are_survived():
    records = benchmark(0, gains={"one": 0.1}, seeds=4)
    gone = [failed(r) if r["row"] == SCRATCH and r["seed"] < 3 else r for r in records]
    assert verdict(gone).kind == UNCLEAR  # one pair is left
    without = [r for r in records if r["row"] != SCRATCH]
    found = verdict(without)
    assert found.kind == EMPTY
    assert found.headline == "Nothing can be compared here."
    assert verdict([]).headline == "There are no results to judge."
    assert verdict([failed(r) for r in records]).kind == EMPTY


def test_data_sets_encoders_and_modes_are_told_apart():
    def arm(record, encoder, bonus):
        if record["kind"] == "raw":
            return {"base": record["row"], "encoder": None}
        name = f"{record['row']} ({encoder})"
        accuracy = record["accuracy"] + bonus
        return {"row": name, "base": record["row"], "encoder": encoder, "accuracy": accuracy}

    records = [
        {**r, "task": task, **arm(r, encoder, bonus)}
        for task in ("shoes", "hats")
        for encoder, bonus in (("mlp", 0.0), ("convnet", 0.05))
        for r in benchmark(1, gains={"one": 0.08}, labels=(50,), scratch=0.7)
        if r["kind"] != "raw" or encoder == "mlp"
    ]
    found = tables(records)
    assert list(found) == ["shoes, mlp", "shoes, convnet", "hats, mlp", "hats, convnet"]
    rows = {title: {r.name: r for r in by[50]} for title, by in found.items()}
    small, large = rows["shoes, mlp"], rows["shoes, convnet"]
    assert small.keys() == large.keys() == {*RAW, RANDOM, SCRATCH, "one"}
    assert small["raw 1-NN"].accuracy == large["raw 1-NN"].accuracy  # raw rows have no encoder
    # each against scratch of its own encoder: the bonus is no gain of pretraining
    assert small["one"].gain.mean == pytest.approx(large["one"].gain.mean)
    assert large["one"].accuracy.mean == pytest.approx(small["one"].accuracy.mean + 0.05)
    assert small["one"].comparisons == 4
    judged = verdict(records)
    assert [(j.title, j.use) for j in judged.judgements] == [(title, "one") for title in found]
    assert "Pretraining helped at shoes, mlp, 50 labels; shoes, convnet, 50" in judged.headline


def test_modes_are_compared_with_the_one_scratch_there_is():
    records = [
        {**r, "mode": mode} if r["kind"] == "strategy" else r
        for mode in ("fine-tune", "linear-probe")
        for r in benchmark(1, gains={"one": 0.08}, labels=(50,))
        if r["kind"] == "strategy" or mode == "fine-tune"
    ]
    found = tables(records)
    assert list(found) == ["fine-tune", "linear-probe"]
    assert all(rows[50][-1].gain.n == 5 for rows in found.values())


def test_guessing_is_the_share_of_the_commonest_class():
    record = {"confusion": [[3, 1], [2, 14]]}
    assert guessing([record], "") == (0.8, 20)
    assert guessing([{"accuracy": 1}], "") is None


def test_it_changes_nothing_and_says_the_same_twice():
    records = benchmark(0)
    before = [dict(r) for r in records]
    first, second = verdict(records), verdict(records)
    assert records == before
    assert [asdict(j) for j in first.judgements] == [asdict(j) for j in second.judgements]
