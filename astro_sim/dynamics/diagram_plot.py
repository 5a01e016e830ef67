"""The picture of a bifurcation diagram: equilibria, Hopf points, folds, oscillations, where two states are stable."""

from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from astro_sim.recording.labels import label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from astro_sim.dynamics.diagram import Diagram

# of Okabe and Ito's palette (2008): distinct under every common colour blindness and in grey
BLACK, BLUE, SKY, RED, GREEN = "#000000", "#0072B2", "#56B4E9", "#D55E00", "#009E73"
HEIGHT = 4.4  # inches
SPECIAL = {"supercritical": ("o", RED, "Hopf point, supercritical: a stable oscillation is born"),
           "subcritical": ("s", "white", "Hopf point, subcritical: an unstable oscillation is born"),
           "fold": ("^", "white", "fold: a stable and an unstable equilibrium meet"),
           "crossing": ("X", RED, "crossing of two branches of equilibria")}


def draw(diagram: "Diagram", variable: str, ax: "Axes | None" = None) -> "Figure":
    """Draw one state over what is scanned, in a new picture where no axes are given; returns the figure."""
    from foundation.pictures import explain, panels, plain

    given, ax = ax, panels(1, height=HEIGHT)[1][0] if ax is None else ax
    for row in diagram.bistable:
        ax.axvspan(row["low"], row["high"], color=SKY, alpha=0.3, lw=0.4,
                   label=plain(f"two stable states: {row['between']}"))
    _equilibria(ax, diagram, variable)
    if variable == diagram.variable:
        _oscillations(ax, diagram)
    for row in diagram.special:
        marker, inside, words = SPECIAL[row.get("kind", row["what"])]
        ax.plot(row["input"], row[variable], marker, ms=6.5, mew=1.3, color=RED, mfc=inside, zorder=5, label=words,
                ls="none")
    names = diagram.long_names
    ax.set_xlabel(plain(label(names.get(diagram.input, diagram.input), diagram.units[diagram.input])))
    ax.set_ylabel(plain(label(names.get(variable, variable), diagram.units[variable])))
    ax.set_title(plain(f"{diagram.model}:{diagram.parameter_set}"))
    explain(ax, below=given is None)
    return ax.figure


def _equilibria(ax: "Axes", diagram: "Diagram", variable: str) -> None:
    """Each stretch of one branch and one stability as a line, from the point at which stability changes to the next."""
    stretches = [list(rows) for _, rows in groupby(diagram.equilibria, lambda row: (row["branch"], row["stable"]))]
    borders = [_border(diagram, variable, one[-1], other[0]) for one, other in pairwise(stretches)]
    for before, stretch, after in zip([[], *borders], stretches, [*borders, []], strict=True):
        joined, stable = [*before, *stretch, *after], stretch[0]["stable"]
        ax.plot([row["input"] for row in joined], [row[variable] for row in joined], "-" if stable else "--",
                color=BLACK, lw=1.8 if stable else 1.2, zorder=3,
                label=f"{'stable' if stable else 'unstable'} equilibrium ({'line' if stable else 'thin, dashed'})")


def _border(diagram: "Diagram", variable: str, last: dict, first: dict) -> list[dict]:
    """The Hopf point or fold between two neighbours on a branch, else their middle; none between two branches."""
    if last["branch"] != first["branch"]:
        return []
    low, high = sorted((last[variable], first[variable]))
    between = [row for row in diagram.special if row["branch"] == last["branch"] and low <= row[variable] <= high]
    middle = {name: (last[name] + first[name]) / 2 for name in ("input", variable)}
    return sorted(between, key=lambda row: abs(row[variable] - middle[variable]))[:1] or [middle]


def _oscillations(ax: "Axes", diagram: "Diagram") -> None:
    """A bar from the lowest to the highest value of each stable oscillation; unstable ones as two dotted lines."""
    rows = diagram.oscillations
    if rows:
        at, low, high = ([row[name] for row in rows] for name in ("input", "low", "high"))
        ax.vlines(at, low, high, color=BLUE, lw=0.8, alpha=0.45, zorder=2)
        ax.plot(at + at, low + high, ".", ms=4, color=BLUE, zorder=4,
                label="stable oscillation: bar from lowest to highest")
    for born in dict.fromkeys(row["born"] for row in diagram.unstable_oscillations):
        orbits = [row for row in diagram.unstable_oscillations if row["born"] == born]
        for end in ("low", "high"):
            ax.plot([row["input"] for row in orbits], [row[end] for row in orbits], ":", color=GREEN, lw=1.5, zorder=4,
                    label="unstable oscillation: lowest and highest")
