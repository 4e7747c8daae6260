"""What there is to choose from, in words."""

import re

import pytest

from headstart.errors import InputError
from pretrain.augment.recipes import RECIPES
from pretrain.commands.list import changes, description, listing, needs, recipe_text
from pretrain.encoders import ARCHITECTURES
from pretrain.strategies import strategies
from pretrain.strategies.base import Strategy


def row(**fields):
    return Strategy(name="x", summary="y", stages=lambda setup: [], **fields)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "examples only, no labels"),
        ({"needs_labels": True}, "a labelled pool"),
        (
            {"takes_labels": lambda options, y: False},
            "examples only, and uses labels where there are",
        ),
        ({"square_images": True}, "examples only, no labels, images as high as wide"),
        ({"augments": True}, "examples only, no labels, random views (--augment)"),
        (
            {"encoders": {"mlp": {"units": [3, 2], "activation": "tanh"}, "convnet": {}}},
            "no labels, the encoder mlp (units=3,2 activation=tanh) or convnet",
        ),
        ({"split": "classes", "needs_labels": True}, "items or people, several examples of each"),
    ],
)
def test_what_a_strategy_needs(fields, says):
    assert says in needs(row(**fields))


def test_the_list_has_everything_with_its_numbers():
    text = listing()
    for known in (strategies(), ARCHITECTURES, RECIPES):
        for name, found in known.items():
            assert re.search(rf"^  {name} +{re.escape(found.summary)}$", text, re.MULTILINE)
    for found in strategies().values():
        assert f"needs {needs(found)}\n" in text
        assert recipe_text(found.recipe) in text
    assert "turn=15, zoom=0.15" in text


@pytest.mark.parametrize("name", [*strategies(), *ARCHITECTURES, *RECIPES])
def test_one_in_full(name):
    text = description(name)
    known = {**strategies(), **ARCHITECTURES, **RECIPES}[name]
    words = " ".join(text.split())
    assert known.summary in text
    table = getattr(known, "options", None) or getattr(known, "table", {})
    for option, about in table.items():
        assert re.search(rf"^  {option} ", text, re.MULTILINE)
        assert " ".join(about.help.split()) in words
    if name in strategies():
        assert needs(known) in words
        assert known.advice in words
        assert recipe_text(known.recipe) in text
        assert re.search(r"\d{4}|loss", text)  # the module's own words: a paper, a loss


def test_the_race_is_listed_and_explained():
    assert re.search(r"^  auto +race the strategies .*--minutes", listing(), re.MULTILINE)
    assert "Successive halving" in description("auto")


def test_a_strategy_made_on_the_spot_is_described_without_a_text_of_its_own(monkeypatch):
    from pretrain.strategies import STRATEGIES

    made = row(advice="Try this.")
    made.stages.__module__ = "no_such_module"
    monkeypatch.setitem(STRATEGIES, "x", made)
    text = description("x")
    assert text.startswith("x (strategy): y\n\nneeds ")
    assert "if it collapses  Try this." in text


def test_an_unknown_name_gets_near_ones():
    with pytest.raises(
        InputError,
        match=r"a strategy, encoder or augmentation.*Got 'convent'\. Did you mean 'convnet'",
    ):
        description("convent")


def test_only_what_changes_something_is_told():
    assert changes({"crop": 1.0, "flip": 0.5, "turn": 0.0}) == {"flip": 0.5}
    assert changes({"swap": 0.4, "noise": 0.0}) == {"swap": 0.4}
