"""The model card, from results made up here: no TensorFlow, no training."""

import json
import re

import pytest

from transfer.report.model_card import card, cell, code

RESULT = {
    "data": "digits[3,8]",
    "classes": ["3", "8"],
    "labels": 1200,
    "seed": 4,
    "test": {"n": 73, "origin": "a stratified fifth, split with seed 4"},
    "accuracy": 0.9315,
    "accuracy_interval": [0.8494, 0.9704],
    "balanced_accuracy": 0.9301,
    "macro_f1": 0.9311,
    "loss": 0.21,
    "confusion": [[36, 1], [4, 32]],
    "encoder": "convnet",
    "reuse": 2,
    "blocks": 4,
    "inputs": ["resized from 8x8 to 10x6", "colour turned to grey (3 -> 1 channels)"],
    "recipe": {
        "freeze_epochs": 30,
        "learning_rate": 5e-4,
        "scratch_epochs": 60,
        "optimizer": {"name": "adam", "beta_1": 0.9},
        "lr_decay": None,
    },
    "updates": 1234,
    "source_digest": "a" * 64,
    "digest": "b" * 64,
    "seconds": 1.25,
    "leakage": {
        "pool": {"name": "digits", "fingerprints": {"exact": 900}},
        "labels_used": False,
        "test": {"n": 73, "exact": 5, "near": 2},
        "labelled": {"n": 1200, "exact": None, "near": None},
        "leaks": False,
    },
    "source": {"file": "w.h5", "strategy": "simclr", "data": "digits", "seed": 0},
    "input": {"shape": [8, 8, 3], "dtype": "uint8", "value_range": [0, 16]},
    "baselines": {"raw logistic regression": {"accuracy": 0.95, "accuracy_interval": [0.9, 0.98]}},
    "exports": [
        {
            "format": "onnx",
            "file": "my model.onnx",
            "difference": 1.2e-7,
            "examples": {"n": 64, "kind": "given"},
        }
    ],
    "pictures": ["my model-pictures/curves.png"],
}
NEEDED = (
    "data",
    "classes",
    "labels",
    "seed",
    "test",
    "encoder",
    "reuse",
    "blocks",
    "inputs",
    "recipe",
    "source_digest",
    "digest",
)


def tables(text):
    """Every table of a page, as lists of rows of cells."""
    found = re.findall(r"(?:^\|.*\|\n)+", text, re.M)
    split = [[re.split(r"(?<!\\)\|", line)[1:-1] for line in t.splitlines()] for t in found]
    return [[[part.strip() for part in row] for row in table] for table in split]


def test_everything_that_the_result_holds_is_told():
    text = card(RESULT, "my model.keras")
    for part in (
        "# my model\n",
        "pretrained by simclr",
        "**93.15 %** of 73 test examples (95 % interval 84.94 to 97.04 %)",
        "| labelled examples used | 1,200 |",
        "| inputs | resized from 8x8 to 10x6; colour turned to grey (3 -\\> 1 channels) |",
        "| pretraining | simclr, on `digits`, seed 0 |",
        f"`{'a' * 64}`",
        f"`{'b' * 64}`",
        "| reused | 2 of 4 blocks",
        "| freeze epochs | 30 |",
        "| optimizer: beta 1 | 0.9 |",
        "| lr decay | none |",
        "| updates made | 1,234 |",
        "| accuracy | 93.15 % (84.94 to 97.04 %) |",
        "| raw logistic regression | 95.00 % | 90.00 to 98.00 % | +1.85 |",
        "| **8** | 4 | 32 |",
        "Of 73 test examples 5 were in the pretraining pool, and 2 near duplicates of examples",
        "Of 1,200 labelled examples none could be looked up in the pretraining pool",
        "The pretraining used no labels.",
        "A simple model did as well or better here: raw logistic regression.",
        "transfer predict --model 'my model.keras'",
        'load_model("my model.keras")',
        "uint8 (N, 8, 8, 3), values 0 to 16; chances: (N, 1)",
        "The output is the probability of the class 8.",
        "| onnx | `my model.onnx` | 1.2e-07 | 64 test examples |",
        "![Training curves](my%20model-pictures/curves.png)",
        "`my model.json`",
    ):
        assert part in text, part
    assert "scratch" not in text  # nothing was trained from scratch
    assert "fewer than 30" not in text


def test_a_head_that_was_solved_is_told_and_no_training_that_never_was():
    choice = {"k": 3, "folds": 5, "examples": 40, "tried": []}
    page = card({**RESULT, "head": "knn", "head_choice": choice}, "model.keras")
    assert "| head | knn |" in page
    assert "| k, on frozen features | 3 |" in page
    assert "epochs" not in page
    assert "learning rate" not in page


