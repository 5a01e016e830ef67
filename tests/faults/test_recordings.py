"""Recordings: a disk that is full, files that are bent, and files that are whole and say what cannot be."""

import hashlib
import json
import os
import signal
import struct
from dataclasses import replace

import numpy as np
import pytest

from astro_sim import simulate
from astro_sim.recording import disk, foreign, netcdf
from astro_sim.recording.recording import Recording
from astro_sim.run.streaming import simulate_to_file
from foundation import trailer
from foundation.errors import DamagedFileError, ResourceError, UserError

CELL = ("astro_sim", "run", "li_rinzel", "--duration", "100s", "--dt", "2ms")  # 800 kB


@pytest.fixture(scope="module")
def made():
    """A short recording."""
    return simulate("li_rinzel", "constant:input=ip3,value=0.5 umolar", duration="1 s", dt="10 ms")


@pytest.mark.fault("A1")
@pytest.mark.parametrize("words", [("--stream", "--backend", "numpy", "--method", "rk4"), ("--stream",), ()])
def test_a_recording_and_a_disk_that_is_full(forked, tmp_path, words):
    """The disk becomes full, or a limit on file sizes is met, while a recording is written, whole or in pieces.

    Exit 4 with the bytes needed and free; what was there stays, no temporary does, nothing crashes at the end.
    """
    (tmp_path / "out.nc").write_text("before")
    ended = forked(*CELL, *words, "--out", "out.nc", "--force", file_size=400_000)
    ended.refused(4, "needs 800 kB, 400 kB are allowed for a file")
    assert [path.name for path in tmp_path.iterdir()] == ["out.nc"]
    assert (tmp_path / "out.nc").read_text() == "before"


@pytest.mark.parametrize("limit", [1, 3_000, 30_000])
def test_a_disk_that_becomes_full_in_the_middle(forked, tmp_path, limit, monkeypatch):
    """Whatever was written until then, of the first piece or of a later one; what was estimated does not stop it."""
    monkeypatch.setattr("astro_sim.run.estimate.largest_file", lambda: None)

    def stream():
        with pytest.raises(ResourceError, match=r"it needs at least .* are allowed for a file"):
            simulate_to_file("out.nc", "li_rinzel", duration="20 s", dt="10 ms", backend="numpy", method="rk4")

    def save():
        with pytest.raises(ResourceError, match=r"it needs at least .* are allowed for a file"):
            recording.save("out.nc")

    recording = simulate("li_rinzel", duration="20 s", dt="10 ms", backend="numpy", method="rk4")
    for work in (stream, save):
        ended = forked(function=work, file_size=limit)
        assert ended.code == 0, ended.err
        assert list(tmp_path.iterdir()) == []


def test_an_export_and_a_disk_that_is_full(forked, tmp_path, made):
    noise = np.random.default_rng(3).random((30_000, 1))
    long = Recording(np.arange(30_000) / 10, {"C": replace(made["C"], values=noise, time=None)}, made.meta)
    for name in ("out.csv", "out.parquet", "out.nwb"):
        def work(name=name):
            with pytest.raises(ResourceError, match="make room"):
                long.export(name)

        ended = forked(function=work, file_size=100_000)
        assert ended.code == 0, f"{name}: {ended.err[-1500:]}"
        assert list(tmp_path.iterdir()) == [], name


def test_hdf5_is_not_told_that_a_write_failed(tmp_path):
    """What cannot be written is kept as the error; a write that is cut short is finished."""
    file = disk.Disk(tmp_path / "a")
    assert file.write(memoryview(b"12345")) == 5 and file.seek(0) == 0
    file.handle, kept = file.handle, file.handle
    buffer = bytearray(8)
    assert file.readinto(memoryview(buffer)) == 5 and buffer == b"12345\0\0\0"
    import os

    file.handle = os.open(tmp_path / "a", os.O_RDONLY)  # every write fails
    os.close(kept)
    assert file.write(memoryview(b"678")) == 3 and isinstance(file.failed, OSError)
    assert file.readinto(memoryview(buffer)) == 8, "zeros where nothing was written"
    file.close()
    assert (tmp_path / "a").read_bytes() == b"12345"


def bent_heap(data):
    """The same file with an object of 2**64 - 16 bytes in its first global heap, as no program writes it."""
    at = data.find(b"GCOL")
    assert at > 0
    size = at + 16 + 8  # of the first object: index, references, reserved
    return data[:size] + struct.pack("<Q", 2**64 - 16) + data[size + 8:]


@pytest.mark.fault("A2")
@pytest.mark.parametrize("seal", [lambda data, seal: data + seal, lambda data, seal: data,
                                  lambda data, seal: resealed(data)], ids=["of the whole file", "none", "right"])
