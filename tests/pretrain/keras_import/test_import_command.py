"""The command `pretrain import`: what it writes and says, and options that are wrong."""

import pytest
from commands import run

from pretrain.keras_import.source import import_model
from pretrain.weights.file import WeightsFile


def test_the_command(saved, tmp_path, capfd):
    out = tmp_path / "made.h5"
    arguments = ("import", "--from", saved[1], "--cut", "flat", "--value-range=-1,1", "--out", out)
    done = run(capfd, "pretrain", *arguments)
    assert done.code == 0, done.err
    assert done.out.startswith(f"Wrote {out}: ")
    assert "expect -1 to 1 (as --value-range says)" in done.err
    read = WeightsFile.read(out)
    assert read.digest == import_model(saved[1], cut="flat", value_range=(-1, 1)).digest
    shown = run(capfd, "pretrain", "inspect", out)
    assert "strategy      imported" in shown.out
    assert "keras (9 layers in 3 blocks)" in shown.out
    again = run(capfd, "pretrain", *arguments)
    assert again.code == 2
    assert "exists already" in again.err
    forced = run(capfd, "pretrain", *arguments, "--force", "--quiet", "--json")
    assert (forced.code, forced.err) == (0, "")
    assert f'"digest": "{read.digest}"' in forced.out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--value-range", "1,1"], "two rising numbers"),
        (["--value-range", "low"], "two rising numbers"),
        (["--input-shape", "96x96"], "HEIGHTxWIDTHxCHANNELS"),
        (["--weights", "none"], "leave its weights option out"),
        (["--cut", "nowhere"], "--cut must be a layer of the model. It has 12 layers"),
    ],
)
def test_options_that_are_wrong(saved, tmp_path, capfd, options, says):
    done = run(
        capfd, "pretrain", "import", "--from", saved[1], "--out", tmp_path / "made.h5", *options
    )
    assert done.code == 2
    assert says in done.err
    assert list(tmp_path.iterdir()) == []
