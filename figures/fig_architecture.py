"""The house: from papers to the network, and where units and dimensions end."""

from figures import style
from figures.sources import Sources

# (left, bottom, width) in units of the picture, text, colour
BOXES = {
    "papers": (0.0, 2.0, 1.5, "papers\nreferences.bib", "0.93"),
    "parameters": (1.9, 2.0, 1.7, "parameters\nunit, source, basis", "0.93"),
    "model": (4.0, 2.0, 1.7, "model\nODE text", style.SKY),
    "recording": (6.5, 2.0, 1.7, "recording\narrays, unit labels", style.SKY),
    "forms": (4.0, 0.75, 1.7, "closed form and fit\npure numbers", style.ORANGE),
    "record": (6.5, 0.75, 1.7, "the record\none small JSON", style.ORANGE),
    "network": (9.0, 0.75, 1.6, "network\ntorch", style.GREEN),
    "training": (9.0, 2.0, 1.6, "training, trace", style.GREEN),
}
HEIGHT = 0.75
ARROWS = (("papers", "parameters", ""), ("parameters", "model", ""), ("model", "recording", "simulate"),
          ("model", "forms", "sympy reads\nthe same text"), ("recording", "forms", ""), ("forms", "record", "derive"),
          ("record", "network", "buffers,\nfunctions"), ("network", "training", "train"))

BORDERS = ((((6.4, 1.9), (6.4, 3.0)), (6.48, 2.95), "units end here"),
           (((6.0, 1.72), (8.3, 1.72)), (7.0, 1.84), "dimensions end here"))


def draw(sources: Sources):
    figure, axis = style.subplots(width=10.6, height=3.2)
    for left, bottom, width, text, colour in BOXES.values():
        axis.add_patch(_rectangle(left, bottom, width, colour=colour))
        axis.text(left + width / 2, bottom + HEIGHT / 2, text, ha="center", va="center", fontsize=9)
    for source, target, text in ARROWS:
        start, end = _ends(BOXES[source], BOXES[target])
        axis.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": "0.3", "lw": 1.3})
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        beside = start[0] == end[0]
        axis.annotate(text, middle, (5, 0) if beside else (0, 4), textcoords="offset points", fontsize=8, color="0.3",
                      ha="left" if beside else "center", va="center" if beside else "bottom")
    for left, text in ((0.0, "astro_sim"), (4.0, "derivation"), (9.0, "rmaat")):
        axis.text(left, 3.0 if text != "derivation" else 0.45, text, fontsize=10, weight="bold", va="bottom"
                  if text != "derivation" else "top", family="monospace")
    for ends, place, text in BORDERS:
        axis.plot(*zip(*ends, strict=True), ls=":", lw=1.4, color=style.RED)
        axis.text(*place, text, fontsize=8, color=style.RED, va="center")
    axis.set(xlim=(-0.1, 10.8), ylim=(0.1, 3.3))
    axis.set_axis_off()
    return figure


def _rectangle(left: float, bottom: float, width: float, *, colour: str):
    from matplotlib.patches import FancyBboxPatch

    return FancyBboxPatch((left, bottom), width, HEIGHT, boxstyle="round,pad=0,rounding_size=0.08", fc=colour,
                          ec="0.3", lw=1, alpha=0.75)


def _ends(source: tuple, target: tuple) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where an arrow leaves a box and meets the next: sideways on one level, up or down in one column."""
    (a, low, width, *_), (b, other, across, *_) = source, target
    if low == other:
        return (a + width, low + HEIGHT / 2), (b, other + HEIGHT / 2)
    if a == b:
        up = other > low
        return (a + width / 2, low + HEIGHT * up), (b + across / 2, other + HEIGHT * (not up))
    return (a + 0.2, low), (b + across - 0.1, other + HEIGHT)
