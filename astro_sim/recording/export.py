"""A recording in the formats of others: CSV, Parquet, and Neurodata Without Borders (NWB).

Its own file is NetCDF, which xarray reads; these are copies for programs that do not.
"""

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from astro_sim.recording.disk import created
from foundation.errors import UserError, choose
from foundation.files import canonical_json, replacing

if TYPE_CHECKING:
    import pandas
    import pynwb

    from astro_sim.recording.recording import Recording

NO_SESSION = datetime(1970, 1, 1, tzinfo=UTC)  # NWB wants a start; a simulation has none
MODULE = "simulation"


@contextlib.contextmanager
def _needs(extra: str) -> Iterator[None]:
    """An extra that is not installed is said."""
    try:
        yield
    except ImportError as error:
        raise UserError(f"export: {error.name} is not installed; install it with: pip install 'astro-rmaat[{extra}]'"
                        ) from error


def _head(name: str, unit: str) -> str:
    return name if unit == "1" else f"{name} ({unit})"


def to_csv(recording: "Recording", path: Path) -> list[Path]:
    """A column an element under heads with units, by time; each kind of event in a file beside it, NAME.EVENTS.csv."""
    frame = recording.to_pandas()
    units = frame.attrs["units"]
    frame.index.name = _head("time", "second")
    frame.columns = [_head(name, units[name]) for name in frame.columns]
    written = [_write_csv(frame, path, index=True)]
    for name in recording.events:
        written.append(_write_csv(_events(recording, name), path.with_suffix(f".{name}.csv"), index=False))
    return written


def _write_csv(frame: "pandas.DataFrame", path: Path, *, index: bool) -> Path:
    with replacing(path) as temporary:
        frame.to_csv(temporary, index=index)  # numbers as short as they can be read back exactly
    return path


def _events(recording: "Recording", name: str) -> "pandas.DataFrame":
    import pandas as pd

    seen = recording.events[name]
    labels = next((s.labels for s in recording.variables.values() if s.population == seen.population), None)
    columns = {_head("time", "second"): seen.times, "element": seen.elements}
    if labels is not None:
        columns["label"] = [labels[element] for element in seen.elements]
    return pd.DataFrame(columns)


def to_parquet(recording: "Recording", path: Path) -> list[Path]:
    """The frame of `to_pandas`, whose units are in its attributes. Errors: `UserError` without pyarrow."""
    with _needs("parquet"):
        import pyarrow  # noqa: F401  what pandas writes with
    with replacing(path) as temporary:
        recording.to_pandas().to_parquet(temporary, engine="pyarrow")
    return [path]


def to_nwb(recording: "Recording", path: Path) -> list[Path]:
    """An NWB file: variables as TimeSeries of the module "simulation", spikes as units, parameters as a table.

    Errors: `UserError` without pynwb.
    """
    # else pynwb unpickles a file of the user's cache, which a disk that was full once leaves cut for ever
    os.environ.setdefault("PYNWB_NO_CACHE_DIR", "1")
    with _needs("nwb"):
        import pynwb

    meta = recording.meta
    made = pynwb.NWBFile(
        session_description=f"simulation of {meta['model']}:{meta.get('parameter_set', '')} by astro_sim; it has no "
                            "session, so its start is 1970-01-01",
        identifier=recording.content_hash, session_start_time=NO_SESSION, notes=canonical_json(meta))
    module = made.create_processing_module(MODULE, "what was simulated, with the parameters that it was simulated with")
    shared = None
    for name, series in recording.variables.items():
        shared = pynwb.TimeSeries(
            name=name, data=np.asarray(series.values), unit=series.unit, timestamps=recording.time if shared is None
            else shared, description=series.long_name, comments=f"columns: {', '.join(series.labels)}")
        module.add(shared)
    for name in recording.events:
        _add_events(made, recording, name)
    _add_table(made, "parameters", "the model's parameters with their sources", [
        {"symbol": symbol, **{key: told[key] for key in ("value", "unit", "meaning", "source", "basis")}}
        for symbol, told in meta.get("parameters", {}).items()])
    with (replacing(path) as temporary, created(temporary) as file, warnings.catch_warnings(action="ignore"),
          pynwb.NWBHDF5IO(file=file, mode="w") as out):
        out.write(made)
    return [path]


def _add_events(made: "pynwb.NWBFile", recording: "Recording", name: str) -> None:
    """Spikes as units, a row a neuron; other events as a table of times and elements."""
    seen = recording.events[name]
    if name != "spikes":
        rows = _events(recording, name).rename(columns={_head("time", "second"): "time"}).to_dict("records")
        _add_table(made, name, f"{seen.long_name}, of {seen.population}; times in seconds", rows)
        return
    size = next((len(s.labels) for s in recording.variables.values() if s.population == seen.population),
                int(seen.elements.max(initial=-1)) + 1)
    ends = np.array([[recording.time[0], recording.time[-1]]])
    for element in range(size):
        made.add_unit(spike_times=seen.times[seen.elements == element], obs_intervals=ends, id=element)


def _add_table(made: "pynwb.NWBFile", name: str, description: str, rows: list[dict]) -> None:
    from hdmf.common import DynamicTable

    if not rows:
        return
    table = DynamicTable(name=name, description=description)
    for key in rows[0]:
        table.add_column(key, key)
    for row in rows:
        table.add_row(row)
    made.processing[MODULE].add(table)


EXPORTS: dict[str, Callable[["Recording", Path], list[Path]]] = {"csv": to_csv, "parquet": to_parquet, "nwb": to_nwb}


def export(recording: "Recording", path: str | Path, to: str | None = None) -> list[Path]:
    """Write a recording as "csv", "parquet" or "nwb", by default as the path ends; returns the files.

    Errors: `UserError` for another format, and for one whose extra is not installed.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"out: {path} is a folder; name a file such as {path / 'recording.csv'}")
    return choose("format", to or path.suffix.removeprefix("."), EXPORTS)(recording, path)
