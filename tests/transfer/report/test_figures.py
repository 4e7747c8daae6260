"""What is drawn of a transferred model, and which examples."""

import io

import numpy as np
import pytest
from PIL import Image
from toys import listing
from transfers import task

from headstart.errors import InputError
from transfer.report import figures as pictures
from transfer.report.figures import (
    Predictions,
    check_pictures,
    least_sure,
    most_wrong,
    project,
    write_pictures,
)

HISTORY = [
    {"stage": stage, "epoch": epoch, "loss": 1 / epoch}
    for stage in ("head on frozen encoder", "fine-tune")
    for epoch in (1, 2, 3)
]


def seen(on, wrong=(), seed=0):
    """Predictions, right but for the test examples ``wrong``, and features to match."""
    rng = np.random.default_rng(seed)
    said = on.y_test.copy()
    said[list(wrong)] = (said[list(wrong)] + 1) % on.n_classes
    chances = rng.uniform(0, 0.4, (len(said), on.n_classes))
    chances[np.arange(len(said)), said] += 1
    chances /= chances.sum(axis=1, keepdims=True)
    features = rng.normal(size=(len(said), 6)) + 5 * np.eye(6)[on.y_test]
    return Predictions(probabilities=chances, features=features)


def image(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_all_five_are_written_the_same_each_time(tmp_path):
    on = task()
    made = [
        write_pictures(tmp_path / name / "model.keras", on, seen(on, (1, 4)), HISTORY)
        for name in ("a", "b")
    ]
    assert [path.rsplit("/", 1)[1] for path in made[0]] == [
        f"{name}.png" for name in ("curves", "confusion", "features", "unsure", "wrong")
    ]
    first, second = (listing(tmp_path / name / "model-pictures") for name in ("a", "b"))
    assert first == second
    for content in first.values():
        assert content.startswith(b"\x89PNG")
        assert b"matplotlib" not in content.lower()
        assert image(content).std() > 5  # something is drawn


def test_pictures_of_an_earlier_model_do_not_stay(tmp_path):
    on = task()
    model = tmp_path / "model.keras"
    write_pictures(model, on, seen(on, (1,)), HISTORY)
    own = tmp_path / "model-pictures" / "mine.png"
    own.write_bytes(b"mine")
    before = (tmp_path / "model-pictures" / "unsure.png").read_bytes()
    made = write_pictures(model, on, seen(on, seed=1), [])
    names = {path.name for path in (tmp_path / "model-pictures").iterdir()}
    assert names == {"confusion.png", "features.png", "unsure.png", "mine.png"}
    assert len(made) == 3
    assert (tmp_path / "model-pictures" / "unsure.png").read_bytes() != before


def test_which_examples_are_doubtful():
    chances = np.array([[0.9, 0.1], [0.45, 0.55], [0.2, 0.8], [0.5, 0.5], [0.01, 0.99]])
    y = np.array([1, 1, 1, 0, 0])
    assert least_sure(chances).tolist() == [3, 1, 2, 0, 4]
    assert most_wrong(chances, y).tolist() == [4, 0]
    assert len(least_sure(np.full((100, 2), 0.5))) == 24


def test_the_map_keeps_what_varies_most():
    rng = np.random.default_rng(0)
    groups = np.repeat([0, 1, 2], 30)
    features = np.eye(3)[groups] @ rng.normal(size=(3, 10)) * 9 + rng.normal(size=(90, 10))
    points, (first, _) = project(features, "pca", 0)
    assert points.shape == (90, 2)
    assert first.startswith("component 1 (")
    centres = np.array([points[groups == k].mean(axis=0) for k in range(3)])
    own = np.linalg.norm(points - centres[groups], axis=1).mean()
    others = np.linalg.norm(centres[:, None] - centres, axis=-1)[np.triu_indices(3, 1)]
    assert others.min() > 3 * own
    # Features that all are equal, or only one, are no reason to fail.
    assert np.isfinite(project(np.ones((5, 4)), "pca", 0)[0]).all()
    assert project(rng.normal(size=(5, 1)), "pca", 0)[0].shape == (5, 2)


def test_a_table_has_no_grids(tmp_path):
    on = task()
    flat = on.x_test.reshape(len(on.x_test), -1)
    on = type(on)(**{**vars(on), "x": on.x.reshape(len(on.x), -1), "x_test": flat})
    made = write_pictures(tmp_path / "model.keras", on, seen(on, (1,)), HISTORY)
    assert len(made) == 3
    bare = Predictions(probabilities=seen(on).probabilities, features=None)
    assert len(write_pictures(tmp_path / "model.keras", on, bare, HISTORY)) == 2


@pytest.mark.parametrize("classes", [2, 20, 60])
def test_any_number_of_classes_and_any_name(classes):
    rng = np.random.default_rng(0)
    names = [f"_$x^{k}$ \u6f22 a name that is far too long {k}" for k in range(classes)]
    y = rng.integers(0, classes, 60)
    right = rng.random(60) < 0.7
    png = pictures.confusion(y, np.where(right, y, (y + 1) % classes), names)
    assert max(image(png).shape) < 2500
    pictures.scatter(rng.normal(size=(60, 2)), y, right, names, ("a", "b"))
    shown = pictures.grid(
        rng.random((7, 5, 30, 3)), rng.dirichlet(np.ones(classes), 7), y[:7], names, "title"
    )
    assert image(shown).shape[0] < 600  # wide images leave no empty rows


def test_a_confusion_is_drawn_where_it_is():
    y = np.array([0, 0, 1, 1])

    def shade(predicted):
        """The middle rows' mean darkness in the left and right half of the picture."""
        picture = 255 - image(pictures.confusion(y, np.array(predicted), ["a", "b"])).mean(axis=2)
        height, width = picture.shape
        top = picture[height // 8 : height // 2 - 20]
        return top[:, width // 4 : width // 2 - 40].mean(), top[:, width // 2 : -width // 3].mean()

    left, right = shade([0, 0, 1, 1])
    assert left > right + 50
    left, right = shade([1, 1, 0, 0])
    assert right > left + 50


def test_long_names_keep_their_ends_and_chances_never_lie():
    assert pictures._name("quite a long class name 17").endswith("17")
    assert len(pictures._name("quite a long class name 17")) == pictures.MAX_LETTERS
    assert pictures._percent(0.9999) == ">99 %"
    assert pictures._percent(0.0001) == "<1 %"
    assert pictures._percent(1.0) == "100 %"
    assert pictures._percent(0.504) == "50 %"


def test_missing_packages_and_existing_files_are_found_before_the_work(tmp_path, monkeypatch):
    model = tmp_path / "model.keras"
    check_pictures(model, "pca", force=False)
    (tmp_path / "model-pictures").mkdir()
    (tmp_path / "model-pictures" / "wrong.png").write_bytes(b"old")
    with pytest.raises(InputError, match=r"wrong\.png exists already"):
        check_pictures(model, "pca", force=False)
    check_pictures(model, "pca", force=True)
    monkeypatch.setattr(pictures, "find_spec", lambda name: None if name == "umap" else name)
    with pytest.raises(InputError, match=r"map takes umap-learn.*headstart\[umap\].*map=.pca"):
        check_pictures(model, "umap", force=True)


@pytest.mark.slow
def test_a_map_by_umap_keeps_groups_apart_and_is_repeatable():
    pytest.importorskip("umap")
    rng = np.random.default_rng(0)
    groups = np.repeat([0, 1, 2], 30)
    features = 9 * np.eye(10)[groups] + rng.normal(size=(90, 10))
    points, labels = project(features, "umap", 0)
    assert labels == ("UMAP 1", "UMAP 2")
    assert np.array_equal(points, project(features, "umap", 0)[0])
    nearest = np.linalg.norm(points[:, None] - points, axis=-1) + 1e9 * np.eye(90)
    assert (groups[nearest.argmin(axis=1)] == groups).mean() > 0.95
