"""The tables of a comparison: accuracies and costs, what was reached within a budget, what is not finished."""

from collections.abc import Mapping

from rmaat.benchmark.report import Table
from rmaat.training.studies import published
from rmaat.training.studies.groups import Entry, Group
from rmaat.training.studies.statistics import Interval, paired

SHARES = (.125, .25, .5, 1.)  # of the largest budget, for accuracy against budget
COSTS = ("parameters", "tokens", "cpu_seconds", "seconds", "peak_bytes", "tokens_per_second")
BUDGETS = {"cpu_seconds": "CPU-seconds", "tokens": "tokens"}


def row_of(group: Group, entry: Entry, against: str) -> dict:
    """Accuracy, difference and costs of an entry, unrounded; None for what there is not."""
    accuracy, base = entry.accuracy, group.base(entry, against)
    difference = paired(entry.accuracies, base.accuracies) if base and base is not entry else None
    steps = {run.steps for run in entry.runs.values()}
    return {"group": group.name, "task": group.task["name"], "label": entry.label, "variant": entry.variant,
            "seeds": " ".join(map(str, entry.accuracies)), "finished": len(entry.accuracies), "runs": len(entry.runs),
            **_interval("accuracy", accuracy), **_interval("difference", difference), "against": against,
            "published": published_for(group, entry), "memory_reset": entry.reset, "steps": max(steps),
            **{name: entry.cost(name) for name in COSTS}}


def _interval(name: str, found: Interval | None) -> dict:
    return {name: found and found.mean, f"{name}_low": found and found.low, f"{name}_high": found and found.high,
            f"{name}_n": found.n if found else 0}


def published_for(group: Group, entry: Entry) -> float | None:
    """The published share of correct labels, where there is one for the whole test split."""
    if any(run.experiment["train"].get("test_samples") for run in entry.runs.values()):
        return None
    share = published.published(group.task, entry.variant, group.tokens)
    return None if share is None else share / 100


def tables_of(group: Group, against: str) -> list[Table]:
    """All tables of a group."""
    return [_accuracy_table(group, against),
            *(_budget_table(group, name, unit) for name, unit in BUDGETS.items()
              if any(point.get(name) for entry in group.entries for run in entry.runs.values()
                     for point in run.validation)),
            *([_unfinished_table(group)] if group.unfinished else [])]


def _accuracy_table(group: Group, against: str) -> Table:
    rows = []
    for entry in group.entries:
        row = row_of(group, entry, against)
        rows.append([entry.label, f"{row['finished']}", _share(row, "accuracy"), _percent(row["published"]),
                     _share(row, "difference", signed=True), _percent(row["memory_reset"]), _count(row["parameters"]),
                     _count(row["steps"]), _count(row["tokens"]), _count(row["cpu_seconds"]),
                     _count(row["peak_bytes"]), _count(row["tokens_per_second"])])
    notes = ["mean ± half of the 95 % interval over seeds (Student's t); differences are paired by seed"]
    if group.controls:
        notes.append("without a network: " + ", ".join(f"{name} {100 * share:.2f} %" for name, share in group.controls))
    if any(published_for(group, entry) is not None for entry in group.entries):
        notes.append(f"published: {published.SOURCE}, on the official splits; there a full RMAAT beside rmaat, too")
    if some := {run.experiment["train"].get("test_samples") for entry in group.entries
                for run in entry.runs.values()} - {None, 0}:
        notes.append(f"tested on {' or '.join(f'{n:,}' for n in sorted(some))} samples, spread over the test split")
    if len({(run.steps, run.experiment["train"]["batch_size"]) for entry in group.entries
            for run in entry.runs.values()}) > 1:
        notes.append("BUDGETS DIFFER: steps or batch sizes are not equal for all")
    return Table(f"{group.name}: {group.title}", (
        "network", "seeds", "test accuracy, %", "published, %", f"against {against}, points", "memory reset, %",
        "parameters", "steps", "tokens seen", "CPU-seconds", "peak bytes", "tokens/s"), rows, note="; ".join(notes))


def _budget_table(group: Group, name: str, unit: str) -> Table:
    largest = max(point.get(name, 0) for entry in group.entries for run in entry.runs.values()
                  for point in run.validation)
    budgets = [share * largest for share in SHARES]
    rows = [[entry.label, *(_percent(entry.within(name, most)) for most in budgets)] for entry in group.entries]
    return Table(f"{group.name}: validation accuracy within a budget of {unit}, %",
                 ("network", *(f"{most:,.0f}" if most >= 10 else f"{most:.2g}" for most in budgets)), rows,
                 note="the last validation within the budget, mean over seeds; - where there was none yet")


def _unfinished_table(group: Group) -> Table:
    rows = [[label, str(run.seed), f"{run.step:,} of {run.steps:,}",
             _percent(run.validation[-1]["accuracy"] if run.validation else None)] for label, run in group.unfinished]
    return Table(f"{group.name}: not finished", ("network", "seed", "step", "last validation accuracy, %"), rows,
                 note="these are in no mean of test accuracies above")


def _share(row: Mapping, name: str, *, signed: bool = False) -> str:
    mean, high = row[name], row[f"{name}_high"]
    if mean is None:
        return "-"
    text = f"{100 * mean:+.2f}" if signed else f"{100 * mean:.2f}"
    return text if high is None else f"{text} ± {100 * (high - mean):.2f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"


def _count(value: int | float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
