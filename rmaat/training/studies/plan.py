"""A study as written down: rows of configs x variants x seeds, and the points, one run each, that they come to."""

import dataclasses
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from foundation.errors import UserError, unknown
from foundation.reading import read_text
from rmaat.training.configs import find_experiment
from rmaat.training.experiment import Experiment
from rmaat.training.settings import pairs
from rmaat.training.variants import DEFAULT

PLAIN = re.compile(r"[\w.+=-]{0,100}")  # with an ending, no longer than a file system takes
MOST_BYTES = 1_000_000
KEYS = ("name", "configs", "variants", "seeds", "set", "data")
EXAMPLES = {"configs": "recall", "variants": "rmt"}


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not PLAIN.fullmatch(name) or set(name) == {"."}:
        raise UserError(f"name = {name!r}: it becomes a name of files; use at most 100 letters, digits and . _ + = -")


def _check_seeds(seeds: object) -> None:
    for seed in seeds if isinstance(seeds, Sequence) else [seeds]:
        if type(seed) is not int or not 0 <= seed < 2**32:
            raise UserError(f"seeds = {seed!r}: give whole numbers in 0..{2**32 - 1}")


@dataclass(frozen=True)
class Row:
    """Every config with every variant and every seed.

    `changes` are other values of the config's fields, from which a variant begins. `data` names the folder of a task's
    files, by the name of the config, or else of the task. Rows whose runs would have equal names need a `name`.
    """

    configs: Sequence
    variants: Sequence = (DEFAULT,)
    seeds: Sequence[int] = (0,)
    changes: Mapping[str, object] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    name: str = ""

    def __post_init__(self):
        for name in ("configs", "variants", "seeds"):
            values = getattr(self, name)
            if isinstance(values, str) or not isinstance(values, Sequence) or not values:
                raise UserError(f"{name} = {values!r}: give a list with at least one")
        _check_seeds(self.seeds)
        if named := {"train.seed", "seed"} & self.changes.keys():
            raise UserError(f"set {min(named)}: a study has seeds = [...] in its place")
        _check_name(self.name)


@dataclass(frozen=True)
class Point:
    """One run of a study: its folder within the study's, and the experiment."""

    folder: str
    experiment: Experiment
    config: object
    variant: object
    changes: Mapping[str, object]
    data: str | None

    @property
    def names(self) -> tuple[str, str]:
        """By which its data are given: that of the config, which goes before that of the task."""
        return (self.config if isinstance(self.config, str) else self.experiment.name), self.experiment.task.name

    @property
    def cost(self) -> float:
        """Multiplications of a training, roughly: what is sorted by, longest first."""
        model, train = self.experiment.model, self.experiment.train
        rows = model.segment_length + model.num_memory_tokens
        attended = rows if model.attention == "softmax" else model.width // model.heads
        row = model.layers * model.width * ((4 + 2 * model.feedforward) * model.width + 2 * attended)
        samples = train.steps * train.batch_size
        return samples * self.experiment.task.max_length * row * rows / model.segment_length


@dataclass(frozen=True)
class Study:
    """A name and rows. Raises `UserError` where a config, a variant or a field does not exist."""

    name: str
    rows: Sequence[Row]

    def __post_init__(self):
        _check_name(self.name)

    def points(self) -> list[Point]:
        """One for each run, the longest first; what two rows have in common is run once.

        Raises `UserError` where two different runs would have one folder, and for data that no run takes.
        """
        found: dict[str, Point] = {}
        for point in self._all():
            other = found.setdefault(point.folder, point)
            if other.experiment != point.experiment or other.data != point.data:
                raise UserError(f"study {self.name}: two different runs would both be {point.folder}; give one of the "
                                "rows a name")
        taken = {(name, point.data) for point in found.values() for name in point.names}
        if unused := sorted({one for row in self.rows for one in row.data.items()} - taken):
            raise UserError(f"data of {unused[0][0]!r}: no run takes them, by the name of its config or task; tasks of "
                            "the study: " + ", ".join(sorted({one.experiment.task.name for one in found.values()})))
        return sorted(found.values(), key=lambda point: (-point.cost, point.folder))

    def _all(self) -> Iterator[Point]:
        """Of all rows in order; an error says of which row it is."""
        for number, row in enumerate(self.rows, start=1):
            try:
                yield from _points(row)
            except UserError as error:
                which = f", row {number}" if len(self.rows) > 1 else ""
                raise type(error)(f"study {self.name}{which}: {error}") from error


