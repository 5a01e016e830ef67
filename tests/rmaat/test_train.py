"""Training: resume after a kill is bit-exact, Ctrl-C leaves a checkpoint, nothing is overwritten, odd sizes work."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from derivation.record import record as records
from foundation import chain
from foundation.errors import DamagedFileError, ResourceError, UserError
from rmaat.tasks.recall import Recall
from rmaat.tasks.registry import TASKS
from rmaat.training import checkpoint, run_folder
from rmaat.training.configs import recall
from rmaat.training.data import load_splits
from rmaat.training.evaluation import evaluate, find_device, score, with_memory_reset
from rmaat.training.experiment import TrainConfig, experiment
from rmaat.training.loop import fit
from rmaat.training.metrics import Metrics, read_metrics
from rmaat.training.opening import begin
from rmaat.training.settings import change
from rmaat.training.steps import Trainer
from rmaat.training.trainer import train

ROOT = Path(__file__).parents[2]
TINY = ["task.num_segments=3", "task.segment=4", "task.train=10", "task.validation=6", "task.test=7",
        "model.segment_length=4", "model.width=8", "model.layers=1", "model.num_memory_tokens=2", "model.dropout=.2",
        "train.batch_size=4", "train.evaluate_every=5", "train.checkpoint_every=3"]


@pytest.fixture(autouse=True)
def one_thread():
    """Exactness is promised at an equal number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tiny(*settings: str):
    return change(recall(), [*TINY, *settings])


STOPPING = Path(__file__).parent / "train_and_stop.py"


def program(out, *more: str, steps: int, begin: tuple = ("-m", "rmaat")) -> subprocess.CompletedProcess:
    settings = [part for setting in [*TINY, f"train.steps={steps}"] for part in ("--set", setting)]
    return subprocess.run([sys.executable, *map(str, begin), "train", "recall", "--out", str(out), "--device", "cpu",
                           *settings, *more], cwd=ROOT, capture_output=True, text=True, check=False,
                          env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)})


def checkpoint_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("checkpoint*")}


def values(folder: Path) -> list[dict]:
    """The metrics without what a clock or an allocator says."""
    clocks = ("tokens_per_second", "peak_bytes", "seconds", "cpu_seconds")
    return [{key: value for key, value in line.items() if key not in clocks}
            for line in read_metrics(folder / "metrics.jsonl")]


@pytest.mark.slow
def test_a_killed_and_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path):
    steps = 40
    killed = program(tmp_path / "killed", steps=steps, begin=(STOPPING, "SIGKILL", 20, "self"))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    at = json.loads((tmp_path / "killed" / "checkpoint.json").read_text())["step"]
    assert at == 18 and not (tmp_path / "killed" / "result.json").exists()  # a checkpoint every 3 steps
    assert read_metrics(tmp_path / "killed" / "metrics.jsonl")[-1]["step"] == 20
    resumed = program(tmp_path / "killed", "--resume", "--json", steps=steps)
    assert resumed.returncode == 0, resumed.stderr
    notes = [line for line in resumed.stderr.splitlines() if line.startswith("note:")]
    assert all("have a label that none of train has" in line for line in notes)  # equal threads, torch and device
    told = json.loads(resumed.stdout)
    assert told["timed_steps"] == steps - at
    whole = train(tiny(f"train.steps={steps}"), tmp_path / "whole", device="cpu", quiet=True)
    assert whole.costs["timed_steps"] == steps
    assert checkpoint_files(tmp_path / "killed") == checkpoint_files(tmp_path / "whole")
    assert values(tmp_path / "killed") == values(tmp_path / "whole")
    assert told["rows"] == whole.to_json()["rows"]


@pytest.mark.slow
def test_ctrl_c_leaves_a_checkpoint_and_exit_code_130(tmp_path):
    stopped = program(tmp_path / "run", steps=100_000, begin=(STOPPING, "SIGINT", 4, "self"))
    assert stopped.returncode == 130 and "Traceback" not in stopped.stderr and stopped.stdout == ""
    assert "stopped after step 5 of 100000" in stopped.stderr and "go on with --resume" in stopped.stderr
    assert json.loads((tmp_path / "run" / "checkpoint.json").read_text())["step"] == 5
    steps = [line["step"] for line in read_metrics(tmp_path / "run" / "metrics.jsonl") if "loss" in line]
    assert steps == [1, 2, 3, 4, 5]  # nothing of the run is lost


