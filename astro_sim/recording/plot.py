"""A recording as one picture: a panel for each variable, axes with words and units."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from astro_sim.recording.labels import beside, label
from foundation.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from astro_sim.recording.recording import Recording
    from astro_sim.recording.series import Series

TIME = label("time", "second")


def plot(recording: "Recording", names: str | Sequence[str] | None = None,
         ax: "Axes | Sequence[Axes] | None" = None) -> "Figure":
    """A matplotlib Figure: variables (default: all) over time; in the axes given, one a variable, or in a new picture.

    Up to six elements are lines; more are a picture of element against time. Events of a population are marked in its
    panels. Errors: `UserError` for an unknown variable, for axes that do not fit, and where matplotlib is missing.
    """
    names = list(recording.variables) if names is None else [names] if isinstance(names, str) else list(names)
    if not names:
        raise UserError("plot: no variable is named; name one, or leave names out for all")
    from foundation.pictures import plain

    chosen = [recording[name] for name in names]
    axes = _axes(len(chosen), ax)
    for panel, series in zip(axes, chosen, strict=True):
        _panel(panel, series)
        panel.set_title(plain(series.name), loc="left", fontsize="medium")
        _mark_events(panel, recording, series.population, count=len(series.labels))
    axes[-1].set_xlabel(TIME)
    figure = axes[0].figure
    if recording.partial and ax is None:
        figure.suptitle(plain(recording.said_partial))
    return figure


def plot_series(series: "Series", ax: "Axes | None" = None) -> "Figure":
    """The same of one series, without events."""
    panel, = _axes(1, ax)
    _panel(panel, series)
    panel.set_xlabel(TIME)
    return panel.figure


def _axes(count: int, given: "Axes | Sequence[Axes] | None") -> "list[Axes]":
    """The axes given, or those of a new picture."""
    from foundation.pictures import panels

    if given is None:
        return panels(count, height=2.6 if count == 1 else 1.8)[1]
    axes = list(given) if hasattr(given, "__len__") else [given]
    if len(axes) != count:
        raise UserError(f"plot: {len(axes)} axes for {count} variables; give one axes a variable")
    return axes


def _panel(panel: "Axes", series: "Series") -> None:
    from foundation.pictures import COLOURS, HEAT, plain

    count, said = len(series.labels), plain(beside(label(series.long_name, series.unit)))
    if count > len(COLOURS):
        image = panel.pcolormesh(series.time, range(count), series.values.T, cmap=HEAT, rasterized=True,
                                 shading="nearest")
        panel.figure.colorbar(image, ax=panel, label=said)
        panel.set_ylabel(plain(series.population))
        return
    for column, colour in enumerate(COLOURS[:count]):
        panel.plot(series.time, series.values[:, column], color=colour, label=plain(series.labels[column]))
    panel.set_ylabel(said)
    if count > 1:
        panel.legend(title=plain(series.population), fontsize="small", frameon=False, loc="center left",
                     bbox_to_anchor=(1, 0.5))


def _mark_events(panel: "Axes", recording: "Recording", population: str, *, count: int) -> None:
    """Few elements: a tick below the top for each event; many: a dot at the element."""
    from foundation.pictures import COLOURS

    for seen in recording.events.values():
        if seen.population == population and len(seen.times):
            if count <= len(COLOURS):
                colours = [COLOURS[element] for element in seen.elements]
                panel.scatter(seen.times, [0.97] * len(seen.times), marker="|", s=40, c=colours,
                              transform=panel.get_xaxis_transform())
            else:
                panel.scatter(seen.times, seen.elements, s=2, c=COLOURS[3])
