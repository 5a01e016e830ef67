"""Two processes: gradients, losses and folders of one process; errors, Ctrl-C and resume. gloo, on this machine alone.

Starting a process takes two seconds of CPU, so one pair of workers does all that needs no command line.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from foundation.errors import ResourceError, UserError
from rmaat.biology.biology import Biology
from rmaat.model.config import ModelConfig
from rmaat.model.model import RMAAT
from rmaat.training.configs import find_experiment, recall
from rmaat.training.distributed import World, join
from rmaat.training.run_folder import Run
from rmaat.training.settings import change
from rmaat.training.steps import Trainer
from rmaat.training.trainer import train

ROOT = Path(__file__).parents[2]
# 11 samples in batches of 5: parts of 3 and 2 samples, and a last batch of 1 that leaves the other process without any
TINY = ["task.num_segments=3", "task.segment=4", "task.train=11", "task.validation=6", "task.test=7",
        "model.segment_length=4", "model.width=8", "model.layers=2", "model.num_memory_tokens=2", "train.batch_size=5",
        "train.warmup=1"]
CONFIG = {"vocab_size": 20, "num_classes": 3, "segment_length": 4, "num_segments": 5, "width": 8,
          "num_memory_tokens": 2}
WORKER = """
import json, sys
import torch
from pathlib import Path
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from derivation.record import record as records
from foundation.cli import program, run
from foundation.errors import UserError
from rmaat.biology.biology import Biology
from rmaat.model.config import ModelConfig
from rmaat.model.model import RMAAT
from rmaat.training.configs import recall
from rmaat.training.distributed import join
from rmaat.training.run_folder import Run
from rmaat.training.settings import change
from rmaat.training.steps import Trainer

settings, config, folder = json.loads(sys.argv[1]), json.loads(sys.argv[2]), Path(sys.argv[3])
del sys.argv[1:]


def three_steps(world):
    experiment = change(recall(), settings)
    splits = {"train": experiment.task.split("train")}
    trainer = Trainer(Run(folder, experiment, records.load(), {}), splits, world.device, world=world).connect()
    buckets, steps = [], []

    def hook(group, bucket):
        buckets.append(len(bucket.parameters()))
        return allreduce_hook(group, bucket)

    trainer.network.register_comm_hook(None, hook)
    for _ in range(3):
        values = trainer.advance()
        gradient = torch.cat([p.grad.flatten() for p in trainer.model.parameters()]).tolist()
        steps.append({"values": values, "gradient": gradient, "buckets": list(buckets)})
        buckets.clear()
    return steps


def sharded(world, gradient, blocks, by_hand=False, **fields):
    torch.manual_seed(0)
    model = RMAAT(ModelConfig(**config, gradient=gradient, **fields), Biology.load())
    mesh = init_device_mesh("cpu", (world.size,))
    for block in model.blocks if blocks else []:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh, reshard_after_forward=True)
    tokens = torch.arange(4 * 20).reshape(4, 20)[2 * world.rank:2 * world.rank + 2] % 19
    for block in model.blocks if by_hand else []:
        block.unshard()
    try:
        loss = torch.nn.functional.cross_entropy(model(tokens, torch.tensor([20, 9])), torch.zeros(2).long())
        loss.backward()
    except UserError as error:
        return str(error)
    return torch.cat([p.grad.full_tensor().flatten() for p in model.parameters()]).tolist()


def main():
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    with join(torch.device("cpu")) as world:
        told = {"steps": three_steps(world), "sharded": sharded(world, "amrb", False, keep_last=1),
                "all graphs kept": sharded(world, "amrb", False),
                "own schedule": sharded(world, "amrb", False, schedule="sample"),
                "layer by layer": sharded(world, "amrb", False, replay="layer", keep_last=2),
                "blocks, checkpointed": sharded(world, "checkpointed", True, rel_pos="content"),
                "blocks, amrb": sharded(world, "amrb", True, rel_pos="content"),
                "blocks by hand, amrb": sharded(world, "amrb", True, by_hand=True, rel_pos="content")}
        (folder / f"{world.rank}.json").write_text(json.dumps(told))
        with world.together("a") as numbers:
            numbers["a"] = world.rank + 1
        assert numbers == {"a": 3}
        with world.together():
            if world.rank == 1:
                raise UserError("planned")


app = program("One of a pair.", verbs=False)
app.command()(main)
run(app)
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """What both workers told, their exit codes and what they said."""
    folder = tmp_path_factory.mktemp("pair")
    (folder / "worker.py").write_text(WORKER)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = [*TINY, "model.keep_last=2", "model.replay=layer"]
    workers = [subprocess.Popen(
        [sys.executable, str(folder / "worker.py"), json.dumps(settings), json.dumps(CONFIG), str(folder)], cwd=ROOT,
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {
            "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "RANK": str(rank), "WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}) for rank in range(2)]
    said = [worker.communicate() for worker in workers]
    assert all((folder / f"{rank}.json").exists() for rank in range(2)), said
    return ([json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)],
            [worker.returncode for worker in workers], [err for _, err in said])


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def relative(found, expected):
    return float((torch.tensor(found, dtype=torch.float64) - expected).norm() / expected.norm())