@pytest.mark.slow
@pytest.mark.parametrize("at", [1, 3, 7])
def test_a_trainer_restored_in_another_process_state_goes_on_exactly(tmp_path, at):
    """Also with dropout, a last batch that is not full, and other random numbers drawn in between."""
    config = tiny("train.steps=9")
    straight = begin(config, tmp_path / "a")
    losses = [straight.advance()["loss"] for _ in range(9)]
    first = begin(config, tmp_path / "b")
    before = [first.advance()["loss"] for _ in range(at)]
    first.save()
    torch.rand(100)
    second = begin(config, tmp_path / "b", resume=True)
    torch.manual_seed(77)
    second.restore()
    assert second.step == at and before + [second.advance()["loss"] for _ in range(9 - at)] == losses
    for name, value in second.model.state_dict().items():
        assert torch.equal(value, straight.model.state_dict()[name]), name


def test_metrics_written_after_the_last_checkpoint_are_dropped_on_resume(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step":1,"loss":1.0}\n{"step":2,"loss":2.0}\n{"step":3,"loss":3.0}\n{"ste')  # before hashes
    Metrics(path, 2).write(step=3, loss=4.)
    assert [line["loss"] for line in read_metrics(path)] == [1., 2., 4.]
    Metrics(path, 3).write(step=4, loss=5.)
    with open(path, "a") as stream:
        stream.write('{"hash":"12')  # as a kill leaves it
    Metrics(path, 3)
    assert [line["loss"] for line in read_metrics(path)] == [1., 2., 4.]


@pytest.mark.parametrize("line", [{"loss": 1.}, {"step": 1.5}, {"step": None}, {"step": 1, "loss": "x"}, {}])
def test_a_line_of_metrics_that_no_training_writes_is_named(tmp_path, line):
    """Its hash is right: it was put there by a program."""
    path = tmp_path / "metrics.jsonl"
    chain.create(path, "metrics", [{"step": 1, "loss": 2.}, line])
    for read in (read_metrics, lambda path: Metrics(path, 1)):
        with pytest.raises(DamagedFileError, match=r"metrics\.jsonl, line 3: (step|loss) is "):
            read(path)


def test_totals_go_on_where_the_run_stopped(tmp_path):
    """Tokens are counted exactly; seconds only grow, and a run that goes on begins with what it had spent."""
    config = tiny("train.steps=7")
    first = begin(config, tmp_path)
    for _ in range(3):
        first.advance()
    Metrics(tmp_path / "metrics.jsonl", 0).write(step=3, loss=1., tokens=96, seconds=50.5, cpu_seconds=70.25)
    first.save()
    fit(begin(config, tmp_path, resume=True), quiet=True)
    lines = [line for line in read_metrics(tmp_path / "metrics.jsonl") if "loss" in line and line["step"] > 3]
    # batches of 4 of 10 samples of 12 tokens: every third is the 2 that are left
    sizes = [48, 48, 24] * 3
    assert [line["tokens"] for line in lines] == [96 + sum(sizes[3:step]) for step in (4, 5, 6, 7)]
    for name, before in (("seconds", 50.5), ("cpu_seconds", 70.25)):
        values = [line[name] for line in lines]
        assert values == sorted(values) and before < values[0] and values[-1] < before + 60


def test_a_run_is_never_overwritten(tmp_path):
    config = tiny("train.steps=2")
    train(config, tmp_path / "run", device="cpu", quiet=True)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(UserError, match=r"already holds a run; add --resume .* or give another --out"):
        train(config, tmp_path / "run", device="cpu", quiet=True)
    with pytest.raises(UserError, match=r"train.seed is 0 there, 3 here"):
        train(tiny("train.steps=2", "train.seed=3"), tmp_path / "run", device="cpu", resume=True, quiet=True)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match=r"not empty and holds no run of ours \(it has thesis.tex\)"):
        train(config, tmp_path / "notes", device="cpu", resume=True, quiet=True)
    with pytest.raises(UserError, match="is a file"):
        train(config, tmp_path / "notes" / "thesis.tex", device="cpu", quiet=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_resuming_a_finished_run_gives_its_result_again(tmp_path):
    config = tiny("train.steps=2")
    result = train(config, tmp_path, device="cpu", quiet=True)
    assert train(config, tmp_path, device="cpu", resume=True, quiet=True).to_json() == result.to_json()
    path = tmp_path / "result.json"
    path.write_text(path.read_text().replace('"accuracy": 0.', '"accuracy": 1.', 1))
    with pytest.raises(DamagedFileError, match=r"result\.json does not match its own hash"):
        train(config, tmp_path, device="cpu", resume=True, quiet=True)


def test_a_run_of_another_version_says_so(tmp_path):
    """A field that this version does not know, in a file that is whole."""
    from foundation.files import write_manifest
    train(tiny("train.steps=2"), tmp_path, device="cpu", quiet=True)
    path = tmp_path / "config.json"
    path.write_text(path.read_text().replace('"kernel"', '"coupling"'))
    write_manifest(tmp_path, list(run_folder.STATIC))
    with pytest.raises(DamagedFileError, match=r"model: 'coupling' is unknown; .* was written by version"):
        evaluate(tmp_path, device="cpu")
    path = tmp_path / "environment.json"
    written = json.loads(path.read_text())
    path.write_text(json.dumps({"commit": "abc", "torch": written["torch"]}))
    write_manifest(tmp_path, list(run_folder.STATIC))
    with pytest.raises(UserError, match=r"by version unknown \(abc\), this is .*: train anew, or use that version"):
        evaluate(tmp_path, device="cpu")


@pytest.mark.slow
def test_resume_begins_a_run_where_there_is_none_and_where_a_kill_came_early(tmp_path):
    config = tiny("train.steps=2")
    train(config, tmp_path / "new", device="cpu", resume=True, quiet=True)
    (tmp_path / "early").mkdir()
    (tmp_path / "early" / "config.json").write_text("{")
    train(config, tmp_path / "early", device="cpu", resume=True, quiet=True)
    assert checkpoint_files(tmp_path / "new") == checkpoint_files(tmp_path / "early")


@pytest.mark.slow
def test_the_record_belongs_to_the_run(tmp_path):
    """The run keeps a copy; another record is refused at resume, an altered copy at evaluation."""
    config, ours = tiny("train.steps=2"), records.load()
    q = ours.entry("retention").constants["q"]
    changed = dataclasses.replace(q, value=.5, interval=None)
    entry = dataclasses.replace(ours.entry("retention"), constants={"q": changed})
    other = records.make(dict(ours.entries) | {"retention": entry}, dict(ours.versions))
    records.save(other, tmp_path / "other.json")
    result = train(config, tmp_path / "run", device="cpu", record=tmp_path / "other.json", quiet=True)
    assert result.evaluation.record == other.hash == evaluate(tmp_path / "run", device="cpu").record
    with pytest.raises(UserError, match="was trained with record " + other.hash[:12]):
        begin(config, tmp_path / "run", resume=True, record=ours)
    records.save(ours, tmp_path / "run" / "record.json")
    with pytest.raises(DamagedFileError, match=r"record\.json does not match its SHA-256"):
        evaluate(tmp_path / "run", device="cpu")
    # with the manifest brought in line as well, the checkpoint still knows its record
    from foundation.files import write_manifest
    write_manifest(tmp_path / "run", list(run_folder.STATIC))
    with pytest.raises(DamagedFileError, match="belongs to the record " + other.hash[:12]):
        evaluate(tmp_path / "run", device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["config.json", "record.json", "environment.json", "manifest.json"])
def test_an_altered_run_is_refused(tmp_path, name):
    train(tiny("train.steps=2"), tmp_path, device="cpu", quiet=True)
    path = tmp_path / name
    path.write_text(path.read_text().replace("2", "3", 1))
    with pytest.raises(DamagedFileError) as raised:
        evaluate(tmp_path, device="cpu")
    assert raised.value.exit_code == 3
    path.write_text(path.read_text()[:20])
    with pytest.raises(DamagedFileError):
        evaluate(tmp_path, device="cpu")


def test_other_data_is_noticed(tmp_path, monkeypatch):
    config = tiny("train.steps=2")
    begin(config, tmp_path).save()
    scrambled = Recall.split

    def other(self, name, data=None):
        return scrambled(dataclasses.replace(self, seed=self.seed + 1), name)

    monkeypatch.setattr(Recall, "split", other)
    with pytest.raises(UserError, match="the test data is not what the run was trained with"):
        evaluate(tmp_path, device="cpu")


def test_a_run_without_checkpoint_says_so(tmp_path):
    begin(tiny("train.steps=2"), tmp_path)
    with pytest.raises(UserError, match="no checkpoint in"):
        evaluate(tmp_path, device="cpu")
    with pytest.raises(UserError, match="no run in"):
        evaluate(tmp_path / "nowhere", device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize(("length", "segments"), [(5, 3), (4, 4), (15, 1), (40, 1)])
def test_odd_lengths_and_a_single_segment_train_and_evaluate(tmp_path, length, segments):
    """15 tokens in segments of 5 (divides), 4 (last one short), 15 (one segment), 40 (one, not filled)."""
    task = Recall(num_segments=3, segment=5, train=10, validation=5, test=7)
    steps = TrainConfig(steps=4, batch_size=4, checkpoint_every=4)
    config = experiment("odd", task, steps, segment_length=length, width=8, layers=1)
    assert config.model.num_segments == segments
    result = train(config, tmp_path, device="cpu", quiet=True)
    assert [row.samples for row in result.evaluation.rows] == [7] * 5  # model, reset, majority, two histograms
    assert result.evaluation.rows == evaluate(tmp_path, device="cpu").rows


@pytest.mark.slow
def test_trees_of_different_lengths_train_and_evaluate(tmp_path, monkeypatch):
    monkeypatch.setenv("ASTRO_RMAAT_CACHE", str(tmp_path / "cache"))
    task = TASKS["listops"](train=9, validation=4, test=5, min_length=20, max_length=200)
    train_config = TrainConfig(steps=4, batch_size=4, checkpoint_every=4)
    config = experiment("short", task, train_config, segment_length=30, width=8, layers=1)
    result = train(config, tmp_path / "run", device="cpu", quiet=True)
    assert result.evaluation.rows[0].samples == 5 and 0 < result.costs["peak_bytes"] < 100e6
    # a sample's score does not depend on its company, though a batch is padded to its longest
    run = run_folder.read(tmp_path / "run")
    trainer = Trainer(run, load_splits(config, None), torch.device("cpu"))
    trainer.restore()
    split = trainer.splits["test"]
    together = score(trainer.model, split, torch.device("cpu"))
    apart = score(trainer.model, split, torch.device("cpu"), batch_size=1)
    assert together.accuracy == apart.accuracy and together.loss == pytest.approx(apart.loss, rel=1e-5)  # float32


def test_a_resumed_run_takes_all_its_data_from_the_folder_that_it_began_with(tmp_path, monkeypatch):
    """Also the control and the control rows, which would otherwise be those of generated trees."""
    monkeypatch.setenv("ASTRO_RMAAT_CACHE", str(tmp_path / "cache"))
    for name, answers in (("train", "3456"), ("val", "34"), ("test", "777")):
        rows = "".join(f"( ( ( [MAX {answer} ) 1 ) ] )\t{answer}\n" for answer in answers)
        (tmp_path / f"basic_{name}.tsv").write_text(f"Source\tTarget\n{rows}")
    task = TASKS["listops"](train=9, validation=4, test=5, min_length=2, max_length=20)
    config = experiment("short", task, TrainConfig(steps=2, batch_size=4), segment_length=4, width=8, layers=1)
    begin(config, tmp_path / "run", data=tmp_path)
    result = train(config, tmp_path / "run", device="cpu", resume=True, control=True, quiet=True)
    assert {row.name: row.samples for row in result.evaluation.rows} == dict.fromkeys(
        ("model", "model, memory reset", "trained with memory reset", "majority", "first token",
         "histogram, last segment", "histogram, all tokens"), 3)


@pytest.mark.slow
def test_the_control_run_is_trained_beside(tmp_path):
    result = train(tiny("train.steps=3"), tmp_path, device="cpu", control=True, quiet=True)
    assert [row.name for row in result.evaluation.rows] == ["model", "model, memory reset", "trained with memory reset",
                                                       "majority", "histogram, last segment", "histogram, all tokens"]
    assert json.loads((tmp_path / "control" / "config.json").read_text())["model"]["retention"] == "reset"
    assert evaluate(tmp_path, device="cpu").rows == evaluate(result, device="cpu").rows == result.evaluation.rows
    assert len(evaluate(tmp_path, device="cpu", controls=False).rows) == 2


def test_a_result_of_some_test_samples_is_that_of_samples_all_over_the_split(tmp_path):
    """Seven samples: 0, 3 and 6; more than there are is all."""
    result = train(tiny("train.steps=2", "train.test_samples=3"), tmp_path / "some", device="cpu", quiet=True)
    model, reset, *others = result.evaluation.rows
    assert (model.samples, reset.samples) == (3, 3) and {row.samples for row in others} == {7}
    split = load_splits(result.run.experiment, None, ("test",))["test"]
    batch = split.batch(np.array([0, 3, 6]))
    with torch.no_grad():
        found = result.model()(batch.tokens, batch.lengths).argmax(1)
    assert model.accuracy == (found == batch.labels).double().mean().item()
    assert evaluate(tmp_path / "some", device="cpu").rows[0].samples == 7
    whole = train(tiny("train.steps=2", "train.test_samples=9"), tmp_path / "all", device="cpu", quiet=True)
    assert whole.evaluation.rows == evaluate(whole, device="cpu").rows
    with pytest.raises(UserError, match=r"train.test_samples = -1: must be at least 0"):
        tiny("train.test_samples=-1")


def test_memory_reset_sees_the_last_segment_alone(tmp_path):
    trainer = begin(tiny(), tmp_path)
    batch = trainer.splits["test"].batch(np.arange(5))
    trainer.model.eval()
    reset = with_memory_reset(trainer.model).eval()
    other = batch.tokens.clone()
    other[:, :8] = 99  # the first two of three segments
    assert torch.equal(reset(batch.tokens, batch.lengths), reset(other, batch.lengths))
    assert not torch.equal(trainer.model(batch.tokens, batch.lengths), trainer.model(other, batch.lengths))


@pytest.mark.slow
def test_training_learns_the_task_when_memory_is_not_needed(tmp_path):
    """One segment: 60 steps are plenty to beat the majority (about .1) by far; a broken loop stays there."""
    config = change(recall(), ["task.num_segments=1", "task.segment=4", "model.segment_length=4", "train.steps=60",
                               "train.learning_rate=.01", "task.test=500", "train.evaluate_samples=100"])
    result = train(config, tmp_path, device="cpu", quiet=True)
    assert result.accuracy > .9
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 61))
    assert lines[0]["loss"] > 2
    assert lines[0]["peak_bytes"] == result.costs["peak_bytes"] > 4 * result.costs["parameters"]


