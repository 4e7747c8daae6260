from pathlib import Path

import numpy as np
import pytest

from headstart.errors import InputError
from tasks.loading.resolve import as_dataset, load_dataset
from tasks.loading.tables import TableReading

pandas = pytest.importorskip("pandas")

ROWS = 60


def people(seed=0):
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 90, ROWS)
    job = rng.choice(["nurse", "smith", "clerk"], ROWS).astype(object)
    job[::7] = None
    pay = np.round(rng.normal(3000, 400, ROWS), 2)
    pay[5] = np.nan
    since = np.array(["2020-01-01", "2021-06-30", "2019-03-03"], object)[rng.integers(0, 3, ROWS)]
    stamp = 1_700_000_000_000 + rng.integers(0, 50, ROWS)
    churn = np.where(age > 50, "yes", "no").astype(object)
    churn[40:] = None
    return pandas.DataFrame(
        {
            "age": age + rng.integers(0, 2, ROWS) * 0.0,
            "job": job,
            "pay": pay,
            "member": rng.random(ROWS) < 0.4,
            "since": since,
            "stamp": stamp,
            "churn": churn,
        }
    )


def load(path, **how):
    return load_dataset(str(path), table=TableReading(**how))


@pytest.fixture
def table(tmp_path):
    people().to_csv(tmp_path / "people.csv", index=False)
    return tmp_path / "people.csv"


def test_columns_target_and_rows(table):
    made = load(table, target="churn")
    kinds = {column.name: column.kind for column in made.schema.columns}
    assert kinds == {
        "age": "numeric",
        "job": "categorical",
        "member": "boolean",
        "pay": "numeric",
        "since": "date",
        "stamp": "numeric",
    }
    assert (made.x.dtype, made.x.shape, made.class_names) == (np.float32, (40, 6), ("no", "yes"))
    assert np.isnan(made.x[::7, 1]).all()
    assert made.x[:, 5].std() > 0.5  # scaled before float32
    every = load(table, target="churn", rows="all")
    assert (every.y, every.x.shape, every.schema) == (None, (60, 6), made.schema)
    assert np.array_equal(every.x[:40], made.x, equal_nan=True)
    assert any("20 rows without 'churn'" in note for note in made.notes)


def spelled(frame):
    """The same table in other types."""
    yield frame[frame.columns[::-1]]
    yield frame.assign(member=frame.member.astype(int), age=frame.age.astype("int64"))
    yield frame.assign(member=frame.member.astype(float), stamp=frame.stamp.astype("float64"))
    yield frame.assign(since=pandas.to_datetime(frame.since), job=frame.job.astype("category"))
    texts = frame.astype(object)
    yield texts.map(lambda value: None if pandas.isna(value) else str(value))
    yield frame.convert_dtypes()


def test_one_table_in_many_forms_has_one_fingerprint(table, tmp_path):
    pytest.importorskip("pyarrow")
    import pyarrow

    how = TableReading(target="churn")
    wanted = load(table, target="churn")
    for frame in spelled(people()):
        made = as_dataset(frame, table=how)
        assert (made.schema, made.fingerprint) == (wanted.schema, wanted.fingerprint)
    people().to_parquet(tmp_path / "people.parquet")
    people().to_csv(tmp_path / "people.tsv", sep="\t", index=False)
    (tmp_path / "bom.csv").write_bytes(b"\xef\xbb\xbf" + table.read_bytes())
    (tmp_path / "tabs.csv").write_bytes((tmp_path / "people.tsv").read_bytes())
    for delimiter in ("tab", "\t", "\\t"):
        made = load(tmp_path / "tabs.csv", target="churn", delimiter=delimiter)
        assert made.fingerprint == wanted.fingerprint
    with pytest.raises(InputError, match="delimiter='tab'"):
        load(tmp_path / "tabs.csv")
    for path in ("people.parquet", "people.tsv", "bom.csv"):
        assert load(tmp_path / path, target="churn").fingerprint == wanted.fingerprint
    arrow = pyarrow.Table.from_pandas(people(), preserve_index=False)
    assert as_dataset(arrow, table=how).fingerprint == wanted.fingerprint


