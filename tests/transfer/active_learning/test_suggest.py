"""Which examples are suggested, the files between the commands, and training on just those."""

import csv
import json
import math

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from toys import listing, patterns
from transfers import weights

from headstart.errors import InputError
from transfer.active_learning.selection_file import data_digest, read_selection, to_csv
from transfer.active_learning.typiclust import Suggestion, image_grid, suggest
from transfer.cli import cli


def groups(sizes, *, dimensions=6, spread=0.05, seed=0):
    """Features around as many centres as sizes, and which centre each belongs to."""
    rng = np.random.default_rng(seed)
    centres = 5 * rng.normal(size=(len(sizes), dimensions))
    which = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    noise = spread * rng.normal(size=(len(which), dimensions))
    return (centres[which] + noise).astype(np.float32), which


def test_one_of_each_group_the_largest_first():
    features, which = groups([50, 20, 90, 5])
    found = suggest(features, 4)
    assert which[found.rows].tolist() == [2, 0, 1, 3]
    assert found.sizes.tolist() == [90, 50, 20, 5]
    assert found.rows.dtype == np.int64
    # Each is the one nearest to the nearest three quarters of its group.
    x = features.astype(np.float64)
    for row, distance in zip(found.rows, found.distances, strict=True):
        members = np.flatnonzero(which == which[row])
        apart = np.linalg.norm(x[members, None] - x[members], axis=-1)
        count = math.ceil(0.75 * len(members))
        density = np.sort(apart, axis=1)[:, :count].mean(axis=1)
        assert members[density.argmin()] == row
        centre = x[members].mean(0)
        assert distance == pytest.approx(np.linalg.norm(x[row] - centre), abs=1e-4)


def test_the_seed_decides():
    features = np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32)
    first = suggest(features, 20, 3).rows
    assert np.array_equal(first, suggest(features, 20, 3).rows)
    assert not np.array_equal(first, suggest(features, 20, 4).rows)
    assert len(set(first.tolist())) == 20


def test_a_large_set_is_sampled_but_chosen_from_whole(monkeypatch):
    monkeypatch.setattr("transfer.active_learning.typiclust.MAX_SAMPLE", 100)
    features, which = groups([600, 500, 400], spread=0.2)
    found = suggest(features, 3)
    assert found.sizes.tolist() == [600, 500, 400]
    assert which[found.rows].tolist() == [0, 1, 2]


@pytest.mark.parametrize("n", [1, 3, 10])
def test_equal_features_fill_up_to_the_number(n):
    features = np.repeat(np.eye(3, 4, dtype=np.float32), [4, 4, 2], axis=0)
    rows = suggest(features, n).rows.tolist()
    assert len(set(rows)) == n
    assert n < 3 or len({tuple(features[row]) for row in rows}) == 3


@pytest.mark.parametrize("n", [0, 11])
def test_the_number_must_be_there(n):
    with pytest.raises(InputError, match=r"must be 1 to 10.* Got"):
        suggest(np.ones((10, 2)), n)


def test_points_must_be_finite():
    with pytest.raises(InputError) as caught:
        suggest(np.full((10, 2), np.nan), 3)
    assert caught.value.argument == "points"


def test_a_rare_group_gets_a_label():
    features, which = groups([1000, 700, 4, 900], spread=0.1)
    assert sorted(which[suggest(features, 4).rows]) == [0, 1, 2, 3]


def test_a_dense_spot_at_the_rim_of_a_group_is_not_typical():
    rng = np.random.default_rng(0)
    group, spot = rng.normal(size=(170, 2)), 0.01 * rng.normal(size=(30, 2)) + [2.2, 0.0]
    rows = suggest(np.concatenate([group, spot]), 1).rows
    assert rows[0] < 170
    assert np.linalg.norm(group[rows[0]]) < 0.6


def test_a_large_group_is_compared_with_a_part_of_it(monkeypatch):
    monkeypatch.setattr("transfer.active_learning.typiclust.MAX_MEMBERS", 50)
    features, which = groups([600, 500], spread=0.2)
    rows = suggest(features, 2).rows
    for row in rows:
        members = features[which == which[row]]
        apart = np.linalg.norm(members - members.mean(0), axis=1)
        near = np.linalg.norm(features[row] - members.mean(0))
        assert (apart < near).mean() < 0.1


