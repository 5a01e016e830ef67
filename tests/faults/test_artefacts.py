"""Every file that the programs write: each kind is made, altered here and there, and read again."""

import shutil
import warnings
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest

from foundation import sealed, sealed_table, trailer, verify
from foundation.errors import DamagedFileError, UserError

TINY = ["task.num_segments=2", "task.segment=3", "task.train=7", "task.validation=3", "task.test=5",
        "model.segment_length=3", "model.width=8", "model.layers=1", "model.num_memory_tokens=2", "train.batch_size=3",
        "train.evaluate_every=2", "train.checkpoint_every=2", "train.warmup=2"]
COPIES = {  # of what is verified, for other programs and for people: nothing of ours reads them
    "sim/export.csv": "of a recording", "sim/export.parquet": "of a recording", "run/metrics.csv": "of metrics.jsonl",
    "compare/*.png": "a picture"}


def simulated(folder, patch):
    """Recordings, exports, a sweep with a point that fails, a diagram, a fit, an ensemble."""
    from astro_sim import simulate
    from astro_sim.analysis.named import named
    from astro_sim.dynamics.diagram import Diagram
    from astro_sim.run.ensemble_result import Ensemble
    from astro_sim.run.fitting.result import DataFit
    from astro_sim.run.fitting.target import Features
    from astro_sim.run.streaming import simulate_to_file
    from astro_sim.run.sweeps import grid, sweep
    from astro_sim.show.verbs.seeds import run_seeds
    from derivation.simulation import cache

    common = {"duration": "1 s", "dt": "50 ms", "method": "rk4", "backend": "numpy"}
    recording = simulate("li_rinzel", **common)
    recording.save(folder / "recording.nc")
    simulate_to_file(folder / "streamed.nc", "li_rinzel", **common)
    for ending in ("csv", "parquet", "nwb"):
        recording.export(folder / f"export.{ending}")
    with cache.kept_in(folder / "kept"):
        cache.simulate("li_rinzel", **common)
    bad = {"model": "li_rinzel", **common, "dt": "5 s", "duration": "60 s"}
    sweep([*grid({"K_P": ["0.05 umolar", "0.1 umolar"]}, model="li_rinzel", **common), bad], folder / "sweep")
    both = recording.variables
    together = Ensemble("li_rinzel", (1, 2), ("a", "b"), recording.time, both, both, {}, {})
    patch.setattr("astro_sim.run.ensembles.ensemble", lambda *given, **named: together)
    run_seeds("li_rinzel", None, folder / "seeds", seeds="1+2", events=(), force=False, as_json=True)
    rows = [{"input": x / 7, "C": x / 3, "stable": x < 2, "branch": 1} for x in range(4)]
    made = Diagram("own", "p", "ip3", "C", {"ip3": "umolar", "C": "umolar"}, rows, [.25], [1 / 9], [], long_names={})
    made.save(folder / "diagram.json"), made.save(folder / "diagram.nc")
    target = Features(tuple(map(named, ("peak(C)", "trough(C)", "mean(C)"))), (.4, .2, .3), ("umolar",) * 3, None)
    DataFit({"ip3": .4}, {"ip3": (.3, .5)}, {"ip3": "umolar"}, target, np.arange(3.) / 7, recording, 9).save(
        folder / "fit.json")


def derived(folder):
    """A record, its ensemble and its points."""
    from derivation.record import ensemble, points, record

    record.save(record.load(), folder / "record.json")
    known = ensemble.load(ensemble.path_beside(None))
    ensemble.save(replace(known, draws=known.draws[:3]), folder / "record.ensemble.json")
    points.save(points.load(points.path_beside(None)), folder / "record.points.json")


