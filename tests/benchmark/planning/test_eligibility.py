"""Which strategies are compared: on one encoder, that from scratch has too."""

import re
from dataclasses import replace

import pytest
from benchmarks import plan, pretrainings
from toys import patterns
from transfers import QUICK

from benchmark.config import BenchmarkConfig
from benchmark.planning.eligibility import choose
from headstart.errors import InputError, option_spelling, worded
from pretrain.plan import choose_encoder
from pretrain.strategies import strategies
from pretrain.strategies.base import Strategy
from tasks.task import TargetTask

CONFIG = BenchmarkConfig(strategies=["all"], labels=[9], seeds=1, recipe=QUICK)


@pytest.fixture
def table(monkeypatch):
    """One strategy of each kind, and no others."""

    def row(name, **fields):
        return Strategy(name=name, summary="", stages=lambda setup: [], **fields)

    rows = [
        row("any"),
        row("views", augments=True),
        row("labelled", needs_labels=True),
        row("square", square_images=True),
        row("sigmoid", encoders={"mlp": {"activation": "tanh", "units": [9, 8]}}),
        row("dense", encoders={"mlp": {}}),
    ]
    # A table of its own: names taken out and put back would leave the real one in another order.
    monkeypatch.setattr("pretrain.strategies.STRATEGIES", {made.name: made for made in rows})


def chosen(names=("all",), pool=None, **changes):
    pool = pool or patterns(40)
    config = replace(CONFIG, **changes)
    encoder = choose_encoder(pool, config.encoder or "auto", config.encoder_options)
    return choose(pool, names, encoder, config)


FLAGS = "--encoder mlp --encoder-options activation=tanh --encoder-options units=9,8"


def as_options(text):
    return worded(text, option_spelling)


def test_all_leaves_out_what_cannot_train_this_encoder_and_says_how_it_could(table):
    names, notes = chosen()
    assert names == ["any", "views", "labelled", "square"]
    assert [as_options(note) for note in notes] == [
        "sigmoid was left out: it trains the encoder mlp (activation=tanh units=9,8), which is not "
        f"what the other rows have. To compare it, give all rows its encoder: {FLAGS}.",
        "dense was left out: it trains the encoder mlp, which is not what the other rows have. "
        "To compare it, give all rows its encoder: --encoder mlp.",
    ]
    assert chosen(encoder="mlp")[0] == ["any", "views", "labelled", "square", "dense"]
    asked = {"encoder": "mlp", "encoder_options": {"activation": "tanh", "units": "9,8"}}
    assert chosen(**asked)[0] == list(strategies())
    assert chosen(**asked)[1] == []
    # Options that the strategy's own encoder does not even have are no error of "all".
    assert "dense" not in chosen(encoder_options={"filters": "4"})[0]


def test_all_leaves_out_what_the_pool_does_not_allow(table):
    pool = patterns(40, labelled=False)
    pool = replace(pool, x=pool.x[:, :6])
    names, said = chosen(pool=pool, encoder="mlp")
    assert names == ["any", "views", "dense"]
    notes = as_options(" ".join(said))
    assert "labelled was left out: it needs a labelled pool (--pretrain-data)." in notes
    assert "square was left out: it needs images as high as wide." in notes


@pytest.mark.parametrize(
    ("names", "changes", "says"),
    [
        (
            ["sigmoid"],
            {},
            "'sigmoid' cannot be compared with these rows: it trains .* give all rows",
        ),
        (["any", "sigmoid"], {"encoder": "mlp"}, FLAGS),
        (["any", "dense"], {"encoder": "convnet"}, "--encoder mlp"),
        (["none"], {}, "There is no strategy 'none'"),
        (
            ["any", "square"],
            {"augment": "digits"},
            r"--augment .*: none of .*\(any, square\) makes",
        ),
        (["any"], {"augment_options": {"turn": "5"}}, "--augment changes nothing"),
    ],
)
def test_what_is_named_and_cannot_be_is_refused(table, names, changes, says):
    with pytest.raises(InputError) as caught:
        chosen(names, **changes)
    assert re.search(says, caught.value.worded(option_spelling))


def test_every_plan_has_the_encoder_of_scratch_and_views_go_where_they_are_made(table, tmp_path):
    task = TargetTask.from_dataset(patterns(60, test=9))
    options = {"encoder": "mlp", "encoder_options": {"units": "9,8", "activation": "tanh"}}
    config = replace(CONFIG, **options, augment="digits", augment_options={"turn": "3"})
    (bench,) = plan(task, config, tmp_path, pool=patterns(40, seed=4)).tasks
    assert bench.strategies == list(strategies())
    (fresh,) = bench.pretrainings.fresh.values()
    assert all(made.encoder == fresh.encoder for made in pretrainings(bench).values())
    views = {name: made.augmentation for (name, _), made in pretrainings(bench).items()}
    assert views["views"].options["turn"] == 3
    assert [name for name, view in views.items() if view] == ["views"]
