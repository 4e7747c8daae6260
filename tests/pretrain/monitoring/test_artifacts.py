"""What lies beside the weights: the table, the curves, the pictures."""

import csv
import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pretraining import pretrained
from toys import Lines, StopAt, listing, patterns

from headstart.errors import InputError, Interrupted
from pretrain.config import PretrainConfig
from pretrain.engine.stage import StageSnapshot
from pretrain.monitoring.artifacts import Companions, draw, panels, table, write_picture
from pretrain.strategies import STRATEGIES

HISTORY = [
    {"stage": "one", "epoch": 1, "loss": 0.1 + 0.2, "val_loss": 1.5},
    {"stage": "one", "epoch": 2, "loss": 0.25, "val_loss": 1e-30, "feature_rank": 7.0},
    {"stage": 'two, "b"', "epoch": 1, "game_loss": -1.0},
]
CONFIG = PretrainConfig(
    strategy="autoencoder",
    encoder="mlp",
    encoder_options={"units": [16, 8]},
    epochs=3,
    batch_size=16,
)
FILES = {"w.h5", "w.epochs.csv", "w.curves.png"}
PICTURE = "w.reconstructions-003.png"


def test_a_row_an_epoch_and_blanks_where_there_is_nothing():
    rows = list(csv.reader(io.StringIO(table(HISTORY))))
    assert rows[0] == ["stage", "epoch", "loss", "val_loss", "feature_rank", "game_loss"]
    assert rows[1] == ["one", "1", "0.30000000000000004", "1.5", "", ""]
    assert rows[3] == ['two, "b"', "1", "", "", "", "-1.0"]
    assert len(rows) == 4
    numbers = [[float(cell) for cell in row[2:] if cell] for row in rows[1:]]
    assert numbers == [[v for k, v in r.items() if k not in ("stage", "epoch")] for r in HISTORY]


def test_what_belongs_together_is_in_one_panel():
    names = ["loss", "probe_linear", "val_loss", "probe_knn", "feature_std"]
    assert panels(names) == {
        "loss": ["loss", "val_loss"],
        "probe": ["probe_linear", "probe_knn"],
        "feature_std": ["feature_std"],
    }


@pytest.mark.parametrize("history", [HISTORY, HISTORY[:1], HISTORY * 30], ids=len)
def test_the_drawing_is_a_picture_and_always_the_same(history):
    first = draw(history, history[1:2])
    image = Image.open(io.BytesIO(first))
    assert image.format == "PNG"
    assert image.width > 300
    assert len(np.unique(np.asarray(image))) > 5
    assert draw(history, history[1:2]) == first
    if len(history) > 1:
        assert draw(history) != first  # the kept epoch is marked


@pytest.mark.parametrize(
    ("out", "csv", "picture"),
    [
        ("w.h5", "w.epochs.csv", "w.samples-010.png"),
        ("w", "w.epochs.csv", "w.samples-010.png"),
        ("run.1", "run.1.epochs.csv", "run.1.samples-010.png"),
        ("w.csv", "w.csv.epochs.csv", "w.csv.samples-010.png"),
    ],
)
def test_names(out, csv, picture):
    beside = Companions(out=Path("folder") / out)
    assert beside.table == Path("folder") / csv
    assert beside.picture("samples", {"stage": "gan", "epoch": 10}, "gan").name == picture
    other = beside.picture("Filters", {"stage": "RBM 1/2", "epoch": 1234}, "rbm").name
    assert other.endswith(".filters-rbm-1-2-1234.png")


def values(path):
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_a_picture_keeps_its_values(tmp_path, shape):
    picture = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    write_picture(tmp_path / "new" / "p.png", picture)
    assert np.array_equal(values(tmp_path / "new" / "p.png"), picture)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["p.png"]


@pytest.fixture(scope="module")
def programs():
    """Compiled steps that the runs of this file share."""
    from pretrain.engine.program import Programs

    return Programs()


@pytest.fixture
def run(programs):
    def run(folder, **how):
        config = replace(CONFIG, **{k: how.pop(k) for k in ("strategy",) if k in how})
        return pretrained(patterns(), config, folder / "w.h5", programs=programs, **how)

    return run


