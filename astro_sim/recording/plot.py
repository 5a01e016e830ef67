"""A recording as one picture: a panel for each variable, axes with units."""

from collections.abc import Sequence

from foundation.errors import UserError

# Okabe and Ito's palette (2008), as in the figures: distinct under every common colour blindness
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#000000")
HEAT = "cividis"  # rises evenly in lightness for everybody
WIDTH, PANEL = 6.4, 1.8  # inches


def plot(recording, names: Sequence[str] | None = None):
    """A matplotlib Figure: variables (default: all) over time, units in brackets.

    Up to six elements are lines; more are a picture of element against time. Events of a population are marked in its
    panels. Errors: `UserError` for an unknown variable, and where matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError("plot: matplotlib is not installed; install it with: pip install matplotlib") from error

    names = list(recording.variables) if names is None else [names] if isinstance(names, str) else list(names)
    if not names:
        raise UserError("plot: no variable is named; name one, or leave names out for all")
    figure = Figure(figsize=(WIDTH, 0.6 + PANEL * len(names)), layout="constrained")
    axes = figure.subplots(len(names), sharex=True, squeeze=False)[:, 0]
    for panel, name in zip(axes, names, strict=True):
        _panel(figure, panel, recording, name)
    axes[-1].set_xlabel("time [second]")
    if recording.partial:
        figure.suptitle(recording.said_partial)
    return figure


def axis_label(name: str, unit: str) -> str:
    """name [unit]; the name alone where the unit is 1."""
    return name if unit == "1" else f"{name} [{unit}]"


def _panel(figure, panel, recording, name: str) -> None:
    series = recording[name]
    panel.set_title(series.long_name, loc="left", fontsize="medium")
    count = series.values.shape[1]
    if count <= len(COLOURS):
        for column, colour in enumerate(COLOURS[:count]):
            panel.plot(recording.time, series.values[:, column], color=colour, label=series.labels[column])
        panel.set_ylabel(axis_label(name, series.unit))
        panel.spines[["top", "right"]].set_visible(False)
        if count > 1:
            panel.legend(title=series.population, fontsize="small", frameon=False, loc="center left",
                         bbox_to_anchor=(1, 0.5))
    else:
        image = panel.pcolormesh(recording.time, range(count), series.values.T, cmap=HEAT, rasterized=True,
                                 shading="nearest")
        figure.colorbar(image, ax=panel, label=axis_label(name, series.unit))
        panel.set_ylabel(series.population)
    _mark_events(panel, recording, series.population, count)


def _mark_events(panel, recording, population: str, count: int) -> None:
    """Few elements: a tick below the top for each event; many: a dot at the element."""
    for seen in recording.events.values():
        if seen.population == population and len(seen.times):
            if count <= len(COLOURS):
                colours = [COLOURS[element] for element in seen.elements]
                panel.scatter(seen.times, [0.97] * len(seen.times), marker="|", s=40, c=colours,
                              transform=panel.get_xaxis_transform())
            else:
                panel.scatter(seen.times, seen.elements, s=2, c="#D55E00")
