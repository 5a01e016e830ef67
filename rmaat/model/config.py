"""Everything that shapes a network, checked when it is written down: `ModelConfig`."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from math import isqrt

from foundation.errors import UserError, choose
from foundation.outside import find
from rmaat.attention import ATTENTION, CAUSAL, PARTS, Attention
from rmaat.biology.provenance import Engineering, declare
from rmaat.gradient.backprop import GRADIENT
from rmaat.gradient.memory_store import MEMORY_STORE
from rmaat.model.convolution_2d import CELL
from rmaat.model.layers import REPLAY
from rmaat.model.memory import RETENTION, SCHEDULE, Retention
from rmaat.model.mixing import MIXING
from rmaat.model.output import HEAD, OUTPUT
from rmaat.model.readout import READOUT

AUTO = "auto"  # of keep_last: as many as fit in a share of the free memory
LARGEST = 2**53
MOST_DOCUMENTS = 2
origins = declare(MOST_DOCUMENTS=Engineering(MOST_DOCUMENTS, "the network compares pairs"),
                  LARGEST=Engineering(LARGEST, "of a size: whole numbers up to here are exact in float64"))
NETWORK = {"rmaat": "segments, memory tokens, attention", "gru": "torch's GRU over whole sequences, to compare with"}
OF_GRU = ("vocab_size", "num_classes", "segment_length", "num_segments", "documents", "width", "layers", "dropout",
          "output", "causal", "network")  # the fields that a GRU reads; it sees the past alone, whatever `causal` says
UNREAD = {"pruned": "write", "full": "step"}  # the method for segments whose features the readout does not read
SIZES = {"vocab_size": 0, "num_classes": 0, "segment_length": 1, "num_segments": 1, "width": 1, "layers": 1, "heads": 1,
         "num_memory_tokens": 0, "documents": 1, "readout_parts": 1, "feedforward": 1, "keep_last": 0,
         "budget_bytes": 0}  # and the least of each
CHOICES: Mapping[str, Mapping] = {
    **PARTS, "schedule": SCHEDULE, "mixing": MIXING, "readout": READOUT, "head": HEAD, "unread": UNREAD,
    "output": OUTPUT, "gradient": GRADIENT, "replay": REPLAY, "memory_store": MEMORY_STORE, "network": NETWORK}


@dataclass(frozen=True)
class ModelConfig:
    """Everything that shapes the network.

    `attention` and `retention` are names, or your own: a class, or a text `file.py:NAME` or `package.module:NAME`.
    Raises `UserError` that names the field, the value and what is allowed; so it does for an option that another one
    leaves without effect.
    """

    vocab_size: int  # 0: vectors come in the place of tokens
    num_classes: int  # 0: output = features
    segment_length: int
    num_segments: int  # the T of the retention rules; a sequence holds at most segment_length * num_segments tokens
    width: int = 32
    layers: int = 2
    heads: int = 1
    num_memory_tokens: int = 4
    documents: int = 1  # 2: a sample is two sequences, row i and row i + samples of a batch
    feedforward: int = 4  # its hidden width in units of `width`
    dropout: float = 0.0
    attention: str | type[Attention] = "astromorphic"
    causal: bool = False  # a token sees its segment's past and the memory; whatever mixes tokens must keep to that too
    rel_pos: str = "positional"
    feature_map: str = "elu"
    calcium_exponent: str = "record"
    feedback: str = "record"
    kernel: str = "record"
    retention: str | type[Retention] = "accumulate"
    schedule: str = "config"  # sample: a shorter sample has the retention schedule of its own number of segments
    mixing: str = "none"
    readout: str = "last"
    readout_parts: int = 1  # of a segment, that readout = by_segment reads side by side; tokens of either end for ends
    head: str = "both"
    unread: str = "pruned"
    output: str = "classes"
    gradient: str = "amrb"
    replay: str = "segment"
    keep_last: int | str = AUTO  # segments that keep their graph, with gradient = amrb; auto: as many as fit
    budget_bytes: int = 0  # above 0: chooses keep_last, for so many bytes over parameters and inputs
    memory_store: str = "device"  # where the memories wait for their replay
    network: str = "rmaat"

    def __post_init__(self):
        for name, least in SIZES.items():
            value = getattr(self, name)
            if name == "keep_last" and value == AUTO:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise UserError(f"{name} = {value!r}: must be a whole number of at least {least}"
                                + (f", or {AUTO}" if name == "keep_last" else ""))
            if value > LARGEST:
                raise UserError(f"{name} = {value}: must be at most {LARGEST}")
        if self.width % self.heads:
            raise UserError(f"heads = {self.heads} does not divide width = {self.width}; "
                            "choose heads so that width is a multiple of it")
        if isinstance(self.dropout, bool) or not isinstance(self.dropout, int | float) or not 0 <= self.dropout < 1:
            raise UserError(f"dropout = {self.dropout!r}: must be at least 0 and below 1")
        if self.documents > 1 and (self.documents > MOST_DOCUMENTS or self.output != "classes"):
            raise UserError(f"documents = {self.documents} with output = {self.output}: give 1, or 2 with output = "
                            "classes")
        if not isinstance(self.causal, bool):
            raise UserError(f"causal = {self.causal!r}: must be true or false")
        if self.attention_class.causal != self.causal:
            raise UserError(f"attention = {_shown(self.attention)} " + (
                "has no causal form; choose one of: " + ", ".join(sorted(ATTENTION)) + ", or leave causal out"
                if self.causal else "sees the past alone; say so by causal = true"))
        for name, registry in CHOICES.items():
            choose(name, getattr(self, name), registry)
        ends = READOUT[self.readout].places == "ends"
        if ends and self.readout_parts > self.segment_length:
            raise UserError(f"readout_parts = {self.readout_parts} with readout = {self.readout}: a segment has "
                            f"segment_length = {self.segment_length} tokens; choose at most these")
        if not ends and self.segment_length % self.readout_parts:
            raise UserError(f"readout_parts = {self.readout_parts} does not divide segment_length = "
                            f"{self.segment_length}; choose it so that segment_length is a multiple of it")
        if self.causal and not getattr(MIXING[self.mixing], "causal", False):  # what it sees to the right is the future
            raise UserError(f"mixing = {self.mixing} sees what comes after a token, which causal = true forbids; "
                            "choose one of: " + ", ".join(sorted(name for name, kind in MIXING.items()
                                                          if getattr(kind, "causal", False))))
        if "row_length" in MIXING[self.mixing].reads:
            self._check_image()
        if not self.vocab_size and MIXING[self.mixing].reach:
            raise UserError(f"mixing = {self.mixing} reads tokens, and vocab_size = 0 has none; choose one of: "
                            + ", ".join(sorted(name for name, kind in MIXING.items() if not kind.reach)))
        if not self.num_classes and self.output != "features":
            raise UserError(f"num_classes = 0: output = {self.output} needs at least one class; give their number, or "
                            "output = features")
        for name, why, harmless in _without_effect(self):
            value = getattr(self, name)
            if value not in (_default(name), *harmless):
                raise UserError(f"{name} = {_shown(value)}: {why}")

    @property
    def max_length(self) -> int:
        """Tokens of the longest sequence."""
        return self.segment_length * self.num_segments

    @property
    def row_length(self) -> int:
        """Pixels of a row where the longest sequence is a square image in row order."""
        return isqrt(self.max_length)

    def _check_image(self) -> None:
        """Raises `UserError` where segments are not whole rows of cells of a square image."""
        row = self.row_length
        given = f"mixing = {self.mixing} takes the longest sequence to be a square image in row order"
        if row * row != self.max_length:
            raise UserError(f"{given}, and segment_length * num_segments = {self.max_length} is no square; choose "
                            "another mixing, or frame the image")
        if self.segment_length % (CELL * row):
            raise UserError(f"{given}, in cells of {CELL} rows of {row}; segment_length = {self.segment_length} is not "
                            f"a multiple of {CELL * row}")

    @property
    def attention_class(self) -> type[Attention]:
        """The class of the attention, in its causal form where the config asks for it."""
        kind = _kind("attention", self.attention, ATTENTION, base=Attention)
        return CAUSAL.get(kind, kind) if self.causal else kind

    @property
    def retention_class(self) -> type[Retention]:
        """The class of the retention rule."""
        return _kind("retention", self.retention, RETENTION, base=Retention)


def _kind(name: str, given: str | type, registry: Mapping[str, type], *, base: type) -> type:
    """The class that an option names, or is."""
    kind = find(name, given, registry, of=base) if isinstance(given, str) else given
    if not (isinstance(kind, type) and issubclass(kind, base)):
        raise UserError(f"{name} = {kind!r}: give a name, or a class under {base.__module__}.{base.__name__}")
    return kind


def _without_effect(config: ModelConfig) -> Iterator[tuple[str, str, tuple]]:
    """Options that `config`'s others leave without effect: name, why and what to do, values that say the same."""
    attention, retention = config.attention_class, config.retention_class

    def unread(name: str, by: str, readers: Iterable[str], *, harmless: tuple = ()) -> tuple[str, str, tuple]:
        return name, (f"{by} = {_shown(getattr(config, by))} reads no {name}; leave it out or choose one of: "
                      f"{', '.join(sorted(readers))}"), harmless

    if config.network == "gru":
        for name in (field.name for field in fields(config) if field.name not in OF_GRU):
            yield unread(name, "network", ["rmaat"], harmless=("none", "reset") if name == "retention" else ())
    for name in PARTS:
        if name not in (*attention.reads, *MIXING[config.mixing].reads):
            yield unread(name, "attention", (key for key, kind in ATTENTION.items() if name in kind.reads),
                         harmless=("none",))
    if "rel_pos" in attention.reads and config.rel_pos == "none" and "kernel" not in MIXING[config.mixing].reads:
        yield unread("kernel", "rel_pos", PARTS["rel_pos"].keys() - {"none"})
    if config.gradient != "amrb":
        for name in ("keep_last", "budget_bytes", "memory_store"):
            yield unread(name, "gradient", ["amrb"])
    if config.budget_bytes:
        yield "keep_last", f"budget_bytes = {config.budget_bytes} chooses it; leave one of them out", ()
    if config.output != "classes":
        for name in ("readout", "head", "unread"):
            yield unread(name, "output", ["classes"])
    if not READOUT[config.readout].places:
        yield unread("readout_parts", "readout", [name for name, kind in READOUT.items() if kind.places])
    if config.head == "memory":
        for name in ("readout", "unread"):
            yield unread(name, "head", ["both", "features"])
        if not config.num_memory_tokens:
            yield "head", "num_memory_tokens = 0 leaves it nothing to read; choose features", ()
    if config.output == "features":
        yield "num_classes", "output = features has no classes; give num_classes = 0, or output = tokens", (0,)
    if not retention.per_sample:
        yield unread("schedule", "retention", (key for key, kind in RETENTION.items() if kind.per_sample))
    if not config.num_memory_tokens and retention not in (RETENTION["none"], RETENTION["reset"]):
        yield "retention", "num_memory_tokens = 0 leaves nothing to retain; leave it out or choose none", ()


