import math

import pytest

from benchmark.analysis.rows import tables as summarise
from benchmark.grid import RANDOM, SCRATCH
from benchmark.report.markdown import claims, markdown, table_lines

SCRATCH_SCORES = [0.80, 0.84, 0.82, 0.86]


def record(row, seed, accuracy, labels=50, kind="strategy", **more):
    base = {"row": row, "kind": kind, "labels": labels, "seed": seed, "seconds": 2.0}
    if accuracy is None:
        return {**base, "status": "failed", "reason": "it became non-finite", **more}
    return {**base, "status": "done", "accuracy": accuracy, **more}


def records(scores, *, raw=0.5, scratch=SCRATCH_SCORES, labels=50):
    rows = [record("raw 1-NN", s, raw, labels, "raw") for s in range(len(scratch))]
    rows += [record(SCRATCH, s, a, labels, "fresh") for s, a in enumerate(scratch)]
    return rows + [
        record("way", s, a, labels, transfer_seconds=1.5, pretrain_seconds=10.0)
        for s, a in enumerate(scores)
    ]


def claim(scores, **how):
    (said,) = claims(summarise(records(scores, **how)))
    return said


def test_a_gain_that_its_interval_supports():
    # differences 5, 6, 5, 6 points: mean 5.5, s 0.57735, t_3 = 3.182446: +- 0.918692
    assert claim([0.85, 0.90, 0.87, 0.92]) == (
        "50 labels: way beats scratch (+5.50 points, 95 % interval +4.58 to +6.42, 4 seeds paired)."
    )


def test_a_gain_that_its_interval_does_not_support():
    said = claim([0.95, 0.80, 0.90, 0.82])
    assert said.startswith("50 labels: way is not shown to differ from scratch (+3.75 points, ")
    assert "beats" not in said


def test_a_loss():
    said = claim([0.75, 0.78, 0.77, 0.80])
    assert said.startswith("50 labels: way is worse than scratch (-5.50 points, ")


def test_one_seed_proves_nothing():
    said = claim([0.99], scratch=[0.5])
    assert said == "50 labels: way against scratch +49.00 points: one seed proves nothing."


def test_raw_values_that_do_as_well_are_named():
    said = claim([0.85, 0.90, 0.87, 0.92], raw=0.994)
    assert said.endswith("; raw 1-NN alone reaches 99.40 %, more than its 88.50 %.")
    assert "alone" not in claim([0.85, 0.90, 0.87, 0.92], raw=0.8)


def test_a_failed_cell_is_shown_and_in_no_mean():
    tables = summarise(records([0.85, None, 0.87, 0.92]))
    (way,) = [row for row in tables[""][50] if row.name == "way"]
    assert way.accuracy.n == way.gain.n == 3
    assert way.accuracy.mean == pytest.approx((0.85 + 0.87 + 0.92) / 3)
    assert way.gain.mean == pytest.approx((0.05 + 0.05 + 0.06) / 3)
    assert way.failed == ("it became non-finite",)
    assert "3 (1 failed)" in markdown(tables)


def test_a_row_that_failed_altogether_is_shown_and_claims_nothing():
    tables = summarise(records([None] * 4))
    (line,) = [line for line in table_lines(tables[""][50]) if line[0] == "way"]
    assert line[5] == "0 (4 failed)"
    assert claims(tables) == []


def test_failures_of_scratch_leave_the_pairs_that_are_whole():
    (way,) = summarise(records([0.9] * 4, scratch=[0.8, None, 0.8, 0.8]))[""][50][-1:]
    assert (way.accuracy.n, way.gain.n) == (4, 3)


def test_the_table_is_in_percent_with_costs():
    tables = summarise(records([0.85, 0.90, 0.87, 0.92]))
    header, *body = table_lines(tables[""][50])
    assert header[0] == "row"
    lines = {line[0]: line for line in body}
    assert list(lines) == ["raw 1-NN", SCRATCH, "way"]
    assert lines["way"][1] == "88.50"
    assert lines["way"][3:5] == ("+5.50", "+4.58 to +6.42")
    assert lines["way"][5:] == ("4", "10.0 + 1.5")
    assert lines[SCRATCH][3:5] == ("", "")
    assert lines["raw 1-NN"][6] == "2.0"


def test_each_budget_has_a_table_of_its_own():
    rows = records([0.9] * 4) + records([0.7] * 4, labels=200)
    tables = summarise(rows)
    assert list(tables[""]) == [50, 200]
    text = markdown(tables)
    assert text.index("**50 labels**") < text.index("**200 labels**")
    assert [said.split(":")[0] for said in claims(tables)] == ["50 labels", "200 labels"]


def test_rows_that_are_no_strategy_claim_nothing():
    rows = [record(RANDOM, s, 0.99, kind="fresh") for s in range(4)]
    assert claims(summarise(records([], raw=0.99) + rows)) == []


def test_one_seed_shows_no_interval():
    tables = summarise(records([0.9], scratch=[0.8]))
    way = table_lines(tables[""][50])[-1]
    assert way[2] == way[4] == "–"
    assert math.isnan(tables[""][50][-1].accuracy.low)


def test_costs_are_processor_time_where_all_rows_have_it():
    def spent(record):
        strategy = record["kind"] == "strategy"
        return {**record, "cpu_seconds": 0.5} | ({"pretrain_cpu_seconds": 4.0} if strategy else {})

    found = records([0.85, 0.90, 0.87, 0.92])
    header, *body = table_lines(summarise([spent(r) for r in found])[""][50])
    assert (header[-1], body[-1][-1]) == ("CPU-seconds", "4.0 + 0.5")
    mixed = [spent(r) if r["kind"] == "raw" else r for r in found]
    header, *body = table_lines(summarise(mixed)[""][50])
    assert (header[-1], body[-1][-1]) == ("seconds", "10.0 + 1.5")
