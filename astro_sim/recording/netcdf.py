"""A recording's NetCDF-4 file, written and read through h5py: NetCDF-4 is HDF5 with dimension scales.

One variable a series, `units` and `long_name` as attributes, meta and hashes as global attributes; events as NAME_time
and NAME_element along the dimension NAME_event, assignments along their population's dimension. The file holds what
`Dataset.to_netcdf(engine="h5netcdf")` writes (a test compares them), in a fifth of the time: h5netcdf looks all
dimensions up in the file again for every variable, which is most of what a short recording costs.
"""

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from astro_sim.recording import disk
from astro_sim.recording.series import Assignment, Events, Series

if TYPE_CHECKING:
    import h5py
    import numpy as np
    import xarray

NOTHING: Mapping = {}
UNPACKED = 256 << 20  # bytes that a file may hold besides its own size, where someone has compressed it
FORMAT = "astro_sim recording 1"
BARE = b"This is a netCDF dimension but not a netCDF variable.%10d"  # the format's own words, and the size


def write(dataset: "xarray.Dataset", path: str | os.PathLike) -> None:
    """Write a Dataset of numbers and texts, whose attributes are texts, to `path`, which is replaced; with a seal.

    An empty dimension becomes unlimited, as HDF5 has no other. Errors: `OSError` where `path` cannot be written.
    """
    with disk.created(path) as file:
        add(file, dataset)


def add(file: "h5py.File", dataset: "xarray.Dataset", chunks: Mapping[str, tuple[int, ...]] = NOTHING) -> None:
    """Write a Dataset into an open file that has none of its variables and dimensions.

    chunks: by variable, how many rows and columns lie together; the first dimension of these can grow.
    """
    from xarray import conventions

    variables, attributes = conventions.cf_encoder(*conventions.encode_dataset_coordinates(dataset))
    made = {name: _create(file, name, variable, chunks=chunks.get(name)) for name, variable in variables.items()}
    first = sum("_Netcdf4Dimid" in data.attrs for data in file.values())
    scales = [_scale(file, made.get(name), name, size=size, number=first + number)
              for number, (name, size) in enumerate(dataset.sizes.items())]
    numbers = {name: number for number, name in enumerate(dataset.sizes)}
    for name, variable in variables.items():
        at = [numbers[dimension] for dimension in variable.dims]
        made[name].attrs.create("_Netcdf4Coordinates", [first + number for number in at], dtype="i4")
        if name not in numbers:  # a scale has none
            for axis, number in enumerate(at):
                made[name].dims[axis].attach_scale(scales[number])
    file.attrs.update(attributes)


def _create(file: "h5py.File", name: str, variable: "xarray.Variable", *, chunks: tuple[int, ...] | None
            ) -> "h5py.Dataset":
    """The variable's dataset: its numbers or texts, and its attributes."""
    import h5py
    import numpy as np

    values, fill = variable.values, variable.attrs.get("_FillValue")
    kind = h5py.string_dtype() if values.dtype.kind in "OU" else values.dtype
    grows = None if values.size else [size or None for size in values.shape]
    if chunks is not None:
        grows = [None, *values.shape[1:]]
    data = file.create_dataset(name, data=values.astype(kind, copy=False), dtype=kind, fillvalue=fill,
                               track_order=True, maxshape=grows, chunks=chunks)
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

    Through h5py, as NetCDF is HDF5: it fails cleanly on a damaged file, and loads in a third of the time. Nothing is
    allocated that the file cannot hold. Errors: many kinds, for a file that is cut, altered or not NetCDF.
    """
    import h5py

    with h5py.File(path, "r") as file:
        attributes = {name: str(file.attrs[name]) for name in file.attrs if not name.startswith("_")}
        if attributes.get("format") != FORMAT:
            return attributes, None
        # every part that the verification reads must be there
        attributes = {name: attributes[name] for name in ("format", "content_sha256", "hash", "meta")}
        parts = _Parts(file, os.path.getsize(path))
        return attributes, (parts.numbers("time"), _series(parts), json.loads(attributes["meta"]), *_indices(parts))


class _Parts:
    """The datasets of an open file that may be read: in the file itself, and together not larger than it may hold."""

    def __init__(self, file: "h5py.File", size: int):
        import h5py

        self.left = UNPACKED + size
        self.all = {}
        for name in file:
            link = file.get(name, getlink=True)
            data = file[name] if isinstance(link, h5py.HardLink) else None
            if not isinstance(data, h5py.Dataset) or data.is_virtual or data.external:
                raise ValueError(f"'{name[:40]}' leads out of the file, or is no array")
            self.all[name] = data

    def numbers(self, name: str, kind: str = "f8") -> "np.ndarray":
        """The numbers of a dataset."""
        import numpy as np

        data = self.all[name]
        self._count(data)
        if data.dtype.kind not in "iuf":
            raise ValueError(f"'{name[:40]}' does not hold numbers")
        return np.array(data, kind)

    def texts(self, name: str) -> tuple[str, ...]:
        """The texts of a dataset."""
        self._count(self.all[name])
        return tuple(label.decode("utf-8") for label in self.all[name])

    def _count(self, data: "h5py.Dataset") -> None:
        self.left -= max(data.nbytes, 8 * data.size)
        if self.left < 0:
            raise ValueError(f"'{data.name[:40]}' declares {data.nbytes:,} bytes, more than the file holds")


def _series(parts: _Parts) -> dict[str, Series]:
    """The recorded variables: told by their unit and their two dimensions."""
    variables = {}
    for name, data in parts.all.items():
        if "units" not in data.attrs or data.ndim != 2:
            continue  # a coordinate: labels and places are read with the variables that have them
        population = data.dims[1][0].name.strip("/")
        place = parts.numbers(f"{population}_place") if f"{population}_place" in parts.all else None
        variables[name] = Series(parts.numbers(name), str(data.attrs["units"]), str(data.attrs["long_name"]),
                                 population, parts.texts(population), place)
    return variables


def _indices(parts: _Parts) -> tuple[dict[str, Events], dict[str, Assignment]]:
    """Events and assignments: told by their attributes."""
    events, maps = {}, {}
    for name, data in parts.all.items():
        if "maps_to" in data.attrs:
            maps[name] = Assignment(parts.numbers(name, "i8"), data.dims[0][0].name.strip("/"),
                                    str(data.attrs["maps_to"]), str(data.attrs["long_name"]))
        elif "events_of" in data.attrs and "units" in data.attrs:
            event = name.removesuffix("_time")
            events[event] = Events(parts.numbers(name), parts.numbers(f"{event}_element", "i8"),
                                   str(data.attrs["events_of"]), str(data.attrs["long_name"]))
    return events, maps