def test_a_search_and_a_pool_are_told_and_so_is_a_barrier():
    found = {"chosen": "all blocks", "reason": "it was best"}
    pool = {"chosen": "plain", "reason": "no gain", "name": "photos[a,b]"}
    page = card({**RESULT, "search": found, "pool": pool, "interpolated": 1.0}, "model.keras")
    assert "| reuse search | all blocks: it was best |" in page
    assert "photos" in page
    assert "plain: no gain" in page
    assert "not at all: the loss" in page


def test_the_page_is_tidy_markdown():
    text = card(RESULT, "model.keras")
    assert "\n\n\n" not in text
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    for heading in re.finditer(r"^##? .*\n", text, re.M):
        assert text[heading.end()] == "\n"
        assert heading.start() == 0 or text[heading.start() - 2 : heading.start()] == "\n\n"
    found = tables(text)
    assert len(found) == 7
    assert all(len({len(row) for row in table}) == 1 for table in found)
    for start in re.finditer(r"^[^|\n].*\n\|", text, re.M):
        raise AssertionError(f"no empty line before a table: {start[0]}")
    assert "None" not in text


@pytest.mark.parametrize("left_out", sorted(set(RESULT) - set(NEEDED)))
def test_what_a_result_does_not_hold_is_left_out(left_out):
    result = {key: value for key, value in RESULT.items() if key != left_out}
    if left_out == "accuracy":
        result.pop("accuracy_interval"), result.pop("baselines")
    if left_out == "accuracy_interval":
        result.pop("accuracy"), result.pop("baselines")
    assert card(result, "model.keras") != card(RESULT, "model.keras")


def test_the_least_that_is_needed():
    result = {key: RESULT[key] for key in NEEDED} | {"source_digest": None, "reuse": 0}
    text = card(result, "model.keras")
    assert "an encoder without pretraining with a new head" in text
    assert "| scratch epochs | 60 |" in text
    assert "None" not in text
    assert "\n\n\n" not in text


def test_the_same_result_gives_the_same_page_and_is_not_changed():
    before = json.dumps(RESULT)
    assert card(RESULT, "model.keras") == card(json.loads(before), "model.keras")
    assert json.dumps(RESULT) == before


def test_many_classes_show_their_most_frequent_confusions():
    count = 40
    matrix = [[10 * (i == j) for j in range(count)] for i in range(count)]
    matrix[3][5], matrix[7][2] = 2, 9
    for row in matrix:
        row[39] = 0
    names = [f"person {k}" for k in range(count)]
    text = card({**RESULT, "classes": names, "confusion": matrix}, "model.keras")
    assert "| person 7 | person 2 | 9 |\n| person 3 | person 5 | 2 |\n\n" in text
    assert "**person 3**" not in text
    assert "40 of the classes had fewer than 30 test examples" in text
    assert "person 4 and others." in text
    # Its only test examples are gone, so nothing is said of class 39.
    assert "Never predicted" not in text
    matrix[39][0] = 1
    text = card({**RESULT, "classes": names, "confusion": matrix}, "model.keras")
    assert "Never predicted for a test example: person 39." in text


def test_what_cannot_be_told_of_the_pool():
    leakage = {**RESULT["leakage"], "pool": {"name": "digits", "fingerprints": None}}
    text = card({**RESULT, "leakage": leakage}, "model.keras")
    assert "does not say which examples were in the pretraining pool" in text
    leakage = {**RESULT["leakage"], "test": {"n": 73, "exact": None, "near": 4}}
    text = card({**RESULT, "leakage": leakage}, "model.keras")
    assert "Of 73 test examples 4 are near duplicates" in text


def test_leaks_are_told_loudly():
    for exact, near, told in ((2, None, "2"), (0, 9, "0 (and 9 near duplicates)")):
        leakage = {**RESULT["leakage"], "shared": {"exact": exact, "near": near}}
        text = card({**RESULT, "leakage": leakage}, "model.keras")
        assert f"{told} of the labelled examples are in the test part too" in text
    leakage = {**RESULT["leakage"], "labels_used": True, "leaks": True}
    text = card({**RESULT, "leakage": leakage}, "model.keras")
    assert "**The pretraining used the labels of test examples" in text
    assert "The pretraining used labels." in text


def test_names_cannot_break_the_page():
    names = ["a|b", "<script>", "# x\n\n# y", "`tick`", "*"]
    matrix = [[40 * (i == j) for j in range(5)] for i in range(5)]
    hostile = {**RESULT, "classes": names, "confusion": matrix, "data": "`x` | y"}
    text = card(hostile, "we|rd `$(x)`.keras")
    assert all(len({len(row) for row in table}) == 1 for table in tables(text))
    assert "<script>" not in text
    assert len(re.findall(r"^# ", text, re.M)) == 1
    assert "--model 'we|rd `$(x)`.keras'" in text
    assert cell("") == " "
    assert code("a`b|c") == "`a'b\\|c`"