def _points(row: Row) -> Iterator[Point]:
    for config in row.configs:
        for variant in row.variants:
            for seed in row.seeds:
                changes = {**row.changes, "train.seed": seed}
                # in two steps: a variant may undo what is meant for all
                made = find_experiment(find_experiment(config, changes), variant=variant)
                point = Point("/".join(part for part in (row.name, made.name, f"seed{seed}") if part), made, config,
                              variant, changes, None)
                data = next((row.data[name] for name in point.names if name in row.data), None)
                yield dataclasses.replace(point, data=data)


# ---------------------------------------------------------------------------------------------- from a file


def read_study(path: str | Path) -> Study:
    """The study that a TOML file writes down; what stands above its rows holds for each of them.

        configs = ["listops", "text"]
        variants = ["rmaat", "rmt"]
        seeds = [0, 1, 2]
        set = { "train.steps" = 2000 }

        [[rows]]
        configs = ["recall"]
        set = { "task.num_segments" = 16 }

    Raises `UserError` naming the line or key that is wrong.
    """
    path = Path(path)
    text = read_text(path, "study", MOST_BYTES, encoding="utf-8-sig", error=UserError,
                     advice="write one as docs/studies.md shows, or give the name of one")
    try:
        body = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # of brackets within brackets
        raise UserError(f"{path}: {error}") from error
    rows = body.pop("rows", None)
    common = _checked(body, str(path))
    if rows is None:
        return _named(path, common.pop("name", ""), (_row(common, str(path)),))
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise UserError(f"{path}: write each row as a table under [[rows]]")
    name, made = common.pop("name", ""), []
    for number, row in enumerate(rows, start=1):
        where = f"{path}, row {number}"
        own = _checked(row, where)
        both = {"set": _over(common.get("set", {}), own.get("set", {})),
                "data": {**common.get("data", {}), **own.get("data", {})}}
        made.append(_row({**common, **own, **both}, where))
    return _named(path, name, tuple(made))


def _named(path: Path, name: str, rows: Sequence[Row]) -> Study:
    try:
        return Study(name or path.stem, rows)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _checked(body: Mapping, where: str) -> dict:
    """Its keys, known ones alone; `set` with the full names of fields."""
    for key in body:
        if key not in KEYS:
            raise UserError(f"{where}: {unknown('key', key, KEYS)}")
    body = dict(body)
    try:
        _check_name(body.get("name", ""))
        _check_seeds(body.get("seeds", []))
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    for key in ("configs", "variants"):
        if not isinstance(names := body.get(key, []), list) or not all(isinstance(name, str) for name in names):
            raise UserError(f"{where}: {key} = {names!r}: give a list of names, as [\"{EXAMPLES[key]}\"]")
    if "set" in body:
        given = body["set"]
        if isinstance(given, list) and all(isinstance(one, str) and "=" in one for one in given):
            given = pairs(given)
        if not isinstance(given, Mapping):
            raise UserError(f'{where}: set = {given!r}: write {{ "train.steps" = 100 }}, or ["train.steps=100"]')
        flat = list(_flat(given))
        if twice := [name for place, (name, _) in enumerate(flat) if name in dict(flat[:place])]:
            raise UserError(f"{where}: set gives {twice[0]} twice; give it once")
        body["set"] = dict(flat)
    if "data" in body and not (isinstance(body["data"], Mapping)
                               and all(isinstance(one, str) for one in body["data"].values())):
        raise UserError(f'{where}: data = {body["data"]!r}: write {{ text = "aclImdb" }}, a folder for each task')
    return body


def _over(first: Mapping, second: Mapping) -> dict:
    """Fields of both; what `second` says counts, also where `first` says the same by another name."""
    return {name: value for name, value in first.items() if not any(_same(name, other) for other in second)} | dict(
        second)


def _same(one: str, other: str) -> bool:
    """Whether both name one field: `train.steps` and `steps` do, `task.train` and `train.train` do not."""
    bare = "." not in one or "." not in other
    return one == other or (bare and one.rpartition(".")[2] == other.rpartition(".")[2])


def _flat(body: Mapping, prefix: str = "") -> Iterator[tuple[str, object]]:
    """`train.steps = 3` in TOML is a table in a table."""
    for name, value in body.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _row(body: dict, where: str) -> Row:
    if "configs" not in body:
        raise UserError(f'{where}: configs are missing; write configs = ["recall"]')
    names = {"set": "changes"}
    try:
        return Row(**{names.get(key, key): value for key, value in body.items()})
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def with_changes(study: Study, changes: Mapping[str, object] | Iterable[str], *,
                 data: Mapping[str, str] | None = None) -> Study:
    """The same study with other values of fields, and folders of data, in all rows."""
    given = dict(changes) if isinstance(changes, Mapping) else dict(_checked({"set": list(changes)}, "--set")["set"])
    return Study(study.name, tuple(dataclasses.replace(
        row, changes=_over(row.changes, given), data={**row.data, **(data or {})}) for row in study.rows))
