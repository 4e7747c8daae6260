"""Looking at an augmentation: which examples, which views, and what cannot be drawn."""

from dataclasses import replace

import numpy as np
import pytest
from commands import run as command
from PIL import Image
from pretraining import pretrained
from toys import listing, patterns

from headstart.errors import InputError
from pretrain.augment.preview import VIEWS, choose, draw_views
from pretrain.augment.recipes import Augmentation
from pretrain.augment.views import check_views
from pretrain.config import PretrainConfig


def test_each_class_is_shown_before_any_is_shown_twice():
    few = patterns(40, classes=3)
    assert list(few.y[choose(few)]) == [0, 1, 2, 0, 1, 2, 0, 1]
    many = patterns(40, classes=20)
    assert len(set(many.y[choose(many)])) == 8
    assert len(choose(patterns(5, classes=5))) == 5
    sorted_ = replace(few, y=np.sort(few.y))
    assert set(sorted_.y[choose(sorted_)]) == {0, 1, 2}
    assert list(choose(patterns(80, labelled=False))) == [0, 10, 20, 30, 40, 50, 60, 70]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_row_is_an_example_and_then_its_views(channels):
    pool = patterns(40, channels=channels)
    flip = Augmentation.resolve(pool, "none", {"flip": 1})
    picture, rows = draw_views(pool, flip)
    assert rows == 8
    cells = picture.reshape(*picture.shape[:2], channels)
    side = 64  # 8 pixels, each drawn as 8 x 8
    for row, index in enumerate(choose(pool)):
        for column in range(VIEWS + 1):
            top, left = row * (side + 1), column * (side + 1)
            cell = cells[top : top + side : 8, left : left + side : 8]
            expected = pool.x[index][:, ::-1] if column else pool.x[index]
            assert np.abs(cell.astype(int) - expected.astype(int)).max() <= 1


def test_views_are_random_and_the_seed_decides_them():
    pool = patterns(40)
    turn = Augmentation.resolve(pool, "none", {"turn": 30})
    first, _ = draw_views(pool, turn, seed=1)
    again, _ = draw_views(pool, turn, seed=1)
    other, _ = draw_views(pool, turn, seed=2)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first[:64, 65:129], first[:64, 130:194])


def test_the_command_draws_and_says_the_numbers(tmp_path, capfd):
    file = tmp_path / "views.png"
    arguments = ["--data", "digits", "--preview-augment", file, "--augment-opt", "turn=20"]
    done = command(capfd, "pretrain", *arguments)
    assert done.code == 0
    assert f"Wrote {file}: 8 examples of digits" in done.out
    assert "Augmentation digits: turn=20, zoom=0.15," in done.out
    with Image.open(file) as picture:
        assert picture.size == (8 * 64 + 7, 8 * 64 + 7)
    assert set(listing(tmp_path)) == {"views.png"}
    again = command(capfd, "pretrain", *arguments)
    assert again.code == 2
    assert "exists already" in again.err
    assert command(capfd, "pretrain", *arguments, "--force", "--json").out.startswith('{"out"')


def test_what_cannot_be_drawn_is_refused(tmp_path, capfd):
    np.savez(tmp_path / "t.npz", x=np.random.default_rng(0).random((9, 4), np.float32))
    for arguments, says in (
        (["--data", tmp_path / "t.npz"], "must be images of one or three channels"),
        (
            ["--data", "digits", "--augment", "vectors"],
            "--augment is not for examples of shape (8, 8, 1). Got 'vectors'",
        ),
        (["--data", "digits", "--augment-opt", "turn=900"], "must be a number from 0.0 to 180.0"),
    ):
        done = command(capfd, "pretrain", *arguments, "--preview-augment", tmp_path / "v.png")
        assert done.code == 2
        assert says in done.err
    done = command(capfd, "pretrain", "--data", "digits", "--preview-augment", tmp_path / "v.jpg")
    assert "must end in .png" in done.err
    assert set(listing(tmp_path)) == {"t.npz"}


@pytest.mark.parametrize("changes", [{"name": "none"}, {"given": {"brightness": 0.001}}])
def test_a_run_whose_views_are_alike_is_refused_and_writes_nothing(tmp_path, changes):
    name, given = changes.get("name", "none"), changes.get("given", {})
    config = PretrainConfig(strategy="simclr", augment=name, augment_options=given, encoder="mlp")
    says = "strategy 'simclr' learns from them; they differ for 0%.*augment_options"
    with pytest.raises(InputError, match=says) as caught:
        pretrained(patterns(), config, tmp_path / "w.h5", force=True)
    assert (caught.value.argument, caught.value.value) == ("augment", "none")
    assert listing(tmp_path) == {}


def test_a_part_of_the_examples_is_not_enough():
    pool = patterns(80)
    with pytest.raises(InputError, match=r"they differ for [234]\d%"):
        check_views(pool, Augmentation.resolve(pool, "none", {"flip": 0.2}), "simclr")
    check_views(pool, Augmentation.resolve(pool, "none", {"turn": 10}), "simclr")
