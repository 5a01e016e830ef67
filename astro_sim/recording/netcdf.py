"""An xarray Dataset as a NetCDF-4 file, through h5py: NetCDF-4 is HDF5 with dimension scales.

The file holds what `Dataset.to_netcdf(engine="h5netcdf")` writes (a test compares them), in a fifth of the time:
h5netcdf looks all dimensions up in the file again for every variable: most of what a short recording costs.
"""

BARE = b"This is a netCDF dimension but not a netCDF variable.%10d"  # the format's own words, and the size


def write(dataset, path) -> None:
    """Write a Dataset of numbers and texts, whose attributes are texts, to `path`, which is replaced.

    An empty dimension becomes unlimited, as HDF5 has no other. Errors: `OSError` where `path` cannot be written.
    """
    import h5py
    from xarray import conventions

    variables, attributes = conventions.cf_encoder(*conventions.encode_dataset_coordinates(dataset))
    with h5py.File(path, "w", track_order=True) as file:
        made = {name: _create(file, name, variable) for name, variable in variables.items()}
        scales = [_scale(file, made.get(name), name, size, number)
                  for number, (name, size) in enumerate(dataset.sizes.items())]
        numbers = {name: number for number, name in enumerate(dataset.sizes)}
        for name, variable in variables.items():
            at = [numbers[dimension] for dimension in variable.dims]
            made[name].attrs.create("_Netcdf4Coordinates", at, dtype="i4")
            if name not in numbers:  # a scale has none
                for axis, number in enumerate(at):
                    made[name].dims[axis].attach_scale(scales[number])
        file.attrs.update(attributes)


def _create(file, name: str, variable):
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


def _scale(file, variable, name: str, size: int, number: int):
    """The HDF5 dimension scale of a dimension: the variable of its name, or a dataset that only has its size."""
    if variable is None:
        scale = file.create_dataset(name, (size,), ">f4", maxshape=None if size else [None], track_order=True)
        scale.make_scale(BARE % size)
    else:
        scale = variable
        scale.make_scale(name.encode())
    scale.attrs.create("_Netcdf4Dimid", number, dtype="i4")
    return scale