def trained(folder, monkeypatch):
    """A run that was extended and then diverged; what studies, comparisons and reports write; a stream; a cache."""
    import torch

    from figures.report import page
    from rmaat import RMAAT, ModelConfig
    from rmaat.benchmark import verbs
    from rmaat.benchmark.measure import Bench
    from rmaat.model.stream import Stream
    from rmaat.tasks import cache
    from rmaat.training.steps import Trainer
    from rmaat.training.studies.compare import compare
    from rmaat.training.studies.summary import collect, write_summaries
    from rmaat.training.trainer import train

    def go(steps):
        return train("recall", folder / "run", changes=[*TINY, f"train.steps={steps}"], device="cpu", resume=True,
                     quiet=True, logs=["csv"])

    go(4)
    go(6)
    write_summaries(folder / "study.json", "study", collect([folder / "run"]))
    compare(folder / "run").write(folder / "compare")
    (folder / "finished").mkdir()
    shutil.copy(folder / "run" / "result.json", folder / "finished")
    advance = Trainer.advance

    def bent(self, asked=lambda: False):
        self.model.head.bias.data.fill_(float("inf"))
        return advance(self, asked)

    monkeypatch.setattr(Trainer, "advance", bent)
    with pytest.raises(UserError, match="diverged"):
        go(8)
    page.write("<!DOCTYPE html>\n<html></html>\n", folder / "report.html")
    verbs._show(Bench(batch=1), "Benchmark", iter(()), out=folder / "benchmark.md", json=False)
    model = RMAAT(ModelConfig(vocab_size=8, num_classes=2, segment_length=3, num_segments=2, width=8, layers=1)).eval()
    stream = Stream(model, 2, 2)
    stream.feed(torch.zeros((2, 2), dtype=torch.int64))
    stream.save(folder / "stream.safetensors")
    monkeypatch.setenv("ASTRO_RMAAT_CACHE", str(folder / "cache"))
    cache.store("made", [7], {"x": np.arange(50)})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with all of it."""
    folder = tmp_path_factory.mktemp("artefacts")
    for name in ("sim", "derived"):
        (folder / name).mkdir()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(action="ignore"):
        simulated(folder / "sim", patch)
        derived(folder / "derived")
        trained(folder, patch)
    return folder


def readers(folder):
    """Pattern of names -> what reads such a file in the project."""
    from astro_sim.dynamics.diagram import Diagram
    from astro_sim.recording.recording import Recording
    from astro_sim.run.sweep_index import write_index
    from derivation.record import ensemble, points, record
    from rmaat.tasks import cache
    from rmaat.training import checkpoint, diverged, run_folder
    from rmaat.training.metrics import read_metrics
    from rmaat.training.studies.summary import read_summaries

    def run(path):
        found = run_folder.read(path.parent)
        return checkpoint.load(path.parent, found.configs, found.record.hash)

    def before(path):
        """What is read once the last checkpoint is gone."""
        last = path.with_name(checkpoint.POINTER)
        text = last.read_text("utf-8")
        last.write_text("", "utf-8")
        try:
            return run(path)
        finally:
            last.write_text(text, "utf-8")

    def cached(path):
        if cache.stored("made", [7]) is None:
            raise DamagedFileError("made anew")

    steps = sorted((folder / "run").glob("checkpoint-*"))
    return {
        "sim/diagram.nc": Diagram.load, "sim/seeds/ensemble.nc": verify.verify, "sim/*.nc": Recording.load,
        "sim/export.nwb": verify.verify, "sim/sweep/index.csv": lambda path: write_index(path, {}, {}),
        "sim/sweep/*.error.json": lambda path: sealed.read(path, "point that failed"),
        "sim/diagram.json": Diagram.load, "sim/fit.json": lambda path: sealed.read(path, "fit"),
        "derived/record.json": record.load, "derived/record.ensemble.json": ensemble.load,
        "derived/record.points.json": points.load,
        f"run/{steps[0].name}": before, "run/checkpoint.before.json": before, "run/checkpoint*": run,
        "run/metrics.jsonl": read_metrics, "finished/result.json": lambda path: run_folder.read_result(path.parent),
        "run/diverged.*": lambda path: diverged.load(path.parent), "run/*.json": run, "study.json": read_summaries,
        "compare/*": verify.verify, "report.html": verify.verify, "benchmark.md": verify.verify,
        "stream.safetensors": lambda path: streamed(path), "cache/*": cached}


def streamed(path):
    from rmaat.model.stream import _read

    return _read(path)


@pytest.mark.fault("C13")
@pytest.mark.slow
def test_every_file_that_is_written(made):
    """Any file that the programs write is altered: recordings, indices, failures, fits, runs, comparisons, pages.

    Each carries what it is, its schema and its hash, or another file names its hash: reading it says so, exit 3.
    `python -m foundation.verify` looks at any file or folder. Copies for other programs carry none.
    """
    from rmaat.tasks import cache
    from rmaat.training.checkpoint import FallenBack

    known = readers(made)
    seen = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASTRO_RMAAT_CACHE", str(made / "cache"))
        for path in verify.files_of([made]):
            name = path.relative_to(made).as_posix()
            if any(fnmatch(name, pattern) for pattern in COPIES):
                continue
            pattern = next((pattern for pattern in known if fnmatch(name, pattern)), None)
            assert pattern, f"{name}: say what reads it, or why nothing does"
            seen.add(pattern)
            data = path.read_bytes()
            for share in (.15, .4, .65, .9):
                at = int(share * len(data))
                path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])
                with warnings.catch_warnings(), pytest.raises((UserError, FallenBack, cache.CacheNote)):
                    warnings.simplefilter("error")
                    known[pattern](path)
                    raise AssertionError(f"{name}: byte {at} of {len(data)}: read as if nothing were")
            path.write_bytes(data)
    assert seen == known.keys(), "each is made"


def test_what_verify_says(made, capsys, monkeypatch):
    """Of every file whether it is whole; of one that was altered its name, exit 3."""
    monkeypatch.setattr("sys.argv", ["verify", str(made)])
    assert verify.main() == 0
    said = capsys.readouterr().out
    without = {line.split()[-1] for line in said.splitlines() if line.startswith("no hash")}
    for path in without:
        name = Path(path).relative_to(made).as_posix()
        assert any(fnmatch(name, pattern) for pattern in COPIES) or path.endswith(".safetensors") or name in (
            "run/config.json", "run/environment.json"), f"{name}: carries no hash"
    assert "whole    " in said and f"{made / 'sim' / 'fit.json'}  fit" in said
    for name in ("sim/fit.json", "run/config.json", "run/checkpoint-00000006.safetensors"):
        path = made / name
        data = path.read_bytes()
        path.write_bytes(data.replace(b"1", b"2", 1) if b"1" in data else data[:-1])
        assert verify.main() == 3
        assert f"ALTERED  {path}" in capsys.readouterr().out
        path.write_bytes(data)
    monkeypatch.setattr("sys.argv", ["verify", str(made / "nothing.json")])
    assert verify.main() == 2
    monkeypatch.setattr("sys.argv", ["verify", str(made / "nothing.json"), str(made / "sim/fit.json")])
    data = (made / "sim/fit.json").read_bytes()
    (made / "sim/fit.json").write_bytes(data.replace(b"1", b"2", 1))
    assert verify.main() == 3, "what cannot be read hides nothing"
    (made / "sim/fit.json").write_bytes(data)
    monkeypatch.setattr("sys.argv", ["verify"])
    assert verify.main() == 2


def test_older_and_later_tables_and_pages():
    heads, rows = ["file", "K (uM)"], [{"file": "a,b\n", "K (uM)": "1"}, {"file": "c"}]
    text = sealed_table.text_of("index", heads, rows)
    found = sealed_table.read(text, "i.csv", what_to_do="x")
    assert found == (heads, [{"file": "a,b\n", "K (uM)": "1"}, {"file": "c", "K (uM)": ""}], "index")
    older = sealed_table.read("file,K\na,1\n", "i.csv", what_to_do="x")
    assert older == (["file", "K"], [{"file": "a", "K": "1"}], None)
    assert trailer.verified_page("# older\n", "p.md", what_to_do="x") == ("# older\n", None)
    assert trailer.verified_page(trailer.page("report", "# new\n"), "p.md", what_to_do="x") == ("# new\n", "report")
    for whole, read in ((text, sealed_table.read), (trailer.page("report", "# new\n"), trailer.verified_page)):
        for at in range(len(whole)):
            bent = whole[:at] + chr(ord(whole[at]) ^ 1) + whole[at + 1:]
            with pytest.raises(UserError):
                read(bent, "x", what_to_do="x")
        with pytest.raises(UserError, match="use the version that"):
            read(whole.replace("schema 1", "schema 9"), "x", what_to_do="x")
