"""The bifurcation diagram of calcium over IP3: all branches of equilibria, Hopf points by kind, folds, where two stable
states stand side by side, the range of the oscillations and their period."""

from itertools import groupby

from astro_sim.dynamics.scanning import scan
from figures import style
from figures.sources import Sources

HOPF = {"supercritical": ("o", "Hopf point, supercritical"), "subcritical": ("s", "Hopf point, subcritical")}


def draw(sources: Sources):
    figure, axes = style.subplots(2, 2, width=8.4, height=5.4, sharex=True)
    labels = {}
    for column, name in enumerate(("AM", "FM")):
        diagram = scan(f"li_rinzel:{name}", "ip3", 0, 1, points=80)
        top, bottom = axes[:, column]
        _equilibria(top, diagram)
        at = [row["input"] for row in diagram.oscillations]
        for end in ("low", "high"):
            top.plot(at, [row[end] for row in diagram.oscillations], ".", ms=4, color=style.BLUE, zorder=2,
                     label="oscillation: lowest and highest")
        for row in diagram.special:
            marker, label = HOPF.get(row.get("kind"), ("^", "fold"))
            top.plot(row["input"], row["C"], marker, ms=6, mew=1.2, color=style.RED, zorder=4, label=label,
                     mfc="white" if marker != "o" else style.RED)
        for axis in (top, bottom):
            for row in diagram.bistable:
                axis.axvspan(row["low"], row["high"], color=style.SKY, alpha=0.25, lw=0, label="two stable states")
        top.set(title=f"li_rinzel:{name}", ylabel="calcium (µM)")
        bottom.plot(at, [row["period"] for row in diagram.oscillations], ".-", ms=4, color=style.BLUE)
        bottom.set(xlabel="IP3 (µM)", ylabel="period (s)")
        labels |= {label: handle for handle, label in zip(*top.get_legend_handles_labels(), strict=True)}
    figure.legend(labels.values(), labels.keys(), loc="outside upper center", ncols=4, fontsize=8)
    return figure


def _equilibria(axis, diagram) -> None:
    """Each stretch of one branch and one stability as a line, which begins where the last ended."""
    before = None
    for (branch, stable), rows in groupby(diagram.equilibria, lambda row: (row["branch"], row["stable"])):
        found = list(rows)
        joined = [before, *found] if before and before["branch"] == branch else found
        axis.plot([row["input"] for row in joined], [row["C"] for row in joined], "-" if stable else "--",
                  color=style.BLACK, label=f"{'stable' if stable else 'unstable'} equilibrium", zorder=3)
        before = found[-1]
