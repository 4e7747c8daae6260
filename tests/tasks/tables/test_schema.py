import json

import numpy as np
import pytest

from tasks.tables.schema import Column, Schema

AGE = Column(name="age", kind="numeric", center=40.0, scale=10.0, low=0.0, high=90.0, gaps=True)
JOB = Column(name="job", kind="categorical", levels=("nurse", "smith"), rare=True, gaps=True)
MEMBER = Column(name="member/x", kind="boolean")
SCHEMA = Schema(columns=(AGE, JOB, MEMBER), target="churn", ignored=("id",))
X = np.array([[0, 1, 1], [3, 2, 0], [np.nan, np.nan, np.nan], [-1e18, 0, 1]], np.float32)


def test_design_by_hand():
    z = 3 / np.sqrt(2) / 6 + 0.5
    wanted = [
        [0.5, 0, 0, 1, 0, 0, 1],
        [z, 0, 0, 0, 1, 0, 0],
        [0.5, 1, 0, 0, 0, 1, 0],
        [0, 0, 1, 0, 0, 0, 1],
    ]
    assert SCHEMA.design(X) == pytest.approx(np.array(wanted), abs=1e-6)
    assert (SCHEMA.width, SCHEMA.tokens) == (7, ["n2", "c4", "b1"])
    assert SCHEMA.design(np.repeat(X, 5000, axis=0)).shape == (20_000, 7)


def test_unseen_level_without_rare_ones_is_no_level():
    job = Column(name="job", kind="categorical", levels=("nurse", "smith"))
    assert Schema(columns=(job,)).design(np.array([[2], [1]], np.float32)).tolist() == [
        [0, 0],
        [0, 1],
    ]


def test_raw_columns():
    raw = SCHEMA.raw(X)
    assert list(raw) == ["age", "job", "member_x"]
    assert np.array_equal(raw["age"][:3, 0], [40, 70, np.nan], equal_nan=True)
    assert raw["job"][:, 0].tolist() == ["smith", "(other)", "", "nurse"]


def test_json_round_trip():
    assert Schema.from_json(json.loads(json.dumps(SCHEMA.to_json()))) == SCHEMA


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"columns": []}, "1 to"),
        ({"target": 3}, "no name"),
        ({"more": 1}, "exactly columns"),
        ({0: {"scale": 0.0}}, "above 0"),
        ({0: {"center": float("nan")}}, "finite"),
        ({0: {"center": True}}, "finite"),
        ({0: {"kind": "text"}}, "unknown kind"),
        ({0: {"levels": ["a"]}}, "levels it cannot have"),
        ({0: {"name": "zebra"}}, "sorted"),
        ({0: {"name": ""}}, "without a name"),
        ({1: {"levels": ["a", "a"]}}, "different texts"),
        ({1: {"levels": [f"{k}" for k in range(300)]}}, "more than 256"),
        ({1: {"rare": 1}}, "true nor false"),
        ({2: {"more": 1}}, "exactly"),
    ],
)
def test_schemas_of_others_are_read_without_trust(change, says):
    raw = SCHEMA.to_json()
    for key, value in change.items():
        if isinstance(key, int):
            raw["columns"][key] |= value
        else:
            raw[key] = value
    with pytest.raises(ValueError, match=says):
        Schema.from_json(raw)


def test_names_of_inputs_have_no_slash_and_differ():
    columns = tuple(Column(name=name, kind="boolean") for name in ("a/b", "a_b", "c/d"))
    assert Schema(columns=columns).inputs == ["a_b_", "a_b", "c_d"]
