"""What a study keeps of a run: config, hashes, device, costs, learning curve, result; as small JSON.

A file of summaries is all that a comparison needs, so it can be committed where run folders are too large.
"""

import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from foundation import sealed
from foundation.errors import DamagedFileError, UserError
from foundation.files import MANIFEST, canonical_json, verify_manifest, write_text
from foundation.reading import content_of, is_file, read_text, shown
from rmaat.model.config import ModelConfig
from rmaat.training import changes, run_folder
from rmaat.training.evaluation import CONTROL
from rmaat.training.experiment import TrainConfig
from rmaat.training.metrics import METRICS, read_metrics
from rmaat.training.run_folder import CONFIG, ENVIRONMENT, RESULT
from rmaat.training.studies import soundness
from rmaat.training.variants import DEFAULT, VARIANTS

KIND, SCHEMA = "summaries of runs", 1
MOST_BYTES = 500_000_000
BINS = 100  # points of a training curve
MACHINE = ("device", "device_name", "threads", "torch", "python", "commit", "version", "platform")
TOTALS = ("tokens", "seconds", "cpu_seconds")


@dataclass(frozen=True)
class Summary:
    """One run. `experiment` and `environment` are what its folder says; `rows` are those of the test split, empty
    where the run has not reached its end; `validation` and `training` are curves, a point a line."""

    experiment: Mapping
    config_hash: str
    record: str
    environment: Mapping
    fingerprints: Mapping[str, str]
    step: int
    rows: Sequence[Mapping]
    costs: Mapping
    validation: Sequence[Mapping]
    training: Sequence[Mapping]
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of the experiment."""
        return self.experiment["name"]

    @property
    def config(self) -> str:
        """The config's name, without the variant."""
        return split_name(self.name)[0]

    @property
    def variant(self) -> str:
        """The variant's name."""
        return split_name(self.name)[1]

    @property
    def seed(self) -> int:
        """Of the training."""
        return self.experiment["train"]["seed"]

    @property
    def steps(self) -> int:
        """Of the whole training."""
        return self.experiment["train"]["steps"]

    @property
    def accuracy(self) -> float | None:
        """On the test split, at the end; None before."""
        return self.rows[0]["accuracy"] if self.rows else None

    @property
    def settings(self) -> dict[str, dict]:
        """Model and training, the seed left out; fields that the version which wrote it did not have by default."""
        known = {"model": ModelConfig, "train": TrainConfig}
        found = {part: {field.name: field.default for field in dataclasses.fields(kind)
                        if field.default is not dataclasses.MISSING} | dict(self.experiment[part])
                 for part, kind in known.items()}
        del found["train"]["seed"]
        return found

    @property
    def kind(self) -> str:
        """A hash of all that decides a run but its seed and name."""
        body = {key: value for key, value in self.experiment.items() if key not in ("name", "files")} | self.settings
        return sealed.hash_of([body, self.record])


def split_name(name: str) -> tuple[str, str]:
    """Config and variant of an experiment's name: the longest ending that variants make up."""
    parts = name.split("_")
    for start in range(1, len(parts)):
        ending = "_".join(parts[start:])
        if all(one in VARIANTS for one in ending.split("+")):
            return "_".join(parts[:start]), ending
    return name, DEFAULT


def summarise(folder: str | Path) -> Summary:
    """The summary of a run's folder, finished or not; verified.

    Raises `UserError` where there is no run, `DamagedFileError` where it was cut or altered.
    """
    folder = Path(folder)
    if not (folder / MANIFEST).exists():
        raise UserError(f"no run in {folder}")
    while True:
        state = _state(folder)
        try:
            with content_of(str(folder)):
                return _summarised(folder)
        except UserError:
            if _state(folder) == state:  # else it was just gone on with
                raise


def _state(folder: Path) -> list[tuple]:
    """What differs once somebody has begun to go on with a run."""
    found = []
    for name in (MANIFEST, changes.CHANGES, RESULT):
        with contextlib.suppress(OSError):
            stat = os.stat(folder / name)
            found.append((name, stat.st_ino, stat.st_mtime_ns))
    return found


def _summarised(folder: Path) -> Summary:
    entries = verify_manifest(folder, run_folder.STATIC)
    began, surroundings = (run_folder.read_json(folder / name) for name in (CONFIG, ENVIRONMENT))
    made, record = changes.read(folder), _record(folder)
    histories = changes.histories(began, made)
    experiment = changes.learned(began, made)  # one that was extended learned otherwise than one that was planned so
    configs = [run_folder.hash_of(one) for one in reversed(histories)]
    result, head = _result(folder, experiment, record, configs)
    lines = read_metrics(folder / METRICS, head, of=configs[-1])
    trained = [line for line in lines if "loss" in line]
    last = trained[-1] if trained else {}
    if last.get("step", 0) > experiment["train"]["steps"]:
        raise DamagedFileError(f"{folder / METRICS} goes on to step {last['step']}, {CONFIG} and {changes.CHANGES} to "
                               f"{experiment['train']['steps']}: one of them is missing, or of another run; restore it")
    costs = {"parameters": result.get("parameters"),
             "peak_bytes": max((line["peak_bytes"] for line in trained), default=0),
             "tokens_per_second": median(line["tokens_per_second"] for line in trained) if trained else None,
             **{name: last.get(name) for name in TOTALS}}
    found = Summary(experiment, run_folder.hash_of(experiment), record,
                    {name: surroundings.get(name) for name in MACHINE}, surroundings["fingerprints"],
                    last.get("step", 0), result.get("rows", ()), costs, _validation(lines), _training(trained),
                    dict(entries))
    soundness.check(found, str(folder))
    return found


