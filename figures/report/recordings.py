"""Pictures of a recording: its courses with units and events, element against time where there are many, its words."""

import shlex
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from astro_sim.analysis.summary import summarise, text
from astro_sim.recording.labels import beside, label, pretty_unit
from astro_sim.recording.recording import PartialRecording, Recording
from astro_sim.recording.series import Series
from figures import style
from figures.report.columns import Column
from figures.report.gathering import Unreadable, plain
from figures.report.pictures import Picture, as_it_is_written, picture
from foundation.errors import UserError

PANELS = 4  # variables in one picture
POINTS = 1_500  # of a course: of more, the least and the greatest of equal parts
PIXELS = 400  # across, of a picture of element against time
COLOURS = (style.BLUE, style.ORANGE, style.GREEN, style.RED, style.SKY, style.BLACK)
FEW = len(COLOURS)


@dataclass(frozen=True)
class Recorded:
    """What the page shows of one recording's file; `words` is what an analysis says of it."""

    name: str
    head: str
    words: str
    hash: str
    pictures: Sequence[Picture]


def recorded(path: Path) -> Recorded | Unreadable:
    """The recording in a file; one that is cut or altered is said to be so."""
    try:
        return of(read(path), path)
    except UserError as error:
        return Unreadable(plain(str(path)), plain(str(error), most=600))


def read(path: Path) -> Recording:
    """The recording in a file, whole or partial. Raises as `Recording.load`."""
    with warnings.catch_warnings(action="ignore", category=PartialRecording):
        return Recording.load(path)


def of(recording: Recording, path: Path) -> Recorded:
    """Pictures and words of a recording; `path` is where it lies, for the commands."""
    try:
        words = text(summarise(recording))
    except UserError as error:  # too short, or of a model that is not here
        words = str(error)
    names = list(recording.variables)
    with as_it_is_written():
        shown = [courses(recording, names[start:start + PANELS], path) for start in range(0, len(names), PANELS)]
        shown += [raster(recording, path)] if any(len(one.times) for one in recording.events.values()) else []
    head = f"{recording.meta['model']}, {len(recording.time)} records to {recording.time[-1]:g} s"
    return Recorded(plain(path.name), plain(head + (f"; {recording.said_partial}" if recording.partial else "")),
                    words, recording.hash, shown)


def courses(recording: Recording, names: Sequence[str], path: Path) -> Picture:
    """A panel for each of some variables; `path` is where the recording lies."""
    figure, table = drawn(recording, names)
    return picture(figure, f"{plain(path.name)}: {', '.join(map(plain, names))}", table=table or None,
                   says=told(recording, names),
                   command=shlex.join(["python", "-m", "astro_sim", "plot", str(path), "--out", "courses.png"]))


def told(recording: Recording, names: Sequence[str]) -> str:
    """Range of each variable, in words."""
    ranges = (f"{recording[name].long_name} of {len(recording[name].labels)} elements between "
              f"{np.min(recording[name].values):.4g} and {np.max(recording[name].values):.4g} "
              f"{pretty_unit(recording[name].unit)}".rstrip() for name in names)
    return plain("; ".join(ranges), most=2000) + "."


def drawn(recording: Recording, names: Sequence[str]) -> tuple[Figure, list[Column]]:
    """A figure with a panel for each of some variables, and the columns of those that are lines."""
    figure, panels = style.subplots(len(names), 1, width=8.0, height=0.9 + 1.7 * len(names), sharex=True, squeeze=False)
    table: list[Column] = []
    for name, axes in zip(names, panels[:, 0], strict=True):
        series = recording[name]
        time, values = thinned(recording.time, np.asarray(series.values))
        (_lines if values.shape[1] <= FEW else _image)(axes, series, time, values=values)
        _ticks(axes, recording, series)
        axes.set_title(name, loc="left")
        if not table or not np.array_equal(table[0].values, time):
            table.append(Column("time", "s", time))
        if values.shape[1] <= FEW:
            table += [Column(f"{name} {series.labels[k]}", pretty_unit(series.unit), values[:, k])
                      for k in range(values.shape[1])]
    panels[-1, 0].set_xlabel("time (s)")
    return figure, table


def thinned(time: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most about POINTS records of float64 [time, element] that keep every part's least and greatest value."""
    if len(time) <= POINTS:
        return time, values
    parts = np.array_split(np.arange(len(time)), POINTS // 2)
    low = np.stack([values[part].min(0) for part in parts])
    high = np.stack([values[part].max(0) for part in parts])
    rising = np.stack([values[part].argmin(0) <= values[part].argmax(0) for part in parts])
    pairs = np.stack([np.where(rising, low, high), np.where(rising, high, low)], 1).reshape(-1, values.shape[1])
    return np.array([time[part[end]] for part in parts for end in (0, -1)]), pairs


def _lines(axes: Axes, series: Series, time: np.ndarray, *, values: np.ndarray) -> None:
    for column, colour in zip(range(values.shape[1]), COLOURS, strict=False):
        axes.plot(time, values[:, column], color=colour, lw=1.1, label=series.labels[column])
    axes.set_ylabel(beside(label(series.long_name, series.unit)))
    if values.shape[1] > 1:
        axes.legend(title=series.population, fontsize=7, title_fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))


def _image(axes: Axes, series: Series, time: np.ndarray, *, values: np.ndarray) -> None:
    shown = values[::max(1, len(values) // PIXELS)]
    image = axes.imshow(shown.T, aspect="auto", origin="lower", cmap=style.HEAT, interpolation="nearest",
                        extent=(time[0], time[-1], -0.5, values.shape[1] - 0.5))
    axes.figure.colorbar(image, ax=axes, label=beside(label(series.long_name, series.unit)))
    axes.set_ylabel(series.population)


def _ticks(axes: Axes, recording: Recording, series: Series) -> None:
    """Few elements: a tick at the top for each event of theirs."""
    for seen in recording.events.values():
        if seen.population == series.population and len(seen.times) and len(series.labels) <= FEW:
            axes.scatter(seen.times[:POINTS], np.full(len(seen.times[:POINTS]), 0.97), marker="|", s=40,
                         c=[COLOURS[k] for k in seen.elements[:POINTS]], transform=axes.get_xaxis_transform())


def raster(recording: Recording, path: Path) -> Picture:
    """Events by element, a panel for each kind."""
    kinds = {name: one for name, one in recording.events.items() if len(one.times)}
    figure, panels = style.subplots(len(kinds), 1, width=8.0, height=0.9 + 1.6 * len(kinds), sharex=True, squeeze=False)
    for (name, one), axes, colour in zip(kinds.items(), panels[:, 0], COLOURS * len(kinds), strict=False):
        axes.plot(one.times, one.elements, "|", color=colour, ms=3, mew=0.7, rasterized=len(one.times) > POINTS)
        axes.set(ylabel=one.population, title=f"{one.long_name} ({name})", xlim=(0, recording.time[-1]))
    panels[-1, 0].set_xlabel("time (s)")
    words = "; ".join(f"{one.long_name}: {len(one.times):,} events of {len(np.unique(one.elements)):,} elements, the "
                      f"first at {one.times[0]:.4g} s, the last at {one.times[-1]:.4g} s" for one in kinds.values())
    table = [column for name, one in kinds.items() for column in (
        Column(f"{name}: time", "s", one.times), Column(f"{name}: element", "", one.elements))]
    return picture(figure, f"{plain(path.name)}: events", table=table, says=plain(words, most=2000) + ".",
                   command=shlex.join(["python", "-m", "astro_sim", "analyse", str(path)]))
