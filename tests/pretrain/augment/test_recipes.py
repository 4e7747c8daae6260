"""Which augmentation a data set gets, and what can be set of it."""

from dataclasses import replace

import numpy as np
import pytest
from toys import patterns

from headstart.errors import InputError
from pretrain.augment.recipes import RECIPES, VECTOR_OPTIONS, Augmentation
from tasks.dataset import Dataset
from tasks.loading.resolve import load_dataset


def table():
    return Dataset(
        name="table",
        x=np.random.default_rng(0).random((20, 5), np.float32),
        y=None,
        x_test=None,
        y_test=None,
        class_names=None,
        value_range=(0, 1),
        source="made up",
    )


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (patterns(), "objects"),
        (patterns(channels=3), "photos"),
        (replace(patterns(), kind="faces"), "faces"),
        (table(), "vectors"),
    ],
)
def test_the_kind_of_the_data_decides(data, name):
    assert Augmentation.resolve(data).name == name


def test_digits_are_never_flipped():
    assert Augmentation.resolve(load_dataset("digits")).name == "digits"
    assert RECIPES["digits"].values.get("flip", 0) == 0


@pytest.mark.parametrize("row", RECIPES.values(), ids=lambda row: row.name)
def test_every_recipe_resolves_within_its_own_rules(row):
    data = table() if row.table is VECTOR_OPTIONS else patterns(channels=3)
    found = Augmentation.resolve(data, row.name)
    assert set(found.options) == set(row.table)
    for name, value in row.values.items():
        assert found.options[name] == value


def test_what_is_given_replaces_the_recipes_own():
    found = Augmentation.resolve(patterns(), "objects", {"crop": "0.9", "turn": "5"})
    assert (found.options["crop"], found.options["turn"]) == (0.9, 5.0)
    assert found.options["flip"] == RECIPES["objects"].values["flip"]


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("object", {}, "augment must be one of .*Got 'object'.*Did you mean 'objects'"),
        ("objects", {"crap": "1"}, "'objects' has no option 'crap'.*Did you mean.*'crop'"),
        (
            "objects",
            {"crop": "0"},
            "'crop' of the augmentation 'objects' must be a number from 0.05",
        ),
        ("objects", {"flip": "often"}, "'flip' .* must be a number from 0"),
        ("vectors", {}, "augment is not for examples of shape .*Got 'vectors'.*objects"),
    ],
)
def test_what_cannot_be_is_refused(name, given, says):
    with pytest.raises(InputError, match=says):
        Augmentation.resolve(patterns(), name, given)


def test_a_table_cannot_be_cropped():
    with pytest.raises(
        InputError, match=r"augment is not for examples of shape .*Got 'photos'.*vectors"
    ):
        Augmentation.resolve(table(), "photos")
