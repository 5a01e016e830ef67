"""The program: exit codes, one clear line on stderr, JSON, nothing written by a refusal. In process, but for one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from foundation.cli import run
from rmaat.__main__ import app
from rmaat.tasks.registry import TASKS
from rmaat.training.configs import CONFIGS
from rmaat.training.variants import VARIANTS

ROOT = Path(__file__).parents[2]
TINY = [part for setting in (
    "task.num_segments=2", "task.segment=4", "task.train=8", "task.validation=4", "task.test=6", "model.width=8",
    "model.segment_length=4", "model.layers=1", "train.batch_size=4", "train.steps=3", "train.checkpoint_every=2")
        for part in ("--set", setting)]


@pytest.fixture
def program(monkeypatch, capsys):
    """`program(*arguments) -> (exit code, stdout, stderr)`."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["rmaat", *map(str, arguments)])
        try:
            run(app)
            code = 0
        except SystemExit as end:
            code = end.code or 0
        return code, *capsys.readouterr()

    return call


@pytest.mark.slow
def test_train_evaluate_trace_resume(program, tmp_path):
    out = tmp_path / "run"
    code, told, _ = program("train", "recall", "--out", out, "--control", *TINY)
    assert code == 0 and "model, memory reset" in told and "trained with memory reset" in told and "majority" in told
    assert "peak" in told and str(out) in told
    assert {path.name for path in out.iterdir()} == {
        "config.json", "record.json", "environment.json", "manifest.json", "metrics.jsonl", "checkpoint.json",
        "checkpoint-00000003.safetensors", "checkpoint-00000002.safetensors", "checkpoint.before.json", "result.json",
        "control"}
    code, told, _ = program("evaluate", out, "--json")
    stored = json.loads((out / "result.json").read_text())
    assert code == 0 and json.loads(told)["rows"] == stored["rows"] and stored["peak_bytes"] > 0
    code, told, _ = program("evaluate", out, "--split", "validation", "--no-controls")
    assert code == 0 and "validation split" in told and "majority" not in told
    code, told, _ = program("trace", out, "--tensor", "retention", "--json")
    assert code == 0 and json.loads(told)["tensors"][0]["value"]["shape"] == [2]
    code, told, _ = program("train", "recall", "--out", out, "--resume", "--json", *TINY)
    assert code == 0 and json.loads(told) | {"hash": stored["hash"], "schema": 2} == stored


def test_inspect_a_run_and_a_config(program, tmp_path):
    assert program("train", "recall", "--out", tmp_path / "run", *TINY)[0] == 0
    code, told, _ = program("inspect", tmp_path / "run", "--json")
    assert code == 0 and [row["distance"] for row in json.loads(told)["rows"]] == [1, 0]
    code, told, _ = program("inspect", "--config", "recall_rmt", "--samples", 4, *TINY)
    assert code == 0 and "retention none, T = 2; the gradient reaches the first segment" in told


@pytest.mark.parametrize(("more", "message"), [
    (["--seed", "3"], "--seeds 1,2: it names the seeds; leave out --seed and --set train.seed"),
    (["--set", "train.seed = 3"], "--seeds 1,2: it names the seeds"),
    (["--seeds", "1,1"], "--seeds 1,1: give different")])
def test_seeds_are_said_once_and_looked_at_before_anything(program, more, message):
    code, _, said = program("train", "recall", "--dry-run", "--seeds", "1,2", *more)
    assert code == 2 and message in said


def test_dry_run_writes_nothing(program, tmp_path):
    code, told, _ = program("train", "listops", "--out", tmp_path / "run", "--dry-run", "--seed", 7)
    assert code == 0 and "seed 7" in told and "parameters" in told and list(tmp_path.iterdir()) == []
    code, told, _ = program("train", "listops", "--variant", "rmt+memory_8", "--dry-run", "--json")
    assert code == 0 and json.loads(told)["name"] == "listops_rmt+memory_8"
    code, told, _ = program("train", "recall", "--dry-run", "--json")
    assert code == 0 and json.loads(told)["parameters"] > 30_000


def test_lists(program):
    code, told, _ = program("tasks")
    assert code == 0 and all(name in told for name in TASKS)
    code, told, _ = program("configs")
    assert code == 0 and all(name in told for name in CONFIGS)
    code, told, _ = program("variants")
    assert code == 0 and [line.split()[0] for line in told.splitlines()] == list(VARIANTS)
    assert json.loads(program("variants", "--json")[1]).keys() == VARIANTS.keys()
    assert json.loads(program("tasks", "--json")[1]).keys() == TASKS.keys()
    assert json.loads(program("configs", "--json")[1]).keys() == CONFIGS.keys()


@pytest.mark.slow
def test_benchmark(program, tmp_path):
    code, told, _ = program("benchmark", "attention", "--lengths", "16,32", "--width", 8, "--repeats", 1, "--backward",
                            "--device", "cpu", "--out", tmp_path / "page.md")
    assert code == 0 and "|     32 |" in told and "SDPA / linear" in told and "threads 1" in told
    assert "|     32 |" in (tmp_path / "page.md").read_text()
    code, told, _ = program("benchmark", "throughput", "--segment-lengths", 4, "--segments", "1,2", "--width", 8,
                            "--repeats", 1, "--batch", 2, "--device", "cpu", "--json")
    assert code == 0 and [row[1] for row in json.loads(told)["tables"][0]["rows"]] == [1, 2]


