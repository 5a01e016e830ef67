"""Pictures of the record's fits: the points, the form with its band, what is left, the rivals, the profiles."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from astro_sim.recording.labels import pretty_unit
from derivation.fitting.bands import band, profile, threshold
from derivation.fitting.problem import NUMPY, Problem, problem
from derivation.record import closed_form
from derivation.record.entry import Comparison, Entry, shortened
from derivation.record.points import Points
from figures import style
from figures.report.columns import Column
from figures.report.pictures import Picture, picture

FINE = 161  # places of a curve
FORMULA = 44  # characters of one in a legend
LOOKS = ((style.ORANGE, "--"), (style.GREEN, "-."), (style.SKY, ":"), (style.RED, (0, (5, 1))), ("0.45", "--"))
WIDE = 100.0  # of largest over smallest: beyond, the axis is logarithmic


@dataclass(frozen=True)
class Curves:
    """The forms for some points, at places of one's own: the fit with half the width of its band, and the rivals."""

    middle: np.ndarray | None
    half: np.ndarray | None
    rivals: dict[str, np.ndarray]


def draw(name: str, entry: Entry, points: Points) -> Picture:
    """One picture of all that is known of a fit."""
    comparison = entry.comparisons[points.comparison] if points.comparison else None
    fitted = _problem(points)
    constants = np.array(list(points.constants.values()))
    uncertain = fitted is not None and not fitted.is_exact(fitted.residuals(constants))
    count = len(constants) if uncertain else 0
    figure = style.plt.figure(figsize=(9.6 if count else 6.4, 5.4))
    grid = figure.add_gridspec(2, 2 if count else 1, width_ratios=(1.9, 1) if count else (1,), height_ratios=(2.2, 1))
    above = figure.add_subplot(grid[0, 0])
    below = figure.add_subplot(grid[1, 0], sharex=above)
    order = np.argsort(points.places, kind="stable")
    x, y = np.array(points.places)[order], np.array(points.observed)[order]
    at = curves(entry, points, x)
    _data(above, entry, points, x, y=y, uncertain=uncertain)
    _residuals(below, x, y, at)
    unit = "" if points.unit == "1" else f" ({pretty_unit(points.unit)})"
    above.set(ylabel=f"observed{unit}", title=points.about, yscale=_scale(y))
    below.set(xlabel=_words(entry, points, comparison), ylabel=f"|form - observed|{unit}", yscale="log")
    if _scale(y) == "log":  # rivals may fall far below all that was observed
        above.set_ylim(y.min() / 10, 3 * y.max())
    above.tick_params(labelbottom=False)
    for number in range(count):
        panel = figure.add_subplot(grid[number, 1] if count > 1 else grid[:, 1])
        _profile(panel, fitted, constants, number)
    figure.legend(*above.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
    command = f"python -m derivation show {name}"
    title = f"{name}: {points.about}" + (f" ({points.comparison})" if points.comparison else "")
    return picture(figure, title, caption=_caption(points, exact=fitted is not None and not count),
                   command=command, table=_table(points, x, y, at), says=_says(points, at, y, comparison=comparison))


def curves(entry: Entry, points: Points, x: np.ndarray) -> Curves:
    """The fit with its band and the rivals of its comparison at places `x`; None where nothing was fitted."""
    rivals = {} if not points.comparison else {
        key: np.broadcast_to(closed_form.evaluate(one.formula, {points.argument: x, **points.fixed, **one.values},
                                                  NUMPY), x.shape)
        for key, one in entry.comparisons[points.comparison].rivals.items()}
    fitted = _problem(points)
    if fitted is None:
        return Curves(None, None, rivals)
    middle, half = band(fitted, np.array(list(points.constants.values())), {points.argument: x, **points.fixed}, len(x))
    return Curves(middle, half, rivals)


def _problem(points: Points) -> Problem | None:
    if not points.formula:
        return None
    return problem(points.formula, {points.argument: np.array(points.places), **points.fixed},
                   np.array(points.observed), names=tuple(points.constants))


def _scale(y: np.ndarray) -> str:
    return "log" if y.min() > 0 and y.max() > WIDE * y.min() else "linear"


def _data(axes: Axes, entry: Entry, points: Points, x: np.ndarray, *, y: np.ndarray, uncertain: bool) -> None:
    fine = np.linspace(x[0], x[-1], FINE)
    at = curves(entry, points, fine)
    axes.plot(x, y, "o", ms=5, mfc="none", color=style.BLACK, label=f"{len(x)} points of the full model")
    if uncertain:
        axes.fill_between(fine, at.middle - at.half, at.middle + at.half, color=style.BLUE, alpha=.25, lw=0,
                          label="its 95 % band")
    if at.middle is not None:
        axes.plot(fine, at.middle, color=style.BLUE, label=f"fit of {shortened(points.formula, FORMULA)}")
    for (colour, dash), (key, values) in zip(LOOKS, at.rivals.items(), strict=False):
        comparison = entry.comparisons[points.comparison]
        rival = comparison.rivals[key]
        if rival.formula == points.formula:
            continue
        chosen = ", chosen" if key == comparison.chosen else ""
        axes.plot(fine, values, color=colour, ls=dash, lw=1.3, label=f"{key}: weight {rival.weight:.2g}{chosen}")


def _residuals(axes: Axes, x: np.ndarray, y: np.ndarray, at: Curves) -> None:
    for (colour, _), values in zip(LOOKS, at.rivals.values(), strict=False):
        axes.plot(x, _off(values - y), "x", ms=4, color=colour)
    if at.middle is not None:
        axes.plot(x, _off(at.middle - y), "o", ms=4, mfc="none", color=style.BLUE)


def _off(missed: np.ndarray) -> np.ndarray:
    """Sizes for a logarithmic axis, on which 0 has no place."""
    return np.where(missed == 0, np.nan, np.abs(missed))


def _profile(axes: Axes, fitted: Problem, constants: np.ndarray, number: int) -> None:
    values, excess = profile(fitted, constants, number)
    bound = threshold(fitted.observed.size, constants.size)
    best = constants[number]
    axes.plot(values - best, excess, color=style.BLUE)
    axes.axhline(bound, color=style.RED, ls="--", lw=1, label="95 %")
    axes.plot(0, 0, "o", color=style.BLACK, ms=4)
    axes.set(xlabel=f"{fitted.names[number]} - {best:.6g}", ylabel="n log(rss / least)",
             ylim=(-0.05 * bound, 2.2 * bound), title=f"profile of {fitted.names[number]}")
    axes.xaxis.set_major_locator(style.plt.MaxNLocator(3))
    axes.ticklabel_format(axis="x", style="sci", scilimits=(-2, 3))
    axes.legend(fontsize=8, loc="upper center")


def _words(entry: Entry, points: Points, comparison: Comparison | None) -> str:
    words = comparison.arguments if comparison else entry.arguments
    return words.get(points.argument, points.argument)


def _caption(points: Points, *, exact: bool) -> str:
    told = "" if not points.fixed else f"With {', '.join(f'{key} = {x:g}' for key, x in points.fixed.items())}. "
    if not points.formula:
        return f"{told}The rivals alone were fitted to these points; below, what each is off by."
    if exact:
        return f"{told}The form is exact here: what is left is rounding, and has no band."
    return (f"{told}Below, what each form is off by; beside it, how much worse the best fit becomes where a constant "
            "is held. The recording has no noise: band and profile say how well the form can follow it, not a sampling "
            "error.")


def _table(points: Points, x: np.ndarray, y: np.ndarray, at: Curves) -> Iterator[Column]:
    unit = "" if points.unit == "1" else points.unit
    yield Column(points.argument, "", x)
    yield Column("observed", unit, y)
    if at.middle is not None:
        yield Column(f"fit of {points.formula}", unit, at.middle)
        yield Column("95 % band, lower end", unit, at.middle - at.half)
        yield Column("95 % band, upper end", unit, at.middle + at.half)
    for key, values in at.rivals.items():
        yield Column(key, unit, values)


def _says(points: Points, at: Curves, y: np.ndarray, *, comparison: Comparison | None) -> str:
    told = [f"{len(y)} points between {y.min():.4g} and {y.max():.4g}"]
    if at.middle is not None:
        constants = ", ".join(f"{key} = {value:.5g}" for key, value in points.constants.items())
        told.append(f"fit of {points.formula} with {constants}, off by at most {np.abs(at.middle - y).max():.2g}, its "
                    f"95 % band at most {at.half.max():.2g} to each side")
    told += [f"{key} off by at most {np.abs(values - y).max():.2g}, weight {comparison.rivals[key].weight:.2g}"
             for key, values in at.rivals.items()]
    return "; ".join(told) + "."