def test_a_file_that_hdf5_would_not_come_to_an_end_with(forked, tmp_path, made, monkeypatch, seal):
    """A recording whose HDF5 heap holds an object of 2^64-16 bytes, for which HDF5 loops for ever.

    The hash of the whole file is looked at before HDF5 is. What another process has written is first read by a copy of
    this one with limits on time and memory, even where its hash is right. Exit 3.
    """
    monkeypatch.setattr(foreign, "SECONDS", 0)
    data = made.save(tmp_path / "a.nc").read_bytes()
    (tmp_path / "a.nc").write_bytes(seal(bent_heap(data[:-trailer.LENGTH]), data[-trailer.LENGTH:]))
    forked("astro_sim", "analyse", "a.nc", seconds=20).refused(3, "a.nc", "simulate again")


def resealed(data):
    """With the right hash behind it, as nobody but a forger writes it."""
    return data + trailer.BINARY % hashlib.sha256(data).hexdigest().encode()


def test_every_flip_is_noticed(tmp_path, made):
    data, path = made.save(tmp_path / "a.nc").read_bytes(), tmp_path / "flipped.nc"
    random = np.random.default_rng(5)
    for at in random.choice(len(data) - trailer.LENGTH, 100, replace=False):
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << random.integers(8))]) + data[at + 1:])
        with pytest.raises(DamagedFileError, match="SHA-256"):
            disk.sealed_hash(path)
    assert disk.sealed_hash(tmp_path / "a.nc") == hashlib.sha256(data[:-trailer.LENGTH]).hexdigest()


@pytest.mark.fault("C11")
def test_a_file_of_an_older_version_is_read(tmp_path, made):
    """A recording was written by an older version, which put no seal on its files.

    It is read all the same; what it holds is verified by the hashes inside.
    """
    data = made.save(tmp_path / "a.nc").read_bytes()
    (tmp_path / "old.nc").write_bytes(data[:-trailer.LENGTH])
    assert Recording.load(tmp_path / "old.nc").content_hash == made.content_hash


def forged(path, recording):
    """A recording's file whose hashes are right, whatever it says."""
    recording.save(path)
    return path


def changed(recording, name, values):
    return Recording(recording.time, {**recording.variables, name: replace(recording[name], values=values)},
                     recording.meta, recording.events, recording.maps)


@pytest.mark.fault("E3")
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_none(forked, tmp_path, made, number):
    """A recording with the right hash holds a NaN or an infinite number.

    `analyse` and every other reader says where it is: exit 3.
    """
    values = made["C"].values.copy()
    values[7, 0] = number
    forged(tmp_path / "a.nc", changed(made, "C", values))
    forked("astro_sim", "analyse", "a.nc").refused(3, f"variable C is {number} at record 7, element 0")


@pytest.mark.parametrize(("spoil", "says"), [
    (lambda r: Recording(r.time[::-1], r.variables, r.meta), "does not rise"),
    (lambda r: Recording(r.time[:0], {"C": replace(r["C"], values=r["C"].values[:0], time=None)}, r.meta), "time"),
    (lambda r: Recording(r.time, r.variables, {**r.meta, "solver": {**r.meta["solver"], "dt_s": "fast"}}), "dt_s"),
    (lambda r: Recording(r.time, r.variables, {**r.meta, "model": 3}), "model"),
    (lambda r: Recording(r.time, r.variables, {**r.meta, "parameters": {"K_P": 3}}), "K_P"),
    (lambda r: Recording(r.time, r.variables, {**r.meta, "partial": True}), "stopped"),
    (lambda r: Recording(r.time, r.variables, {**r.meta, "equations": {"astrocyte": 5}}), "equations"),
    (lambda r: Recording(r.time, {"C": replace(r["C"], unit="u" * 5000)}, r.meta), "letters"),
])
def test_what_no_simulation_gives(tmp_path, made, spoil, says):
    with pytest.raises(DamagedFileError, match=says):
        Recording.load(forged(tmp_path / "a.nc", spoil(made)))


@pytest.mark.fault("A9")
def test_a_small_file_that_declares_much_is_refused_before_it_is_allocated(forked, tmp_path, made):
    """A recording of under 100 kB that declares gigabytes, which HDF5 would allocate as zeros.

    It is refused by what it declares, before anything is allocated.
    """
    import h5py

    with h5py.File(made.save(tmp_path / "a.nc"), "r+") as file:
        old = file["C"]
        attributes, scales = dict(old.attrs), [old.dims[n][0] for n in (0, 1)]
        del file["C"]
        new = file.create_dataset("C", (250_000_000, 1), "f8", chunks=(1000, 1))  # 2 GB, of which nothing is there
        new.attrs.update({key: value for key, value in attributes.items() if key in ("units", "long_name")})
        for n in (0, 1):
            new.dims[n].attach_scale(scales[n])
    assert (tmp_path / "a.nc").stat().st_size < 100_000
    forked("astro_sim", "analyse", "a.nc", memory=1 << 30, seconds=20).refused(3, "declares 2,000,000,000 bytes")


