"""Loss and accuracy over the steps of a training run; with its memory-reset control where the run has one."""

from figures.sources import Sources
from rmaat.training.result import load_run


def draw(sources: Sources):
    result = load_run(sources.need_run())
    figure = result.plot()
    figure.axes[1].set_title(f"record {result.run.record.hash[:12]}")
    return figure