def test_an_outlier_and_the_rim_of_a_group_are_not_typical():
    rng = np.random.default_rng(0)
    # Three in ten lie on a wide ring around the others.
    ring = rng.normal(size=(60, 2))
    ring *= 2 / np.linalg.norm(ring, axis=1, keepdims=True)
    group = np.concatenate([0.2 * rng.normal(size=(140, 2)), ring])
    features = np.concatenate([group - 6, group + 6, [[8.0, 2.0]]])
    rows = suggest(features, 2).rows
    assert sorted(rows // 200) == [0, 1]
    assert (rows % 200 < 140).all()


def test_pictures_are_of_images_only():
    x = patterns(9).x
    assert image_grid(x, (0, 255)).shape == (26, 26)
    # Of a uint8 set, the pixels themselves.
    assert np.array_equal(image_grid(x, (0, 255))[:8, :8], x[0, ..., 0])
    assert image_grid(x.reshape(9, -1), (0, 255)) is None
    assert image_grid(np.repeat(x, 4, axis=-1), (0, 255)) is None


X = np.arange(40, dtype=np.uint8).reshape(10, 4)
THREE = Suggestion(
    rows=np.array([7, 0, 4]), sizes=np.array([5, 3, 2]), distances=np.array([0.25, 0.5, 0.0])
)


def test_the_table_is_read_back(tmp_path):
    path = tmp_path / "chosen.csv"
    path.write_text(to_csv(THREE, X, None))
    mark = data_digest(X)
    assert path.read_text().splitlines()[:2] == [
        "index,cluster_size,distance,data",
        f"7,5,0.250000,{mark}",
    ]
    assert read_selection(path, X) == (7, 0, 4)
    files = tuple(f"{i}.png" for i in range(10))
    named = to_csv(THREE, X, files)
    assert named.splitlines()[1].startswith("7,7.png,5,")
    # A person may drop lines, add columns, and save it with a byte order mark.
    lines = [f"{line},note" for line in named.splitlines()]
    path.write_text("\n".join([lines[0], lines[3]]), encoding="utf-8-sig")
    assert read_selection(path, X) == (4,)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.replace("7,", "10,", 1), "a number from 0 to 9. Got '10'"),
        (lambda t: t.replace("7,", "-1,", 1), "Got '-1'"),
        (lambda t: t.replace("7,", "seven,", 1), "Got 'seven'"),
        (lambda t: t.replace("7,", "4,", 1), "names the index 4 twice"),
        (lambda t: t.replace("index", "row"), "must have the columns index and data"),
        (lambda t: t.splitlines()[0], "a line an example"),
        (lambda t: "", "must have the columns"),
        (lambda t: t.replace(data_digest(X), "0" * 16), "names examples of other data"),
        (lambda t: t + "8\n", "names examples of other data"),
        (lambda t: t + "\udcff", "cannot be read"),
    ],
)
def test_a_bad_table_is_refused(tmp_path, change, says):
    path = tmp_path / "chosen.csv"
    path.write_text(change(to_csv(THREE, X, None)), errors="surrogateescape")
    with pytest.raises(InputError, match=says):
        read_selection(path, X)


def test_other_or_differently_split_data_has_another_mark(tmp_path):
    with pytest.raises(InputError, match=r"cannot be read: .*No such file"):
        read_selection(tmp_path / "none.csv", X)
    marks = {data_digest(x) for x in (X, X[::-1], X[:9], X.astype(np.float32), X.reshape(20, 2))}
    assert len(marks) == 5


@pytest.fixture
def folder(tmp_path):
    data = patterns(test=30)
    np.savez(tmp_path / "data.npz", x=data.x, y=data.y, x_test=data.x_test, y_test=data.y_test)
    np.savez(tmp_path / "whole.npz", x=data.x, y=data.y)
    np.savez(tmp_path / "table.npz", x=data.x.reshape(80, -1))
    for name, shape in (("weights", (8, 8, 1)), ("table", (64,))):
        weights(shape=shape).write(tmp_path / f"{name}.h5")
    for i, image in enumerate(data.x[:12]):
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(image[..., 0]).save(tmp_path / "photos" / f"{i:02}.png")
    return tmp_path


