import errno
import os

import pytest

import headstart.files
from headstart.errors import HeadstartError, InputError
from headstart.files import atomic_write, check_folder, check_output


def names(folder):
    return [file.name for file in folder.iterdir()]


def test_a_free_name_passes_and_leaves_nothing(tmp_path):
    check_output(tmp_path / "new" / "folder" / "file.h5")
    assert names(tmp_path) == []


def test_an_existing_file_needs_force(tmp_path):
    path = tmp_path / "file.h5"
    path.write_text("old")
    with pytest.raises(InputError, match=r"file\.h5 exists already.*force=True"):
        check_output(path)
    check_output(path, force=True)
    assert path.read_text() == "old"


def test_a_folder_and_a_device_are_refused(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        check_output(tmp_path, force=True)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="not a regular file"):
        check_output(tmp_path / "pipe", force=True)


def test_a_parent_that_is_a_file_and_a_name_that_is_too_long_are_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written: "):
        check_output(tmp_path / "file" / "below.h5")
    with pytest.raises(InputError, match="file name too long"):
        check_output(tmp_path / ("a" * 250))
    with pytest.raises(InputError, match="null byte"):
        check_output(tmp_path / "a\0b")


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError(errno.EROFS, "Read-only file system")

    # Permission bits would not stop a superuser, so the system call itself is made to fail.
    monkeypatch.setattr(headstart.files.os, "open", refuse)
    with pytest.raises(InputError, match=r"read-only file system. Choose a folder"):
        check_output(tmp_path / "file.h5")


def test_a_file_is_written_verified_and_renamed(tmp_path):
    path, seen = tmp_path / "file.h5", []
    atomic_write(path, lambda temp: temp.write_text("new"), verify=seen.append)
    assert path.read_text() == "new"
    assert [temp.name for temp in seen] == [f".file.h5.tmp-{os.getpid()}"]
    assert names(tmp_path) == ["file.h5"]


def test_missing_folders_are_made_when_there_is_something_to_write(tmp_path):
    path = tmp_path / "new" / "folder" / "file.h5"
    atomic_write(path, lambda temp: temp.write_text("new"))
    assert path.read_text() == "new"


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "Full"), ValueError("x"), KeyboardInterrupt()]
)
@pytest.mark.parametrize("when", ["write", "verify"])
def test_any_error_leaves_the_old_file(tmp_path, error, when):
    path = tmp_path / "file.h5"
    path.write_text("old")

    def write(temp):
        temp.write_text("half")
        if when == "write":
            raise error

    def verify(temp):
        raise error

    expected = HeadstartError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected):
        atomic_write(path, write, verify=verify)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file.h5"]


def test_a_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    atomic_write(tmp_path / "link", lambda temp: temp.write_text("new"))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"


def ours(folder):
    return (folder / "mark").exists()


def make(text):
    def write(folder):
        (folder / "inner").mkdir(parents=True)
        (folder / "mark").write_text(text)
        (folder / "inner" / "file").write_text(text)

    return write


def test_a_folder_is_written_whole_and_replaced_whole(tmp_path):
    path, seen = tmp_path / "new" / "made", []
    check_folder(path, ours)
    assert names(tmp_path) == []
    atomic_write(path, make("first"), verify=lambda temp: seen.append((temp / "mark").read_text()))
    assert seen == ["first"]
    with pytest.raises(InputError, match=r"made exists already.*force=True"):
        check_folder(path, ours)
    check_folder(path, ours, force=True)
    (path / "stale").write_text("old")
    atomic_write(path, make("second"), verify=lambda _: None)
    assert sorted(names(path)) == ["inner", "mark"]
    assert (path / "inner" / "file").read_text() == "second"
    assert names(path.parent) == ["made"]


def test_a_folder_of_something_else_is_never_replaced(tmp_path):
    path = tmp_path / "made"
    path.mkdir()
    check_folder(path, ours)  # an empty one may be
    (path / "thesis").write_text("mine")
    with pytest.raises(InputError, match="holds something else"):
        check_folder(path, ours, force=True)
    with pytest.raises(InputError, match="is a file, and a folder"):
        check_folder(path / "thesis", ours, force=True)
    with pytest.raises(InputError, match="cannot be written: "):
        check_folder(path / "thesis" / "below", ours)


@pytest.mark.parametrize("when", ["write", "verify", "rename"])
def test_a_folder_that_fails_leaves_the_old_one(tmp_path, when, monkeypatch):
    path = tmp_path / "made"
    atomic_write(path, make("old"), verify=lambda _: None)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    if when == "rename":
        # Away with the old folder, but not in with the new one.
        real = type(path).rename
        refuse = lambda self, to: full() if ".tmp-" in self.name else real(self, to)  # noqa: E731
        monkeypatch.setattr(type(path), "rename", refuse)
    write = full if when == "write" else make("new")
    with pytest.raises(HeadstartError, match=r"no space left.*unchanged"):
        atomic_write(path, write, verify=full if when == "verify" else lambda _: None)
    assert names(tmp_path) == ["made"]
    assert (path / "inner" / "file").read_text() == "old"
