from itertools import product

from benchmark.grid import RANDOM, SCRATCH, Cell, cells

SURROUNDINGS = {"recipe": {"epochs": 3}, "data": "abc"}


def ids(strategies=("one",), labels=(50,), seeds=(0, 1), surroundings=SURROUNDINGS):
    return {cell: cell.identity(surroundings) for cell in cells(strategies, ["raw"], labels, seeds)}


def test_every_row_has_every_budget_and_seed_once_cheap_rows_first():
    grid = cells(["one", "two"], ["raw"], [50, 200], [0, 1, 2])
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
    cell = Cell(row="one", kind="strategy", labels=50, seed=0)
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