@pytest.mark.fault("F6")
def test_a_recording_does_not_lead_out_of_its_file(tmp_path, made):
    """A recording has links that lead to another file, as a member of an archive leads out of its folder.

    They are not followed: the recording is refused.
    """
    import h5py

    secret = tmp_path / "other.h5"
    with h5py.File(secret, "w") as file:
        file["x"] = np.zeros((101, 1))
    for name, link in (("soft", h5py.SoftLink("/C")), ("outside", h5py.ExternalLink(str(secret), "x"))):
        with h5py.File(made.save(tmp_path / f"{name}.nc"), "r+") as file:
            file["led"] = link
        with pytest.raises(DamagedFileError, match="leads out of the file"):
            Recording.load(tmp_path / f"{name}.nc")


@pytest.mark.parametrize(("read", "says"), [
    ("spin", "does not come to an end"), ("crash", "or crashes"), ("swallow", "MemoryError"),
    ("tell", "ValueError: no"), ("leave", "SystemExit")])
def test_a_process_that_reads_in_our_place_is_stopped(tmp_path, monkeypatch, read, says):
    path = tmp_path / "a.nc"
    path.write_bytes(resealed(b"of somebody else"))
    monkeypatch.setattr(foreign, "SECONDS", 0)
    monkeypatch.setattr(netcdf, "read", globals()[read])
    with pytest.raises(DamagedFileError, match=says):
        foreign.try_out(path)


@pytest.mark.slow
def test_a_new_python_reads_where_a_system_cannot_copy_a_process(tmp_path, made, monkeypatch):
    path = made.save(tmp_path / "a.nc")
    monkeypatch.setattr(foreign, "COPIES", False)
    path.write_bytes(path.read_bytes()[:-trailer.LENGTH])
    foreign.try_out(path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(DamagedFileError, match="OSError: Unable to"):
        foreign.try_out(path)
    monkeypatch.setattr(foreign, "PROGRAM", "import os; os.kill(os.getpid(), 11)")
    with pytest.raises(DamagedFileError, match="or crashes"):
        foreign.try_out(path)


def test_many_files_are_tried_out_at_once_whatever_one_of_them_does(tmp_path, made, monkeypatch):
    monkeypatch.setattr(disk, "harmless", set())
    data = made.save(tmp_path / "a.nc").read_bytes()
    for name in "bcdef":
        (tmp_path / f"{name}.nc").write_bytes(data)
    (tmp_path / "g.nc").write_bytes(resealed(b"no recording"))
    with monkeypatch.context() as patch:
        patch.setattr(netcdf, "read", lambda path, read=netcdf.read: crash(path) if path.stem in "ce" else read(path))
        foreign.try_out_all([tmp_path / f"{name}.nc" for name in "abcdefgh"])
    tried = []
    monkeypatch.setattr(foreign, "_copy_says", lambda jobs: [tried.append(path.stem) or foreign.READ
                                                             for path, *limits in jobs])
    for name in "abcdefg":
        foreign.try_out(tmp_path / f"{name}.nc")
    assert tried == ["c", "e", "g"]


def spin(path):
    while True:
        pass


def crash(path):
    os.kill(os.getpid(), signal.SIGSEGV)


def swallow(path):
    bytearray(8 << 30)


def tell(path):
    raise ValueError("no")


def leave(path):
    raise SystemExit


def test_a_file_is_tried_out_once_and_one_of_our_own_never(tmp_path, made, monkeypatch):
    tried = []
    monkeypatch.setattr(disk, "harmless", set())
    monkeypatch.setattr(foreign, "_copy_says", lambda jobs: [tried.append(path.name) or foreign.READ
                                                             for path, *limits in jobs])
    own = made.save(tmp_path / "own.nc")
    Recording.load(own)
    (tmp_path / "other.nc").write_bytes(own.read_bytes())
    for _ in range(2):
        Recording.load(tmp_path / "other.nc")
    assert tried == ["other.nc"]
    (tmp_path / "other.nc").write_bytes(resealed(own.read_bytes()[:-trailer.LENGTH]))
    os.utime(tmp_path / "other.nc", ns=(1, 1))
    Recording.load(tmp_path / "other.nc")
    assert tried == ["other.nc"] * 2, "written anew"


def test_what_a_meta_says_is_read_by_its_equations_or_refused(tmp_path, made):
    """Equations that would run something, or that fill the memory, in a recording with right hashes."""
    from astro_sim.plan import plan_of

    for text in ("dC/dt = ().__class__ : umolar", "dC/dt = 9**9**9*umolar/second : umolar", "dC/dt = " + "(" * 5000):
        meta = json.loads(json.dumps(made.meta))
        meta["model"], meta["equations"] = "other", {"astrocyte": text}
        loaded = Recording.load(forged(tmp_path / "a.nc", Recording(made.time, made.variables, meta)))
        with pytest.raises(UserError):
            plan_of(loaded.meta)
