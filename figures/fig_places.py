"""Short-term state by place: uniform for equal distances, larger near the centre of activity for unequal ones."""

from figures import style
from figures.sources import Sources

TITLES = {"equal": "all distances equal: uniform", "grid": "distances on a grid: larger in the centre"}


def draw(sources: Sources):
    steady = {layout: recording["p_s"].values[-1].reshape(3, 3) for layout, recording in sources.layouts.items()}
    low, high = (pick(values.flat[k] for values in steady.values() for k in range(9)) for pick in (min, max))
    figure, axes = style.subplots(1, 2, width=7.6, height=3.8)
    for axis, (layout, values) in zip(axes, steady.items(), strict=True):
        image = axis.imshow(values, cmap=style.HEAT, vmin=low, vmax=high)
        for post in range(3):
            for pre in range(3):
                dark = values[post, pre] < (low + high) / 2
                axis.text(pre, post, f"{values[post, pre]:.4f}", ha="center", va="center", color="w" if dark else "k")
        axis.set(title=TITLES[layout], xlabel="presynaptic neuron", ylabel="postsynaptic neuron",
                 xticks=range(3), yticks=range(3))
        axis.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, label="short-term state p_s", shrink=0.85)
    return figure
