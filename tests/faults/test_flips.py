"""Single bits flipped in every kind of artefact: each is noticed, or changes nothing that is read."""

import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from foundation.errors import DamagedFileError, UserError


@dataclass(frozen=True)
class Artefact:
    """A file, how it is read, and what is compared: equal to `before` where a flip was not noticed."""

    path: Path
    read: object
    before: object


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory):
    """One of each kind that the project writes."""
    import torch

    from astro_sim import simulate
    from astro_sim.recording.recording import Recording
    from derivation.record import ensemble, record
    from foundation import chain, files
    from rmaat.tasks import cache
    from rmaat.training import checkpoint, run_folder

    folder = tmp_path_factory.mktemp("artefacts")
    found = {}

    def add(kind, path, read):
        found[kind] = Artefact(Path(path), read, read())

    recording = simulate("li_rinzel", duration="1 s", dt="10 ms", backend="numpy", method="rk4")
    recording.save(folder / "a.nc")
    add("recording", folder / "a.nc", lambda: Recording.load(folder / "a.nc").content_hash)
    record.save(record.load(), folder / "record.json")
    add("record", folder / "record.json", lambda: record.load(folder / "record.json").hash)
    ensemble.save(ensemble.load(ensemble.path_beside(None)), folder / "e.json")
    add("ensemble", folder / "e.json", lambda: ensemble.load(folder / "e.json").hash)
    log = chain.create(folder / "metrics.jsonl", "metrics", ())
    for step in range(20):
        log.append({"step": step, "loss": step / 7})
    add("metrics", folder / "metrics.jsonl", lambda: chain.read(folder / "metrics.jsonl", "metrics").lines)
    result = {"accuracy": .5, "steps": 7}
    run_folder.write_result(folder, result)
    add("result", folder / run_folder.RESULT, lambda: run_folder.read_result(folder))
    tensors = {"model.weight": torch.arange(120.).reshape(8, 15), "optimizer.step": torch.ones(3)}
    run = folder / "run"
    run.mkdir()
    checkpoint.save(run, checkpoint.Checkpoint(7, tensors, "c" * 64, "r" * 64))

    def load():
        with warnings.catch_warnings(action="ignore"):
            back = checkpoint.load(run, "c" * 64, "r" * 64)
        return back.step, {name: value.tolist() for name, value in back.tensors.items()}

    add("checkpoint", next(run.glob("*.safetensors")), load)
    add("pointer", run / checkpoint.POINTER, load)
    plain = folder / "plain"
    plain.mkdir()
    (plain / "a.json").write_text(json.dumps(list(range(50))))
    files.write_manifest(plain, ["a.json"])
    add("manifest", plain / files.MANIFEST, lambda: files.verify_manifest(plain, ("a.json",)))
    add("under a manifest", plain / "a.json", lambda: files.verify_manifest(plain, ("a.json",)))

    def cached():
        with warnings.catch_warnings(action="ignore"):
            back = cache.stored("flips", {"a": 1})
        if back is None:
            raise DamagedFileError("made anew")
        return {name: array.tolist() for name, array in back.items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASTRO_RMAAT_CACHE", str(folder / "cache"))
        cache.store("flips", {"a": 1}, {"x": np.arange(200), "y": np.ones(30, "f4")})
        add("cache", cache.cache_path("flips", {"a": 1}), cached)
        yield found


KINDS = ("recording", "record", "ensemble", "metrics", "result", "checkpoint", "pointer", "manifest",
         "under a manifest", "cache")


@pytest.mark.minutes
@pytest.mark.fault("F2")
@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit(artefacts, rounds, kind):
    """One bit of any artefact is flipped: recording, record, ensemble, metrics, result, checkpoint, manifest, cache.

    It is noticed with the project's own error, or lies where nothing is read; what is read is never another.
    """
    artefact, random = artefacts[kind], np.random.default_rng(KINDS.index(kind))
    data, noticed = artefact.path.read_bytes(), 0
    try:
        for _ in rounds(12, most=300):
            at = int(random.integers(len(data)))
            artefact.path.write_bytes(data[:at] + bytes([data[at] ^ 1 << random.integers(8)]) + data[at + 1:])
            try:
                found = artefact.read()
            except UserError:
                noticed += 1
            else:
                assert found == artefact.before, f"{kind}: byte {at}"
    finally:
        artefact.path.write_bytes(data)
    assert noticed
