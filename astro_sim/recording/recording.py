"""A time series with units as labels: Border 1, the one file where a quantity becomes float64 and a unit's name.

On disk: NetCDF, one variable a series, `units` and `long_name` as attributes, meta and hashes as global attributes;
events as NAME_time and NAME_element along the dimension NAME_event, assignments along their population's dimension.
"""

import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from astro_sim.parameter import unit
from astro_sim.plan import NOTHING
from astro_sim.recording import netcdf
from foundation.errors import DamagedFileError, UserError, choose
from foundation.files import canonical_json, replacing, sha256_bytes

FORMAT = "astro_sim recording 1"
HASHED = 1 << 19  # numbers at a time


class PartialRecording(UserWarning):
    """A recording of a run that was stopped before its end."""


@dataclass(frozen=True, eq=False)
class Series:
    """One variable: `values` float64 (time, element), its unit's name, and what it is.

    `labels` names the elements, `positions` are their places (element, axis) or None; `population` is the dimension.
    """

    values: object
    unit: str
    long_name: str
    population: str
    labels: tuple[str, ...]
    positions: object | None = None


@dataclass(frozen=True, eq=False)
class Events:
    """What happened to single elements: `times` float64 (event,) in seconds, rising; `elements` int64 (event,).

    An event at t, such as a spike, is in the state that is recorded at t: the end of the step in which it fell.
    """

    times: object
    elements: object
    population: str
    long_name: str


@dataclass(frozen=True, eq=False)
class Assignment:
    """The element of `target` to which each element of `population` belongs: `indices` int64 (element,)."""

    indices: object
    population: str
    target: str
    long_name: str


@dataclass(frozen=True, eq=False)
class Recording:
    """What a simulation gave: `time` float64 in seconds, `variables` by name, `meta` that says how it came about.

    `events` and `maps` (assignments between populations) are there for models that have them.
    """

    time: object
    variables: Mapping[str, Series]
    meta: dict
    events: Mapping[str, Events] = field(default_factory=dict)
    maps: Mapping[str, Assignment] = field(default_factory=dict)

    @property
    def partial(self) -> bool:
        """Whether the run was stopped before its end; `meta["reached_s"]` is then the last time."""
        return bool(self.meta.get("partial"))

    @property
    def said_partial(self) -> str:
        """How far a partial recording got, in words."""
        return (f"{self.meta['model']}: partial, stopped at {self.meta['reached_s']:g} s of "
                f"{self.meta['solver']['duration_s']:g} s")

    @property
    def hash(self) -> str:
        """SHA-256 of model, parameters, protocol, solver, seed and versions: equal for runs that must agree."""
        return sha256_bytes(canonical_json(self.meta).encode())

    @property
    def content_hash(self) -> str:
        """SHA-256 of everything in the recording, numbers included."""
        import hashlib

        head = {name: [s.unit, s.long_name, s.population, list(s.labels), list(s.values.shape)]
                for name, s in self.variables.items()}
        whole = {"format": FORMAT, "meta": self.meta, "variables": head}
        if self.events:
            whole["events"] = {name: [e.population, e.long_name] for name, e in self.events.items()}
        if self.maps:
            whole["maps"] = {name: [m.population, m.target, m.long_name] for name, m in self.maps.items()}
        digest = hashlib.sha256(canonical_json(whole).encode())
        _update(digest, self.time)
        for name in sorted(self.variables):
            series = self.variables[name]
            _update(digest, series.values)
            if series.positions is not None:
                _update(digest, series.positions)
        for name in sorted(self.events):
            _update(digest, self.events[name].times)
            _update(digest, self.events[name].elements, "<i8")
        for name in sorted(self.maps):
            _update(digest, self.maps[name].indices, "<i8")
        return digest.hexdigest()

    def __getitem__(self, name: str) -> Series:
        return choose("variable of the recording", name, dict(self.variables))

    def parameter(self, name: str) -> float:
        """A parameter's value, in the unit given in `meta`."""
        return choose(f"parameter of {self.meta['model']}", name, self.meta["parameters"])["value"]

    @property
    def attributes(self) -> dict[str, str]:
        """What is written about the whole: the global attributes of the file."""
        return {"format": FORMAT, "model": self.meta["model"], "hash": self.hash,
                "content_sha256": self.content_hash, "meta": canonical_json(self.meta),
                **({"partial": "true"} if self.partial else {})}

    def to_xarray(self):
        """An xarray Dataset: dims time and one a population, labels and places as coordinates."""
        import xarray as xr

        data = {name: ((("time", s.population)), s.values, {"units": s.unit, "long_name": s.long_name})
                for name, s in self.variables.items()}
        coordinates = {"time": ("time", self.time, {"units": "second", "long_name": "time"})}
        for series in self.variables.values():
            coordinates[series.population] = (series.population, list(series.labels))
            if series.positions is not None:
                axis = f"{series.population}_axis"
                coordinates[f"{series.population}_place"] = ((series.population, axis), series.positions)
        data |= event_columns(self.events)
        for name, belongs in self.maps.items():
            data[name] = (belongs.population, belongs.indices, {"long_name": belongs.long_name,
                                                                "maps_to": belongs.target})
        return xr.Dataset(data, coordinates, self.attributes)

    def plot(self, names=None):
        """A matplotlib Figure with a panel for each variable (default: all), axes with units; see `plot.plot`."""
        from astro_sim.recording import plot

        return plot.plot(self, names)

    def save(self, path) -> Path:
        """Write NetCDF, whole or not at all. Raises `UserError` where it cannot be written."""
        path = Path(path)
        if path.is_dir():
            raise UserError(f"out: {path} is a folder; name a file such as {path / 'recording.nc'}")
        with replacing(path) as temporary:
            netcdf.write(self.to_xarray(), temporary)
        return path

    @classmethod
    def load(cls, path) -> "Recording":
        """Read and verify; a partial recording is read with a `PartialRecording` warning.

        Errors: `UserError` for a missing file, `DamagedFileError` for one that is cut, altered or not ours.
        """
        path = Path(path)
        if not path.is_file():
            raise UserError(f"recording: {path} is not a file; give the path of a recording (.nc)")
        try:
            attributes, recording = _read(cls, path)
        except Exception as error:  # the library raises many kinds for a file that is cut, altered or not NetCDF
            raise DamagedFileError(f"{path}: cannot be read as a recording ({type(error).__name__}: {str(error)[:80]});"
                                   " it is truncated, altered or foreign: simulate again") from error
        if recording is None:
            raise DamagedFileError(f"{path} is not an '{FORMAT}' (its format: {attributes.get('format')!r}); "
                                   "give a file that `python -m astro_sim run` wrote")
        if (attributes["content_sha256"], attributes["hash"]) != (recording.content_hash, recording.hash):
            raise DamagedFileError(f"{path} does not match its SHA-256: damaged or altered; simulate again")
        if recording.partial:
            warnings.warn(f"{path}: {recording.said_partial}", PartialRecording, stacklevel=2)
        return recording


