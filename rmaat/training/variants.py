"""Variants, the networks that RMAAT is compared with: each turns the model of a config into another one.

A variant is a function `ModelConfig -> ModelConfig`, so adding one is a line in `VARIANTS`. Task, training, width,
layers and heads stay; the differences are what the names stand for in Mia2026. `rmt+memory_8` is `rmt`, and then
`memory_8`.
"""

import dataclasses
import math
from collections.abc import Callable
from types import FunctionType

import torch

from foundation.errors import UserError
from foundation.outside import find
from rmaat.model.config import AUTO, OF_GRU, ModelConfig, with_retention, without_unread
from rmaat.model.mixing import MIXING
from rmaat.model.network import build
from rmaat.model.readout import READOUT
from rmaat.training.experiment import Experiment

Change = Callable[[ModelConfig], ModelConfig]
DEFAULT = "rmaat"


def rmaat(model: ModelConfig) -> ModelConfig:
    """The config's own network."""
    return model


def without_mixing(model: ModelConfig, **fields) -> ModelConfig:
    """The same without local mixing before attention, which none of the paper's networks has."""
    return dataclasses.replace(model, mixing="none", **fields)


def rmaat_paper(model: ModelConfig) -> ModelConfig:
    """RMAAT as the papers state it: retention RF mem', R per place, alpha 0.25, feedback 1/C, no local mixing."""
    plain = without_unread(without_mixing(model), "astromorphic", gradient="amrb")
    return dataclasses.replace(plain, retention="multiply", rel_pos="positional", feature_map="elu", kernel="record",
                               calcium_exponent="0.25", feedback="inverse")


def with_bptt(model: ModelConfig) -> ModelConfig:
    """The same under plain backpropagation, without the options of AMRB."""
    return dataclasses.replace(model, gradient="bptt", keep_last=AUTO, budget_bytes=0, memory_store="device")


def one_segment(model: ModelConfig, **fields) -> ModelConfig:
    """The whole sequence at once, without memory tokens."""
    plain = in_segments(with_bptt(without_mixing(model)), model.max_length, 1)
    return with_retention(plain, "none", num_memory_tokens=0, head=_without_memory(model), **fields)


