"""What commands make of the text of their options."""

import click
import pytest
from commands import run

from headstart.cli import FilePath, shape, span


def test_a_path_may_begin_with_the_users_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    convert = FilePath().convert
    assert convert("~/x.h5", None, None) == tmp_path / "x.h5"
    assert str(convert("keras.applications:MobileNetV2", None, None)) == (
        "keras.applications:MobileNetV2"
    )
    with pytest.raises(click.BadParameter, match="user that is not known"):
        convert("~no-such-user-here/x", None, None)


def test_shapes_and_ranges_are_read_and_checked():
    assert shape.convert("20", None, None) == (20,)
    assert shape.convert("96X96x3", None, None) == (96, 96, 3)
    assert span.convert("0,255", None, None) == (0.0, 255.0)
    for kind, text, says in (
        (shape, "1x2", "HEIGHTxWIDTHxCHANNELS"),
        (shape, "0x1x1", "HEIGHTxWIDTHxCHANNELS"),
        (span, "2,1", "rising"),
        (span, "1", "rising"),
        (span, "nan,1", "rising"),
    ):
        with pytest.raises(click.BadParameter, match=says):
            kind.convert(text, None, None)


@pytest.mark.parametrize("command", ["pretrain", "transfer", "benchmark"])
def test_every_path_of_the_commands_is_one(command):
    from importlib import import_module

    group = import_module(f"{command}.cli")
    top = next(v for v in vars(group).values() if isinstance(v, click.Group))
    paths = [
        parameter
        for each in (top, *top.commands.values())
        for parameter in each.params
        if parameter.type.name.lower() in ("path", "file")
    ]
    assert len(paths) >= 3
    assert all(isinstance(parameter.type, FilePath) for parameter in paths)


def test_a_weights_file_in_the_home_is_found(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("HOME", str(tmp_path))
    done = run(capfd, "pretrain", "inspect", "~/none.h5")
    assert done.code == 2
    assert f"{tmp_path}/none.h5" in done.err
