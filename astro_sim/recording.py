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
        import h5py
        import xarray as xr

        path = Path(path)
        if not path.is_file():
            raise UserError(f"recording: {path} is not a file; give the path of a recording (.nc)")
        try:
            h5py.File(path, "r").close()  # fails cleanly where h5netcdf would leave a half-made object complaining
            with xr.open_dataset(path, engine="h5netcdf", decode_cf=False) as opened:
                dataset = opened.load()
        except Exception as error:  # the library raises many kinds for a file that is cut, altered or no NetCDF
            raise DamagedFileError(f"{path} cannot be read as NetCDF ({type(error).__name__}); "
                                   "it is truncated, altered or no recording: simulate again") from error
        if dataset.attrs.get("format") != FORMAT:
            raise DamagedFileError(f"{path} is not an '{FORMAT}' (format: {dataset.attrs.get('format')!r}); "
                                   "give a file that `python -m astro_sim run` wrote")
        try:
            recording = _from_dataset(cls, dataset)
            stored = dataset.attrs["content_sha256"], dataset.attrs["hash"]
            whole = stored == (recording.content_hash, recording.hash)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise DamagedFileError(f"{path} lacks a part of a recording ({error}); simulate again") from error
        if not whole:
            raise DamagedFileError(f"{path} does not match its SHA-256: damaged or altered; simulate again")
        return recording


def _bytes(array) -> bytes:
    import numpy as np

    return np.ascontiguousarray(array, dtype="<f8").tobytes()


def _from_dataset(cls, dataset) -> Recording:
    import numpy as np

    variables = {}
    for name, data in dataset.data_vars.items():
        if data.dims[0] != "time":
            continue  # places, read with the variables that have them
        population = data.dims[1]
        place = f"{population}_place"
        variables[name] = Series(np.asarray(data.values, "f8"), data.attrs["units"], data.attrs["long_name"],
                                 population, tuple(str(label) for label in dataset[population].values),
                                 np.asarray(dataset[place].values, "f8") if place in dataset.variables else None)
    return cls(np.asarray(dataset["time"].values, "f8"), variables, json.loads(dataset.attrs["meta"]))


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
