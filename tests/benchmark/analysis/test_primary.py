"""The primary question on made-up benchmarks, against SciPy's tests and closed testing."""

import numpy as np
import pytest
from records import RAW, SPREAD, benchmark, failed
from scipy import stats

from benchmark.analysis.primary import Named, answers, changes, declare
from benchmark.analysis.rows import tables
from benchmark.analysis.verdict import HELPED, NO_HELP, verdict
from benchmark.grid import RANDOM, SCRATCH

WITHOUT = [*RAW, RANDOM, SCRATCH]
MANY = {f"way {i}": 0.0 for i in range(12)}


def asked(records, named=None):
    return answers(tables(records), named)


def means(records, name):
    """A row's accuracies, averaged over the budgets: a value a seed."""
    ours = [r for r in records if r["row"] == name]
    seeds = sorted({r["seed"] for r in ours})
    return np.array([np.mean([r["accuracy"] for r in ours if r["seed"] == s]) for s in seeds])


def test_a_named_strategy_is_tested_by_scipys_t_test_against_every_row_without_pretraining():
    records = benchmark(2, gains={"one": 0.02, "two": 0.09}, seeds=6, raw=0.79)
    (answer,) = asked(records, Named(strategy="one"))
    tests = {name: stats.ttest_rel(means(records, "one"), means(records, name)) for name in WITHOUT}
    p = {n: 2 * stats.t.sf(test.statistic, test.df) for n, test in tests.items()}
    best = max(WITHOUT, key=lambda name: means(records, name).mean())
    assert answer.rival == best
    assert answer.p == pytest.approx(max(p.values()))
    assert answer.gain.mean == pytest.approx((means(records, "one") - means(records, best)).mean())
    low = min(test.confidence_interval(0.95).low for test in tests.values())
    high = min(test.confidence_interval(1 - 0.05 / 6).high for test in tests.values())
    assert [answer.gain.low, answer.gain.high] == pytest.approx([low, high])
    assert (answer.strategy, answer.comparisons, answer.rivals) == ("one", 1, 6)
    assert (answer.labels, answer.gain.n) == ((50, 200), 6)
    assert answer.helped == (answer.p < 0.05)


def test_the_best_of_all_is_named_with_rival_budgets_interval_and_p():
    found = verdict(benchmark(1, gains={"good": 0.05, "better": 0.08, "bad": -0.1}, seeds=5))
    (answer,) = found.primary
    assert answer.helped
    assert (answer.strategy, answer.rival) == ("better", SCRATCH)
    assert found.lines()[0] == answer.text
    assert answer.text.startswith(
        "Primary question: yes. better, the best of 3 strategies, beats scratch, the best of 6 rows "
        "without pretraining, over 50 and 200 labels together: +"
    )
    assert "5 seeds paired, p " in answer.text
    assert "after correction for 3 comparisons" in answer.text
    assert answer.gain.low > 0


@pytest.mark.parametrize("seeds", [3, 5])
def test_when_no_strategy_is_better_it_is_answered_by_yes_in_at_most_one_of_twenty(seeds):
    # Scratch alone stands for the rows without pretraining: the others are far below.
    gains = dict.fromkeys(("one", "two", "three", "four", "five", "six"), 0.0)
    drawn = [tables(benchmark(s, gains=gains, seeds=seeds, raw=0.3)) for s in range(120)]
    assert sum(bool(answers(found)[0].helped) for found in drawn) <= 0.05 * 120
    # The uncorrected rule would not pass this test.
    alone = [
        any(answers(found, Named(strategy=name))[0].helped for name in gains)
        for found in drawn[:40]
    ]
    assert np.mean(alone) > 0.05


def test_rows_without_pretraining_that_are_as_good_are_all_to_be_beaten():
    one = benchmark(1, gains={"one": 0.06}, raw=0.3, seeds=6)
    level = [{**r, "accuracy": r["accuracy"] + 0.5 * (r["row"] == RAW[0])} for r in one]
    assert asked(one)[0].helped
    assert asked(level)[0].helped  # raw at 0.8, as scratch
    above = [{**r, "accuracy": min(1, r["accuracy"] + 0.62 * (r["row"] == RAW[0]))} for r in one]
    (answer,) = asked(above)
    assert (answer.helped, answer.rival) == (False, RAW[0])
    assert answer.gain.mean < 0


