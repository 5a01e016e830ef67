"""A task, a config and parts of a network of a user's own: on the command line, in Python, and when a run goes on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from foundation.cli import run
from foundation.errors import UserError
from foundation.files import sha256_file
from foundation.outside import load_file
from rmaat.__main__ import app
from rmaat.training.evaluation import evaluate
from rmaat.training.result import load_run
from rmaat.training.trainer import train

ROOT = Path(__file__).parents[2]
BESIDE = "LENGTH = 8\n"
OWN = '''
from dataclasses import dataclass
import numpy as np
import torch
from beside import LENGTH
from rmaat.attention.baselines import Softmax
from rmaat.model.memory import Retention
from rmaat.tasks.task import Batch, Task
from rmaat.training.experiment import TrainConfig, experiment


@dataclass(frozen=True)
class Parity(Task):
    """Is the number of ones even?"""

    vocab_size = 2
    num_classes = 2
    max_length = LENGTH
    bits: tuple = (0, 1)

    def split(self, name, data=None):
        return Bits(len(name))


class Bits:
    def __init__(self, samples):
        self.samples = samples

    def __len__(self):
        return self.samples

    def batch(self, indices):
        rng = [np.random.default_rng([self.samples, index]) for index in indices]
        tokens = torch.from_numpy(np.stack([each.integers(2, size=LENGTH) for each in rng]))
        return Batch(tokens, torch.full((len(indices),), LENGTH), tokens.sum(1) % 2)

    def all_labels(self):
        return self.batch(np.arange(self.samples)).labels.numpy()


def CONFIG():
    return experiment("parity", Parity(), TrainConfig(steps=4, batch_size=3, checkpoint_every=2), segment_length=4,
                      width=8, layers=1)


EXPERIMENT = CONFIG()
NUMBER = 3


class Mine(Softmax):
    pass


class Half(Retention):
    def forward(self, memory, proposed, t):
        return memory + .5 * (proposed - memory)
'''


SMALL = [part for setting in (
    "task.num_segments=2", "task.segment=4", "task.train=8", "task.validation=4", "task.test=6", "model.width=8",
    "model.segment_length=4", "model.layers=1", "train.batch_size=4", "train.steps=3") for part in ("--set", setting)]


@pytest.fixture
def own(tmp_path):
    (tmp_path / "beside.py").write_text(BESIDE)
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path / "own.py"


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
def test_every_verb_takes_what_is_of_a_users_own(program, own, tmp_path):
    out = tmp_path / "run"
    code, told, err = program("train", f"{own}:CONFIG", "--out", out, "--control", "--device", "cpu", "--json")
    assert code == 0, err
    stored = json.loads((out / "config.json").read_text())
    assert stored["task"] == {"name": f"{own}:Parity", "bits": [0, 1]}
    assert stored["files"] == {str(path): sha256_file(path) for path in (tmp_path / "beside.py", own)}
    for again in (["evaluate", out, "--device", "cpu"],
                  ["train", f"{own}:EXPERIMENT", "--out", out, "--resume", "--device", "cpu"]):
        code, other, err = program(*again, "--json")
        assert code == 0 and json.loads(other)["rows"] == json.loads(told)["rows"], err
    assert program("trace", out, "--tensor", "retention")[0] == program("inspect", out)[0] == 0
    code, told, _ = program("inspect", "--config", f"{own}:CONFIG", "--json")
    assert code == 0 and json.loads(told)["num_segments"] == 2
    assert program("trace", "--config", f"{own}:CONFIG")[0] == 0
    code, told, _ = program("tasks", f"{own}:Parity")
    assert code == 0 and "2 classes; 1 to 8 tokens; vocabulary 2" in told and "task.bits=(0, 1)" in told
    code, told, _ = program("train", "recall", "--set", f"task={own}:Parity", "--set", "segment_length=4", "--dry-run",
                            "--json")
    assert code == 0 and json.loads(told)["model"]["num_segments"] == 2


def test_parts_of_a_network_of_a_users_own(program, own, tmp_path):
    out, parts = tmp_path / "run", ("--set", f"model.attention={own}:Mine", "--set", f"retention={own}:Half")
    code, told, err = program("train", "recall_small", "--out", out, "--device", "cpu", "--json", *parts, *SMALL)
    assert code == 0, err
    stored = json.loads((out / "config.json").read_text())
    assert (stored["model"]["attention"], stored["model"]["retention"]) == (f"{own}:Mine", f"{own}:Half")
    assert str(own) in stored["files"] and stored["task"]["name"] == "recall"
    for again in (["evaluate", out], ["train", "recall_small", "--out", out, "--resume", *parts, *SMALL]):
        code, other, err = program(*again, "--device", "cpu", "--json")
        assert code == 0 and json.loads(other)["rows"] == json.loads(told)["rows"], err
    code, told, _ = program("inspect", out, "--json")
    assert code == 0 and [row["kept"] for row in json.loads(told)["rows"]] == [.5] * 2
    assert "own.py:Half" in program("inspect", out)[1]
    assert program("trace", out)[0] == 0
    module = load_file(own)
    result = train("recall_small", out, device="cpu", resume=True, quiet=True, changes={
        "attention": module.Mine, "retention": module.Half,
        **{setting.partition("=")[0]: int(setting.partition("=")[2]) for setting in SMALL[1::2]}})
    assert type(result.model().blocks[0].attention) is module.Mine
    own.write_text(OWN.replace(".5 *", ".25 *"))
    code, _, err = program("evaluate", out)
    assert code == 2 and f"your file {own} was changed" in err


@pytest.mark.parametrize(("name", "says"), [
    ("CONFG", "it has: CONFIG, EXPERIMENT"), ("NUMBER", "NUMBER is of type int; give an Experiment or function"),
])
def test_what_is_no_config_is_said(program, own, tmp_path, name, says):
    code, _, err = program("train", f"{own}:{name}", "--out", tmp_path / "run")
    assert code == 2 and says in err and err.count("\n") == 1 and not (tmp_path / "run").exists()


def test_a_function_that_gives_no_experiment_is_said(program, own, tmp_path):
    own.write_text(OWN + "\ndef WRONG():\n    return 3\n")
    code, _, err = program("train", f"{own}:WRONG", "--out", tmp_path / "run")
    assert code == 2 and "'WRONG' gives a int; a config is an Experiment" in err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["own.py", "beside.py"])
def test_a_file_that_changed_is_refused_and_a_missing_one_is_named(program, own, tmp_path, name, monkeypatch):
    out, file = tmp_path / "run", tmp_path / name
    again = ("train", f"{own}:CONFIG", "--out", out, "--resume", "--device", "cpu")
    assert program("train", f"{own}:CONFIG", "--out", out, "--device", "cpu")[0] == 0
    file.write_text(file.read_text() + "# another thought\n")
    code, _, err = program("evaluate", out)
    assert code == 2 and f"your file {file} was changed since the run began" in err and err.count("\n") == 1
    code, _, err = program(*again)
    assert code == 2 and f"your file {name} as it was then" in err and err.count("\n") == 1
    file.unlink()
    code, _, err = program("trace", out)
    assert code == 2 and f"the run needs your file {file}, which is not there" in err


@pytest.mark.slow
def test_a_run_and_its_files_may_move(program, own, tmp_path, monkeypatch):
    """A file that is no longer where it was is looked for in the folder that one works in."""
    out = tmp_path / "run"
    assert program("train", f"{own}:CONFIG", "--out", out, "--device", "cpu")[0] == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for path in (own, own.parent / "beside.py", out):
        path.rename(elsewhere / path.name)
    monkeypatch.chdir(elsewhere)
    code, told, err = program("evaluate", "run", "--device", "cpu", "--json")
    stored = json.loads((elsewhere / "run/result.json").read_text())
    assert code == 0 and json.loads(told)["rows"] == stored["rows"], err
    assert program("train", "own.py:CONFIG", "--out", "run", "--resume", "--device", "cpu")[0] == 0


@pytest.mark.slow
def test_objects_are_passed_as_they_are(own, tmp_path):
    module = load_file(own)
    result = train(module.CONFIG, tmp_path / "run", device="cpu", quiet=True)
    assert train(module.EXPERIMENT, tmp_path / "run", device="cpu", resume=True, quiet=True).to_json() == \
        result.to_json()
    assert type(load_run(tmp_path / "run").run.experiment.task) is type(result.run.experiment.task) is module.Parity
    assert evaluate(result, device="cpu").rows == evaluate(tmp_path / "run", device="cpu").rows
    changed = train(module.CONFIG, tmp_path / "changed", device="cpu", quiet=True,
                    changes={"train.steps": 2, "task": module.Parity(bits=(1,))})
    assert changed.evaluation.steps == 2 and changed.run.experiment.task.bits == (1,)
    with pytest.raises(UserError, match=r"task\.bits is \[1\] there, \[0, 1\] here"):
        train(module.CONFIG, tmp_path / "changed", device="cpu", resume=True, quiet=True)


SESSION = """
import sys
from pathlib import Path
from rmaat.training.configs import find_experiment
from rmaat.training.evaluation import evaluate
from rmaat.training.result import load_run
from rmaat.training.trainer import train