def in_segments(model: ModelConfig, length: int, number: int) -> ModelConfig:
    """The same with other segments; a classifier that tells places apart goes on telling as many apart."""
    parts, places = 1, READOUT[model.readout].places
    if places == "equal":
        parts = math.gcd(length, max(1, model.readout_parts * model.num_segments // number))
    elif places == "ends":
        parts = min(length, model.readout_parts)
    return dataclasses.replace(model, segment_length=length, num_segments=number, readout_parts=parts)


def _without_memory(model: ModelConfig) -> str:
    """The head of a network without memory tokens: one that reads them alone has the features to read."""
    return "features" if model.head == "memory" else model.head


def at(model: ModelConfig) -> ModelConfig:
    """AT, astromorphic attention over the whole sequence: one segment, no recurrence."""
    return one_segment(model, attention="astromorphic")


def transformer(model: ModelConfig) -> ModelConfig:
    """Plain transformer: softmax attention over the whole sequence, no memory tokens."""
    return without_unread(one_segment(model), "softmax", rel_pos="none")


def rmt(model: ModelConfig) -> ModelConfig:
    """RMT (Bulatov2022): softmax attention, memory tokens without retention, BPTT."""
    return without_unread(with_bptt(without_mixing(model)), "softmax", rel_pos="none", retention="none")


def rlt(model: ModelConfig) -> ModelConfig:
    """RLT: linear attention, memory tokens without retention, BPTT."""
    return without_unread(with_bptt(without_mixing(model)), "linear", rel_pos="none", retention="none")


def rmt_amrb(model: ModelConfig) -> ModelConfig:
    """RMT trained with AMRB: the same gradient, one segment's activations."""
    return without_unread(without_mixing(model), "softmax", rel_pos="none", retention="none", gradient="amrb")


def rlt_amrb(model: ModelConfig) -> ModelConfig:
    """RLT trained with AMRB: the same gradient, one segment's activations."""
    return without_unread(without_mixing(model), "linear", rel_pos="none", retention="none", gradient="amrb")


def last_segment(model: ModelConfig) -> ModelConfig:
    """Control: the last segment alone reaches the classifier, the memory being reset before it.

    With a mixing that reaches back (n-grams 4 tokens, a window 66) it sees these as well.
    """
    return with_retention(model, "reset", readout="last")


def gru(model: ModelConfig) -> ModelConfig:
    """torch's GRU over the whole sequence: as many layers, and of the width at which it learns as many numbers.

    Mixing is not counted: tables of hashed n-grams are looked up, and a GRU of their size would be another network.
    """
    kept = {field.name: getattr(model, field.name) for field in dataclasses.fields(model) if field.name in OF_GRU}
    wanted, low, high = parameters_of(without_mixing(model)), 1, 2

    def of(width: int) -> ModelConfig:
        return ModelConfig(**kept | {"width": width, "network": "gru"})

    while parameters_of(of(high)) < wanted:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if parameters_of(of(middle)) < wanted else (low, middle)
    return min((of(low), of(high)), key=lambda made: abs(parameters_of(made) - wanted))


def parameters_of(model: ModelConfig) -> int:
    """How many numbers a network learns; the caller's random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        return sum(p.numel() for p in build(model).parameters())


def ablation(about: str, **fields) -> Change:
    """A variant that has other values in some fields; `about` is what a list says of it."""
    def changed(model: ModelConfig) -> ModelConfig:
        return with_retention(model, **{"retention": model.retention} | fields)

    changed.__doc__ = about
    return changed


def other_attention(kind: str) -> Change:
    """A variant with another attention; the options that it does not read are left out."""
    def changed(model: ModelConfig) -> ModelConfig:
        return without_unread(model, kind, rel_pos="none")

    changed.__doc__ = f"{kind.capitalize()} attention; retention, memory tokens and all else stay."
    return changed


def segments(number: int) -> Change:
    """A variant that cuts the longest sequence into `number` segments."""
    def changed(model: ModelConfig) -> ModelConfig:
        length = -(-model.max_length // number)
        nearest = -(-model.max_length // length)
        if nearest != number:
            raise UserError(f"variant segments_{number}: {model.max_length} tokens cannot be cut into {number} "
                            f"segments of one length; nearest are {nearest} segments of {length}: give --set "
                            f"model.segment_length={length}")
        return in_segments(model, length, number)

    changed.__doc__ = f"The longest sequence in {number} segment{'s' * (number > 1)}."
    return changed


def memory_tokens(number: int) -> Change:
    """A variant with `number` memory tokens; with none there is nothing to retain."""
    def changed(model: ModelConfig) -> ModelConfig:
        rule = model.retention if number or model.retention == "reset" else "none"
        return with_retention(model, rule, num_memory_tokens=number,
                              head=model.head if number else _without_memory(model))

    changed.__doc__ = f"{number or 'No'} memory token{'s' * (number != 1)}."
    return changed


BASELINES: dict[str, Change] = {"at": at, "transformer": transformer, "rmt": rmt, "rlt": rlt, "rmt_amrb": rmt_amrb,
                                "rlt_amrb": rlt_amrb, "last_segment": last_segment}
ABLATIONS: dict[str, Change] = {
    "no_retention": ablation("Retention none: mem' itself.", retention="none"),
    "retention_multiply": ablation("Retention RF mem', the paper's.", retention="multiply"),
    "retention_accumulate": ablation("Retention mem + T RF (mem' - mem).", retention="accumulate"),
    "retention_leaky": ablation("Retention q mem + (1-q) mem', without T.", retention="leaky"),
    "retention_geometric": ablation("Retention mem + q^(t-1) (mem' - mem), without T.", retention="geometric"),
    "retention_reset": ablation("Control: the memory is reset before every segment.", retention="reset"),
    "no_h_astro": ablation("No astrocytic write: H is H_neuron alone.", rel_pos="none", kernel="record"),
    "positional_r": ablation("R learned for each place, the paper's reading.", rel_pos="positional"),
    "content_r": ablation("R of the neighbours' keys, for any length.", rel_pos="content"),
    "feedback_bound": ablation("Feedback K/(K + C) in the place of 1/C.", feedback="bound"),
    "feedback_inverse": ablation("Feedback 1/C.", feedback="inverse"),
    "exponent_fitted": ablation("Alpha fitted to the astrocyte's own response.", calcium_exponent="fitted"),
    "exponent_quarter": ablation("Alpha 0.25, as Mia2025 states it.", calcium_exponent="0.25"),
    "exponent_one": ablation("Alpha 1, the normaliser of linear attention.", calcium_exponent="1"),
    **{f"mixing_{name}": ablation(f"Mixing {name}.", mixing=name) for name in MIXING},
    **{f"readout_{name}": ablation(f"Readout {name}.", readout=name) for name in READOUT},
    **{f"head_{name}": ablation(f"The head reads {what}.", head=name) for name, what in (
        ("both", "features and memory"), ("features", "features alone"), ("memory", "the memory alone"))},
    "linear": other_attention("linear"), "softmax": other_attention("softmax"),
    "bptt": with_bptt,
    **{f"segments_{number}": segments(number) for number in (1, 2, 4, 8, 16, 32)},
    **{f"memory_{number}": memory_tokens(number) for number in (0, 1, 2, 4, 8, 16, 32)}}
VARIANTS: dict[str, Change] = {DEFAULT: rmaat, "rmaat_paper": rmaat_paper, **BASELINES, "gru": gru, **ABLATIONS}


def find_variant(given: str | Change) -> list[tuple[str, Change]]:
    """The changes that a text like `rmt`, `rmt+memory_8` or `file.py:NAME` names, in order; or a function itself.

    Raises `UserError` for an unknown name.
    """
    if not isinstance(given, str):
        return [(getattr(given, "__name__", "own"), given)]
    return [(one.rpartition(":")[2], find("variant", one, VARIANTS, of=FunctionType)) for one in given.split("+")]


def with_variant(base: Experiment, given: str | Change) -> Experiment:
    """`base` with the network of a variant, its name extended by the variant's unless that is the default.

    Raises `UserError` for an unknown name, for a function that returns no `ModelConfig`, and where variants do not go
    together.
    """
    model, names = base.model, []
    for name, change in find_variant(given):
        model = change(model)
        if not isinstance(model, ModelConfig):
            raise UserError(f"variant {name} gives a {type(model).__name__}; write a function ModelConfig -> "
                            "ModelConfig")
        names += [name] if name != DEFAULT else []
    return dataclasses.replace(base, name="_".join([base.name, *(["+".join(names)] if names else [])]), model=model)


def variant(name: str, make: Callable[[], Experiment]) -> Callable[[], Experiment]:
    """The config `<config>_<name>`: `make()` with the network of one of the variants."""
    def build() -> Experiment:
        return with_variant(make(), name)

    build.__doc__ = f"{make.__name__} as {VARIANTS[name].__doc__}"
    return build
