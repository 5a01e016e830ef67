"""A path that is given names what is no file to read."""

import ast
import os
from pathlib import Path

import pytest

from foundation import reading
from foundation.errors import DamagedFileError, UserError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def strange(tmp_path):
    """Paths that are no files to read, by what they are; all exist but the last two."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    return {"a pipe": tmp_path / "pipe", "a device": "/dev/zero", "a folder": tmp_path / "folder",
            "No such file": tmp_path / "nothing", "File name too long": "n" * 4000}


@pytest.mark.parametrize("most", [10, 10**9])
def test_only_regular_files_are_read(strange, most):
    for says, path in strange.items():
        with pytest.raises(UserError, match=says) as raised:
            reading.read_bytes(path, "record", most)
        assert len(str(raised.value)) < 500


def test_no_more_is_read_than_is_allowed(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    assert reading.read_bytes(tmp_path / "file", "record", 5) == b"12345"
    with pytest.raises(DamagedFileError, match="larger than 4 bytes"):
        reading.read_bytes(tmp_path / "file", "record", 4)
    with pytest.raises(DamagedFileError, match="larger than 100 bytes"):
        reading.read_bytes("/proc/self/status", "record", 100)  # which says that it has none


@pytest.mark.parametrize("path", ["a\0b", "", "x/" * 3000])
def test_a_path_that_no_system_takes_is_an_error_of_ours(path):
    with pytest.raises(UserError, match="cannot read the record"):
        reading.read_bytes(path, "record", 10)
    assert not reading.is_file(path)


@pytest.mark.fault("A3")
@pytest.mark.parametrize("words", [
    ("derivation", "show", "--record", "{}"), ("rmaat", "inspect", "--record", "{}"),
])
def test_a_path_of_no_regular_file(forked, strange, words):
    """A path that is given is a pipe, a device such as `/dev/zero`, a folder, or too long for the system.

    Exit 2 before a byte is read; what it is and what to give is said. One way to open a file serves all readers.
    """
    for says, path in strange.items():
        forked(*(word.format(path) for word in words)).refused(2, says)


@pytest.mark.parametrize("path", ["x/" * 3000, "a\0b", "nothing", "{}/pipe", "/dev/null"])
def test_readers_of_many_files_refuse_what_is_none(strange, tmp_path, path):
    """Folders of runs, and any file at all: what cannot be looked up is not there, and not whole."""
    from figures.report.gathering import gather
    from foundation.verify import files_of, verify
    from rmaat.training.studies.summary import collect

    path = Path(path.format(tmp_path))
    for read in (lambda: gather([path]), lambda: collect([path]), lambda: [verify(one) for one in files_of([path])]):
        with pytest.raises(UserError) as raised:
            read()
        assert len(str(raised.value)) < 500


# calls that open a file to read it; each place that may do so by itself, and why
READS = {"open", "io.open", "gzip.open", "bz2.open", "lzma.open", "tarfile.open", "zipfile.ZipFile", "np.load",
         "np.loadtxt", "np.genfromtxt", "np.fromfile", "h5py.File", "safe_open", "load_file", "xr.open_dataset",
         "pd.read_csv", "os.open", "mmap.mmap"}
BY_THEMSELVES = {
    "foundation/reading.py": "the one way",
    "foundation/chain.py": "appends to a file that it has just made or verified",
    "foundation/doctor.py": "the project's own constraints.txt",
    "foundation/files.py": "syncs what it has just written, and its folder",
    "foundation/lock.py": "opens without waiting, and reads so many bytes",
    "foundation/machine.py": "the system's own files", "foundation/process.py": "the system's own files",
    "foundation/trailer.py": "appends to a file that has just been made",
    "foundation/streams.py": "the null device", "rmaat/resources.py": "the null device",
    "foundation/outside.py": "its own load_file, which runs a user's program as its name says",
    "astro_sim/brian/backend.py": "source that Brian2 has just written",
    "astro_sim/brian/program.py": "results that a program of its own has just written",
    "astro_sim/model/names.py": "Brian2's own files", "astro_sim/show/citations.py": "the project's own bibliography",
    "astro_sim/parameter/table_files.py": "bytes that reading.py has read",
    "astro_sim/recording/disk.py": "a file that it has just made",
    "astro_sim/recording/foreign.py": "the system's own files",
    "astro_sim/recording/netcdf.py": "behind a seal, or what another process has read to its end",
    "astro_sim/run/side_by_side.py": "behind a seal, or what another process has read to its end",
    "derivation/record/ensemble.py": "the record's read_text, which is that of reading.py",
    "derivation/record/record.py": "reading.read_text",
    "rmaat/benchmark/measure.py": "the system's own files",
    "rmaat/model/stream.py": "a regular file, mapped", "rmaat/training/checkpoint.py": "a file whose hash was verified",
    "rmaat/tasks/cache.py": "a regular file of its own, mapped",
    "rmaat/training/diverged.py": "a file whose hash was verified",
    "rmaat/tasks/fashion.py": "a stream that reading.py has opened",
    "rmaat/tasks/debian.py": "members of bytes that reading.py has read, one by one, never written as files",
    "rmaat/tasks/fetch.py": "members of bytes that reading.py has read; four names alone are written",
    "rmaat/tasks/tables.py": "bytes that reading.py has read", "rmaat/training/logs.py": "appends to a file of its own",
    "figures/report/page.py": "the project's own style and script",
    "rmaat/tasks/trees.py": "archives, whose members are read one by one, never written, at most so many bytes each",
}


def readers():
    """Files of the packages in which something is opened or read, other than by the functions of reading.py."""
    for package in ("foundation", "astro_sim", "derivation", "rmaat", "figures"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call):
                    called = ast.unparse(node.func)
                    if called in READS or (called.endswith((".read_text", ".read_bytes")) and called not in (
                            "reading.read_text", "reading.read_bytes")):
                        yield path.relative_to(ROOT).as_posix()


def test_every_reader_opens_files_in_the_one_way():
    found = set(readers())
    assert found - BY_THEMSELVES.keys() == set(), "use foundation.reading"
    assert BY_THEMSELVES.keys() - found <= {"derivation/record/record.py"}, "need no excuse any more"


@pytest.mark.fault("A6")
@pytest.mark.parametrize("words", [
    ("astro_sim", "analyse", "{}"), ("astro_sim", "plot", "{}", "--out", "p.png"),
    ("astro_sim", "run", "li_rinzel", "--set", "K_P=file:{}", "--out", "n.nc"),
    ("astro_sim", "run", "li_rinzel", "--protocol", "samples:input=ip3,dt=1s,file={}", "--out", "n.nc"),
    ("rmaat", "train", "{}:CONFIG", "--out", "n"), ("rmaat", "evaluate", "{}"), ("rmaat", "inspect", "{}"),
    ("rmaat", "predict", "{}", "--out", "n.csv"), ("rmaat", "train", "fashion_small", "--out", "n", "--data", "{}"),
    ("derivation", "show", "--record", "{}"),
])
def test_every_verb_that_takes_a_path(forked, strange, tmp_path, words):
    """Any verb is given a pipe, a device, a folder, a missing file, a path of 4,000 letters, or bytes that are none.

    Exit 2, or 3 for content, in one line of bounded length; nothing is written, nothing waits.
    """
    (tmp_path / "noise").write_bytes(bytes(range(256)) * 40)
    before = sorted(path.name for path in tmp_path.iterdir())
    for path in (*strange.values(), tmp_path / "noise", b"\xff\xfe".decode("utf-8", "surrogateescape")):
        ended = forked(*(word.format(path) for word in words), seconds=60)
        ended.refused(ended.code if ended.code in (2, 3) else 2)
        assert len(ended.err) < 12_000
    assert sorted(path.name for path in tmp_path.iterdir()) == before
