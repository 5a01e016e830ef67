"""A path that is given names what is no file to read."""

import os

import pytest

from foundation import reading
from foundation.errors import DamagedFileError, UserError


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
