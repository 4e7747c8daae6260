"""The strategies that can race on a pool."""

from dataclasses import replace

import numpy as np
import pytest
from toys import patterns

from headstart.errors import InputError
from pretrain.config import PretrainConfig
from pretrain.cost import SENTINEL_EPOCHS
from pretrain.race.candidates import IMAGES, LABELLED, TABLES, Candidates
from pretrain.strategies import STRATEGIES, strategies
from pretrain.strategies.base import Strategy

CONFIG = PretrainConfig(strategy="auto")


def of(pool, *, labels=False, **given):
    return Candidates.of(pool, replace(CONFIG, **given), labels=labels)


def vectors():
    x = np.random.default_rng(0).random((60, 6), np.float32)
    return replace(patterns(60, labelled=False), x=x, value_range=(0.0, 1.0))


def test_every_strategy_races_or_is_left_out_with_a_reason():
    for pool in (patterns(60), patterns(60, labelled=False), vectors()):
        for labels in (False, True):
            found = of(pool, labels=labels)
            assert {*found.plans, *found.left_out} == set(strategies())
            assert all(plan.recipe.epochs == SENTINEL_EPOCHS for plan in found.plans.values())


def test_images_race_with_the_default_encoder_and_a_dictionary_with_its_own():
    found = of(patterns(60, labelled=False))
    encoders = {name: plan.encoder["architecture"] for name, plan in found.plans.items()}
    assert encoders.pop("patch-dictionary") == "patches"
    assert set(encoders.values()) == {"convnet"}
    assert set(found.left_out) == {"supervised", "rbm"}
    assert list(found.plans) == [name for name in IMAGES if name in found.plans]


def test_tables_race_with_dense_nets():
    found = of(vectors())
    assert {plan.encoder["architecture"] for plan in found.plans.values()} == {"mlp"}
    assert set(found.left_out) == {"supervised", "rotation", "patch-dictionary"}
    assert list(found.plans) == [name for name in TABLES if name in found.plans]


def test_an_encoder_that_is_named_is_everyones():
    found = of(patterns(60, labelled=False), encoder="mlp", encoder_options={"units": [8, 4]})
    assert all(plan.encoder["options"]["units"] == [8, 4] for plan in found.plans.values())
    assert "patch-dictionary" in found.left_out
    found = of(patterns(60, labelled=False), encoder="patches", encoder_options={"words": 6})
    assert list(found.plans) == ["patch-dictionary"]


def test_labels_of_the_pool_are_learnt_only_where_others_can_judge():
    pool = patterns(60)
    found = of(pool)
    assert {found.left_out[name] for name in ("supervised", "siamese")} == {LABELLED}
    assert not any(plan.labelled for plan in found.plans.values())
    found = of(pool, labels=True)
    assert {n for n, plan in found.plans.items() if plan.labelled} == {"supervised", "siamese"}


def test_an_augmentation_is_of_those_that_make_views():
    found = of(patterns(60, labelled=False), augment="digits", augment_options={"turn": 5.0})
    views = {n: plan.augmentation for n, plan in found.plans.items() if plan.augmentation}
    assert {view.name for view in views.values()} == {"digits"}
    assert {view.options["turn"] for view in views.values()} == {5.0}
    assert "autoencoder" in found.plans


def test_what_is_wrong_for_all_is_an_error_of_its_argument():
    pool = patterns(60, labelled=False)
    for given, argument in (
        ({"augment": "digts"}, "augment"),
        ({"encoder": "convent"}, "encoder"),
        ({"encoder": "mlp", "encoder_options": {"unit": 3}}, None),
        ({"encoder": "patches", "augment": "digits"}, "augment"),
        ({"recipe": "notebok"}, "recipe"),
    ):
        with pytest.raises(InputError) as caught:
            of(pool, **given)
        assert caught.value.argument == argument


def test_another_packages_strategy_comes_in_the_middle(monkeypatch):
    made = Strategy(name="new", summary="s", stages=lambda setup: [])
    monkeypatch.setitem(STRATEGIES, "new", made)
    names = list(of(patterns(60, labelled=False)).plans)
    assert 2 <= names.index("new") <= len(names) - 3