load = Recording.load


def event_columns(events: Mapping[str, Events]) -> dict[str, tuple]:
    """Events as variables of an xarray Dataset: NAME_time and NAME_element."""
    found = {}
    for name, seen in events.items():
        about = {"long_name": seen.long_name, "events_of": seen.population}
        found[f"{name}_time"] = (f"{name}_event", seen.times, {**about, "units": "second"})
        found[f"{name}_element"] = (f"{name}_event", seen.elements, about)
    return found


def _update(digest, array, kind: str = "<f8") -> None:
    """Hash numbers by rows, little-endian; of a dataset of an open file little is read at a time."""
    import numpy as np

    rows = max(1, HASHED // max(1, math.prod(array.shape[1:])))
    for start in range(0, array.shape[0], rows):
        digest.update(np.ascontiguousarray(array[start : start + rows], dtype=kind))


def _read(cls, path: Path) -> tuple[dict, "Recording | None"]:
    """Attributes and content of a NetCDF file; no content where the format is not ours.

    Through h5py, as NetCDF is HDF5: it fails cleanly on a damaged file, and loads in a third of the time.
    """
    import h5py
    import numpy as np

    with h5py.File(path, "r") as file:
        attributes = {name: str(file.attrs[name]) for name in file.attrs if not name.startswith("_")}
        if attributes.get("format") != FORMAT:
            return attributes, None
        variables = {}
        for name, data in file.items():
            if "units" not in data.attrs or data.ndim != 2:
                continue  # a coordinate: labels and places are read with the variables that have them
            population = data.dims[1][0].name.strip("/")
            place = file.get(f"{population}_place")
            labels = tuple(label.decode("utf-8") for label in file[population])
            variables[name] = Series(np.array(data, "f8"), str(data.attrs["units"]), str(data.attrs["long_name"]),
                                     population, labels, None if place is None else np.array(place, "f8"))
        # every part that the verification reads must be there
        attributes = {name: attributes[name] for name in ("format", "content_sha256", "hash", "meta")}
        recording = cls(np.array(file["time"], "f8"), variables, json.loads(attributes["meta"]), *_read_indices(file))
        return attributes, recording if recording.content_hash else None


def _read_indices(file) -> tuple[dict[str, Events], dict[str, Assignment]]:
    """Events and assignments of an open file: told by their attributes."""
    import numpy as np

    events, maps = {}, {}
    for name, data in file.items():
        if "maps_to" in data.attrs:
            maps[name] = Assignment(np.array(data, "i8"), data.dims[0][0].name.strip("/"), str(data.attrs["maps_to"]),
                                    str(data.attrs["long_name"]))
        elif "events_of" in data.attrs and "units" in data.attrs:
            event = name.removesuffix("_time")
            events[event] = Events(np.array(data, "f8"), np.array(file[f"{event}_element"], "i8"),
                                   str(data.attrs["events_of"]), str(data.attrs["long_name"]))
    return events, maps


@dataclass(frozen=True)
class Columns:
    """Raw numbers of one population: `time` (record,) and each variable (record, element), in SI base units."""

    time: object
    values: Mapping[str, object]


def columns(monitor) -> Columns:
    """What a Brian2 monitor holds, not copied."""
    return Columns(monitor.variables["t"].get_value(), {name: monitor.variables[name].get_value()
                                                        for name in monitor.record_variables})


def collect(plan, monitors: Mapping[str, object], event_monitors: Mapping[str, object] = NOTHING, *,
            partial: bool = False) -> Recording:
    """Brian2's monitors, by population and by event -> a recording."""
    return recorded(plan, {name: columns(monitor) for name, monitor in monitors.items()},
                    {name: happened(monitor) for name, monitor in event_monitors.items()}, partial=partial)


def happened(monitor) -> tuple:
    """When (s) and where a Brian2 EventMonitor saw an event: float64 (event,), int (event,)."""
    return monitor.variables["t"].get_value(), monitor.variables["i"].get_value()


def labelled(plan, population: str, given: Columns) -> dict[str, object]:
    """A population's variables, each divided by the unit that it is labelled with; float64 (record, element)."""
    return {name: given.values[name] / float(unit(seen.unit)) for name, seen in plan.model.observables.items()
            if seen.population == population}


def recorded(plan, raw: Mapping[str, Columns], events: Mapping[str, tuple] = NOTHING, *,
             partial: bool = False) -> Recording:
    """Numbers by population, and events as of `happened` by name -> a recording.

    partial: the run was stopped; `meta` then says so, and the last time.
    """
    import numpy as np

    time, variables = None, {}
    for name, given in raw.items():
        population = plan.model.population(name)
        time = np.array(given.time, "f8")
        labels = population.labels(plan.options) if population.labels else range(plan.size(name))
        places = population.positions(plan.options) if population.positions else None
        labels, places = tuple(map(str, labels)), None if places is None else np.asarray(places, "f8")
        for variable, values in labelled(plan, name, given).items():
            seen = plan.model.observables[variable]
            variables[variable] = Series(values, seen.unit, seen.long_name, name, labels, places)
    meta = plan.meta()
    if partial:
        meta |= stopped_at(float(time[-1]))
    found = {name: events_of(plan, name, seen, float(time[-1])) for name, seen in events.items()}
    return Recording(time, variables, meta, found, assignments(plan))


def stopped_at(last: float) -> dict:
    """What the meta of a partial recording says besides."""
    return {"partial": True, "reached_s": last}


def events_of(plan, name: str, when_and_where: tuple, last: float) -> Events:
    """Events up to the record at `last` seconds, each at the end of the step in which it was seen."""
    import numpy as np

    when, where = when_and_where
    seen, steps = plan.model.events[name], np.rint(when / plan.dt).astype(int) + 1
    kept = steps <= round(last / plan.dt)
    return Events(steps[kept] * plan.dt, np.array(where, "i8")[kept], seen.population, seen.long_name)


def assignments(plan) -> dict[str, Assignment]:
    """The model's assignments between populations that are there."""
    import numpy as np

    active = {population.name for population in plan.model.active_populations(plan.options)}
    return {name: Assignment(np.asarray(given.indices(plan.options), "i8"), given.population, given.target,
                             given.long_name)
            for name, given in plan.model.maps.items() if {given.population, given.target} <= active}
