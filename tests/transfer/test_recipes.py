import pytest

from headstart.errors import InputError
from transfer.recipes import RECIPES, recipe


def test_the_seeds_recipe_is_the_notebooks():
    seed = recipe("seed")
    assert (seed.freeze_epochs, seed.epochs, seed.scratch_epochs) == (4, 16, 20)
    assert (seed.batch_size, seed.optimizer.name, seed.schedule) == (32, "sgd", "constant")
    rates = (seed.head_learning_rate, seed.learning_rate, seed.scratch_learning_rate)
    assert rates == (1e-3, 1e-3, 1e-3)


@pytest.mark.parametrize("name", RECIPES)
def test_scratch_is_given_as_many_epochs_as_a_transfer(name):
    row = recipe(name)
    assert row.scratch_epochs == row.freeze_epochs + row.epochs


def test_fields_can_be_set():
    changed = recipe("seed", {"epochs": 0, "learning_rate": 0.5})
    assert (changed.epochs, changed.learning_rate, changed.freeze_epochs) == (0, 0.5, 4)
    assert recipe("seed").epochs == 16


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        (
            "notebok",
            {},
            r"must be one of default, linear-probe, notebook. Got 'notebok'. Did you mean 'notebook'",
        ),
        ("seed", {"epochs": -1}, "epochs must be 0 or more. Got -1"),
        ("seed", {"epochs": 0, "freeze_epochs": 0}, "freeze_epochs is 0 and epochs is 0"),
    ],
)
def test_what_cannot_be_is_refused(name, changes, says):
    with pytest.raises(InputError, match=says):
        recipe(name, changes)
