"""Train on a NumPy array in a loop of your own: no task, no folder of a run, nothing but torch around the network."""

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from rmaat import RMAAT, ModelConfig

numbers = np.random.default_rng(0)
letters, X = numbers.integers(0, 4, 2_000), numbers.integers(4, 16, (2_000, 36))  # one of 4 letters, and noise
X[:, 3] = letters  # the letter stands in the first of three segments and is asked for after the last

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = RMAAT(ModelConfig(vocab_size=16, num_classes=4, segment_length=12, num_segments=3)).to(device)
averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(.95))
optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
scaler = torch.amp.GradScaler(device, enabled=device == "cuda")  # float16 on a GPU, float32 elsewhere

for _step in range(120):
    for _ in range(2):  # two batches add up to one step
        rows = numbers.integers(0, 1_800, 32)
        tokens, labels = (torch.from_numpy(x[rows]).to(device) for x in (X, letters))
        with torch.autocast(device, torch.float16, enabled=device == "cuda"):
            loss = cross_entropy(model(tokens), labels) / 2
        scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.)
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()
    averaged.update_parameters(model)

with torch.no_grad():
    logits = averaged.eval()(torch.from_numpy(X[1_800:]).to(device))
print(f"accuracy {(logits.argmax(1).cpu().numpy() == letters[1_800:]).mean():.1%}, chance 25 %")
