"""Runs that can be compared: those of one task together, and among them the seeds of one network."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from foundation.files import canonical_json
from rmaat.training.studies.statistics import Interval, interval
from rmaat.training.studies.summary import Summary
from rmaat.training.variants import DEFAULT

NETWORK_ROWS = ("model", "trained with")  # how rows begin that belong to one network
RESET = "model, memory reset"
WATCHING = ("train.evaluate_every", "train.evaluate_samples", "train.checkpoint_every")  # what is learned is the same

MANY = 4  # networks of one name


@dataclass(frozen=True)
class Entry:
    """One network on one task: its runs by seed. `label` tells it from the others of the task."""

    label: str
    variant: str
    runs: Mapping[int, Summary]

    @property
    def training(self) -> dict:
        """How it was trained, the seed left out."""
        return next(iter(self.runs.values())).settings["train"]

    @property
    def accuracies(self) -> dict[int, float]:
        """Test accuracy by seed, of the runs that are finished."""
        return {seed: run.accuracy for seed, run in sorted(self.runs.items()) if run.accuracy is not None}

    @property
    def accuracy(self) -> Interval | None:
        """Mean and interval over the seeds."""
        return interval(list(self.accuracies.values())) if self.accuracies else None

    @property
    def reset(self) -> float | None:
        """Mean accuracy of the same weights with the memory reset before every segment."""
        found = [row["accuracy"] for run in self.runs.values() for row in run.rows if row["name"] == RESET]
        return sum(found) / len(found) if found else None

    def cost(self, name: str) -> float | None:
        """Mean over the finished runs; over all where none is."""
        runs = [run for run in self.runs.values() if run.accuracy is not None] or list(self.runs.values())
        found = [run.costs[name] for run in runs if run.costs.get(name) is not None]
        return sum(found) / len(found) if found else None

    def within(self, budget: str, most: int | float) -> float | None:
        """Mean validation accuracy that had been reached when `most` of a budget had been spent."""
        found = []
        for run in self.runs.values():
            reached = [point["accuracy"] for point in run.validation if point.get(budget, most + 1) <= most]
            found += reached[-1:]
        return sum(found) / len(found) if len(found) == len(self.runs) else None


@dataclass(frozen=True)
class Group:
    """All networks on one task: equal dials, equal test data."""

    name: str
    task: Mapping
    entries: Sequence[Entry]

    @property
    def title(self) -> str:
        """The task with its dials."""
        dials = ", ".join(f"{key} {value}" for key, value in self.task.items() if key != "name")
        return f"task {self.task['name']}" + (f" ({dials})" if dials else "")

    def entry(self, label: str) -> Entry | None:
        """By its label."""
        return next((entry for entry in self.entries if entry.label == label), None)

    def base(self, entry: Entry, against: str) -> Entry | None:
        """What `entry` is held against: the one of that label or, of several of that variant, the one trained alike."""
        return self.entry(against) or next((one for one in self.entries if one.variant == against
                                            and one.training == entry.training), None)

    @property
    def tokens(self) -> int:
        """Tokens that the networks take of a sample, or of both documents of one."""
        model = next(iter(self.entries[0].runs.values())).experiment["model"]
        return model["segment_length"] * model["num_segments"] * model.get("documents", 1)

    @property
    def controls(self) -> list[tuple[str, float]]:
        """Accuracy of what needs no network, as the runs have it."""
        found = {}
        for entry in self.entries:
            for run in entry.runs.values():
                found |= {row["name"]: row["accuracy"] for row in run.rows
                          if not row["name"].startswith(NETWORK_ROWS)}
        return list(found.items())

    @property
    def unfinished(self) -> list[tuple[str, Summary]]:
        """Runs that have not reached their end, with their labels."""
        return [(entry.label, run) for entry in self.entries for _, run in sorted(entry.runs.items())
                if run.accuracy is None]


def group(summaries: Iterable[Summary]) -> list[Group]:
    """Runs of one task together, and among them the seeds of one network."""
    tasks: dict[str, list[Summary]] = {}
    for one in summaries:
        tasks.setdefault(canonical_json([one.experiment["task"], one.fingerprints.get("test")]), []).append(one)
    groups, names = [], set()
    for found in tasks.values():
        name = min((one.config for one in found), key=len)
        number = next(n for n in range(1, len(tasks) + 1) if (f"{name} {n}" if n > 1 else name) not in names)
        names.add(name := f"{name} {number}" if number > 1 else name)
        groups.append(Group(name, found[0].experiment["task"], _entries(found)))
    return sorted(groups, key=lambda one: one.name)


def _entries(found: Sequence[Summary]) -> list[Entry]:
    kinds: dict[str, list[Summary]] = {}
    for one in found:
        kinds.setdefault(one.kind, []).append(one)
    variants = {kind: min({run.variant for run in runs}, key=lambda name: (name != DEFAULT, len(name), name))
                for kind, runs in kinds.items()}
    entries = []
    for kind, runs in kinds.items():
        twins = [kinds[other] for other in kinds if variants[other] == variants[kind]]
        label = variants[kind] + (_apart(runs[0], [other[0] for other in twins]) if len(twins) > 1 else "")
        best = {}
        for run in sorted(runs, key=lambda run: run.step):
            best[run.seed] = run
        entries.append(Entry(label, variants[kind], best))
    return sorted(entries, key=_place)


def _place(entry: Entry) -> tuple:
    """The default network first, then the best."""
    return entry.variant != DEFAULT, -(entry.accuracy.mean if entry.accuracy else 0), entry.label


def _apart(one: Summary, twins: Sequence[Summary]) -> str:
    """Values of the fields in which experiments of one variant differ; only of those that change what is learned, where
    they tell them apart, and of many not the value that most of them have. `twins` are all of them, `one` among them.
    """
    flat = [_fields(twin) for twin in (one, *twins)]
    apart = {key: value for key, value in flat[0].items() if any(other.get(key) != value for other in flat[1:])}
    told = {key: value for key, value in apart.items() if key not in WATCHING}
    if sum(told.items() <= other.items() for other in flat[1:]) > 1:  # itself, and one that would have its label
        told = apart
    if len(twins) >= MANY:  # what most of them have goes without saying
        values = {key: [canonical_json(other.get(key)) for other in flat[1:]] for key in told}
        told = {key: value for key, value in told.items()
                if 2 * values[key].count(canonical_json(value)) <= len(values[key])}
    return f" ({', '.join(f'{key} {value}' for key, value in told.items())})" if told else ""


def _fields(one: Summary) -> dict[str, object]:
    """Fields of model and training, and the record, by name; of a run that was extended also what was before."""
    until = {f"{name} until step {change['step']}": before for change in one.experiment.get("changes", ())
             for name, (before, _) in change["fields"].items()}
    return {f"{part}.{key}": value for part in ("train", "model") for key, value in one.settings[part].items()} | {
        "record": one.record[:12]} | until
