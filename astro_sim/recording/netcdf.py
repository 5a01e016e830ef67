"""A recording's NetCDF-4 file, written and read through h5py: NetCDF-4 is HDF5 with dimension scales.

One variable a series, `units` and `long_name` as attributes, meta and hashes as global attributes; events as NAME_time
and NAME_element along the dimension NAME_event, assignments along their population's dimension. The file holds what
`Dataset.to_netcdf(engine="h5netcdf")` writes (a test compares them), in a fifth of the time: h5netcdf looks all
dimensions up in the file again for every variable, which is most of what a short recording costs.
"""

import json
import os
from typing import TYPE_CHECKING

from astro_sim.recording.series import Assignment, Events, Series

if TYPE_CHECKING:
    import h5py
    import xarray

FORMAT = "astro_sim recording 1"
BARE = b"This is a netCDF dimension but not a netCDF variable.%10d"  # the format's own words, and the size


def write(dataset: "xarray.Dataset", path: str | os.PathLike) -> None:
    """Write a Dataset of numbers and texts, whose attributes are texts, to `path`, which is replaced.

    An empty dimension becomes unlimited, as HDF5 has no other. Errors: `OSError` where `path` cannot be written.
    """
    import h5py
    from xarray import conventions

    variables, attributes = conventions.cf_encoder(*conventions.encode_dataset_coordinates(dataset))
    with h5py.File(path, "w", track_order=True) as file:
        made = {name: _create(file, name, variable) for name, variable in variables.items()}
        scales = [_scale(file, made.get(name), name, size=size, number=number)
                  for number, (name, size) in enumerate(dataset.sizes.items())]
        numbers = {name: number for number, name in enumerate(dataset.sizes)}
        for name, variable in variables.items():
            at = [numbers[dimension] for dimension in variable.dims]
            made[name].attrs.create("_Netcdf4Coordinates", at, dtype="i4")
            if name not in numbers:  # a scale has none
                for axis, number in enumerate(at):
                    made[name].dims[axis].attach_scale(scales[number])
        file.attrs.update(attributes)


def _create(file: "h5py.File", name: str, variable: "xarray.Variable") -> "h5py.Dataset":
    """The variable's dataset: its numbers or texts, and its attributes."""
    import h5py
    import numpy as np

    values, fill = variable.values, variable.attrs.get("_FillValue")
    kind = h5py.string_dtype() if values.dtype.kind in "OU" else values.dtype
    data = file.create_dataset(name, data=values.astype(kind, copy=False), dtype=kind, fillvalue=fill,
                               track_order=True,
                               maxshape=None if values.size else [size or None for size in values.shape])
    data.attrs.update({key: np.atleast_1d(value) if key == "_FillValue" else value
                       for key, value in variable.attrs.items()})
    return data


def _scale(file: "h5py.File", variable: "h5py.Dataset | None", name: str, *, size: int, number: int
           ) -> "h5py.Dataset":
    """The HDF5 dimension scale of a dimension: the variable of its name, or a dataset that only has its size."""
    if variable is None:
        scale = file.create_dataset(name, (size,), ">f4", maxshape=None if size else [None], track_order=True)
        scale.make_scale(BARE % size)
    else:
        scale = variable
        scale.make_scale(name.encode())
    scale.attrs.create("_Netcdf4Dimid", number, dtype="i4")
    return scale


def read(path: str | os.PathLike) -> tuple[dict[str, str], tuple | None]:
    """A recording's file: its attributes, and time, variables, meta, events, maps; None where the format is not ours.

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
        return attributes, (np.array(file["time"], "f8"), variables, json.loads(attributes["meta"]),
                            *_read_indices(file))


def _read_indices(file: "h5py.File") -> tuple[dict[str, Events], dict[str, Assignment]]:
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