def without_unread(config: ModelConfig, attention: str, **fields) -> ModelConfig:
    """`config` with another attention and the fields given; the options that it does not read are left out."""
    reads = (*ATTENTION[attention].reads, *MIXING[fields.get("mixing", config.mixing)].reads)
    unread = {name: _default(name) for name in PARTS if name not in reads}
    config = with_retention(config, fields.pop("retention", config.retention))
    return replace(config, attention=attention, **unread | fields)


def with_retention(config: ModelConfig, retention: str | type[Retention], **fields) -> ModelConfig:
    """`config` with another retention rule and the fields given; what these leave without effect is left out."""
    kind = RETENTION.get(retention, retention) if isinstance(retention, str) else retention
    unread = [] if getattr(kind, "per_sample", True) else ["schedule"]
    if (fields.get("head") or config.head) == "memory":
        unread += ["readout", "readout_parts", "unread"]
    elif not READOUT[fields.get("readout") or config.readout].places:
        unread += ["readout_parts"]
    return replace(config, retention=retention, **{name: _default(name) for name in unread} | fields)


def _default(name: str) -> object:
    return next(field.default for field in fields(ModelConfig) if field.name == name)


def _shown(value: object) -> object:
    return value.__name__ if isinstance(value, type) else value


# The numbers of a config: none claims biology.
REASONS = {
    "vocab_size": "decided by the task", "num_classes": "decided by the task", "documents": "decided by the task",
    "segment_length": "places on the astrocytes' line; a token stands at a place, chosen for memory and speed",
    "num_segments": "the task's longest sequence in segments; a segment stands for one cycle",
    "width": "a size of the network", "layers": "a size of the network", "heads": "a size of the network",
    "num_memory_tokens": "a size of the network", "feedforward": "a size of the network, as transformers have it",
    "readout_parts": "places that the classifier tells apart",
    "dropout": "regularisation", "keep_last": "memory against time: the gradient is the same",
    "budget_bytes": "memory against time: the gradient is the same"}
