"""The bifurcation diagram of calcium over IP3: equilibria, Hopf points, the range of the oscillations, their period."""

from astro_sim.analysis.scan import scan
from figures import style
from figures.sources import Sources


def draw(sources: Sources):
    figure, axes = style.subplots(2, 2, width=8.4, height=5.2, sharex=True)
    for column, name in enumerate(("AM", "FM")):
        diagram = scan(f"li_rinzel:{name}", "ip3", 0, 1, points=80)
        top, bottom = axes[:, column]
        inputs = [row["input"] for row in diagram.equilibria]
        for stable, look, label in ((True, "-", "stable equilibrium"), (False, "--", "unstable equilibrium")):
            shown = [row["C"] if row["stable"] == stable else float("nan") for row in diagram.equilibria]
            top.plot(inputs, shown, look, color=style.BLACK, label=label)
        at = [row["input"] for row in diagram.oscillations]
        for end in ("low", "high"):
            top.plot(at, [row[end] for row in diagram.oscillations], ".", ms=4, color=style.BLUE,
                     label="oscillation: lowest and highest" if end == "low" else None)
        for point in diagram.hopf:
            top.axvline(point, color=style.RED, lw=0.8, label="Hopf point" if point == diagram.hopf[0] else None)
        top.set(title=f"li_rinzel:{name}", ylabel="calcium (µM)")
        bottom.plot(at, [row["period"] for row in diagram.oscillations], ".-", ms=4, color=style.BLUE)
        bottom.set(xlabel="IP3 (µM)", ylabel="period (s)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4, fontsize=8)
    return figure
