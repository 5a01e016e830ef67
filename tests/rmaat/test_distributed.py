"""Two processes under DDP: the gradient of one process, one all-reduce a step. gloo, on this machine alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rmaat.biology import Biology
from rmaat.model import RMAAT, ModelConfig

ROOT = Path(__file__).parents[2]
CONFIG = {"vocab_size": 20, "num_classes": 3, "segment_length": 4, "num_segments": 5, "width": 8,
          "num_memory_tokens": 2}
WORKER = """
import json, os, sys
import torch
from torch import distributed
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from rmaat.biology import Biology
from rmaat.model import RMAAT, ModelConfig

torch.set_num_threads(1)
distributed.init_process_group("gloo")
rank = distributed.get_rank()
config, fields, folder = json.loads(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
torch.manual_seed(0)
model = torch.nn.parallel.DistributedDataParallel(RMAAT(ModelConfig(**config, **fields), Biology.load()).double())
reduced = []

def hook(group, bucket):
    reduced.append(len(bucket.parameters()))
    return allreduce_hook(group, bucket)

model.register_comm_hook(None, hook)
tokens = torch.arange(4 * 20).reshape(4, 20) % 19
mine = tokens[2 * rank:2 * rank + 2]
for step in range(2):
    model.zero_grad()
    reduced.clear()
    torch.nn.functional.cross_entropy(model(mine, torch.tensor([20, 17])), torch.zeros(2, dtype=torch.long)).backward()
grads = [p.grad.flatten().tolist() for p in model.parameters()]
with open(f"{folder}/{rank}.json", "w") as stream:
    json.dump({"grads": sum(grads, []), "reduced": reduced}, stream)
distributed.barrier()  # nobody leaves while the other still reduces
os._exit(0)  # what is tested is written; gloo's threads may abort a process that tears itself down
"""


def single(fields):
    """The gradient of the mean over both halves of the batch in one process."""
    torch.manual_seed(0)
    model = RMAAT(ModelConfig(**CONFIG, **fields), Biology.load()).double()
    logits = model(torch.arange(4 * 20).reshape(4, 20) % 19, torch.tensor([20, 17, 20, 17]))
    torch.nn.functional.cross_entropy(logits, torch.zeros(4, dtype=torch.long)).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


@pytest.mark.parametrize("fields", [{"keep_last": 2, "replay": "layer"}], ids=["amrb"])
def test_gradient_of_two_processes_is_that_of_one(tmp_path, fields):
    (tmp_path / "worker.py").write_text(WORKER)
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-addr", "127.0.0.1",
         "--master-port", "0", "--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", str(tmp_path / "worker.py"),
         json.dumps(CONFIG), json.dumps(fields), str(tmp_path)],
        capture_output=True, text=True, cwd=ROOT, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[:4000]
    expected = single(fields | {"gradient": "bptt", "keep_last": 1, "replay": "segment"})
    for rank in range(2):
        told = json.loads((tmp_path / f"{rank}.json").read_text())
        grads = torch.tensor(told["grads"], dtype=torch.float64)
        # float64: the mean of two sums instead of one sum
        assert (grads - expected).norm() <= 1e-12 * expected.norm()
        assert told["reduced"] == [len(list(RMAAT(ModelConfig(**CONFIG), Biology.load()).parameters()))]
