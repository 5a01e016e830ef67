"""Whether a file of summaries holds runs: a hash says that it is as it was written, not that a study wrote it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from foundation.errors import DamagedFileError

if TYPE_CHECKING:
    from rmaat.training.studies.summary import Summary

NUMBER = (int, float)
LARGEST = 1e300  # of a number
LONGEST = 10_000  # letters of a text: a name of 5,000 is shown in short, not refused
EXPERIMENT = {"name": str, "task": Mapping, "model": Mapping, "train": Mapping}
SIZES = {"model": ("segment_length", "num_segments"), "train": ("seed", "steps", "batch_size")}
PARTS = {"experiment": Mapping, "config_hash": str, "record": str, "environment": Mapping, "fingerprints": Mapping,
         "step": int, "rows": Sequence, "costs": Mapping, "validation": Sequence, "training": Sequence,
         "files": Mapping}
ROWS = {"rows": {"name": str, "accuracy": NUMBER}, "validation": {"step": NUMBER, "loss": NUMBER, "accuracy": NUMBER},
        "training": {"step": NUMBER, "loss": NUMBER, "accuracy": NUMBER}}
SPENT = ("tokens", "seconds", "cpu_seconds")


def check(run: "Summary", where: str) -> None:
    """Raises `DamagedFileError` that names what of a run read from `where` cannot be."""
    def kinds(part: str, found: object, wanted: Mapping) -> None:
        for key, kind in wanted.items():
            value = found.get(key) if isinstance(found, Mapping) else None
            if not isinstance(value, kind) or isinstance(value, bool) or (kind is Sequence and isinstance(value, str)):
                raise DamagedFileError(f"{where}: {part}{key} is {str(value)[:40]!r}; no study gives that")

    kinds("", vars(run), PARTS)
    kinds("experiment.", run.experiment, EXPERIMENT)
    kinds("experiment.task.", run.experiment["task"], {"name": str})
    kinds("experiment.", {"changes": (), **run.experiment}, {"changes": Sequence})
    for change in run.experiment.get("changes", ()):  # of a run that was extended
        kinds("experiment.changes: ", change, {"step": int, "fields": Mapping})
        kinds("experiment.changes.fields.", change["fields"], dict.fromkeys(change["fields"], list))
        if any(len(pair) != 2 for pair in change["fields"].values()):
            raise DamagedFileError(f"{where}: experiment.changes.fields are no pairs; no study gives that")
    for part, names in SIZES.items():
        kinds(f"experiment.{part}.", run.experiment[part], dict.fromkeys(names, int))
    for part, wanted in ROWS.items():
        for row in getattr(run, part):
            kinds(f"{part}: ", row, wanted)
            kinds(f"{part}: ", row, {name: NUMBER for name in SPENT if row.get(name) is not None})
    kinds("costs.", run.costs, {name: NUMBER for name, value in run.costs.items() if value is not None})
    kinds("fingerprints.", run.fingerprints, dict.fromkeys(run.fingerprints, str))
    _bounded(vars(run), where)


def _bounded(value: object, where: str) -> None:
    """Every number finite, every text one that can be written, and of a length that can be shown."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            _bounded(key, where)
            _bounded(part, where)
    elif isinstance(value, str):
        if len(value) > LONGEST or not _is_text(value):
            raise DamagedFileError(f"{where}: a text of {len(value)} letters that cannot be shown; no study gives that")
    elif isinstance(value, Sequence):
        for part in value:
            _bounded(part, where)
    elif isinstance(value, NUMBER) and not abs(value) <= LARGEST:
        raise DamagedFileError(f"{where}: the number {str(value)[:20]}; no study gives that")


def _is_text(value: str) -> bool:
    """Whether it can be written: half of a pair of surrogates cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
