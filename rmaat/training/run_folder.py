"""The folder of one training run: config, record and environment under a manifest; metrics; checkpoint; result."""

import json
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch

from derivation.record import record as records
from foundation import reading, sealed
from foundation.checkout import commit
from foundation.errors import DamagedFileError, UserError
from foundation.files import MANIFEST, verify_manifest, write_manifest, write_text
from foundation.lock import LOCK
from rmaat.training import changes
from rmaat.training.experiment import Experiment, hash_of, to_json
from rmaat.training.stored import from_json

CONFIG, RECORD, ENVIRONMENT, RESULT = "config.json", "record.json", "environment.json", "result.json"
STATIC = (CONFIG, RECORD, ENVIRONMENT)
RESULT_SCHEMA = 2
MOST_BYTES = 100_000_000  # of a JSON file of the folder
FORMAT = 2  # of the folder; a run of another one is not read


@dataclass(frozen=True)
class Run:
    """One run as its folder says: everything that does not change while it trains. `config` is its config's hash.

    `earlier` are the hashes that its config had before fields were changed, the last first; `changed` is what an
    experiment that was given has otherwise, field -> (stored, given), and may have.
    """

    folder: Path
    experiment: Experiment
    record: records.Record
    environment: dict
    config: str = ""
    earlier: tuple[str, ...] = ()
    changed: Mapping[str, tuple] = field(default_factory=dict)

    @property
    def configs(self) -> tuple[str, ...]:
        """The hashes of configs that a checkpoint of the run may belong to."""
        return (self.config, *self.earlier)

    @property
    def data(self) -> Path | None:
        """The folder with the task's files that the run began with."""
        return Path(self.environment["data"]) if self.environment["data"] else None


def create(folder: Path, experiment: Experiment, record: records.Record, *, environment: dict) -> Run:
    """Begin a run in `folder`, which must be new, empty or hold a beginning without a manifest."""
    body = to_json(experiment)
    write_text(folder / CONFIG, json.dumps(body, indent=1) + "\n")
    records.save(record, folder / RECORD)
    write_text(folder / ENVIRONMENT, json.dumps(environment, indent=1) + "\n")
    write_manifest(folder, list(STATIC))  # last: a folder with a manifest holds a run
    return Run(folder, experiment, record, environment, hash_of(body))


def forget(folder: Path) -> None:
    """Take back what `create` wrote, before the first checkpoint."""
    for name in (MANIFEST, *STATIC):
        (folder / name).unlink(missing_ok=True)


def begun(folder: Path) -> bool:
    """Whether `folder` holds a run. Raises `UserError` when it holds something else, which is never written into."""
    if (folder / MANIFEST).exists():
        return True
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; give a folder with --out")
    others = [path.name for path in folder.iterdir() if path.name not in (*STATIC, LOCK)
              and not path.name.endswith(".part")] if folder.exists() else []
    if others:
        raise UserError(f"{folder} is not empty and holds no run of ours (it has {sorted(others)[0]}); "
                        "give a new folder with --out")
    return False


def read(folder: str | os.PathLike, experiment: Experiment | None = None) -> Run:
    """The run in `folder`, verified; with an `experiment`, which must be the run's, the objects are those of it.

    It may have other values of the fields in `changes.CHANGEABLE`.

    Raises `UserError` when there is none, when it is of another version or experiment, and when a file of the user's
    own is missing or was changed; `DamagedFileError` when one of the folder's files is missing, cut or altered.
    """
    folder = Path(folder)
    if not (folder / MANIFEST).exists():
        raise UserError(f"no run in {folder}: {MANIFEST} is missing; make one with 'train CONFIG --out {folder}'")
    verify_manifest(folder, STATIC)
    body, surroundings = read_json(folder / CONFIG), read_json(folder / ENVIRONMENT)
    _check_version(folder, surroundings)
    _check_environment(folder / ENVIRONMENT, surroundings)
    with reading.content_of(str(folder / CONFIG)):
        return _read(folder, body, surroundings, experiment)


def _read(folder: Path, body: dict, surroundings: dict, experiment: Experiment | None) -> Run:
    *older, body = changes.histories(body, changes.read(folder))
    changed = {}
    if experiment is not None:
        changed = changes.differences(body, to_json(experiment))
        changes.check_same(folder, changed)
    else:
        experiment = _experiment(folder, body, surroundings)
    *older, now = [*older, body, to_json(experiment)] if changed else [*older, body]
    return Run(folder, experiment, records.load(folder / RECORD), surroundings, hash_of(now),
               tuple(map(hash_of, reversed(older))), changed)


def configs_of(folder: Path) -> tuple[str, ...]:
    """The hashes that the config of the run has had until now, the last first. Raises as `read` does."""
    verify_manifest(folder, STATIC)
    with reading.content_of(str(folder / CONFIG)):
        found = changes.histories(read_json(folder / CONFIG), changes.read(folder))
        return tuple(map(hash_of, reversed(found)))


def read_json(path: Path) -> dict:
    """Read one JSON file, which holds an object. Raises `DamagedFileError`."""
    try:
        found = reading.read_json(path, "file", MOST_BYTES)
    except UserError as error:
        raise DamagedFileError(f"{path}: unreadable ({error})") from error
    if not isinstance(found, dict):
        raise DamagedFileError(f"{path}: unreadable (it holds no JSON object)")
    return found