if sys.argv[1] == "define":
    from dataclasses import dataclass
    from rmaat.tasks.recall import Recall

    @dataclass(frozen=True)
    class Mine(Recall):
        num_segments: int = 2
        segment: int = 4
        train: int = 8
        validation: int = 4
        test: int = 6

    experiment = find_experiment("recall", {"task": Mine, "model.segment_length": 4, "model.width": 8,
                                            "train.steps": 3})
    result = train(experiment, sys.argv[2], device="cpu", resume=True, quiet=True)
    assert evaluate(sys.argv[2], device="cpu").rows == result.evaluation.rows
    print(result.run.experiment.task.name, load_run(sys.argv[2], experiment).accuracy == result.accuracy)
else:
    load_run(sys.argv[2])
"""


@pytest.mark.slow
def test_a_session_needs_what_was_typed_into_it(tmp_path):
    """Twice the same session, as a notebook run again; then another one, where the class is missing."""
    for define in ("define", "define", "read"):
        done = subprocess.run([sys.executable, "-c", SESSION, define, str(tmp_path / "run")], capture_output=True,
                              text=True, cwd=ROOT, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)})
        if define == "define":
            assert done.stdout.split() == ["mine", "True"], done.stderr
    assert "task 'Mine' was typed into a session and is not in this one" in done.stderr