@pytest.mark.slow
def test_steps_of_two_processes_are_those_of_one(pair, double, tmp_path):
    """Also where the parts are uneven, and where one process has no sample; one all-reduce of gradients a step."""
    from derivation.record import record as records

    experiment = change(recall(), [*TINY, "model.gradient=bptt"])
    one = Trainer(Run(tmp_path, experiment, records.load(), {}), {"train": experiment.task.split("train")},
                  torch.device("cpu"))
    for step in range(3):
        values = one.advance()
        gradient = torch.cat([p.grad.flatten() for p in one.model.parameters()])
        for told in pair[0]:
            found = told["steps"][step]
            # float64: sums over two parts instead of one, through at most two steps of the optimizer
            assert relative(found["gradient"], gradient) <= 1e-12
            assert found["values"] == {name: pytest.approx(value, rel=1e-7) for name, value in values.items()}
            assert found["values"]["tokens"] == values["tokens"] == [60, 60, 12][step]
            assert found["buckets"] == [len(list(one.model.parameters()))]
        assert relative(pair[0][0]["steps"][step]["gradient"], gradient) == relative(
            pair[0][1]["steps"][step]["gradient"], gradient)


def whole_batch(**fields):
    """The gradient of the mean over both halves of the batch, by BPTT in one process."""
    torch.manual_seed(0)
    model = RMAAT(ModelConfig(**CONFIG, gradient="bptt", **fields), Biology.load())
    logits = model(torch.arange(4 * 20).reshape(4, 20) % 19, torch.tensor([20, 9, 20, 9]))
    torch.nn.functional.cross_entropy(logits, torch.zeros(4, dtype=torch.long)).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def test_fully_sharded_models(pair, double):
    """FSDP2: the whole model as one unit with amrb, by blocks with checkpointed; amrb by blocks is refused."""
    expected, content = whole_batch(), whole_batch(rel_pos="content")
    for told in pair[0]:
        assert relative(told["sharded"], expected) <= 1e-12
        assert relative(told["all graphs kept"], expected) <= 1e-12
        assert relative(told["layer by layer"], expected) <= 1e-12
        assert relative(told["own schedule"], whole_batch(schedule="sample")) <= 1e-12
        assert relative(told["blocks, checkpointed"], content) <= 1e-12
        for name in ("blocks, amrb", "blocks by hand, amrb"):
            assert "FSDPBlock that is sharded by itself" in told[name]


def test_an_error_of_one_ends_both_with_its_code_and_is_said_once(pair):
    _, codes, said = pair
    assert codes == [2, 2]
    assert "planned" not in said[0] and said[1].count("error: planned") == 1 and "Traceback" not in said[0] + said[1]


# ------------------------------------------------------------------------------------------ the command line


MORE = ["model.layers=1", "train.learning_rate=1e-4", "train.steps=20", "train.evaluate_every=99",
        "train.checkpoint_every=99"]


OWN = """
from dataclasses import dataclass
from rmaat.tasks.recall import Recall
from rmaat.training.configs import find_experiment


@dataclass(frozen=True)
class Mine(Recall):
    pass


def CONFIG():
    return find_experiment("recall", {"task": Mine})
"""


@pytest.mark.slow
def test_torchrun_stopped_by_ctrl_c_and_resumed_by_one_process(tmp_path):
    """The losses are those of an uninterrupted run of one process, before and after the change; the task is an own."""
    (tmp_path / "own.py").write_text(OWN)
    settings = [part for setting in [*TINY, *MORE] for part in ("--set", setting)]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d",
         "--rdzv-endpoint", "127.0.0.1:0", str(Path(__file__).parent / "train_and_stop.py"), "SIGINT", "9", "parent",
         "train", f"{tmp_path}/own.py:CONFIG", "--out", str(tmp_path / "run"), "--device", "cpu", *settings],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)})
    assert done.stderr.count("stopped after step 10 of 20") == 1 and "lost contact" not in done.stderr, done.stderr
    assert json.loads((tmp_path / "run" / "checkpoint.json").read_text())["step"] == 10
    experiment = find_experiment(f"{tmp_path}/own.py:CONFIG", [*TINY, *MORE])
    resumed = train(experiment, tmp_path / "run", device="cpu", resume=True, quiet=True)
    assert resumed.costs["timed_steps"] == 10 and type(resumed.run.experiment.task).__name__ == "Mine"
    whole = train(experiment, tmp_path / "one", device="cpu", quiet=True)
    one, two = ([(line["step"], line["loss"]) for line in result.metrics if "loss" in line]
                for result in (whole, resumed))
    assert [step for step, _ in two] == list(range(1, 21))
    # float32 sums over two parts: some roundings of 1e-7, which steps of 1e-4 do not carry far
    np.testing.assert_allclose(two, one, rtol=1e-5)


# ------------------------------------------------------------------------------------------ without processes


@pytest.mark.parametrize(("samples", "size"), [(5, 2), (1, 2), (7, 3), (64, 8), (3, 5)])
def test_parts_make_up_the_batch(samples, size):
    indices = np.arange(samples)[::-1]
    parts = [World(rank, size).share(indices) for rank in range(size)]
    assert sum(share for _, share in parts) == pytest.approx(1, rel=1e-12)
    np.testing.assert_array_equal(np.concatenate([part for part, share in parts if share]), indices)
    assert all(len(part) == max(1, round(share * samples)) for part, share in parts)


def test_seeds_differ_by_process_and_step():
    seeds = {World(rank, 4).seed(seed, step) for rank in range(4) for seed in range(3) for step in range(50)}
    assert len(seeds) == 600


@pytest.mark.parametrize(("variables", "error", "message"), [
    ({"RANK": "one", "WORLD_SIZE": "2"}, UserError, "RANK=one, WORLD_SIZE=2, LOCAL_RANK=one; these must be whole"),
    ({"RANK": "0", "WORLD_SIZE": "2"}, ResourceError, "process 0 of 2 does not reach the others .*MASTER_ADDR"),
])
def test_a_launcher_that_says_too_little(variables, error, message, monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(error, match=message), join(torch.device("cpu")):
        pass
