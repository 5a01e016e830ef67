"""Pictures of a comparison: accuracies with intervals, and learning curves with bands. Loads matplotlib."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from foundation.errors import UserError
from rmaat.training.studies.groups import Entry, Group
from rmaat.training.studies.statistics import interval
from rmaat.training.studies.tables import published_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rmaat.training.studies.compare import Comparison

COLOURS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#D55E00", "#0072B2", "#CC79A7", "#999999")  # Okabe and Ito's
DASHES = ("-", "--", ":", "-.")
AXES = {"step": "step", "tokens": "tokens seen", "cpu_seconds": "CPU-seconds"}
CONTROLS = (":", "--", "-.", (0, (1, 4)))  # of the lines that need no network
NARROW = 34  # characters of a line beside the panels
NARROW_BELOW = 48  # of a line below a panel
LINE, GAP = .14, .06  # inches of a line of text there, and between two labels
WIDE, HIGH = 4.2, 3.1  # inches of a panel of curves with its title and axes
LONGEST_NAME = 80  # letters of a file's name
POINTS = 100  # of a mean curve
BANDS = 8  # networks: the bands of more than there are colours would cover one another


def figures(comparison: "Comparison") -> "dict[str, Figure]":
    """`accuracy`, and `curves_<group>` for each group with a curve. Raises `UserError` without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError("the pictures need matplotlib, which is not installed: pip install matplotlib; the tables do "
                        "without") from error
    drawn = {}
    if any(entry.accuracy for group in comparison.groups for entry in group.entries):
        drawn["accuracy"] = _accuracies(comparison, Figure)
    for group in comparison.groups:
        if any(run.validation for entry in group.entries for run in entry.runs.values()):
            drawn[_file_name(f"curves_{group.name}", drawn)] = _curves(group, Figure)
    return drawn


def _file_name(words: str, taken: Mapping[str, object]) -> str:
    """A name for a file in the folder that was asked for: no name of a config leads out of it."""
    name = re.sub(r"[^\w+-]", "_", words)[:LONGEST_NAME]
    return name if name not in taken else f"{name}_{len(taken)}"


def _accuracies(comparison: "Comparison", figure_class: type) -> "Figure":
    """A panel for each group: a point and its interval for each network, a hollow mark for the published number."""
    from foundation.pictures import plain

    groups = comparison.groups
    labels = [[textwrap.fill(plain(f"{entry.label} ({len(entry.accuracies)})"), NARROW)
               for entry in group.entries[::-1]] for group in groups]
    rows = [[LINE * (2 + label.count("\n")) for label in column] for column in labels]  # a line more for the gap
    heights = [1.2 + sum(column) for column in rows]
    figure = figure_class(figsize=(7.5, sum(heights)), layout="constrained")
    panels = figure.subplots(len(groups), squeeze=False, height_ratios=heights)[:, 0]
    for group, axes, column, names in zip(groups, panels, rows, labels, strict=True):
        places = [sum(column[:k]) + high / 2 for k, high in enumerate(column)]
        for place, entry in zip(places, group.entries[::-1], strict=True):
            found, paper = entry.accuracy, published_for(group, entry)
            if found:
                axes.errorbar(100 * found.mean, place, xerr=None if found.half is None else 100 * found.half, fmt="o",
                              ms=5, capsize=3, color=COLOURS[5])
                axes.plot([100 * share for share in entry.accuracies.values()], [place] * found.n, "|", color="#666666")
            if paper is not None:
                axes.plot(100 * paper, place, "D", ms=6, mfc="none", mec=COLOURS[4])
        if "majority" in dict(group.controls):
            axes.axvline(100 * dict(group.controls)["majority"], color="#999999", ls=":", lw=1)
        axes.set_yticks(places, names, fontsize=8)
        axes.set(title=plain(group.name), ylim=(0, sum(column)))
        low, high = axes.get_xlim()
        axes.set_xlim(max(low, 0), min(high, 101))  # a mark at 100 is drawn whole
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("test accuracy (%): mean and 95 % interval over (n) seeds, | one seed; ◇ published, "
                     "dotted: majority", fontsize=8)
    return figure


