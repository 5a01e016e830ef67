"""A recording: what a simulation gave, as numbers with units for labels, with hashes, on disk and in tables."""

import hashlib
import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_sim.recording import foreign, frames, netcdf, soundness
from astro_sim.recording.labels import pretty_unit
from astro_sim.recording.netcdf import FORMAT
from astro_sim.recording.series import Assignment, Events, Series, spread
from foundation import reading
from foundation.errors import DamagedFileError, ResourceError, UserError, choose
from foundation.files import canonical_json, replacing, sha256_bytes
from foundation.shapes import Float
from foundation.table import Table

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HASHED = 1 << 19  # numbers at a time


class PartialRecording(UserWarning):
    """A recording of a run that was stopped before its end."""


@dataclass(frozen=True, eq=False, repr=False)
class Recording:
    """What a simulation gave: `time` float64 in seconds, `variables` by name, `meta` that says how it came about.

    `events` and `maps` (assignments between populations) are there for models that have them.
    """

    time: Float[Any, "time"]
    variables: Mapping[str, Series]
    meta: dict
    events: Mapping[str, Events] = field(default_factory=dict)
    maps: Mapping[str, Assignment] = field(default_factory=dict)

    def __post_init__(self):
        named = {name: replace(series, name=name, time=self.time) for name, series in self.variables.items()}
        object.__setattr__(self, "variables", named)

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

    def __iter__(self) -> Iterator[str]:
        return iter(self.variables)

    def __contains__(self, name: str) -> bool:
        return name in self.variables

    def parameter(self, name: str) -> float:
        """A parameter's value, in the unit given in `meta`. Errors: `UserError` where it has one an element."""
        if name in self.meta.get("per_element", {}):
            raise UserError(f"{name}: has one value an element, in meta['per_element']; what is asked for takes one")
        return choose(f"parameter of {self.meta['model']}", name, self.meta.get("parameters", {}))["value"]

    @property
    def attributes(self) -> dict[str, str]:
        """What is written about the whole: the global attributes of the file."""
        return {"format": FORMAT, "model": self.meta["model"], "hash": self.hash,
                "content_sha256": self.content_hash, "meta": canonical_json(self.meta),
                **({"partial": "true"} if self.partial else {})}

    def to_xarray(self) -> "xarray.Dataset":
        """An xarray Dataset: dims time and one a population, labels and places as coordinates, units as attributes."""
        return frames.dataset(self.time, self.variables, self.events, self.maps, attributes=self.attributes)

    def to_pandas(self) -> "pandas.DataFrame":
        """A DataFrame by time in seconds; columns NAME, or NAME[LABEL] where there are several; units in `attrs`."""
        return frames.frame(self.time, self.variables)

    def plot(self, names: str | Sequence[str] | None = None, ax: "Axes | Sequence[Axes] | None" = None) -> "Figure":
        """A matplotlib Figure with a panel for each variable (default: all), words and units on the axes.

        names: which; ax: draw there instead, one axes a variable. Errors: `UserError` as in `recording.plot.plot`.
        """
        from astro_sim.recording import plot

        return plot.plot(self, names, ax)

    def table(self) -> Table:
        """What was recorded: a row for each variable and each kind of event."""
        rows = [(name, s.long_name, f"{len(s.labels)} x {s.population}", spread(s).removesuffix(pretty_unit(s.unit)),
                 pretty_unit(s.unit)) for name, s in self.variables.items()]
        rows += [(name, e.long_name, f"of {e.population}", f"{len(e.times)} events", "")
                 for name, e in self.events.items()]
        return Table(("name", "what", "elements", "lowest to highest", "unit"), rows, title=self._said(),
                     note=f"hash {self.hash[:12]}")

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def __str__(self) -> str:
        return str(self.table())

    def __repr__(self) -> str:
        return f"<Recording of {self._said()}: {', '.join(self.variables)}; hash {self.hash[:12]}>"

    def _said(self) -> str:
        """Model, parameter set, how long, how many records."""
        chosen = f":{self.meta['parameter_set']}" if "parameter_set" in self.meta else ""
        end = f"{self.time[-1]:g} s, " if len(self.time) else ""
        return f"{self.meta['model']}{chosen}, {end}{len(self.time)} records" + (", partial" if self.partial else "")

    def save(self, path: str | os.PathLike) -> Path:
        """Write NetCDF, whole or not at all. Raises `UserError` where it cannot be written."""
        path = Path(path)
        if path.is_dir():
            raise UserError(f"out: {path} is a folder; name a file such as {path / 'recording.nc'}")
        dataset = self.to_xarray()
        with replacing(path, needs=dataset.nbytes) as temporary:
            netcdf.write(dataset, temporary)
        return path

    def export(self, path: str | os.PathLike, to: str | None = None) -> list[Path]:
        """Write a copy as "csv", "parquet" or "nwb", by default as the path ends; errors as of `recording.export`."""
        from astro_sim.recording import export

        return export.export(self, Path(path), to)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Recording":
        """Read and verify; a partial recording is read with a `PartialRecording` warning.

        Errors: `UserError` for a missing file, `DamagedFileError` for one that is cut, altered or not ours.
        """
        path = Path(path)
        if not reading.is_file(path):
            raise UserError(f"recording: {reading.shown(path)} is not a file; give the path of a recording (.nc)")
        recording = _verified(path)
        soundness.check(recording, str(path))
        if recording.partial:
            warnings.warn(f"{path}: {recording.said_partial}", PartialRecording, stacklevel=2)
        return recording


def _verified(path: Path) -> Recording:
    """The recording in a file whose hashes agree, that of the whole file before HDF5 sees it, and those inside."""
    foreign.try_out(path)
    try:
        attributes, content = netcdf.read(path)
        recording = None if content is None else Recording(*content)
        found = recording and (recording.content_hash, recording.hash)
    except MemoryError as error:
        raise ResourceError(f"{path}: does not fit into the memory") from error
    except Exception as error:  # the library raises many kinds for a file that is cut, altered or not NetCDF
        raise DamagedFileError(f"{path}: cannot be read as a recording ({type(error).__name__}: {str(error)[:80]});"
                               " it is truncated, altered or foreign: simulate again") from error
    if recording is None:
        raise DamagedFileError(f"{path} is not an '{FORMAT}' (its format: {str(attributes.get('format'))[:80]!r}); "
                               "give a file that `python -m astro_sim run` wrote")
    if (attributes["content_sha256"], attributes["hash"]) != found:
        raise DamagedFileError(f"{path} does not match its SHA-256: damaged or altered; simulate again")
    return recording


load = Recording.load


def _update(digest: "hashlib._Hash", array: Any, kind: str = "<f8") -> None:
    """Hash numbers by rows, little-endian; of a dataset of an open file little is read at a time."""
    rows = max(1, HASHED // max(1, math.prod(array.shape[1:])))
    for start in range(0, array.shape[0], rows):
        digest.update(np.ascontiguousarray(array[start : start + rows], dtype=kind))
