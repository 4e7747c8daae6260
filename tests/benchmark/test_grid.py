from dataclasses import replace
from itertools import product

from benchmark.grid import RANDOM, SCRATCH, VIEWS, Arm, Cell, cells

SURROUNDINGS = {"recipe": {"epochs": 3}, "data": "abc"}


def ids(strategies=("one",), labels=(50,), seeds=(0, 1), surroundings=SURROUNDINGS):
    return {
        cell: cell.identity(surroundings)
        for cell in cells([Arm(strategies=strategies)], ["raw"], labels, seeds)
    }


def test_every_row_has_every_budget_and_seed_once_cheap_rows_first():
    grid = cells([Arm(strategies=["one", "two"])], ["raw"], [50, 200], [0, 1, 2])
    assert len(grid) == len(set(grid)) == 5 * 2 * 3
    rows = list(dict.fromkeys((cell.row, cell.kind) for cell in grid))
    assert rows == [
        ("raw", "raw"),
        (RANDOM, "fresh"),
        (SCRATCH, "fresh"),
        ("one", "strategy"),
        ("two", "strategy"),
    ]
    for row, _ in rows:
        here = [(cell.labels, cell.seed) for cell in grid if cell.row == row]
        assert here == list(product([50, 200], [0, 1, 2]))


def test_a_cell_keeps_its_identity_when_the_grid_grows():
    before = ids()
    after = ids(strategies=("zero", "one", "two"), labels=(20, 50, 200), seeds=(0, 1, 2, 3))
    assert {cell: after[cell] for cell in before} == before
    assert len(set(after.values())) == len(after)


def test_another_recipe_or_other_data_is_another_cell():
    cell = Cell(row="one", base="one", kind="strategy", labels=50, seed=0)
    variants = [
        SURROUNDINGS,
        {**SURROUNDINGS, "data": "abd"},
        {**SURROUNDINGS, "recipe": {"epochs": 4}},
        {},
    ]
    assert len({cell.identity(around) for around in variants}) == len(variants)
    assert cell.identity(dict(reversed(SURROUNDINGS.items()))) == cell.identity(SURROUNDINGS)
    assert len(cell.identity({})) == 16
    int(cell.identity({}), 16)


def test_several_arms_have_rows_of_their_own_and_raw_rows_once():
    arms = [
        Arm(encoder="mlp", mode="fine-tune", strategies=["one"], suffix=" (mlp)"),
        Arm(
            encoder="convnet",
            mode="fine-tune",
            strategies=["one", "two"],
            suffix=" (convnet)",
            views=True,
        ),
    ]
    grid = cells(arms, ["raw"], [50], [0], "clothes")
    assert [cell.row for cell in grid] == [
        "raw",
        f"{RANDOM} (mlp)",
        f"{SCRATCH} (mlp)",
        "one (mlp)",
        f"{RANDOM} (convnet)",
        f"{SCRATCH} (convnet)",
        f"{VIEWS} (convnet)",
        "one (convnet)",
        "two (convnet)",
    ]
    assert [cell.base for cell in grid[1:4]] == [RANDOM, SCRATCH, "one"]
    assert grid[0].encoder is None
    assert {cell.task for cell in grid} == {"clothes"}


def test_a_second_encoder_changes_words_and_no_identity():
    cell = Cell(row="one", base="one", kind="strategy", labels=50, seed=0)
    renamed = replace(cell, row="one (mlp)", encoder="mlp", mode="fine-tune")
    assert renamed.identity(SURROUNDINGS) == cell.identity(SURROUNDINGS)
    assert replace(cell, base="two").identity(SURROUNDINGS) != cell.identity(SURROUNDINGS)