def test_it_finds_more_than_the_comparisons_with_scratch_and_a_name_beforehand_finds_most():
    gains = {**MANY, "way 3": 1.5 * SPREAD}
    drawn = [tables(benchmark(s, gains=gains, labels=(50, 200, 1000), raw=0.3)) for s in range(30)]
    everything = [answers(found)[0] for found in drawn]
    best = [a.helped and a.strategy == "way 3" for a in everything]
    named = [answers(found, Named(strategy="way 3"))[0].helped for found in drawn]
    rest = [
        any(r.corrected < 0.05 and r.gained.mean > 0 for rows in found[""].values() for r in rows)
        for found in drawn
    ]
    assert np.mean(rest) + 0.25 < np.mean(best) <= np.mean(named)
    assert np.mean(named) > 0.9


def test_with_one_budget_the_place_has_helped_and_with_several_none_may_be_shown_alone():
    gains = {**MANY, "way 3": 2 * SPREAD}

    def first(labels):
        for seed in range(100):
            found = verdict(benchmark(seed, gains=gains, labels=labels))
            shown = [
                r.corrected < 0.05
                for by in tables(benchmark(seed, gains=gains, labels=labels))[""].values()
                for r in by
            ]
            if found.primary[0].helped and not any(shown):
                return found
        raise AssertionError("The primary question finds no more than the rest.")

    one, two = first((50,)), first((50, 200))
    assert one.kind == two.kind == HELPED
    assert one.judgements[0].use == one.primary[0].strategy
    assert "the answer to the primary question shows it" in one.judgements[0].text
    assert two.headline == "Too few seeds to tell at 50 and 200 labels alone."


def test_it_says_no_where_every_strategy_is_worse():
    (answer,) = asked(benchmark(1, gains={"one": -0.05, "two": -0.04}))
    assert answer.helped is False
    assert answer.text.startswith("Primary question: no. two, the best of 2 strategies, is worse")
    (answer,) = asked(benchmark(1, gains={"one": -0.05, "two": 0.0}))
    assert answer.text.startswith(
        "Primary question: not shown. two, the best of 2 strategies, is not"
    )


def test_fewer_than_three_seeds_give_no_answer():
    (answer,) = asked(benchmark(0, gains={"one": 0.2}, seeds=2))
    assert answer.helped is None
    assert answer.text == "Primary question: not answered: it takes 3 seeds, and one has 2 seeds."
    assert asked([]) == ()
    (answer,) = asked(benchmark(0, gains={"one": 0.2}, seeds=1))
    assert answer.helped is None
    assert answer.text == "Primary question: not answered: it takes 3 seeds that all rows have."


def test_a_gain_that_stays_within_guessing_is_none():
    chance = {"scratch": 0.25, "raw": 0.2, "slope": 0.0, "seeds": 10, "noise": 0.003}
    records = benchmark(0, gains={"one": 0.03}, **chance)
    assert asked(records)[0].helped
    found = verdict(records)
    assert (found.kind, found.primary[0].helped) == (NO_HELP, False)
    assert "naming the commonest class" in found.primary[0].text


@pytest.mark.parametrize(("lost", "helped"), [(RAW[0], True), (SCRATCH, None)])
def test_a_baseline_may_fail_but_not_scratch(lost, helped):
    records = benchmark(0, gains={"one": 0.2})
    (answer,) = asked([failed(r) if r["row"] == lost else r for r in records])
    assert (answer.helped, answer.rivals) == (helped, 5)
    (alone,) = asked([r for r in records if r["kind"] == "strategy"])
    assert alone.helped is None
    assert "not answered: no strategy can be compared with scratch" in alone.text
    (other,) = asked(records, Named(strategy="two"))
    assert other.text.startswith("Primary question: not answered: two cannot be compared")