def test_a_run_that_diverges_says_so(tmp_path):
    trainer = begin(tiny("train.steps=5"), tmp_path)
    with torch.no_grad():
        trainer.model.head.weight.fill_(float("inf"))
    with pytest.raises(UserError, match=r"diverged at step 1: .*; lower train.learning_rate"):
        fit(trainer, quiet=True)


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), RuntimeError(
    "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")])
def test_memory_that_runs_out_says_what_to_lower(tmp_path, monkeypatch, error):
    trainer = begin(tiny("train.steps=5"), tmp_path)

    def advance(asked):
        raise error

    monkeypatch.setattr(trainer, "advance", advance)
    said = r"not enough memory( \(.*bytes are free\))?; lower train.batch_size, model.segment_length .*model.keep_last"
    with pytest.raises(ResourceError, match=said) as raised:
        fit(trainer, quiet=True)
    assert raised.value.exit_code == 4


def test_other_errors_of_torch_are_not_dressed_up(tmp_path, monkeypatch):
    trainer = begin(tiny("train.steps=5"), tmp_path)
    monkeypatch.setattr(trainer, "advance", lambda asked: torch.ones(2) @ torch.ones(3))
    with pytest.raises(RuntimeError, match="size"):
        fit(trainer, quiet=True)


def test_a_token_out_of_the_vocabulary_stops_training(tmp_path, monkeypatch):
    trainer = begin(tiny("train.steps=5"), tmp_path)
    batch = trainer.splits["train"].batch(np.arange(4))
    batch.tokens[2, 5] = 256
    monkeypatch.setattr(type(trainer.splits["train"]), "batch", lambda self, indices: batch)
    with pytest.raises(UserError, match="token 256 is out of vocabulary; vocab_size = 256 allows 0 to 255"):
        trainer.advance()


def test_devices():
    assert find_device("cpu") == torch.device("cpu")
    with pytest.raises(UserError, match="unknown device 'tpu'; choose one of: auto, cpu, cuda"):
        find_device("tpu")
    if torch.cuda.is_available():
        assert find_device("auto").type == "cuda"
    else:
        assert find_device("auto").type == "cpu"
        with pytest.raises(ResourceError, match="no CUDA; use --device cpu"):
            find_device("cuda")


def test_a_checkpoint_without_optimizer_state_is_refused(tmp_path):
    trainer = begin(tiny(), tmp_path)
    trainer.advance()
    trainer.save()
    saved = checkpoint.load(tmp_path, trainer.run.experiment.hash, trainer.run.record.hash)
    kept = {name: value for name, value in saved.tensors.items() if not name.startswith("optimizer.0.")}
    checkpoint.save(tmp_path, dataclasses.replace(saved, tensors=kept))
    with pytest.raises(DamagedFileError, match="lacks the optimizer's state"):
        trainer.restore()
