"""The runs that a report shows: read from folders and from summaries; those that cannot be read, with the reason."""

import dataclasses
import os.path
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from foundation.errors import UserError
from foundation.files import MANIFEST, canonical_json
from foundation.reading import is_file, shown
from rmaat.training.evaluation import CONTROL
from rmaat.training.studies.summary import Summary, read_summaries, summarise

LONGEST = 60  # characters of a name
RECORDING = ".nc"


@dataclass(frozen=True)
class Unreadable:
    """A place that holds no readable run, and what is wrong with it."""

    place: str
    why: str


@dataclass(frozen=True)
class Gathered:
    """Runs, a run that is met twice once, and where their folders are; recordings; and what could not be read."""

    runs: Sequence[Summary]
    unreadable: Sequence[Unreadable]
    folders: Mapping[tuple, Path] = field(default_factory=dict)
    recordings: Sequence[Path] = ()

    def folder(self, run: Summary) -> Path | None:
        """Where the run's folder is; None where it was read from a file of summaries alone."""
        return self.folders.get(key_of(run))


def gather(places: Iterable[str | Path], told: Callable[[int, int], None] = lambda done, of: None, *,
           waiting: bool = False) -> Gathered:
    """All runs at `places`, folders at any depth and files of studies, in the order of their names.

    `told` hears how many of the folders are done. A damaged run stops nothing: it stands in `unreadable`. Raises
    `UserError` for a place without a run; while `waiting` for the first, that is told in `unreadable`, too.
    """
    found: dict[tuple, Summary] = {}
    folders: dict[tuple, Path] = {}
    unreadable: list[Unreadable] = []
    parts: list[Path] = []
    places = list(map(Path, places))
    for place in (place for place in places if place.suffix != RECORDING):
        try:
            parts += _parts(place)
        except UserError:
            if not waiting:
                raise
            unreadable.append(Unreadable(plain(str(place)), "no run has begun here yet"))
    recordings = [place for place in places if place.suffix == RECORDING]
    for done, part in enumerate(parts):
        told(done, len(parts))
        try:
            runs = read_summaries(part) if part.is_file() else [summarise(part)]
        except UserError as error:
            unreadable.append(Unreadable(plain(str(part)), plain(str(error), most=600)))
            continue
        for run in map(tidy, runs):
            key = key_of(run)
            if key not in found or found[key].step <= run.step:
                found[key] = run
                if part.is_dir():
                    folders[key] = part
    runs = sorted(found.values(), key=lambda run: (run.name, run.seed, run.config_hash, run.record))
    return Gathered(runs, unreadable, folders, recordings)


def key_of(run: Summary) -> tuple:
    """What makes two runs one: config, record and data."""
    return run.config_hash, run.record, canonical_json(dict(run.fingerprints))


def _parts(place: Path) -> Iterator[Path]:
    """A file of summaries itself; of a folder, every folder of a run."""
    if is_file(place):
        yield place
        return
    folders = [path.parent for path in sorted(place.rglob(MANIFEST))] if os.path.isdir(place) else []
    if not folders:
        what = "holds no run" if os.path.exists(place) else "is not there"
        raise UserError(f"{shown(place)} {what}; give folders of runs or studies, or JSON files of theirs")
    for folder in folders:
        if folder.name != CONTROL or not (folder.parent / MANIFEST).exists():  # a control belongs to the run around it
            yield folder


def tidy(run: Summary) -> Summary:
    """The run with every text in it fit to be shown."""
    return dataclasses.replace(run, experiment=_shown(run.experiment), environment=_shown(run.environment),
                               rows=_shown(run.rows), record=plain(run.record, most=64))


def _shown(value):
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, Mapping):
        return {key: _shown(part) for key, part in value.items()}
    return [_shown(part) for part in value] if isinstance(value, list | tuple) else value


def plain(text: str, most: int = LONGEST) -> str:
    """On one line, without control characters, and not longer than `most`: the middle is left out."""
    text = "".join(mark if mark.isprintable() else "\N{REPLACEMENT CHARACTER}" for mark in text)
    return text if len(text) <= most else f"{text[:most // 2]}…{text[len(text) - most // 2 + 1:]}"