def test_kinds_of_the_user_hold(table):
    made = load(table, target="churn", column=("age=categorical", "pay=ignore"), ignore=("since",))
    assert [column.name for column in made.schema.columns] == ["age", "job", "member", "stamp"]
    assert made.schema.columns[0].levels
    assert set(made.schema.ignored) == {"pay", "since"}
    numbers = load(table, target="age")
    assert (numbers.target, len(numbers.x)) == ("numbers", 60)
    assert load(table, target="age", column=("age=categorical",)).target == "classes"


def test_targets_are_the_same_classes_in_every_type():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=30), rng.integers(0, 2, 30)
    for told in (y, y.astype(bool), y.astype(float), y.astype(str), y.astype("int8")):
        made = as_dataset(pandas.DataFrame({"x": x, "y": told}), table=TableReading(target="y"))
        assert (made.y.tolist(), made.class_names) == (y.tolist(), None)
    given = as_dataset((pandas.DataFrame({"x": x}), y))
    assert (given.y.tolist(), given.class_names, given.schema.names) == (y.tolist(), None, ["x"])
    frame = pandas.DataFrame({"x": x})
    four = as_dataset((frame, y, frame[:5], y[:5]))
    assert np.array_equal(four.x_test, four.x[:5])


def test_columns_that_would_mislead_are_passed_over_or_warned_of():
    frame = people().assign(
        id=np.arange(ROWS) + 1,
        user_id=np.random.default_rng(1).permutation(ROWS) * 7,
        code=[f"c{k}" for k in range(ROWS)],
        note=[f"a text of its own, number {k}" for k in range(ROWS)],
        same="x",
        empty=None,
        again=people().churn.map({"yes": 7, "no": 3}),
    )
    made = as_dataset(frame, table=TableReading(target="churn"))
    assert set(made.schema.ignored) == {"id", "user_id", "code", "note", "same", "empty"}
    said = "\n".join(made.notes)
    assert "'id' is not used: it counts the rows" in said
    assert "'user_id' is not used: it names the rows" in said
    assert "'note' is not used: it holds free text" in said
    assert "'again' says what 'churn' is" in said
    used = as_dataset(frame, table=TableReading(target="churn", column=("id=numeric",)))
    assert "id" in used.schema.names


def test_new_rows_are_read_by_the_schema_of_the_pool(table):
    pool = load(table, target="churn", rows="all")
    few = people(seed=3).iloc[:12]
    made = as_dataset(few, table=TableReading(like=pool.schema))
    assert made.schema == pool.schema
    alone = as_dataset(people(seed=3), table=TableReading(like=pool.schema))
    assert np.array_equal(made.x, alone.x[:12], equal_nan=True)
    without = as_dataset(
        few.drop(columns="churn"), table=TableReading(like=pool.schema, rows="all")
    )
    assert np.array_equal(made.x, without.x, equal_nan=True)


@pytest.mark.parametrize(
    ("change", "says", "hint"),
    [
        (lambda f: f.rename(columns={"pay": "pays"}), "no column 'pay'", "'pays'"),
        (lambda f: f.drop(columns="job"), "no column 'job'", "pretrain without"),
        (lambda f: f.assign(age="old"), "'age' was numeric", "as it was"),
        (lambda f: f.assign(member=f.age), "'member' was boolean", ""),
        (lambda f: f.assign(job="king"), "'job' was categorical", ""),
    ],
)
def test_changed_columns_are_refused_by_name(table, change, says, hint):
    like = load(table, target="churn", rows="all").schema
    with pytest.raises(InputError) as caught:
        as_dataset(change(people(seed=1)), table=TableReading(like=like))
    assert says in caught.value.rule
    assert hint in caught.value.hint


def test_other_units_levels_gaps_and_columns_are_warned_of(table):
    like = load(table, target="churn", rows="all").schema
    frame = people(seed=1)
    frame = frame.assign(pay=frame.pay / 1000, extra=1, age=frame.age.where(frame.age > 30))
    frame["job"] = ["king"] * 50 + ["smith"] * 10
    said = "\n".join(as_dataset(frame, table=TableReading(like=like)).notes)
    assert "'pay' holds" in said
    assert "another unit" in said
    assert "'age' has" in said
    assert "gaps" in said
    assert "no columns 'extra'" in said
    assert "'job' has levels" in said
    quiet = as_dataset(people(seed=1), table=TableReading(like=like)).notes
    assert not [note for note in quiet if note.startswith("Warning")]


