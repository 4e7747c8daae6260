import datetime

import numpy as np
import pytest

from headstart.errors import InputError
from tasks.tables.cells import read_cells

pandas = pytest.importorskip("pandas")


def cells(values, dtype=None, **how):
    return read_cells(
        pandas.Series(values, dtype=dtype), "pay", lambda row: f"line {row + 2}", **how
    )


SAME = {
    "int": ([1, 0, 1, 0], "int64"),
    "small": ([1, 0, 1, 0], "uint8"),
    "float": ([1.0, -0.0, 1.0, 0.0], "float32"),
    "bool": ([True, False, True, False], "bool"),
    "nullable": ([True, False, True, False], "boolean"),
    "text": (["1", "0.0", " 1e0 ", "+0"], "object"),
    "words": (["True", "FALSE", "true", "False"], "object"),
    "mixed": ([1, False, "1", 0.0], "object"),
    "category": (["1", "0", "1", "0"], "category"),
}


@pytest.mark.parametrize("name", SAME)
def test_one_value_means_the_same_in_every_type(name):
    found = cells(*SAME[name])
    assert (found.kind, found.numbers.tolist()) == ("number", [1, 0, 1, 0])
    assert found.factored()[1] == ["0", "1"]


@pytest.mark.parametrize(
    "values",
    [[5.0, None, 7.0], ["5", "", "7"], ["5", "NA", "7"], ["5", "?", 7.0], [5, np.nan, 7]],
)
def test_gaps_are_gaps_in_every_spelling(values):
    found = cells(values, "object")
    assert found.factored()[0].tolist() == [0, -1, 1]
    assert np.array_equal(found.numbers, [5, np.nan, 7], equal_nan=True)


def test_large_whole_numbers_keep_their_digits():
    numbers = [1_700_000_000_000_001, 1_700_000_000_000_002]
    assert cells(numbers).numbers.tolist() == numbers
    assert cells([str(n) for n in numbers], "object").numbers.tolist() == numbers


@pytest.mark.parametrize(
    "values",
    [
        ["1970-01-02", "1969-12-31T12:00:00Z", None],
        [datetime.date(1970, 1, 2), datetime.datetime(1969, 12, 31, 12), None],
        pandas.to_datetime(["1970-01-02", "1969-12-31T12:00", None], format="ISO8601"),
        pandas.to_datetime(["1970-01-02", "1969-12-31T12:00", None], format="ISO8601").tz_localize(
            "UTC"
        ),
    ],
)
def test_dates_are_days(values):
    found = cells(values)
    assert found.kind == "date"
    assert np.array_equal(found.numbers, [1, -0.5, np.nan], equal_nan=True)


def test_text_is_text():
    found = cells(["b", " a ", None, "3"], "object")
    assert (found.kind, found.levels, found.data.tolist()) == (
        "text",
        ["3", "a", "b"],
        [2, 1, -1, 0],
    )
    assert cells([3, 3.0, "x", 4, 5], "object", as_text=True).levels == ["3", "4", "5", "x"]
    assert cells([True, "maybe", None, "no"], "object").levels == ["True", "maybe", "no"]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([1, 2, 3, "abc", 4], "'abc' in line 5 among numbers"),
        (["1,5", "2,25", None], "decimal comma in line 2 ('1,5')"),
        (["x", 1, 2, "1,5"], "'x' in line 2 among numbers"),
        (["2020-01-01", "2020-01-02", "soon"], "'soon' in line 4 among dates"),
        ([1.0, np.inf], "infinite number in line 3"),
        (["1", "2", "1e999"], "infinite number in line 4"),
        ([1, [2], 3], "a list in line 3"),
    ],
)
def test_strange_cells_are_named_by_column_and_line(values, says):
    with pytest.raises(InputError) as caught:
        cells(pandas.Series(values, dtype=None if isinstance(values[0], float) else object))
    assert "'pay'" in caught.value.rule
    assert says in caught.value.rule
