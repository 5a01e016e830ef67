"""What training costs by algorithm, from the committed measurements; and this project's numbers beside the published.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from figures import fig_algorithms, style
from figures.report.gathering import plain
from figures.report.pictures import Missing, Picture, picture
from figures.results import SPEED, STEPS, facts, table
from foundation.errors import UserError
from rmaat.benchmark.report import Table
from rmaat.training.studies.groups import Entry, Group
from rmaat.training.studies.published import PUBLISHED, SOURCE, published
from rmaat.training.studies.statistics import Interval, paired
from rmaat.training.variants import ABLATIONS, DEFAULT

COMMAND = "python -m rmaat benchmark {} --out results/{}"
RATES = {"amrb": (style.BLUE, "D", "RMAAT, AMRB"), "bptt": (style.RED, "o", "RMAAT, BPTT"),
         "checkpointed": (style.SKY, "^", "RMAAT, torch.utils.checkpoint"), "rmt": (style.GREEN, "v", "RMT"),
         "rlt": (style.ORANGE, "s", "RLT"), "gru": (style.BLACK, "x", "GRU")}
PAPERS = {"transformer": "Transformer", "rmt": "RMT", "rlt": "RLT", "rmaat_paper": "RMAAT"}


def costs() -> list[Picture | Missing]:
    """Peak bytes and time of a step by algorithm, and tokens a second against the number of segments."""
    return [_measured("What a training step costs by gradient algorithm", SPEED, "all",
                      lambda: fig_algorithms.draw(None)),
            _measured("Training, tokens a second", STEPS, "steps --no-bounds",
                      lambda: throughput(table(STEPS, "Tokens a second of whole training steps")))]


def _measured(title: str, path: Path, verb: str, draw: Callable[[], Figure]) -> Picture | Missing:
    """A picture of one of the committed measurements, or why there is none."""
    command = COMMAND.format(verb, path.name)
    try:
        made = facts(path)
        return picture(draw(), title, caption=f"Measured, and committed in results/: {made['device']}, "
                       f"{made['threads']} thread, {made['date']}.", command=command)
    except UserError as error:
        return Missing(title, plain(str(error), most=400), command)


def throughput(rows: Sequence[dict]) -> Figure:
    """Tokens a second of whole steps against T, a panel for each length of a segment; nothing where none was run."""
    lengths = sorted({row["segment"] for row in rows})
    figure, panels = style.subplots(1, len(lengths), width=11.0, height=3.6, sharey=True, squeeze=False)
    for length, axes in zip(lengths, panels[0], strict=True):
        of = [row for row in rows if row["segment"] == length]
        for name, (colour, marker, label) in RATES.items():
            run = [row for row in of if isinstance(row[name], float)]
            axes.plot([row["T"] for row in run], [row[name] for row in run], marker=marker, ms=5, mfc="none",
                      color=colour, label=label)
        counts = [int(row["T"]) for row in of]
        axes.set(xlabel="number of segments T", xscale="log", title=f"segments of {length:.0f}")
        axes.set_xticks(counts, map(str, counts), minor=False)
        axes.minorticks_off()
    panels[0][0].set_ylabel("speed (tokens a second)")
    panels[0][0].set_ylim(bottom=0)
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=len(RATES))
    return figure


def beside_the_published(groups: Sequence[Group]) -> Table | None:
    """The tasks of Long Range Arena: the published accuracies, and those of these runs with their intervals.

    None where no run has a task of them.
    """
    mine = [one for one in groups if one.task["name"] in PUBLISHED]
    if not mine:
        return None
    rows = [[f"{words} ({SOURCE})", *(_number(one.accuracy.get(name)) for one in PUBLISHED.values()),
             _number(_mean([one.accuracy.get(name) for one in PUBLISHED.values()]))] for name, words in PAPERS.items()]
    labels = list(dict.fromkeys(entry.label for one in mine for entry in one.entries))
    smaller = False
    for label in labels:
        cells = []
        for task in PUBLISHED:
            found = [(one, entry) for one in mine if one.task["name"] == task for entry in one.entries
                     if entry.label == label and entry.accuracy]
            cells.append("; ".join(_cell(one, entry) for one, entry in found) or "-")
            smaller |= any(not _exact(one) for one, _ in found)
        rows.append([f"{plain(label)}, these runs", *cells, ""])
    note = "mean ± half of the 95 % interval over (n) seeds; a published number is one run without an interval"
    note += "; * other sizes than the benchmark's: not the same task" if smaller else ""
    return Table("Long Range Arena, accuracy in %", ("network", *PUBLISHED, "mean"), rows, note=note)


def _exact(one: Group) -> bool:
    return published(one.task, DEFAULT, one.tokens) is not None


def _cell(one: Group, entry: Entry) -> str:
    found = entry.accuracy
    half = "" if found.half is None else f" ± {100 * found.half:.2f}"
    learned = f", {one.task['train']:,} samples to learn from" if "train" in one.task else ""
    return f"{100 * found.mean:.2f}{half} ({found.n}){'' if _exact(one) else f' * {one.tokens:,} tokens{learned}'}"


def _mean(values: Sequence[float | None]) -> float | None:
    return None if None in values else sum(values) / len(values)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def ablations(group: Group, against: str) -> Picture | None:
    """Each ablation's difference to the network `against`, paired by seed, with its interval; None without any."""
    base = group.entry(against)
    found = [] if base is None else [
        (entry, difference) for entry in group.entries if set(entry.variant.split("+")) & ABLATIONS.keys()
        if (difference := paired(entry.accuracies, base.accuracies)) is not None]
    if not found:
        return None
    figure, axes = style.subplots(width=7.5, height=1.4 + 0.3 * len(found))
    places = np.arange(len(found))[::-1]
    for place, (_, difference) in zip(places, found, strict=True):
        half = None if difference.half is None else 100 * difference.half
        axes.errorbar(100 * difference.mean, place, xerr=half, fmt="o", ms=5, capsize=3, color=style.BLUE)
    axes.axvline(0, color="0.5", lw=1, ls="--")
    axes.set_yticks(places, [f"{plain(entry.label, most=40)} ({difference.n})" for entry, difference in found])
    axes.set(xlabel=f"test accuracy above {plain(against)} (points)", ylim=(-0.7, len(found) - 0.3))
    return picture(figure, f"Ablations, {group.name}", caption="Mean and 95 % interval of the difference over (n) "
                   "seeds, paired by seed.", says="; ".join(_difference(entry, one) for entry, one in found) + ".")


def _difference(entry: Entry, found: Interval) -> str:
    half = "" if found.half is None else f" ± {100 * found.half:.2f}"
    return f"{plain(entry.label)} {100 * found.mean:+.2f}{half} points over {found.n} seeds"