@pytest.mark.parametrize(
    ("how", "argument", "hint"),
    [
        ({"target": "chrun"}, "target", "'churn'"),
        ({"ignore": ("pey",)}, "ignore", "'pay'"),
        ({"column": ("pay=number",)}, "column", "numeric"),
        ({"column": ("pay",)}, "column", ""),
        ({"column": ("jop=categorical",)}, "column", "'job'"),
        ({"column": ("job=numeric",)}, "column", ""),
        ({"column": ("age=boolean",)}, "column", ""),
        ({"target": "churn", "ignore": ("churn",)}, "target", ""),
        ({"target": "since"}, "target", ""),
        ({"delimiter": ";;"}, "delimiter", ""),
        ({"ignore": ("age", "job", "pay", "member", "since", "stamp", "churn")}, None, "--column"),
    ],
)
def test_options_about_columns_are_checked(table, how, argument, hint):
    with pytest.raises(InputError) as caught:
        load(table, **how)
    assert caught.value.argument == argument
    assert hint.replace("--", "") in caught.value.hint


def test_a_target_that_was_an_input_is_refused(table):
    like = load(table).schema
    with pytest.raises(InputError) as caught:
        load(table, target="churn", like=like)
    assert (caught.value.argument, caught.value.value) == ("target", "churn")
    assert "ignore" in caught.value.hint
    with pytest.raises(InputError) as caught:
        load(table, like=load(table, ignore=("churn",)).schema, needs_target=True)
    assert "churn" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"a,b\n", "no rows"),
        (b"a,b\n1,2\n3\n", "1 cell in line 3, and 2 columns"),
        (b"a,b\n1,2\n\n3,4,5\n", "3 cells in line 4, and 2 columns"),
        (b"a;b;c\n1;2;3\n", "no comma in line 1, and 2 times a semicolon"),
        (b"a,b,a\n1,2,3\n", "two columns called 'a', the 1. and the 3."),
        (b"a,,c\n1,2,3\n", "no name for column 2"),
        (b"a,b\n1,2\n3,\0\n", "NUL byte in line 3"),
        (b"a,b\n1,2\n3,caf\xe9\n", "line 3 has the byte 0xe9"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        (b'a,b\n1,"2\n3,4\n', "line"),
        (b"a,b\n1,x\n2,3\n3,4\n", "'b' holds 'x' in line 2 among numbers"),
        (b'a,b\n1,"1,5"\n2,"2,5"\n', "'b' has a decimal comma in line 2"),
        (b"1,2\n3,4\n", "numbers only in line 1"),
        (b"a,t\n1,5\n2,5\n3,5\n", "'t', the target, is '5' in every labelled row"),
        (b"a,t\n1,\n2,\n3,\n", "'t', the target, is empty"),
    ],
)
def test_bad_files_are_refused_in_a_sentence_with_the_place(tmp_path, content, says):
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    target = "t" if content.startswith(b"a,t") else None
    with pytest.raises(InputError) as caught:
        load(path, target=target)
    assert says in caught.value.rule
    assert "\n" not in str(caught.value)


def test_damaged_parquet_is_refused(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        load(tmp_path / "bad.parquet")


def test_a_file_larger_than_memory_is_refused(tmp_path, monkeypatch):
    path = Path(tmp_path / "large.csv")
    path.write_text("a,b\n1,2\n")
    monkeypatch.setattr("tasks.tables.read._free_memory", lambda: 20)
    with pytest.raises(InputError, match="memory"):
        load(path)


def test_lines_are_those_of_the_file(tmp_path):
    path = tmp_path / "lines.csv"
    path.write_text('a,b\n1,"two\nlines"\n\n2,x\nthree,y\n4,z\n')
    with pytest.raises(InputError, match="line 6"):
        load(path)


def test_options_of_tables_are_refused_elsewhere():
    with pytest.raises(InputError) as caught:
        load_dataset("digits", table=TableReading(target="y"))
    assert caught.value.argument == "target"
    with pytest.raises(InputError):
        load_dataset("digits", table=TableReading(like=as_dataset(people()).schema))


def test_without_pandas_the_extra_is_named(table, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError) as caught:
        load(table)
    assert "headstart[tables]" in caught.value.hint
