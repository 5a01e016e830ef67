"""A time series with units as labels: Border 1, the one file where a quantity becomes float64 and a unit's name.

On disk: NetCDF, one variable a series, `units` and `long_name` as attributes, meta and hashes as global attributes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from astro_sim.parameter import unit
from foundation.errors import DamagedFileError, UserError, choose
from foundation.files import canonical_json, replacing, sha256_bytes

FORMAT = "astro_sim recording 1"


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
class Recording:
    """What a simulation gave: `time` float64 in seconds, `variables` by name, `meta` that says how it came about."""

    time: object
    variables: Mapping[str, Series]
    meta: dict

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
        digest = hashlib.sha256(canonical_json({"format": FORMAT, "meta": self.meta, "variables": head}).encode())
        digest.update(_bytes(self.time))
        for name in sorted(self.variables):
            series = self.variables[name]
            digest.update(_bytes(series.values))
            if series.positions is not None:
                digest.update(_bytes(series.positions))
        return digest.hexdigest()

    def __getitem__(self, name: str) -> Series:
        return choose("variable of the recording", name, dict(self.variables))

    def parameter(self, name: str) -> float:
        """A parameter's value, in the unit given in `meta`."""
        return choose(f"parameter of {self.meta['model']}", name, self.meta["parameters"])["value"]

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
        attributes = {"format": FORMAT, "model": self.meta["model"], "hash": self.hash,
                      "content_sha256": self.content_hash, "meta": canonical_json(self.meta)}
        return xr.Dataset(data, coordinates, attributes)

    def save(self, path) -> Path:
        """Write NetCDF, whole or not at all. Raises `UserError` where it cannot be written."""
        path = Path(path)
        if path.is_dir():
            raise UserError(f"out: {path} is a folder; name a file such as {path / 'recording.nc'}")
        with replacing(path) as temporary:
            self.to_xarray().to_netcdf(temporary, engine="h5netcdf")
        return path

    @classmethod
    def load(cls, path) -> "Recording":
        """Read and verify. Raises `UserError` for a missing file, `DamagedFileError` for one not whole or not ours."""
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
        return recording


def _bytes(array) -> bytes:
    import numpy as np

    return np.ascontiguousarray(array, dtype="<f8").tobytes()


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
        recording = cls(np.array(file["time"], "f8"), variables, json.loads(attributes["meta"]))
        return attributes, recording if recording.content_hash else None


def collect(plan, monitors: Mapping[str, object]) -> Recording:
    """Brian2's monitors -> a recording: every quantity divided by the unit it is labelled with."""
    import numpy as np

    time, variables = None, {}
    for name, monitor in monitors.items():
        population = plan.model.population(name)
        time = np.asarray(monitor.t / unit("second"), "f8")
        labels = population.labels(plan.options) if population.labels else range(plan.size(name))
        places = population.positions(plan.options) if population.positions else None
        for variable, seen in plan.model.observables.items():
            if seen.population == name:
                values = np.asarray(getattr(monitor, variable) / unit(seen.unit), "f8").T
                variables[variable] = Series(np.ascontiguousarray(values), seen.unit, seen.long_name, name,
                                             tuple(map(str, labels)),
                                             None if places is None else np.asarray(places, "f8"))
    return Recording(time, variables, plan.meta())
