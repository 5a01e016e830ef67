"""The recordings of a sweep as one xarray Dataset, read from disk when they are asked for; and one number of each.

The numbers of a recorded variable stay in their files until they are used, whatever the size of the sweep. Of what is
read so the file's hash is verified; `Outcome.recordings()` verifies all that it says.
"""

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from astro_sim.analysis.named import Measure, named
from astro_sim.parameter import Amount
from astro_sim.recording.foreign import try_out, try_out_all
from astro_sim.recording.recording import Recording
from astro_sim.run.varied import Axis, Layout
from foundation.errors import DamagedFileError, UserError
from foundation.shapes import Array, Float

Number = str | Callable[[Recording], float]


class Lazily(BackendArray):
    """One variable of many recordings: an array (places of the sweep, time, element) that reads what is asked for.

    NaN where a point has no recording.
    """

    def __init__(self, files: Mapping[tuple[int, ...], Path], name: str, shape: tuple[int, ...]):
        self.files, self.name, self.shape, self.dtype = files, name, shape, np.dtype("f8")

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._read)

    def _read(self, key: tuple) -> Float[Array, "..."]:
        lead = len(self.shape) - 2
        rows = [np.arange(size)[one] for size, one in zip(self.shape, key, strict=True)]
        found = np.full([np.size(row) for row in rows], np.nan)
        for place in np.ndindex(*found.shape[:lead]):
            file = self.files.get(tuple(int(np.atleast_1d(row)[n]) for row, n in zip(rows, place, strict=False)))
            if file is not None:
                found[place] = _numbers(file, self.name, rows[lead:])
        return found.reshape([np.size(row) for row in rows if np.ndim(row)])


def _numbers(file: Path, name: str, rows: Sequence) -> Float[Array, "time element"]:
    """Some records and elements of a variable of one file."""
    import h5py

    times, elements = map(np.atleast_1d, rows)
    if not len(times) or not len(elements):
        return np.empty((len(times), len(elements)))
    with _opened(file) as source:
        whole = source[name]
        assert isinstance(whole, h5py.Dataset)
        first, last = int(times.min()), int(times.max()) + 1
        return np.asarray(whole[first:last])[np.ix_(times - first, elements)]


@functools.lru_cache(maxsize=1 << 16)
def _looked_at(file: Path, changed: int, size: int) -> None:
    """Raises `DamagedFileError` for a file that HDF5 should not see; once for each content."""
    try_out(file)


def _opened(file: Path) -> Any:
    import h5py

    try:
        about = os.stat(file)
        _looked_at(file, about.st_mtime_ns, about.st_size)
        return h5py.File(file, "r")
    except OSError as error:
        raise DamagedFileError(f"{file}: cannot be read as a recording ({error}); sweep again into the same folder"
                               ) from error


def recorded(layout: Layout, files: Mapping[str, Path], names: Sequence[str] = ()) -> xr.Dataset:
    """Recorded variables (default: all) of the points that have a file, along what was varied.

    Errors: `UserError` where nothing was recorded, or the recordings have other times, elements or variables.
    """
    first = _checked(files)
    for name in names:
        first[name]  # refuses one that is not there
    at = {layout.places[point]: file for point, file in files.items()}
    data = {}
    for name in names or first:
        series = first[name]
        shape = (*layout.shape, len(first.time), len(series.labels))
        lazily = indexing.LazilyIndexedArray(Lazily(at, name, shape))
        dims = (*(axis.name for axis in layout.axes), "time", series.population)
        data[name] = xr.Variable(dims, lazily, {"units": series.unit, "long_name": series.long_name})
    whole = first.to_xarray()
    inside = {name: whole.coords[name] for name in whole.coords if set(whole.coords[name].dims) & {
        dim for variable in data.values() for dim in variable.dims}}
    return xr.Dataset(data, {**inside, **coordinates(layout)})


def _checked(files: Mapping[str, Path]) -> Recording:
    """The first recording; all others have its times, elements and variables."""
    if not files:
        raise UserError("sweep: no point was recorded, so there is nothing to put side by side")
    try_out_all(files.values())
    first = Recording.load(next(iter(files.values())))
    wanted = {name: series.values.shape for name, series in first.variables.items()}
    for file in files.values():
        with _opened(file) as source:
            ends = (float(source["time"][0]), float(source["time"][-1]), source["time"].shape)
            shapes = {name: source[name].shape for name in wanted if name in source}
        if shapes != wanted or ends != (float(first.time[0]), float(first.time[-1]), first.time.shape):
            raise UserError("sweep: the recordings have other times or elements; put those side by side that have the "
                            "same, with recordings()")
    return first


def coordinates(layout: Layout) -> dict[str, tuple]:
    """What was varied, as the coordinates of a Dataset: numbers with `units`, or texts."""
    return {**{axis.name: _coordinate(axis.name, axis) for axis in layout.axes},
            **{axis.name: _coordinate("point", axis) for axis in layout.columns}}


def _coordinate(dimension: str, axis: Axis) -> tuple:
    about = {"long_name": axis.name} | ({"units": axis.unit} if axis.unit else {})
    return dimension, list(axis.values), about


def measured(layout: Layout, recordings: Sequence[tuple[str, Recording]], numbers: Mapping[str, Number], *,
             after: Amount | None = None) -> xr.Dataset:
    """Numbers of every recording along what was varied: NaN where there is none, and why not in "NAME: why not".

    numbers: name -> a measure by name, or a function of a recording. Errors: `UserError` for an unknown measure.
    """
    asked = {name: named(number) if isinstance(number, str) else number for name, number in numbers.items()}
    values = {name: np.full(layout.shape, np.nan) for name in asked}
    reasons = {name: np.full(layout.shape, "not simulated", dtype=object) for name in asked}
    units = {}
    for point, recording in recordings:
        for name, number in asked.items():
            place = layout.places[point]
            try:
                values[name][place] = number.of(recording, after=after) if isinstance(number, Measure) else number(
                    recording)
                reasons[name][place] = "" if np.isfinite(values[name][place]) else "not finite"
            except UserError as why:
                reasons[name][place] = str(why)
            if isinstance(number, Measure):
                units[name] = number.unit(recording[number.variable].unit)
    dims = tuple(axis.name for axis in layout.axes)
    data = {}
    for name, number in asked.items():
        about = {"units": units[name], "long_name": number.long_name} if name in units else {"long_name": name}
        data[name] = xr.Variable(dims, values[name], about)
        if (reasons[name] != "").any():
            data[f"{name}: why not"] = xr.Variable(dims, reasons[name].astype(str))
    return xr.Dataset(data, coordinates(layout))
