"""The inspect verb: what a retention rule leaves of each segment, and how much gradient reaches it."""

from pathlib import Path

import torch
from torch.nn import functional

from derivation.record import record as records
from foundation.shapes import Int, Tensor
from rmaat.biology.biology import Biology
from rmaat.model.model import RMAAT
from rmaat.model.readout import READOUT
from rmaat.tasks.task import check_batch, evaluation_batches
from rmaat.training import run_folder
from rmaat.training.evaluation import load_model
from rmaat.training.experiment import Experiment

COLUMNS = ("segment", "distance", "retention", "kept", "written", "identity", "identity_product", "gradient_memory",
           "gradient_input")


def inspect(model: RMAAT, tokens: Int[Tensor, "batch length"], lengths: Int[Tensor, "batch"],
            labels: Int[Tensor, "batch"]) -> dict:
    """One row a segment, as JSON values; computed in float64, without dropout.

    `retention` RF(t, T) where the rule has it; `kept` and `written` d mem_next / d mem and d mem'; `identity` their
    sum, d mem_next / d mem where mem' = mem + something (what residual blocks give); `identity_product` its product
    over the later segments; `gradient_memory` |d loss / d memory after segment t|; `gradient_input` |d loss / d
    embeddings of segment t|. The loss is the mean cross entropy of the batch.
    """
    exact = RMAAT(model.config, model.biology)
    exact.load_state_dict(model.state_dict())
    exact = exact.double().eval()
    segments = exact.cut(tokens, lengths)
    memories, inputs, loss = _forward(exact, segments, tokens, lengths, labels)
    gradients = torch.autograd.grad(loss, memories + inputs, allow_unused=True)
    sizes = [0. if gradient is None else float(gradient.norm()) for gradient in gradients]
    rows, product = [], 1.
    schedule = getattr(exact.retention, "retention", None)
    for t in reversed(range(1, len(segments) + 1)):
        kept, written = coefficients(exact, t)
        rows.append({"segment": t, "distance": len(segments) - t,
                     "retention": None if schedule is None else float(schedule[t - 1]),
                     "kept": kept, "written": written, "identity": kept + written, "identity_product": product,
                     "gradient_memory": sizes[t - 1], "gradient_input": sizes[len(segments) + t - 1]})
        product *= kept + written
    return {"retention": model.config.retention, "num_segments": model.config.num_segments, "loss": loss.item(),
            "retention_product": _product(model.biology, len(segments)), "identity_path": product, "rows": rows[::-1],
            "gradient_reaches_first_segment": rows[-1]["gradient_input"] > 0}


def model_and_batch(folder: Path | None, chosen: Experiment | None, record: Path | None, data: Path | None,
                    samples: int) -> tuple[RMAAT, Tensor, Tensor, Tensor]:
    """The model of a run's checkpoint, or an untrained one, with the first samples of its task's validation split."""
    if folder is not None:
        run = run_folder.read(folder)
        chosen, (model, _) = run.experiment, load_model(run, torch.device("cpu"))
        data = data or (Path(run.environment["data"]) if run.environment["data"] else None)
        split = run_folder.load_splits(run.environment, chosen, data, ("validation",))["validation"]
    else:
        torch.manual_seed(chosen.train.seed)
        model = RMAAT(chosen.model, Biology.of(records.load(record)))
        split = chosen.task.split("validation", data)
    batch = check_batch(next(iter(evaluation_batches(split, samples, samples))), chosen.task)
    return model, batch.tokens, batch.lengths, batch.labels


def _product(biology: Biology, num_segments: int) -> float:
    """RF(1,T) RF(2,T) ... RF(T,T): what the paper's rule leaves of the identity path."""
    return float(biology.retention(num_segments).prod())


def _forward(model: RMAAT, segments: list, tokens: Tensor, lengths: Tensor,
             labels: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Memory after each segment, embeddings of each, and the loss, in one graph."""
    inputs: list[Tensor] = []
    handle = model.embedding.register_forward_hook(lambda module, given, out: inputs.append(out))
    memory, outs, memories, prepared = model.start(len(tokens)), [], [], model.prepare()
    try:
        for segment in segments:
            out, memory = model.step(segment, memory, prepared)
            outs.append(out)
            memories.append(memory)
    finally:
        handle.remove()
    readout = READOUT[model.config.readout]
    logits = model.classify(readout(outs, lengths, model.config.segment_length), memory)
    return memories, inputs, functional.cross_entropy(logits, labels)


def coefficients(model: RMAAT, t: int) -> tuple[float, float]:
    """d mem_next / d mem and d mem_next / d mem' of the model's rule at segment t, by autograd."""
    memory, proposed = (torch.zeros(1, 1, 1, dtype=torch.float64, requires_grad=True) for _ in range(2))
    entering = model.retention.enter(memory, torch.zeros(1, 1, dtype=torch.float64))
    after = model.retention(entering, proposed, t) + 0 * (memory + proposed)
    kept, written = torch.autograd.grad(after.sum(), (memory, proposed))
    if model.config.retention == "reset":  # mem' starts from the initial tokens: nothing of it is the memory
        return float(kept), 0.
    return float(kept), float(written)


def text(report: dict) -> str:
    """The report as a table."""
    verdict = "reaches" if report["gradient_reaches_first_segment"] else "does NOT reach"
    lines = [f"retention {report['retention']}, T = {report['num_segments']}; the gradient {verdict} the first segment",
             f"product of the factors RF {report['retention_product']:.3g}; identity path through all segments "
             f"{report['identity_path']:.3g}; loss {report['loss']:.4f}",
             "".join(f"{name:>17}" for name in COLUMNS)]
    for row in report["rows"]:
        lines.append("".join(f"{'-' if row[name] is None else format(row[name], '.4g'):>17}" for name in COLUMNS))
    return "\n".join(lines)
