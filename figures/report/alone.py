"""The page of one recording, or of one record: the report's own parts, without those on runs."""

from pathlib import Path

from derivation.record import record as records
from figures.report.gathering import Gathered, plain
from figures.report.page import bare, page, unchanging, write
from figures.report.recordings import read

RECORD = ("chain", "derivation", "again")


def recording(path: str | Path, out: str | Path) -> Path:
    """Write the page of the recording in `path` to `out`, and return it. Raises what reading a recording raises."""
    path = Path(path)
    read(path)  # raises where the page would only say that it cannot be read
    text = page(Gathered((), (), recordings=(path,)), bare(records.load()), parts=("simulation",),
                title=f"Recording {plain(path.name)}")
    return write(text, out)


def record(path: str | Path | None, out: str | Path) -> Path:
    """Write the page of the record in `path`, the committed one's by default, to `out`, and return it.

    Raises what reading a record raises.
    """
    source = records.load(path)
    text = page(Gathered((), ()), unchanging(source, simulate=False, record_file=path), parts=RECORD,
                title=f"Record {source.hash[:12]}")
    return write(text, out)
