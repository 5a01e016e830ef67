"""A recording as the tables of others: an xarray Dataset, a pandas DataFrame."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from foundation.shapes import Array, Float

if TYPE_CHECKING:
    import pandas
    import xarray

    from astro_sim.recording.series import Assignment, Events, Series

NOTHING: Mapping = {}


def dataset(time: Float[Array, "time"], variables: "Mapping[str, Series]",
            events: "Mapping[str, Events]" = NOTHING, maps: "Mapping[str, Assignment]" = NOTHING, *,
            attributes: Mapping[str, str] = NOTHING) -> "xarray.Dataset":
    """Dims time and one a population, labels and places as coordinates, units and long names as attributes."""
    import xarray as xr

    data = {name: (("time", s.population), s.values, {"units": s.unit, "long_name": s.long_name})
            for name, s in variables.items()}
    coordinates = {"time": ("time", time, {"units": "second", "long_name": "time"})}
    for series in variables.values():
        coordinates[series.population] = (series.population, list(series.labels))
        if series.positions is not None:
            axis = f"{series.population}_axis"
            coordinates[f"{series.population}_place"] = ((series.population, axis), series.positions)
    data |= event_columns(events)
    for name, belongs in maps.items():
        data[name] = (belongs.population, belongs.indices, {"long_name": belongs.long_name,
                                                            "maps_to": belongs.target})
    return xr.Dataset(data, coordinates, dict(attributes))


def event_columns(events: "Mapping[str, Events]") -> dict[str, tuple]:
    """Events as variables of an xarray Dataset: NAME_time and NAME_element."""
    columns = {}
    for name, seen in events.items():
        about = {"long_name": seen.long_name, "events_of": seen.population}
        columns[f"{name}_time"] = (f"{name}_event", seen.times, {**about, "units": "second"})
        columns[f"{name}_element"] = (f"{name}_event", seen.elements, about)
    return columns


def frame(time: Float[Array, "time"], variables: "Mapping[str, Series]") -> "pandas.DataFrame":
    """A column an element, NAME where a variable has one, else NAME[LABEL], by time in seconds; units in `attrs`."""
    import pandas as pd

    columns = {column: values for name, series in variables.items()
               for column, values in zip(element_names(name, series.labels), np.asarray(series.values).T, strict=True)}
    made = pd.DataFrame(columns, index=pd.Index(time, name="time"))
    made.attrs["units"] = {"time": "second"} | {column: series.unit for name, series in variables.items()
                                                for column in element_names(name, series.labels)}
    return made


def element_names(name: str, labels: Sequence[str]) -> list[str]:
    """Names of a variable's columns: that of the variable where there is one element, else NAME[LABEL]."""
    return [name] if len(labels) == 1 else [f"{name}[{one}]" for one in labels]