def _result(folder: Path, experiment: Mapping, record: str, configs: Sequence[str]) -> tuple[dict, str | None]:
    """The result of the run's last step, and the hash of the metrics then; empty where it has not come there."""
    if not (folder / RESULT).exists():
        return {}, None
    result = run_folder.read_result(folder)
    head = run_folder.check_result(folder, result, experiment, record, configs)
    if result.get("step") != experiment["train"]["steps"]:  # of before the run was extended
        return {}, None
    return result, head


def _record(folder: Path) -> str:
    return run_folder.read_json(folder / "record.json").get("hash", "")


def _validation(lines: Sequence[Mapping]) -> list[dict]:
    """Validation by step, with what had been spent until then."""
    spent, curve = {}, []
    for line in lines:
        if "loss" in line:
            spent = {name: line[name] for name in TOTALS if name in line}
        elif "validation_accuracy" in line:
            curve.append({"step": line["step"], "loss": round(line["validation_loss"], 5),
                          "accuracy": round(line["validation_accuracy"], 5), **spent})
    return curve


def _training(lines: Sequence[Mapping]) -> list[dict]:
    """Means over equal parts of the steps, at the last step of each."""
    width = -(-len(lines) // BINS) or 1
    parts = (lines[start:start + width] for start in range(0, len(lines), width))
    return [{"step": part[-1]["step"], **{name: round(sum(line[name] for line in part) / len(part), 5)
                                          for name in ("loss", "accuracy")}} for part in parts]


# ---------------------------------------------------------------------------------------------- files


def write_summaries(path: str | Path, name: str, summaries: Iterable[Summary], command: str = "") -> None:
    """One JSON file of a study's runs, with a hash of its own."""
    body = {"kind": KIND, "schema": SCHEMA, "name": name, "command": command,
            "runs": [dataclasses.asdict(one) for one in summaries]}
    body = json.loads(canonical_json(body))
    head = json.dumps({key: value for key, value in body.items() if key != "runs"}, indent=1)[:-2]
    runs = ",\n".join(canonical_json(run) for run in body["runs"])
    write_text(path, f'{head},\n "hash": "{sealed.hash_of(body)}",\n "runs": [\n{runs}\n]}}\n')


def read_summaries(path: str | Path) -> list[Summary]:
    """The runs of such a file. Raises `UserError` for another file, `DamagedFileError` for an altered one."""
    with content_of(str(path)):
        body = json.loads(read_text(path, "summaries of runs", MOST_BYTES))
    if not isinstance(body, dict) or body.get("kind") != KIND or type(body.get("schema")) is not int:
        raise UserError(f"{path} holds no summaries of runs; give a run's or study's folder, or the JSON file of one")
    if body["schema"] > SCHEMA:
        raise UserError(f"{path} has schema {body['schema']}; this version reads up to {SCHEMA}")
    with content_of(str(path)):
        if not sealed.matches(body.pop("hash", None), body):
            raise DamagedFileError(f"{path} does not match its own hash: altered")
        runs = [Summary(**run) for run in body["runs"]]
    for run in runs:
        soundness.check(run, str(path))
    return runs


def collect(places: Iterable[str | Path]) -> list[Summary]:
    """All runs in folders (at any depth) and files of summaries; a run that is met twice counts once.

    A folder that is damaged is named on stderr and left out. Raises `UserError` for a place without any run.
    """
    found: dict[tuple, Summary] = {}
    for place in map(Path, places):
        here = list(_at(place))
        if not here:
            what = "holds no run" if os.path.exists(place) else "is not there"
            raise UserError(f"{shown(place)} {what}; give folders of runs or studies, or JSON files of theirs")
        for one in here:
            key = (one.config_hash, one.record, canonical_json(one.fingerprints))
            if key not in found or found[key].step <= one.step:
                found[key] = one
    if not found:
        raise UserError("nothing to compare: give folders of runs or studies, or JSON files of theirs")
    return list(found.values())


def _at(place: Path) -> Iterator[Summary]:
    if is_file(place):
        yield from read_summaries(place)
        return
    for manifest in sorted(place.rglob(MANIFEST)) if os.path.isdir(place) else ():
        folder = manifest.parent
        if folder.name == CONTROL and (folder.parent / MANIFEST).exists():
            continue  # it belongs to the run around it
        try:
            yield summarise(folder)
        except UserError as error:
            print(f"note: left out: {error}", file=sys.stderr)