@pytest.fixture
def showing(monkeypatch):
    """A strategy that shows how bright its first weights are, every second epoch."""
    row = STRATEGIES["autoencoder"]

    def stages(setup):
        for stage in row.stages(setup):
            weight = setup.encoder.trainable[0]

            def snapshot(weight=weight):
                level = int(abs(weight.numpy()).sum() * 10) % 256
                return StageSnapshot(
                    metrics={"level": level}, pictures={"tone": np.full((4, 4), level, "u1")}
                )

            yield replace(stage, snapshot=snapshot, snapshot_epochs=2)

    shown = replace(row, name="showing", stages=stages)
    monkeypatch.setitem(STRATEGIES, "showing", shown)
    return shown.name


def test_resumed_or_not_everything_beside_the_weights_is_the_same(
    tmp_path, monkeypatch, showing, run
):
    monkeypatch.setattr("pretrain.engine.train.CALL_SECONDS", 0)
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    whole.mkdir()
    resumed.mkdir()
    made = run(whole, strategy=showing)
    with pytest.raises(Interrupted):
        run(resumed, strategy=showing, reporter=StopAt(8))
    run(resumed, strategy=showing, resume=True)
    assert listing(resumed) == listing(whole)
    # Its only stage has another name than the strategy, and so is named.
    pictures = {f"w.tone-autoencoder-{epoch:03d}.png" for epoch in (2, 3)}
    assert set(listing(whole)) == FILES | pictures
    assert {p.name for p in made.companions} == FILES - {"w.h5"} | pictures
    last = values(whole / "w.tone-autoencoder-003.png")
    assert last[0, 0] == made.history[-1]["level"]


def test_without_companions_there_is_only_the_file(tmp_path, showing, run):
    assert run(tmp_path, strategy=showing, companions=False).companions == []
    assert set(listing(tmp_path)) == {"w.h5"}


def test_what_lies_there_is_replaced_with_the_weights_and_not_before(tmp_path, run):
    (tmp_path / "w.epochs.csv").write_text("a table of my own")
    with pytest.raises(InputError, match=r"w\.epochs\.csv exists already"):
        run(tmp_path)
    assert listing(tmp_path) == {"w.epochs.csv": b"a table of my own"}
    run(tmp_path, force=True)
    assert set(listing(tmp_path)) == FILES | {PICTURE}
    assert (tmp_path / "w.epochs.csv").read_text().startswith("stage,epoch,loss")


def test_pictures_are_replaced_with_the_weights_and_not_before(tmp_path, monkeypatch, showing, run):
    monkeypatch.setattr("pretrain.engine.train.CALL_SECONDS", 0)
    (tmp_path / "w.tone-autoencoder-099.png").write_bytes(b"of a longer run")
    (tmp_path / "w.tone-autoencoder-002.png").write_bytes(b"of an earlier run")
    (tmp_path / "mine.png").write_bytes(b"somebody's own")
    before = listing(tmp_path)
    with pytest.raises(InputError, match=r"w\.tone-autoencoder-002\.png exists already"):
        run(tmp_path, strategy=showing)
    with pytest.raises(Interrupted):
        run(tmp_path, strategy=showing, force=True, reporter=StopAt(12))
    assert before.items() <= listing(tmp_path).items()
    run(tmp_path, strategy=showing, resume=True)
    pictures = {f"w.tone-autoencoder-{epoch:03d}.png" for epoch in (2, 3)}
    assert set(listing(tmp_path)) == FILES | pictures | {"mine.png"}
    assert listing(tmp_path)["w.tone-autoencoder-002.png"] != b"of an earlier run"


def test_a_disk_that_takes_no_companions_does_not_cost_the_weights(tmp_path, monkeypatch, run):
    from headstart.errors import HeadstartError

    def full(path, write, **_):
        raise HeadstartError(f"{path} could not be written: no space left on device.")

    heard = Lines()
    monkeypatch.setattr(
        "pretrain.monitoring.artifacts.write_text", lambda path, text: full(path, None)
    )
    made = run(tmp_path, reporter=heard)
    assert "Warning: " in heard.said[-1]
    assert "no space left" in heard.said[-1]
    assert set(listing(tmp_path)) == {"w.h5"}
    assert made.companions == []


def test_matplotlib_is_imported_only_to_draw(tmp_path):
    code = (
        "import sys\n"
        "import pretrain.run, pretrain.commands.pretrain, pretrain.monitoring.artifacts\n"
        "pretrain.monitoring.artifacts.table([])\n"
        "assert not {'matplotlib', 'PIL'} & set(sys.modules)\n"
        "pretrain.monitoring.artifacts.draw([{'stage': 'a', 'epoch': 1, 'loss': 1.0}])\n"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
