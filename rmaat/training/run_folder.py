"""The folder of one training run: config, record and environment under a manifest; metrics; checkpoint; result."""

import hashlib
import json
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from derivation.record import record as records
from foundation.checkout import commit
from foundation.errors import DamagedFileError, UserError
from foundation.files import MANIFEST, canonical_json, sha256_bytes, verify_manifest, write_manifest, write_text
from rmaat.tasks.task import SPLITS, Split
from rmaat.training.experiment import Experiment, from_json, to_json

CONFIG, RECORD, ENVIRONMENT = "config.json", "record.json", "environment.json"
METRICS, RESULT = "metrics.jsonl", "result.json"
STATIC = (CONFIG, RECORD, ENVIRONMENT)


@dataclass(frozen=True)
class Run:
    """One run as its folder says: everything that does not change while it trains."""

    folder: Path
    experiment: Experiment
    record: records.Record
    environment: dict


def create(folder: Path, experiment: Experiment, record: records.Record, environment: dict) -> Run:
    """Begin a run in `folder`, which must be new, empty or hold a beginning without a manifest."""
    write_text(folder / CONFIG, json.dumps(to_json(experiment), indent=1) + "\n")
    records.save(record, folder / RECORD)
    write_text(folder / ENVIRONMENT, json.dumps(environment, indent=1) + "\n")
    write_manifest(folder, list(STATIC))  # last: a folder with a manifest holds a run
    return Run(folder, experiment, record, environment)


def begun(folder: Path) -> bool:
    """Whether `folder` holds a run. Raises `UserError` when it holds something else, which is never written into."""
    if (folder / MANIFEST).exists():
        return True
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; give a folder with --out")
    others = [path.name for path in folder.iterdir() if path.name not in STATIC
              and not path.name.endswith(".part")] if folder.exists() else []
    if others:
        raise UserError(f"{folder} is not empty and holds no run of ours (it has {sorted(others)[0]}); "
                        "give a new folder with --out")
    return False


def read(folder: str | os.PathLike) -> Run:
    """The run in `folder`, verified.

    Raises `UserError` when there is none and `DamagedFileError` when one of its files is missing, cut or altered.
    """
    folder = Path(folder)
    if not (folder / MANIFEST).exists():
        raise UserError(f"no run in {folder}: {MANIFEST} is missing; make one with 'train CONFIG --out {folder}'")
    verify_manifest(folder, STATIC)
    surroundings = read_json(folder / ENVIRONMENT)
    try:
        experiment = from_json(read_json(folder / CONFIG), str(folder / CONFIG))
    except DamagedFileError as error:
        raise DamagedFileError(f"{error}. The file is as it was written, so by another version of this program: take "
                               f"that one (commit {surroundings.get('commit') or 'unknown'})") from error
    return Run(folder, experiment, records.load(folder / RECORD), surroundings)


def read_json(path: Path) -> dict:
    """Read one JSON file. Raises `DamagedFileError`."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedFileError(f"{path}: unreadable ({error})") from error


def check_same(run: Run, experiment: Experiment, record: records.Record | None) -> None:
    """Raises `UserError` unless `experiment` (and `record`, where given) are those of `run`; names what differs."""
    ours, given = (_flat(to_json(value)) for value in (run.experiment, experiment))
    for field in sorted(ours.keys() | given.keys()):
        if ours.get(field) != given.get(field):
            raise UserError(f"{run.folder} holds another run: {field} is {ours.get(field)} there, {given.get(field)} "
                            "here; give the same config to resume, or another --out")
    if record is not None and record.hash != run.record.hash:
        raise UserError(f"{run.folder} was trained with record {run.record.hash[:12]}, given is {record.hash[:12]}; "
                        "leave --record away to resume, or give another --out")


def _flat(body: dict, prefix: str = "") -> dict:
    flat = {}
    for name, value in body.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def write_result(folder: Path, result: dict) -> None:
    """Keep the result with its own hash: nothing else notices an altered digit."""
    write_text(folder / RESULT, json.dumps(result | {"hash": _hash(result)}, indent=1) + "\n")


def read_result(folder: Path) -> dict:
    """The result in `folder`. Raises `DamagedFileError` when it is cut or altered."""
    result = read_json(folder / RESULT)
    if not isinstance(result, dict) or result.pop("hash", None) != _hash(result):
        raise DamagedFileError(f"{folder / RESULT} does not match its own hash: altered; 'evaluate' computes it anew")
    return result


def _hash(result: dict) -> str:
    return sha256_bytes(canonical_json(result).encode())


# ---------------------------------------------------------------------------------------------- environment


def environment(device: torch.device, data: Path | None, fingerprints: dict[str, str]) -> dict:
    """Versions, threads, device, commit, fingerprints of the data: what a number needs to be compared with another."""
    import safetensors

    return {"started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "commit": commit(),
            "python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__,
            "safetensors": safetensors.__version__, "platform": platform.platform(), "threads": torch.get_num_threads(),
            "device": device.type, "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else
            platform.processor() or platform.machine(), "data": None if data is None else str(Path(data).resolve()),
            "fingerprints": fingerprints}


def fingerprint(split: Split) -> str:
    """SHA-256 over all labels and the tokens of up to 64 samples: enough to notice other data."""
    batch = split.batch(np.unique(np.linspace(0, len(split) - 1, 64).astype(np.int64)))
    digest = hashlib.sha256(split.all_labels().astype("<i8").tobytes())
    digest.update(batch.tokens.numpy().astype("<i8").tobytes())
    return digest.hexdigest()


def load_splits(run_environment: dict | None, experiment: Experiment, data: Path | None,
                names: tuple[str, ...] = SPLITS) -> dict[str, Split]:
    """The task's splits; with an environment, checked against its fingerprints (`UserError` where they differ)."""
    splits = {name: experiment.task.split(name, data) for name in names}
    for name, split in splits.items():
        if run_environment is not None and run_environment["fingerprints"].get(name) != fingerprint(split):
            raise UserError(f"the {name} data {f'under {data} ' if data else ''}is not what the run was trained with; "
                            "give the same folder with --data")
    return splits


# ---------------------------------------------------------------------------------------------- metrics


class Metrics:
    """JSON lines, appended; lines after `step` (written by a process that was killed) are dropped at the start."""

    def __init__(self, path: Path, step: int):
        self.path = path
        lines = [line for line in read_metrics(path) if line["step"] <= step]
        write_text(path, "".join(canonical_json(line) + "\n" for line in lines))

    def write(self, **values) -> None:
        """Append one line of JSON."""
        with open(self.path, "a", encoding="utf-8") as stream:
            stream.write(canonical_json(values) + "\n")


def read_metrics(path: Path) -> list[dict]:
    """All whole lines of a metrics file; a half line, as a kill leaves it, is left out."""
    lines = []
    for text in path.read_text("utf-8", errors="replace").splitlines() if path.exists() else []:
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and isinstance(line.get("step"), int):
            lines.append(line)
    return lines


def peak_bytes(path: Path) -> int:
    """The largest peak that the metrics file reports, 0 where it reports none."""
    return max((line.get("peak_bytes", 0) for line in read_metrics(path)), default=0)