def test_a_row_that_lacks_a_seed_is_paired_over_the_others_and_tested_alone():
    whole = benchmark(4, gains={"one": 0.03, "two": 0.0, "three": 0.0}, seeds=6, raw=0.3)
    lacking = [
        failed(r) if (r["row"], r["seed"], r["labels"]) == ("one", 2, 50) else r for r in whole
    ]
    (answer,) = asked(lacking)
    assert (answer.strategy, answer.gain.n, answer.comparisons) == ("one", 5, 3)
    kept = np.delete(means(whole, "one") - means(whole, SCRATCH), 2)
    assert answer.gain.mean == pytest.approx(kept.mean())
    assert answer.gain.low == pytest.approx(stats.ttest_1samp(kept, 0).confidence_interval().low)


def test_tables_of_one_data_set_are_one_question_and_rows_without_pretraining_of_all_are_rivals():
    records = [
        {**r, "mode": mode, "accuracy": r["accuracy"] + extra}
        for mode, extra in (("fine-tune", 0.0), ("pool", 0.12))
        for r in benchmark(1, gains={"one": 0.06}, seeds=8)
        if mode == "fine-tune" or r["row"] == SCRATCH
    ]
    (answer,) = asked(records)
    assert answer.rival == "scratch (pool)"
    assert answer.rivals == len(RAW) + 3  # classical models stand in both tables, and count once
    assert (answer.helped, answer.strategy, answer.title) == (False, "one (fine-tune)", "fine-tune")


def test_data_sets_are_questions_that_are_corrected_together():
    records = [
        r
        for i, task in enumerate(("shoes", "hats"))
        for r in benchmark(i, gains={"one": 0.08 * i, "two": 0.0}, task=task)
    ]
    shoes, hats = asked(records)
    assert (shoes.task, hats.task) == ("shoes", "hats")
    assert (shoes.helped, hats.helped) == (False, True)
    assert hats.text.startswith("Primary question, hats: yes. one, the best of 2 strategies,")
    assert shoes.comparisons == hats.comparisons == 4
    (alone,) = asked([r for r in records if r["task"] == "hats"])
    assert alone.p < hats.p
    assert {a.comparisons for a in asked(records, Named(strategy="one"))} == {2}


def test_a_strategy_named_when_there_were_results_is_one_of_all():
    records = benchmark(4, gains={"one": 0.03, "two": 0.0, "three": -0.01, "four": 0.01})
    (first,), (late,) = (asked(records, Named(strategy="one", cells=n)) for n in (0, 7))
    (everything,) = asked(records)
    assert (late.p, late.comparisons, late.late) == (everything.p, 4, 7)
    assert first.p < late.p
    assert "one, named beforehand, beats" in first.text
    assert late.text.endswith(
        "one was named when 7 cells of strategies had results, so it is one of all strategies here."
    )


def about(*steps):
    """benchmark.json after runs that named a strategy, each with so many cells done before it."""
    found = {}
    for strategy, cells in steps:
        found = {"primary": declare(found, strategy, cells)}
    return found


@pytest.mark.parametrize(
    ("steps", "named", "changed"),
    [
        ([(None, 0)], None, False),
        ([("a", 0)], Named(strategy="a"), False),
        ([("a", 0), ("a", 9)], Named(strategy="a"), False),
        ([(None, 0), ("a", 9)], Named(strategy="a", cells=9), True),
        (
            [("a", 4)],
            Named(strategy="a", cells=4),
            True,
        ),  # of a folder from before there was a name
        ([("a", 0), ("b", 5)], Named(strategy="b", cells=5), True),
        ([("a", 0), ("b", 5), ("a", 7)], Named(strategy="a"), True),
        ([("a", 0), (None, 5)], None, True),
        ([("a", 0), ("b", 0)], Named(strategy="b"), False),
    ],
)
def test_the_folder_remembers_what_was_named_and_when(steps, named, changed):
    found = about(*steps)
    assert Named.of(found) == named
    assert len(changes(found)) == changed


@pytest.mark.parametrize("broken", [None, "simclr", [1], [{"strategy": 3, "cells": 0}], [{}]])
def test_a_damaged_declaration_is_none(broken):
    assert Named.of({"primary": broken}) is None
    assert changes({"primary": broken}) == []
