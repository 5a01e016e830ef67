"""A number of each point of a sweep as a picture: a line over one thing varied, a heat map over two."""

from typing import TYPE_CHECKING

import numpy as np

from astro_sim.recording.labels import beside, label
from foundation.errors import UserError

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NO_VALUE = "no value"


def plot_measured(values: "xarray.DataArray", ax: "Axes | None" = None) -> "Figure":
    """Points without a value are shown as such: marks at the foot of a line's panel, hatched places of a map.

    Errors: `UserError` where more than two things were varied, or where matplotlib is missing.
    """
    from foundation.pictures import panels

    if values.ndim > 2:
        raise UserError(f"plot: {', '.join(map(str, values.dims))} were varied; a picture has one or two of them: take "
                        "a part with to_xarray(...).sel(...), or vary fewer")
    if values.ndim == 0:
        raise UserError("plot: nothing was varied; a picture needs one or two things that were")
    panel = panels(1, height=3.2)[1][0] if ax is None else ax
    (_line if values.ndim == 1 else _map)(panel, values)
    if np.isnan(values.values).any():
        _explain(panel, below=ax is None)
    return panel.figure


def _explain(panel: "Axes", *, below: bool) -> None:
    from foundation.pictures import explain

    explain(panel, below=below)


def _said(values: "xarray.DataArray") -> str:
    return label(values.attrs.get("long_name", str(values.name)), values.attrs.get("units", "1"))


def _axis(values: "xarray.DataArray", dimension: str) -> tuple[np.ndarray, list[str] | None, str]:
    """Where the values stand along a dimension, the ticks' texts where they are no numbers, and the axis's label."""
    from foundation.pictures import plain

    coordinate = values[dimension]
    said = plain(label(dimension, coordinate.attrs.get("units", "1")))
    if coordinate.dtype.kind in "fiu":
        return coordinate.values.astype(float), None, said
    return np.arange(len(coordinate), dtype=float), [plain(str(text)[:12]) for text in coordinate.values], said


def _line(panel: "Axes", values: "xarray.DataArray") -> None:
    from foundation.pictures import COLOURS, plain

    at, texts, said = _axis(values, str(values.dims[0]))
    order = np.argsort(at)
    there = np.isfinite(values.values)
    panel.plot(at[order], values.values[order], marker="o", markersize=4, color=COLOURS[0])
    if not there.all():
        panel.plot(at[~there], np.full((~there).sum(), 0.02), linestyle="none", marker="x", color=COLOURS[3],
                   transform=panel.get_xaxis_transform(), label=NO_VALUE)
    if texts is not None:
        panel.set_xticks(at, texts, rotation=45, ha="right")
    panel.set(xlabel=said, ylabel=plain(beside(_said(values))))


def _map(panel: "Axes", values: "xarray.DataArray") -> None:
    from foundation.pictures import HEAT, plain

    (rows, row_texts, row_said), (columns, column_texts, column_said) = (
        _axis(values, str(dimension)) for dimension in values.dims)
    down, across = np.argsort(rows), np.argsort(columns)
    table, rows, columns = values.values[np.ix_(down, across)], rows[down], columns[across]
    image = panel.pcolormesh(columns, rows, np.ma.masked_invalid(table), shading="nearest", cmap=HEAT, rasterized=True)
    panel.figure.colorbar(image, ax=panel, label=plain(_said(values)))
    if np.isnan(table).any():
        missing = np.ma.masked_where(np.isfinite(table), np.zeros_like(table))
        edges = image.get_coordinates()
        panel.pcolor(edges[..., 0], edges[..., 1], missing, cmap="Greys", hatch="////", edgecolor="0.5", linewidth=0)
        panel.fill_between([], [], [], facecolor="white", edgecolor="0.5", hatch="////", label=NO_VALUE)
    for texts, places, set_ticks in ((row_texts, rows, panel.set_yticks), (column_texts, columns, panel.set_xticks)):
        if texts is not None:
            set_ticks(places, [texts[k] for k in (down if texts is row_texts else across)])
    panel.set(xlabel=column_said, ylabel=row_said)
