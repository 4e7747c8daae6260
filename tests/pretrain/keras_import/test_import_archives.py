"""Hostile weights and spoilt archives: refused before Keras builds or runs anything of them."""

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from foreign import refused, respelt, save, small

from headstart.errors import InputError
from pretrain.keras_import.source import import_model

ROOT = Path(__file__).parents[3]


def weights_with(spoil):
    """The bytes of an HDF5 weights file that ``spoil`` wrote into."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_dataset("pad", data=np.zeros(2000, np.float32))
        spoil(file)
    return buffer.getvalue()


def huge(file):
    file.create_dataset("layers/dense/vars/0", shape=(1 << 28,), dtype="f4", chunks=(1 << 20,))


WEIGHTS = {
    "huge": (huge, "declares 1,073,741,824 bytes in /layers/dense/vars/0 that are not in its"),
    "compressed": (
        lambda file: file.create_dataset("a", data=np.zeros(10**6), compression="gzip"),
        "holds compressed data",
    ),
    "external_link": (
        lambda file: file.__setitem__("a", h5py.ExternalLink("/etc/passwd", "/")),
        "has a link that can lead outside it",
    ),
    "soft_link": (lambda file: file.__setitem__("a", h5py.SoftLink("/pad")), "link"),
    "hard_link": (lambda file: file.__setitem__("a", file["pad"]), "linked to itself"),
    "external_storage": (
        lambda file: file.create_dataset("a", (8,), "f4", external=[("/etc/passwd", 0, 32)]),
        "keeps /a in another file",
    ),
    "objects": (
        lambda file: file.create_dataset("a", data="x", dtype=h5py.string_dtype()),
        "other things than numbers",
    ),
    "references": (
        lambda file: file.create_dataset("a", data=file["pad"].ref, dtype=h5py.ref_dtype),
        "other things than numbers",
    ),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_hostile_weights_are_refused(good, tmp_path, name):
    spoil, says = WEIGHTS[name]
    data = weights_with(spoil)
    refused(respelt(good, tmp_path / "bad.keras", members={"model.weights.h5": data}), says)


def test_broken_archives(good, tmp_path):
    path = tmp_path / "bad.keras"
    whole = good.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(path, "damaged or truncated")
    path.write_bytes(b"")
    refused(path, "only .keras files are imported")
    path.write_bytes(whole.replace(b"stem_relu", b"stem_rolu", 1))
    refused(path, "damaged or truncated|has unknown inputs")
    path.unlink()
    refused(path, "there is no such file")
    path.mkdir()
    refused(path, "is a folder")


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"members": {"config.json": b"{not json"}}, "config.json is not JSON"),
        ({"members": {"config.json": b"[" * 10**5}}, "config.json is nested deeper than 200"),
        ({"members": {"config.json": b"[]"}}, "not described as Keras 3"),
        ({"members": {"metadata.json": b"[]"}}, "saved by Keras None"),
        ({"members": {"metadata.json": b'{"keras_version": "2.15.0"}'}}, "saved by Keras '2.15.0'"),
        ({"members": {"model.weights.h5": b"x" * 5000}}, "model.weights.h5 is damaged"),
        ({"members": {"model.weights.h5": b"x"}}, "model.weights.h5 is damaged"),
        ({"left_out": ["model.weights.h5"]}, "holds no model.weights.h5"),
        ({"left_out": ["config.json"]}, "holds no config.json"),
        ({"more": [("../../evil.py", b"")]}, "holds '../../evil.py'"),
        ({"more": [("/etc/cron.d/evil", b"")]}, "holds '/etc/cron.d/evil'"),
        ({"members": {"model.weights.h5": bytes(200 << 20)}}, "far more than the"),
    ],
)
def test_spoilt_members(good, tmp_path, how, says):
    refused(respelt(good, tmp_path / "bad.keras", **how), says)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice(good, tmp_path):
    path = respelt(good, tmp_path / "bad.keras", more=[("config.json", b"{}")])
    refused(path, "holds 'config.json' twice")


def test_a_huge_declared_size_costs_no_memory(good, tmp_path):
    """In a process of its own, whose memory is limited: TensorFlow is not even imported."""
    path = respelt(good, tmp_path / "bad.keras", members={"model.weights.h5": bytes(300 << 20)})
    assert path.stat().st_size < 1 << 20
    code = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))\n"
        "from pretrain.keras_import.source import import_model\n"
        "from headstart.errors import InputError\n"
        "try:\n    import_model(sys.argv[1])\n"
        "except InputError as error:\n    print(error)\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
    )
    assert "far more than the" in done.stdout, done.stderr


def test_other_formats_say_the_way_out(tmp_path):
    model = small()
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as file:
        file.writestr("a.txt", "")
    refused(tmp_path / "other.keras", "holds 'a.txt'")
    path = tmp_path / "model.keras"
    weights = tmp_path / "model.weights.h5"
    model.save_weights(weights)
    path.write_bytes(weights.read_bytes())
    refused(path, "only .keras files are imported; load the model in Keras 3")


@pytest.mark.filterwarnings("ignore:.*HDF5")
def test_a_legacy_model_is_refused(tmp_path):
    path = tmp_path / "model.h5"
    from keras.src.legacy.saving import legacy_h5_format

    legacy_h5_format.save_model_to_hdf5(small(), str(path))
    moved = path.rename(tmp_path / "model.keras")
    refused(moved, "a whole Keras model in the legacy HDF5 format; only .keras")


def test_infinite_weights_are_refused(tmp_path):
    model = small()
    weights = model.get_weights()
    weights[0][0, 0, 0, 0] = np.nan
    model.set_weights(weights)
    with pytest.raises(InputError, match="weights are not finite: block1/stem/kernel"):
        import_model(str(save(model, tmp_path / "nan.keras")))
