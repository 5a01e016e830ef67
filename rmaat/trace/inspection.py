"""The inspect verb: what a retention rule leaves of each segment, and how much gradient reaches it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.nn import functional

from derivation.record import record as records
from foundation.errors import UserError
from foundation.reference import reference
from foundation.shapes import Int, Tensor
from foundation.table import Table
from rmaat.biology.biology import Biology
from rmaat.model.model import RMAAT
from rmaat.resources import refuse_too_large_a_batch
from rmaat.tasks.splits import first
from rmaat.training.data import load_splits
from rmaat.training.evaluation import load_model
from rmaat.training.experiment import Experiment
from rmaat.training.run_folder import Run
from rmaat.training.settings import with_data

HEADS = {"segment": "segment", "distance": "distance", "retention": "retention", "kept": "kept", "written": "written",
         "identity": "identity", "identity_product": "product", "gradient_memory": "|dL/dmemory|",
         "gradient_input": "|dL/dinput|"}


@dataclass(frozen=True, repr=False)
class Inspection:
    """What `inspect` found; a table in a notebook.

    Each of `rows` is a segment: `retention` RF(t, T) where the rule has it; `kept` and `written` d mem_next / d mem and
    d mem'; `identity` their sum, d mem_next / d mem where mem' = mem + something (what residual blocks give);
    `identity_product` its product over the later segments; `gradient_memory` |d loss / d memory after segment t|;
    `gradient_input` |d loss / d embeddings of segment t|.
    """

    retention: str
    num_segments: int
    loss: float
    retention_product: float
    identity_path: float
    rows: Sequence[Mapping[str, float | int | None]]
    gradient_reaches_first_segment: bool

    def to_json(self) -> dict:
        """All of it as JSON values."""
        return asdict(self)

    def table(self) -> Table:
        """A row a segment."""
        verdict = "reaches" if self.gradient_reaches_first_segment else "does NOT reach"
        title = (f"retention {self.retention}, T = {self.num_segments}; the gradient {verdict} the first segment\n"
                 f"product of the factors RF {self.retention_product:.3g}; identity path through all segments "
                 f"{self.identity_path:.3g}; loss {self.loss:.4f}")
        return Table(tuple(HEADS.values()), [["-" if row[name] is None else format(row[name], ".4g") for name in HEADS]
                                             for row in self.rows], title)

    def __str__(self) -> str:
        return str(self.table())

    def __repr__(self) -> str:
        return f"<inspection: {str(self).splitlines()[0]}>"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def inspect(model: RMAAT, tokens: Int[Tensor, "rows length"], lengths: Int[Tensor, "rows"], *,
            labels: Int[Tensor, "samples"]) -> Inspection:
    """How much of each segment is left, and how much gradient reaches it; in float64, without dropout.

    The loss is the mean cross entropy of the batch. With schedule = sample the rule is that of the longest sample.
    """
    if model.output.per_token:
        raise UserError(f"inspect reads one answer a sample, this network gives one a token (output = "
                        f"{model.config.output}); evaluate it beside its memory reset instead")
    exact = exact_copy(model)
    segments = exact.cut(tokens, lengths)
    memories, inputs, loss = passed(exact, segments, tokens, lengths=lengths, labels=labels)
    gradients = torch.autograd.grad(loss, memories + inputs, allow_unused=True)
    sizes = [0. if gradient is None else float(gradient.norm()) for gradient in gradients]
    rows, product = [], 1.
    T = segments[0].T
    schedule = getattr(exact.retention, "retention", None) if T is None else model.biology.retention(int(T.max()))
    for t in reversed(range(1, len(segments) + 1)):
        kept, written = coefficients(exact, t, T)
        rows.append({"segment": t, "distance": len(segments) - t,
                     "retention": None if schedule is None else float(schedule[t - 1]),
                     "kept": kept, "written": written, "identity": kept + written, "identity_product": product,
                     "gradient_memory": sizes[t - 1], "gradient_input": sizes[len(segments) + t - 1]})
        product *= kept + written
    return Inspection(
        retention=reference(model.config.retention), num_segments=model.config.num_segments, loss=loss.item(),
        retention_product=_product(model.biology, len(segments)), identity_path=product, rows=rows[::-1],
        gradient_reaches_first_segment=rows[-1]["gradient_input"] > 0)


def of_run(run: Run, *, data: Path | None = None, samples: int = 32) -> Inspection:
    """The model of a run's checkpoint, on the first samples of its validation split."""
    model, _ = load_model(run, torch.device("cpu"))
    return _on_validation(model, run.experiment, data=data or run.data, samples=samples, begun=run.environment)


def of_experiment(experiment: Experiment, record: records.Record, *, data: Path | None = None,
                  samples: int = 32) -> Inspection:
    """The untrained model of an experiment, on the first samples of its validation split."""
    experiment = with_data(experiment, data)
    torch.manual_seed(experiment.train.seed)
    model = RMAAT(experiment.model, Biology.of(record))
    return _on_validation(model, experiment, data=data, samples=samples, begun=None)


def _on_validation(model: RMAAT, experiment: Experiment, *, data: Path | None, samples: int,
                   begun: Mapping | None) -> Inspection:
    split = load_splits(experiment, data, ("validation",), begun=begun)["validation"]
    samples = min(samples, len(split))
    refuse_too_large_a_batch(model.config, samples, experiment.task.lengths[0], given="inspect, in float64",
                             number_bytes=8)
    tokens, lengths, labels = split.batch(first(split, samples))
    return inspect(model, tokens, lengths, labels=labels)


def _product(biology: Biology, num_segments: int) -> float:
    """RF(1,T) RF(2,T) ... RF(T,T): what the paper's rule leaves of the identity path."""
    return float(biology.retention(num_segments).prod())


def exact_copy(model: RMAAT) -> RMAAT:
    """The same network in float64, in evaluation mode."""
    exact = RMAAT(model.config, model.biology)
    exact.load_state_dict(model.state_dict())
    return exact.double().eval()


def passed(model: RMAAT, segments: list, tokens: Tensor, *, lengths: Tensor,
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
    logits = model.answer(outs, lengths, memory)
    return memories, inputs, functional.cross_entropy(logits, labels)


def coefficients(model: RMAAT, t: int, T: Int[Tensor, "batch"] | None = None) -> tuple[float, float]:
    """d mem_next / d mem and d mem_next / d mem' of the model's rule at segment t, by autograd."""
    memory, proposed = (torch.zeros(1, 1, 1, dtype=torch.float64, requires_grad=True) for _ in range(2))
    entering = model.retention.enter(memory, torch.zeros(1, 1, dtype=torch.float64))
    own = () if T is None else (T.max()[None],)
    after = model.retention(entering, proposed, t, *own) + 0 * (memory + proposed)
    kept, written = torch.autograd.grad(after.sum(), (memory, proposed))
    if model.config.retention == "reset":  # mem' starts from the initial tokens: nothing of it is the memory
        return float(kept), 0.
    return float(kept), float(written)
