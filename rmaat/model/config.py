"""Everything that shapes a network, checked when it is written down: `ModelConfig`."""

from dataclasses import dataclass

from foundation.errors import UserError, choose
from rmaat.attention import ATTENTION, PARTS
from rmaat.biology.provenance import Engineering, declare
from rmaat.gradient.backprop import GRADIENT
from rmaat.gradient.memory_store import MEMORY_STORE
from rmaat.model.layers import REPLAY
from rmaat.model.memory import RETENTION
from rmaat.model.readout import READOUT

LARGEST = 2**53
origins = declare(LARGEST=Engineering(LARGEST, "of a size: whole numbers up to here are exact in float64"))
UNREAD = {"pruned": "write", "full": "step"}  # the method for segments whose features the readout does not read


@dataclass(frozen=True)
class ModelConfig:
    """Everything that shapes the network. Raises `UserError` that names the field, the value and what is allowed."""

    vocab_size: int
    num_classes: int
    segment_length: int
    num_segments: int  # the T of the retention rules; a sequence holds at most segment_length * num_segments tokens
    width: int = 32
    layers: int = 2
    heads: int = 1
    num_memory_tokens: int = 4
    feedforward: int = 4  # its hidden width in units of `width`
    dropout: float = 0.0
    attention: str = "astromorphic"
    rel_pos: str = "positional"
    feature_map: str = "elu"
    calcium_exponent: str = "record"
    feedback: str = "record"
    kernel: str = "record"
    retention: str = "accumulate"
    readout: str = "last"
    unread: str = "pruned"
    gradient: str = "amrb"
    replay: str = "segment"
    keep_last: int = 1  # segments that keep their graph, with gradient = amrb
    budget_bytes: int = 0  # above 0: chooses keep_last, for so many bytes over parameters and inputs
    memory_store: str = "device"  # where the memories wait for their replay

    def __post_init__(self):
        for name in ("vocab_size", "num_classes", "segment_length", "num_segments", "width", "layers", "heads",
                     "num_memory_tokens", "feedforward", "keep_last", "budget_bytes"):
            value, least = getattr(self, name), int(name not in ("num_memory_tokens", "keep_last", "budget_bytes"))
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise UserError(f"{name} = {value!r}: must be a whole number of at least {least}")
            if value > LARGEST:
                raise UserError(f"{name} = {value}: must be at most {LARGEST}")
        if self.width % self.heads:
            raise UserError(f"heads = {self.heads} does not divide width = {self.width}; "
                            "choose heads so that width is a multiple of it")
        if self.gradient != "amrb" and (self.keep_last, self.budget_bytes, self.memory_store) != (1, 0, "device"):
            raise UserError(f"keep_last, budget_bytes and memory_store are options of gradient = amrb; leave them away "
                            f"with gradient = {self.gradient}")
        if self.budget_bytes and self.keep_last != 1:
            raise UserError(f"budget_bytes = {self.budget_bytes} chooses keep_last; leave keep_last = {self.keep_last} "
                            "away")
        if not 0 <= self.dropout < 1:
            raise UserError(f"dropout = {self.dropout!r}: must be at least 0 and below 1")
        for name, registry in (("attention", ATTENTION), *PARTS.items(), ("retention", RETENTION),
                               ("readout", READOUT), ("unread", UNREAD), ("gradient", GRADIENT), ("replay", REPLAY),
                               ("memory_store", MEMORY_STORE)):
            choose(name, getattr(self, name), registry)

    @property
    def max_length(self) -> int:
        """Tokens of the longest sequence."""
        return self.segment_length * self.num_segments


# The numbers of a config: none claims biology.
REASONS = {
    "vocab_size": "decided by the task", "num_classes": "decided by the task",
    "segment_length": "places on the astrocytes' line; a token stands at a place, chosen for memory and speed",
    "num_segments": "the task's longest sequence in segments; a segment stands for one cycle",
    "width": "a size of the network", "layers": "a size of the network", "heads": "a size of the network",
    "num_memory_tokens": "a size of the network", "feedforward": "a size of the network, as transformers have it",
    "dropout": "regularisation", "keep_last": "memory against time: the gradient is the same",
    "budget_bytes": "memory against time: the gradient is the same"}
