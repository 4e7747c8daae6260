"""Reading a benchmark's folder: what is damaged is told, what is missing is an error."""

import json

import pytest
from records import about, benchmark, write

from benchmark.store import BenchmarkFolder
from headstart.errors import InputError


def read(folder):
    return BenchmarkFolder(folder).read()


RECORDS = benchmark(0, gains={"one": 0.02}, labels=(50,), seeds=2)
GOOD = RECORDS[-1]


def lines(folder, *texts):
    folder.mkdir(exist_ok=True)
    (folder / "results.jsonl").write_text("\n".join(texts) + "\n")
    return folder


def test_it_reads_what_was_written(tmp_path):
    write(tmp_path, RECORDS, about())
    found = read(tmp_path)
    assert found.records == RECORDS
    assert found.about == about()
    assert found.warnings == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-30],
        lambda text: "",
        lambda text: "null",
        lambda text: "[" * 100_000,
        lambda text: json.dumps({**json.loads(text), "accuracy": float("nan")}),
        lambda text: json.dumps({**json.loads(text), "accuracy": 1.5}),
        lambda text: json.dumps({**json.loads(text), "accuracy": "0.9"}),
        lambda text: json.dumps({**json.loads(text), "accuracy": True}),
        lambda text: json.dumps({**json.loads(text), "labels": "50"}),
        lambda text: json.dumps({**json.loads(text), "labels": 0}),
        lambda text: json.dumps({**json.loads(text), "seed": 1.5}),
        lambda text: json.dumps({**json.loads(text), "kind": "magic"}),
        lambda text: json.dumps({**json.loads(text), "status": "well"}),
        lambda text: json.dumps({**json.loads(text), "seconds": "long"}),
        lambda text: json.dumps({**json.loads(text), "confusion": [[1, 2]]}),
        lambda text: json.dumps({**json.loads(text), "confusion": [[0, 0], [0, 0]]}),
        lambda text: text.replace('"row"', '"raw"'),
        lambda text: "\x00\ufffd" + text,
    ],
)
def test_a_damaged_line_is_left_out_and_told(tmp_path, damage):
    good, bad = json.dumps({**GOOD, "seed": 9}), damage(json.dumps(GOOD)) or "{}"
    found = read(lines(tmp_path, bad, good))
    assert [r["seed"] for r in found.records] == [9]
    assert any("1 damaged line of results.jsonl" in w and "number 1" in w for w in found.warnings)


def test_bytes_that_are_no_text_are_damage_too(tmp_path):
    (tmp_path / "results.jsonl").write_bytes(b"\xff\xfe\x00\n" + json.dumps(GOOD).encode() + b"\n")
    assert len(read(tmp_path).records) == 1


@pytest.mark.parametrize("content", [None, "{", "[]", "7"])
def test_without_what_it_is_about_the_numbers_are_there_still(tmp_path, content):
    write(tmp_path, RECORDS)
    if content is not None:
        (tmp_path / "benchmark.json").write_text(content)
    found = read(tmp_path)
    assert (found.records, found.about) == (RECORDS, {})
    assert "benchmark.json was not used" in found.warnings[0]


def test_of_several_records_of_a_cell_the_first_counts(tmp_path):
    old = [{**r, "id": f"old{i}", "accuracy": 0.1} for i, r in enumerate(RECORDS)]
    write(tmp_path, [*RECORDS, *old], about())
    assert read(tmp_path).records == RECORDS


def test_a_folder_without_results_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(
        InputError, match=r"holds no benchmark: there is no results.jsonl in it. Run a bench"
    ):
        read(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        read(tmp_path / "nowhere")
    lines(tmp_path, "{}", "")
    with pytest.raises(InputError, match="holds no result that can be read"):
        read(tmp_path)
    (tmp_path / "results.jsonl").unlink()
    (tmp_path / "results.jsonl").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path)
