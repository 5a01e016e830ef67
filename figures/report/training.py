"""The part on training: tables and curves of the runs, each group of comparable ones together."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from figures import style
from figures.report.costs import ablations, beside_the_published, costs
from figures.report.gathering import Gathered, plain
from figures.report.pictures import Missing, Picture, as_it_is_written, picture
from figures.report.workings import workings
from foundation.errors import UserError
from rmaat.benchmark.report import Table
from rmaat.training.checkpoint import exists
from rmaat.training.configs import CONFIGS, find_experiment
from rmaat.training.experiment import hash_of, to_json
from rmaat.training.studies.compare import Comparison
from rmaat.training.studies.groups import Entry, Group, group
from rmaat.training.studies.summary import Summary
from rmaat.training.variants import DEFAULT

COLOURS = (style.BLACK, style.ORANGE, style.SKY, style.GREEN, style.RED, style.BLUE)
DASHES = ("-", "--", ":", "-.")
MOST_INSIDE = 3  # groups of which one run each is looked into
MOST_CURVES = len(COLOURS) * len(DASHES)  # in one picture of losses


@dataclass(frozen=True)
class Again:
    """A run, and how to get it: the command is None where the config is not one that comes with the program."""

    run: Summary
    label: str
    command: str | None


@dataclass(frozen=True)
class Training:
    """What the page says of the runs."""

    groups: Sequence[Group]
    tables: Mapping[str, Sequence[Table]]
    pictures: Mapping[str, Sequence[Picture | Missing]]
    accuracy: Picture | None
    published: Table | None
    costs: Sequence[Picture | Missing]
    again: Sequence[Again]


def training(found: Gathered, against: str = DEFAULT, *, inside: bool = True) -> Training:
    """Tables, pictures and commands of the runs; empty where there is none.

    Without `inside` no checkpoint is read: for a page that is written every few seconds.
    """
    groups = group(found.runs)
    comparison = Comparison(groups, against)
    tables: dict[str, list[Table]] = {one.name: [] for one in groups}
    for one in groups:
        tables[one.name] = Comparison([one], against).tables()
    with as_it_is_written():
        drawn = comparison.figures() if groups else {}
        accuracy = drawn.pop("accuracy", None)
        shown = {one.name: list(_pictures(one, drawn, against)) for one in groups}
        total = None if accuracy is None else picture(
            accuracy, "Test accuracy of every network, with its interval", says=_accuracies(groups))
    for one in groups[:MOST_INSIDE] if inside else ():
        shown[one.name] += inside_of(one, found)
    again = [Again(run, entry.label, command(run)) for one in groups for entry in one.entries
             for _, run in sorted(entry.runs.items())]
    return Training(groups, tables, shown, total, beside_the_published(groups), costs() if groups else (), again)


def _accuracies(groups: Sequence[Group]) -> str:
    told = []
    for one in groups:
        for entry in (entry for entry in one.entries if entry.accuracy):
            half = "" if entry.accuracy.half is None else f" ± {100 * entry.accuracy.half:.2f}"
            told.append(f"{one.name}, {plain(entry.label)}: {100 * entry.accuracy.mean:.2f}{half} % over "
                        f"{entry.accuracy.n} seeds")
    return "; ".join(told) + "."


def _pictures(one: Group, drawn: Mapping, against: str) -> Iterator[Picture]:
    curves = drawn.get(f"curves_{one.name.replace(' ', '_')}")
    if curves is not None:
        yield picture(curves, f"Validation accuracy, {one.name}")
    if any(run.training for entry in one.entries for run in entry.runs.values()):
        yield picture(losses(one), f"Training loss, {one.name}")
    missed = ablations(one, against)
    if missed is not None:
        yield missed


def inside_of(one: Group, found: Gathered) -> list[Picture | Missing]:
    """What the first run of the group does inside that is a folder here, with a checkpoint."""
    for entry in one.entries:
        for seed, run in sorted(entry.runs.items()):
            folder = found.folder(run)
            if folder is not None and exists(folder):
                return workings(folder, f"{one.name}, {entry.label}, seed {seed}")
    return [Missing(f"Inside of {one.name}", "none of its runs is a folder with a checkpoint here; a file of summaries "
                    "has no weights")]


def losses(one: Group):
    """Training loss over the steps: the mean over seeds, and a band from the least to the greatest."""
    figure, axes = style.subplots(width=7.0, height=3.8)
    for number, entry in enumerate(one.entries[:MOST_CURVES]):
        steps, values = _losses(entry)
        if not len(steps):
            continue
        look = {"color": COLOURS[number % len(COLOURS)], "ls": DASHES[number // len(COLOURS)]}
        axes.plot(steps, values.mean(0), label=plain(entry.label, most=40), **look)
        axes.fill_between(steps, values.min(0), values.max(0), color=look["color"], alpha=.15, lw=0)
    axes.set(xlabel="step", ylabel="training loss (nats)", title="mean over seeds; band: least to greatest")
    axes.legend(fontsize=8)
    return figure


def _losses(entry: Entry) -> tuple[np.ndarray, np.ndarray]:
    """Steps that all seeds have come to, and the losses [seeds, steps] there."""
    curves = [(np.array([point["step"] for point in run.training]), np.array([point["loss"] for point in run.training]))
              for run in entry.runs.values() if run.training]
    if not curves:
        return np.array([]), np.array([])
    last = min(steps[-1] for steps, _ in curves)
    places = np.unique(np.concatenate([steps[steps <= last] for steps, _ in curves]))
    return places, np.stack([np.interp(places, steps, values) for steps, values in curves])


def command(run: Summary) -> str | None:
    """The command that trains the same, where the config is the program's own and gives the run's very hash."""
    if run.config not in CONFIGS:
        return None
    try:
        base = find_experiment(run.config, variant=run.variant)
        words = ["python", "-m", "rmaat", "train", run.config]
        words += [] if run.variant == DEFAULT else ["--variant", run.variant]
        settings = [f"{name}={value}" for name, value in _differences(to_json(base), run.experiment)]
        same = find_experiment(run.config, settings, variant=run.variant)
    except UserError:
        return None
    if hash_of(to_json(same)) != run.config_hash:
        return None
    for setting in settings:
        words += ["--set", setting]
    return shlex.join([*words, "--out", f"runs/{run.config}"])


def _differences(base: Mapping, other: Mapping) -> Iterator[tuple[str, object]]:
    for part in ("task", "model", "train"):
        for name, value in other[part].items():
            if name != "name" and base[part].get(name) != value:
                yield f"{part}.{name}", value
