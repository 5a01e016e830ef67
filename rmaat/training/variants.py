"""Variants, the networks that RMAAT is compared with: each turns an experiment into the same with another network.

Task, training, width, layers and heads stay; the differences are what the names stand for in Mia2026.
"""

import dataclasses
from collections.abc import Callable

from rmaat.model.config import ModelConfig, without_unread
from rmaat.training.experiment import Experiment

Change = Callable[[ModelConfig], ModelConfig]


def with_bptt(model: ModelConfig) -> ModelConfig:
    """The same under plain backpropagation, without the options of AMRB."""
    return dataclasses.replace(model, gradient="bptt", keep_last=1, budget_bytes=0, memory_store="device")


def one_segment(model: ModelConfig, **fields) -> ModelConfig:
    """The whole sequence at once, without memory tokens."""
    return dataclasses.replace(with_bptt(model), segment_length=model.max_length, num_segments=1, num_memory_tokens=0,
                               retention="none", **fields)


def at(model: ModelConfig) -> ModelConfig:
    """Astromorphic attention over the whole sequence: one segment, no recurrence."""
    return one_segment(model, attention="astromorphic")


def transformer(model: ModelConfig) -> ModelConfig:
    """Plain transformer: softmax attention over the whole sequence, no memory tokens."""
    return without_unread(one_segment(model), "softmax", rel_pos="none")


def rmt(model: ModelConfig) -> ModelConfig:
    """RMT (Bulatov2022): softmax attention, memory tokens without retention, BPTT."""
    return without_unread(with_bptt(model), "softmax", rel_pos="none", retention="none")


def rlt(model: ModelConfig) -> ModelConfig:
    """RLT: linear attention, memory tokens without retention, BPTT."""
    return without_unread(with_bptt(model), "linear", rel_pos="none", retention="none")


def rmt_amrb(model: ModelConfig) -> ModelConfig:
    """RMT trained with AMRB: the same gradient, one segment's activations."""
    return without_unread(model, "softmax", rel_pos="none", retention="none", gradient="amrb")


def rlt_amrb(model: ModelConfig) -> ModelConfig:
    """RLT trained with AMRB: the same gradient, one segment's activations."""
    return without_unread(model, "linear", rel_pos="none", retention="none", gradient="amrb")


def last_segment(model: ModelConfig) -> ModelConfig:
    """Control: the last segment alone reaches the classifier, the memory being reset before it."""
    return dataclasses.replace(model, retention="reset", readout="last")


VARIANTS: dict[str, Change] = {"at": at, "transformer": transformer, "rmt": rmt, "rlt": rlt, "rmt_amrb": rmt_amrb,
                               "rlt_amrb": rlt_amrb, "last_segment": last_segment}


def variant(name: str, make: Callable[[], Experiment]) -> Callable[[], Experiment]:
    """The config `<config>_<name>`: `make()` with the network of one of the variants."""
    change = VARIANTS[name]

    def build() -> Experiment:
        base = make()
        return dataclasses.replace(base, name=f"{base.name}_{name}", model=change(base.model))

    build.__doc__ = f"{make.__name__} as {change.__doc__}"
    return build