@pytest.mark.parametrize(("arguments", "code", "message"), [
    (["benchmark", "attention", "--lengths", "0"], 2, "--lengths 0: give whole numbers"),
    (["train", "recal"], 2, r"unknown config 'recal' (did you mean 'recall'?); choose one of: copy, copy_small,"),
    (["train", "recall"], 2, "no --out given"),
    (["train", "recall", "--out", "{}/x", "--variant", "rtm"], 2, "unknown variant 'rtm' (did you mean 'rmt'?)"),
    (["train", "recall", "--out", "{}/x", "--variant", "at", "--set", "retention=leaky"], 2,
     "recall_at has none in its place"),
    (["train", "recall", "--out", "{}/x", "--set", "width=-1"], 2, "width = -1"),
    (["train", "recall", "--out", "{}/x", "--set", "retention=keep"], 2, "unknown retention 'keep'"),
    (["train", "recall", "--out", "{}/x", "--seed", "-1"], 2, "train.seed = -1"),
    (["train", "recall", "--out", "{}/x", "--record", "{}/none.json"], 2, "cannot read the record"),
    (["train", "recall", "--out", "{}/x", "--record", "{}/cut.json"], 3, "not JSON"),
    (["train", "recall", "--out", "{}/x", "--device", "tpu"], 2, "unknown device 'tpu'"),
    (["train", "fashion_smoke", "--out", "{}/x", "--data", "{}/none"], 2, "no train-images-idx3-ubyte.gz in"),
    (["train", "listops_small", "--out", "{}/x", "--data", "{}/none"], 2, "no basic_train.tsv, basic_val.tsv, "),
    (["evaluate", "{}/none"], 2, "no run in"),
    (["trace", "{}/none"], 2, "no run in"),
    (["trace", "{}/none", "--set", "width=8"], 2, "a run brings its own record and config"),
    (["inspect", "{}/none"], 2, "no run in"),
    (["trace", "{}/none", "--variant", "rmt"], 2, "a run brings its own record and config"),
    (["inspect", "{}/none", "--variant", "rmt"], 2, "a run brings its own record and config"),
    (["inspect", "{}/none", "--seed", "1"], 2, "a run brings its own record and config"),
    (["trace", "{}/none", "--config", "recall"], 2, "leave out --config"),
    (["inspect", "{}/none", "--config", "listops"], 2, "leave out --config"),
    (["trace", "--check", "--tensor", "retention"], 2, "--check looks at all tensors"),
    (["train", "recall", "--seeds", "0,1", "--set", "seed=3"], 2, "it names the seeds; leave out --seed and --set"),
    (["trace", "--tensor", "foo"], 2, "unknown tensor 'foo'"),
    (["benchmark", "memory", "--segments", "1,a"], 2, "--segments 1,a: give whole numbers"),
    (["benchmark", "speed", "--precision", "half"], 2, "unknown precision 'half'"),
])
def test_bad_input_is_one_clear_line_and_writes_nothing(program, tmp_path, arguments, code, message):
    (tmp_path / "cut.json").write_text('{"entries": {')
    got, told, complaint = program(*(argument.replace("{}", str(tmp_path)) for argument in arguments))
    assert got == code and told == "" and message in complaint
    assert complaint.startswith("error: ") and complaint.count("\n") == 1 and "Traceback" not in complaint
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_an_altered_checkpoint_has_exit_code_three(program, tmp_path):
    program("train", "recall", "--out", tmp_path, *TINY)
    path = tmp_path / "checkpoint-00000003.safetensors"
    for before in (*tmp_path.glob("checkpoint-00000002*"), tmp_path / "checkpoint.before.json"):
        before.unlink()  # with it a run goes on from there: see tests/faults
    data = path.read_bytes()
    for damaged in (data[:-1] + bytes([data[-1] ^ 1]), data[:100]):
        path.write_bytes(damaged)
        resume = ["train", "recall", "--out", tmp_path, "--resume"]
        for arguments in (["evaluate", tmp_path], [*resume, *TINY], [*resume, "--control", *TINY]):
            code, _, complaint = program(*arguments)
            assert code == 3 and "does not match its SHA-256" in complaint
        assert path.read_bytes() == damaged  # a refusal repairs nothing and writes nothing


@pytest.mark.slow
def test_the_module_runs_as_a_program():
    done = subprocess.run([sys.executable, "-m", "rmaat", "trace", "--tensor", "retention"], capture_output=True,
                          text=True, cwd=ROOT, check=False)
    assert done.returncode == 0 and "retention.retention" in done.stdout and done.stderr == ""


@pytest.mark.slow
def test_a_run_may_take_a_sample_of_the_record(program, tmp_path):
    """The run's folder holds the drawn record, which trace and evaluate then read; the numbers are the draw's."""
    from derivation.record import ensemble, record

    drawn = ensemble.load(ensemble.path_beside(None)).sample(record.load(), "cortical_slices")
    code, told, _ = program("train", "recall", "--out", tmp_path / "run", "--record-sample", "cortical_slices",
                            "--json", *TINY)
    assert code == 0 and json.loads(told)["record"] == drawn.hash != record.load().hash
    assert record.load(tmp_path / "run" / "record.json") == drawn
    code, told, _ = program("trace", tmp_path / "run", "--tensor", "retention", "--json")
    (tensor,) = json.loads(told)["tensors"]
    assert tensor["constants"]["q"]["value"] == drawn.entry("retention").constants["q"].value
    assert "cortical_slices" in json.loads(told)["changed"]
    assert json.loads(program("evaluate", tmp_path / "run", "--json")[1])["record"] == drawn.hash
    code, _, error = program("train", "recall", "--out", tmp_path / "other", "--record-sample", "cortex", *TINY)
    assert code == 2 and "unknown record sample 'cortex'" in error and not (tmp_path / "other").exists()