def _curves(group: Group, figure_class: type) -> "Figure":
    """Validation accuracy against step, tokens and CPU-seconds, mean over seeds with a band."""
    from foundation.pictures import plain

    names = [name for name in AXES if any(point.get(name) for entry in group.entries for run in entry.runs.values()
                                          for point in run.validation)]
    labels = [entry.label for entry in group.entries] + [control for control, _ in group.controls]
    high = _legend_height([_wrapped(label) for label in labels], len(names))
    figure = figure_class(figsize=(WIDE * len(names), HIGH + high), layout="constrained")
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    bands = len(group.entries) <= BANDS
    for name, axes in zip(names, panels, strict=True):
        for number, entry in enumerate(group.entries):
            style = {"color": COLOURS[number % len(COLOURS)],
                     "ls": DASHES[number // len(COLOURS) % len(DASHES)]}
            _curve(axes, entry, name, style, band=bands)
        for number, (control, share) in enumerate(group.controls):
            axes.axhline(100 * share, color="#999999", ls=CONTROLS[number % len(CONTROLS)], lw=1,
                         label=_wrapped(control))
        axes.set_xlabel(AXES[name])
        axes.ticklabel_format(axis="x", style="sci", scilimits=(-3, 5))
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("validation accuracy (%)")
    about = "; band: 95 % interval from three seeds on, both values of two" if bands else ""
    figure.suptitle(plain(f"{group.name}: mean over seeds{about}"), fontsize=9)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(names), frameon=False, fontsize=8)
    return figure


def _wrapped(label: str) -> str:
    """A label in lines that fit below one panel."""
    from foundation.pictures import plain

    return textwrap.fill(plain(label), NARROW_BELOW)


def _legend_height(labels: Sequence[str], columns: int) -> float:
    """Inches of its highest column; the first columns have one label more where they do not come out even."""
    each, more = divmod(len(labels), columns)
    starts = [each * k + min(k, more) for k in range(columns + 1)]
    return max(sum(LINE * (1 + label.count("\n")) + GAP for label in labels[start:stop])
               for start, stop in pairwise(starts))


def _curve(axes: "Axes", entry: Entry, name: str, style: Mapping, *, band: bool) -> None:
    label, drawn = _wrapped(entry.label), False
    for x, values in _means(entry, name):
        mean = values.mean(0)
        axes.plot(x, 100 * mean, lw=1.4, label=None if drawn else label, **style)
        if band:
            low, high = _band(values)
            axes.fill_between(x, 100 * low.clip(0, 1), 100 * high.clip(0, 1), color=style["color"], alpha=.15, lw=0)
        drawn = True


def _means(entry: Entry, name: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places on the axis and accuracies [seeds, places] there, between a seed's own points by straight lines, as far
    as all seeds have come."""
    curves = [(np.array([point[name] for point in run.validation if name in point], dtype=float),
               np.array([point["accuracy"] for point in run.validation if name in point]))
              for run in entry.runs.values()]
    curves = [(x, y) for x, y in curves if len(x)]
    if not curves:
        return
    low, high = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
    if low > high:
        low = high = min(x[0] for x, _ in curves)
    places = np.unique(np.concatenate([x[(x >= low) & (x <= high)] for x, _ in curves])) if name == "step" else \
        np.linspace(low, high, POINTS)
    yield places, np.stack([np.interp(places, x, y) for x, y in curves])


def _band(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95 % interval of the mean from three seeds on; of fewer the values themselves."""
    if len(values) < 3:
        return values.min(0), values.max(0)
    found: Sequence = [interval(column.tolist()) for column in values.T]
    return np.array([one.low for one in found]), np.array([one.high for one in found])
