import io
import struct
import zipfile

import numpy as np
import pytest

from headstart.errors import InputError
from tasks.loading import npz
from tasks.loading.resolve import load_dataset

X = np.arange(12, dtype=np.float64).reshape(6, 2)
Y = np.array([0, 1, 2, 0, 1, 2])


def refused(path, *named):
    with pytest.raises(InputError) as caught:
        load_dataset(str(path))
    for part in named:
        assert part in str(caught.value)


def test_unlabelled_vectors(save_npz):
    dataset = load_dataset(str(save_npz(x=X / 11)))
    assert dataset.x.dtype == np.float32
    assert np.array_equal(dataset.x, (X / 11).astype(np.float32))
    assert dataset.y is None
    assert dataset.value_range == (0, 1)
    assert dataset.source == "file mine.npz"


def test_all_four_parts_compressed_and_in_column_order(tmp_path):
    path = tmp_path / "mine.NPZ"
    x = np.asfortranarray(np.arange(6 * 4 * 5).reshape(6, 4, 5) % 256)
    with path.open("wb") as file:
        np.savez_compressed(file, x=x, y=Y, x_test=x[:2], y_test=Y[1:3])
    dataset = load_dataset(str(path))
    assert dataset.x.shape == (6, 4, 5, 1)
    assert dataset.x.dtype == np.uint8
    assert np.array_equal(dataset.x[..., 0], x)
    assert dataset.y_test.tolist() == [1, 2]
    assert dataset.class_names is None


def test_order_on_disk_does_not_change_the_fingerprint(save_npz):
    x = np.arange(60, dtype=np.uint8).reshape(6, 10)
    one = load_dataset(str(save_npz("a.npz", x=x, y=Y)))
    two = load_dataset(str(save_npz("b.npz", y=Y, x=np.asfortranarray(x))))
    assert one.fingerprint == two.fingerprint


@pytest.mark.parametrize(
    ("arrays", "named"),
    [
        ({"X": X}, ["'X'", "Did you mean 'x'"]),
        ({"x": X, "lables": Y}, ["'lables'"]),
        ({"x": X, "y_tst": Y}, ["'y_tst'", "'y_test'"]),
        ({"x_train": X, "y_train": Y}, ["'x_train'", "Is it 'x'?"]),
        ({"arr_0": X}, ["'arr_0'", "Is it 'x'?"]),
        ({"y": Y}, ["no array 'x'", "holds y"]),
        ({}, ["no array 'x'", "holds nothing"]),
        ({"x": X, "y": Y, "x_test": X}, ["y_test is missing"]),
        ({"x": X, "y": Y, "y_test": Y}, ["x_test is missing"]),
        ({"x": X, "x_test": X, "y_test": Y}, ["y is missing"]),
    ],
)
def test_wrong_keys_are_named(save_npz, arrays, named):
    refused(save_npz(**arrays), "mine.npz", *named)


def test_a_test_part_without_any_labels_is_kept(save_npz):
    assert load_dataset(str(save_npz(x=X, x_test=X[:2]))).x_test.shape == (2, 2)


def test_python_objects_are_never_read(save_npz):
    refused(save_npz(x=X, y=np.array([{}] * 6, dtype=object)), "y holds Python objects")
    records = np.zeros(6, dtype=[("a", "O"), ("b", "f4")])
    refused(save_npz(x=records), "x holds Python objects")
    refused(save_npz(x=np.zeros((6, 2), dtype=[("a", "f4")])), "x must hold numbers")


def test_files_that_are_no_archives(tmp_path, save_npz):
    path = save_npz(x=np.random.default_rng(0).random((100, 10)))
    whole = path.read_bytes()
    for broken in (b"", b"hello", whole[: len(whole) // 2], whole[:-30]):
        path.write_bytes(broken)
        refused(path, str(path), "not a whole .npz file")
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :])
    refused(path, str(path), "Bad CRC-32")
    plain = io.BytesIO()
    np.save(plain, X)
    path.write_bytes(plain.getvalue())
    refused(path, "not a whole .npz file")


def write_member(path, data, name="x.npy", times=1):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for _ in range(times):
            archive.writestr(name, data)
    return path


def npy(shape, descr="<f8", body=b"", version=b"\1\0"):
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header + body


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"not an array", "x is not an array"),
        (b"", "x is not an array"),
        (npy((2, 2), version=b"\3\0"), "(3, 0) is not supported"),
        (npy((2, 2), descr="?!"), "x is not an array"),
        (npy((1 << 40, 2)), "damaged"),
        (npy((2, 2), body=b"\0" * 31), "declares 32 bytes of shape (2, 2) and the file holds 31"),
        (npy((2, 2), body=b"\0" * 33), "the file holds 33"),
        (npy((-2, -2), body=b"\0" * 32), "damaged"),
        (npy((0, 2)), "x is empty"),
    ],
)
def test_headers_are_checked_before_arrays_are_read(tmp_path, data, named):
    refused(write_member(tmp_path / "mine.npz", data), "mine.npz", named)


def test_too_much_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "MAX_BYTES", 1 << 20)

    def read_array(*args, **kwargs):
        raise AssertionError("an array was read")

    monkeypatch.setattr(np.lib.format, "read_array", read_array)
    big = npy((1 << 18, 1), body=b"\0" * (8 << 18))
    refused(write_member(tmp_path / "mine.npz", big), "x alone: 2 MiB")


def test_a_key_twice_is_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate"):
        path = write_member(tmp_path / "mine.npz", npy((1, 1), body=b"\0" * 8), times=2)
    refused(path, "'x' twice")


def test_an_encrypted_member_is_refused(tmp_path):
    path = write_member(tmp_path / "mine.npz", npy((1, 1), body=b"\0" * 8))
    data = bytearray(path.read_bytes())
    data[6] |= 1  # the "encrypted" flag, here and in the central directory
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(bytes(data))
    refused(path, "cannot be read")