def invoke(*arguments):
    done = CliRunner().invoke(cli, [str(part) for part in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


def choose(folder, *more, data="data.npz", file="weights.h5", labels=12):
    arguments = ["suggest", "--from", folder / file, "--pool", folder / data]
    arguments += ["--labels", labels, "--out", folder / "chosen.csv", "--json", "--quiet", *more]
    done = invoke(*arguments)
    assert done.stderr == ""
    return json.loads(done.stdout)


def train(folder, *more, data="data.npz"):
    arguments = ["--from", folder / "weights.h5", "--data", folder / data, "--json", "--quiet"]
    arguments += ["--out", folder / "model.keras", "--epochs", 1, "--freeze-epochs", 1, *more]
    return json.loads(invoke(*arguments).stdout)


def test_suggested_examples_are_those_trained_on(folder, monkeypatch):
    result = choose(folder)
    assert (result["labels"], result["examples"]) == (12, 80)
    with (folder / "chosen.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [int(line["index"]) for line in lines] == result["indices"]
    # Four by three of 8 pixels, with gaps.
    assert np.asarray(Image.open(folder / "chosen.png")).shape == (26, 35)
    seen = {}
    import transfer.training.fit

    fit = transfer.training.fit.fit
    monkeypatch.setattr(
        transfer.training.fit,
        "fit",
        lambda x, *more, **how: seen.update(x=x) or fit(x, *more, **how),
    )
    done = train(folder, "--labels-from", folder / "chosen.csv")
    assert done["labels"] == 12
    assert done["labels_from"] == "chosen.csv"
    with np.load(folder / "data.npz") as data:
        assert np.array_equal(seen["x"], data["x"][result["indices"]])
    # Other labels are another run.
    with pytest.raises(InputError, match="is another run's"):
        train(folder, "--labels", 12, "--resume")


def test_the_part_put_aside_for_the_test_is_never_suggested(folder):
    result = choose(folder, "--seed", 3, "--test-part", "0.5", data="whole.npz", labels=40)
    assert result["examples"] == 40
    same = ["--labels-from", folder / "chosen.csv", "--test-part", "0.5"]
    assert train(folder, *same, "--seed", 3, data="whole.npz")["labels"] == 40
    with pytest.raises(InputError, match=r"examples of other data.*, test_part and seed"):
        train(folder, *same, "--seed", 4, "--force", data="whole.npz")


def test_a_class_without_a_label_is_told(folder):
    x = patterns(test=30).x
    table = to_csv(
        Suggestion(rows=np.array([0, 1, 3]), sizes=np.ones(3), distances=np.ones(3)), x, None
    )
    (folder / "chosen.csv").write_text(table)
    done = invoke(
        "--from", folder / "weights.h5", "--data", folder / "data.npz", "--out", folder / "m.keras",
        "--labels-from", folder / "chosen.csv", "--epochs", 1, "--freeze-epochs", 1,
    )  # fmt: skip
    assert "Warning: no label is of class 2: the model cannot learn it" in done.stderr
    assert "3 labels, 3 of 3 blocks" in done.stdout


def test_files_of_a_folder_are_named(folder):
    result = choose(folder, data="photos", labels=5)
    with (folder / "chosen.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["file"] for line in lines] == [f"{i:02}.png" for i in result["indices"]]


def test_files_of_a_labelled_folder_are_named_after_its_split(folder):
    for k in range(2):
        (folder / "pets" / "ab"[k]).mkdir(parents=True)
        for i in range(10):
            image = patterns(20).x[10 * k + i, ..., 0]
            Image.fromarray(image).save(folder / "pets" / "ab"[k] / f"{i}.png")
    result = choose(folder, data="pets", labels=16)
    with (folder / "chosen.csv").open() as file:
        files = [line["file"] for line in csv.DictReader(file)]
    assert len(set(files)) == 16 == result["examples"]
    for file, shown in ((files[0], (0, 0)), (files[5], (9, 9))):
        pixels = np.asarray(Image.open(folder / "chosen.png"))
        assert np.array_equal(
            pixels[shown[0] : shown[0] + 8, shown[1] : shown[1] + 8],
            np.asarray(Image.open(folder / "pets" / file)),
        )


def test_tables_have_no_picture(folder):
    result = choose(folder, data="table.npz", file="table.h5")
    assert result["picture"] is None
    assert not (folder / "chosen.png").exists()


def test_nothing_is_replaced_unasked_and_the_same_is_made_again(folder):
    choose(folder)
    before = listing(folder)
    with pytest.raises(InputError, match="exists already"):
        choose(folder)
    assert listing(folder) == before
    choose(folder, "--force")
    assert listing(folder) == before


def test_a_person_is_told_what_was_written(folder):
    done = invoke(
        "suggest", "--from", folder / "weights.h5", "--data", folder / "data.npz",
        "--labels", 3, "--out", folder / "chosen.csv",
    )  # fmt: skip
    assert done.stdout == (
        f"Wrote {folder / 'chosen.csv'} and {folder / 'chosen.png'}: 3 of 80 examples\n"
    )
    assert "80 examples to choose from" in done.stderr


def test_bad_requests_write_nothing(folder):
    before = listing(folder)
    with pytest.raises(InputError, match=r"labels must be 1 to 80.* Got 81"):
        choose(folder, labels=81)
    with pytest.raises(InputError, match=r"must end in \.csv"):
        choose(folder, "--out", folder / "chosen.txt")
    with pytest.raises(InputError, match="A table cannot be given"):
        choose(folder, data="table.npz")
    with pytest.raises(InputError, match="labels and labels_from both say"):
        train(folder, "--labels", 3, "--labels-from", folder / "chosen.csv")
    assert listing(folder) == before
