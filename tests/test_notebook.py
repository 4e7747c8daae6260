"""The quick-start notebook runs from its first cell to its last, with training cut short."""

import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parent.parent / "docs" / "quickstart.ipynb"
SHORTER = {"epochs=20": "epochs=2", "pretrain_epochs=10": "pretrain_epochs=1", "seeds=3": "seeds=1"}


def cells():
    page = json.loads(NOTEBOOK.read_text())
    return ["".join(cell["source"]) for cell in page["cells"] if cell["cell_type"] == "code"]


def test_it_is_plain():
    page = json.loads(NOTEBOOK.read_text())
    assert page["nbformat"] == 4
    assert page["cells"][0]["cell_type"] == "markdown"
    for cell in page["cells"]:
        shown = json.dumps(cell.get("outputs", []))
        assert str(Path.home()) not in shown
        assert "/home/" not in shown


@pytest.mark.slow
def test_every_cell_runs(monkeypatch, tmp_path, capsys):
    import matplotlib

    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    code = cells()
    for long, short in SHORTER.items():
        assert any(long in cell for cell in code)
        code = [cell.replace(long, short) for cell in code]
    names, values = {}, []
    for cell in code:
        # As a notebook shows it: the value of a cell's last line.
        *lines, last = cell.splitlines()
        if last.isidentifier() or last.replace(".", "").isidentifier():
            exec("\n".join(lines), names)  # noqa: S102
            values.append(eval(last, names))  # noqa: S307
        else:
            exec(cell, names)  # noqa: S102
    encoder, model, table = values
    assert "autoencoder" in repr(encoder)
    assert model.result["test"]["n"] == 597
    assert {row[0] for row in table[0].rows} >= {"scratch", "autoencoder", "simclr"}
    assert "<table>" in table._repr_html_()
    said = capsys.readouterr().out
    assert "predicted" in said
    assert names["result"].verdict in said