def _experiment(folder: Path, body: dict, surroundings: dict) -> Experiment:
    try:
        return from_json(body, str(folder / CONFIG))
    except DamagedFileError as error:  # the manifest has just said that the file is as it was written
        raise DamagedFileError(f"{error}. {_other_version(folder, surroundings)}") from error


def _check_version(folder: Path, surroundings: dict) -> None:
    if not isinstance(surroundings, dict) or surroundings.get("format") != FORMAT:
        raise UserError(_other_version(folder, surroundings if isinstance(surroundings, dict) else {}))


def _check_environment(path: Path, written: dict) -> None:
    """Raises `DamagedFileError` where something that is read of it is missing, or is no such thing."""
    kinds = {"device": str, "torch": str, "threads": int, "fingerprints": dict}
    wrong = next((name for name, kind in kinds.items() if type(written.get(name)) is not kind), None)
    if not isinstance(written.get("data"), str | None):
        wrong = "data"
    for name in ("fingerprints", "contents", "read"):  # the others came later
        found = written.get(name, {})
        if wrong is None and (type(found) is not dict or any(type(one) is not str for one in found.values())):
            wrong = name
    if wrong:
        raise DamagedFileError(f"{path}: {wrong} is {str(written.get(wrong))[:40]!r}; no run begins with that: restore "
                               "the file, or train anew")


def _other_version(folder: Path, written: dict) -> str:
    return (f"{folder} was written by version {written.get('version', 'unknown')} "
            f"({written.get('commit') or 'commit unknown'}), this is {program_version()} "
            f"({commit() or 'commit unknown'}): train anew, or use that version")


def check_record(run: Run, record: records.Record | None) -> None:
    """Raises `UserError` where a `record` is given that is not the run's."""
    if record is not None and record.hash != run.record.hash:
        raise UserError(f"{run.folder} was trained with record {run.record.hash[:12]}, given is {record.hash[:12]}; "
                        "leave --record out to resume, or give another --out")


def write_result(folder: Path, result: dict) -> None:
    """Keep the result with its own hash: nothing else notices an altered digit."""
    body = {"schema": RESULT_SCHEMA, **result}
    write_text(folder / RESULT, json.dumps(body | {"hash": sealed.hash_of(body)}, indent=1) + "\n")


def read_result(folder: Path) -> dict:
    """The result in `folder`, of this schema or an older one.

    Raises `DamagedFileError` when it is cut or altered, `UserError` when a later version wrote it.
    """
    result = read_json(folder / RESULT)
    if not isinstance(result, dict) or not sealed.matches(result.pop("hash", None), result):
        raise DamagedFileError(f"{folder / RESULT} does not match its own hash: altered; 'evaluate' computes it anew")
    schema = result.pop("schema", 1)  # 1 had none
    if type(schema) is not int or schema > RESULT_SCHEMA:
        raise UserError(f"{folder / RESULT} has schema {schema}; this version reads up to {RESULT_SCHEMA}: use the "
                        "version that wrote it")
    return result


def check_result(folder: Path, result: Mapping, experiment: Mapping, record: str, configs: Sequence[str]) -> str | None:
    """The hash that the metrics have at the result's end, None where an older version wrote it.

    `configs` are the hashes that the config of the run had, `experiment` is its JSON. Raises `DamagedFileError` for the
    result of another run: its own hash says that it is whole, not whose it is.
    """
    wanted = {"config": [experiment["name"]], "seed": [experiment["train"]["seed"]], "record": [record],
              "config_hash": configs}
    for name, ours in wanted.items():
        if (there := result.get(name, ours[0])) not in ours:
            raise DamagedFileError(f"{folder / RESULT} is of another run: {name} is {str(there)[:40]} there, "
                                   f"{str(ours[0])[:40]} in {CONFIG}; restore it, or remove it and go on with --resume")
    return result.get("metrics_hash")


# ---------------------------------------------------------------------------------------------- environment


def program_version() -> str:
    """The version of this program as installed, "unknown" where it is only on the path."""
    try:
        return version("astro-rmaat")
    except PackageNotFoundError:
        return "unknown"


def environment(device: torch.device, data: Path | None) -> dict:
    """Versions, threads, device, commit, place of the data: what a number needs to be compared with another."""
    import safetensors

    return {"format": FORMAT, "version": program_version(), "commit": commit(),
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__,
            "safetensors": safetensors.__version__, "platform": platform.platform(), "threads": torch.get_num_threads(),
            "device": device.type, "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else
            platform.processor() or platform.machine(), "data": None if data is None else str(Path(data).resolve())}


def note_differences(began: dict, device: torch.device, processes: int) -> None:
    """On stderr: what is other than when the run began and may change the last bits of what it computes."""
    now = {"threads": torch.get_num_threads(), "torch": torch.__version__, "device": device.type,
           "processes": processes}
    for name, value in now.items():
        if began[name] != value:
            print(f"note: the run began with {name} {began[name]}, now {value}; the result may differ in the "
                  "last bits from an uninterrupted run", file=sys.stderr)
