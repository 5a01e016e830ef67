"""Biology reaches the network: every parameter of the record moves a tensor, every entry moves the output."""

import dataclasses
import functools

import pytest
import torch

from astro_sim.models import MODELS
from astro_sim.parameter import Parameter, split_quantity
from derivation import limit_cycle, record
from derivation.closed_form import evaluate
from derivation.simulations import CALCIUM_MODEL, CALCIUM_SET, IP3
from rmaat.biology import Biology
from rmaat.configs import CONFIGS
from rmaat.model import RMAAT

# Entries that no network reads, with the reason.
UNREAD = {"relative_position_diffusive": "an alternative to relative_position, with local coupling only; same form"}


def output(source):
    """Logits of the recall model built from a record, on fixed tokens, without training; float64 [4, 10]."""
    torch.manual_seed(5)
    config = dataclasses.replace(CONFIGS["recall"]().model, gradient="bptt")
    model = RMAAT(config, Biology.of(source)).double().eval()
    tokens = torch.randint(config.vocab_size, (4, config.max_length), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return model(tokens, torch.full((4,), config.max_length))


def with_parameter(source, name, factor):
    """`source` with one biological parameter changed and everything that rests on it computed anew.

    Constants come from their stored formulas; the calcium period, for its parameters, from the oscillation itself.
    """
    entries = {}
    for key, entry in source.entries.items():
        uses = {use.name: use for use in entry.parameters}
        values = {use.name: use.value * (factor if use.name == name else 1) for use in entry.parameters}
        if name in uses and uses[name].through == "tau_cycle":
            values["tau_cycle"] = period(name, factor)
        constants = {which: dataclasses.replace(constant, value=evaluate(constant.formula, values))
                     for which, constant in entry.constants.items() if constant.formula}
        entries[key] = dataclasses.replace(entry, constants={**entry.constants, **constants})
    return dataclasses.replace(source, entries=entries)


MODEL = MODELS[CALCIUM_MODEL]
LEVEL = Parameter(*split_quantity(IP3, "ip3"), "IP3", "assumed here", "assumed")


@functools.cache
def base_cycle():
    return limit_cycle.limit_cycle(MODEL, CALCIUM_SET, "ip3", LEVEL)


def period(name, factor):
    """The calcium period, in seconds, with one parameter (or the drive) changed."""
    model, level = MODEL, LEVEL
    if name == "ip3":
        level = dataclasses.replace(level, value=level.value * factor)
    else:
        value = model.parameters(CALCIUM_SET)[name].value * factor
        model = limit_cycle.with_parameter(model, CALCIUM_SET, name, value)
    return limit_cycle.limit_cycle(model, CALCIUM_SET, "ip3", level, base_cycle()).seconds


PARAMETERS = sorted({use.name for name, entry in record.load().entries.items() if name not in UNREAD
                     for use in entry.parameters})


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_moves_what_its_derivative_says_and_the_output(name):
    before = record.load()
    through = any(use.name == name and use.through for entry in before.entries.values() for use in entry.parameters)
    # the period bends strongly, and 10 % may end the oscillation: 2 % there
    share = 0.02 if through else 0.1
    up, down = (with_parameter(before, name, 1 + change) for change in (share, -share))
    for key, entry in before.entries.items():
        uses = {use.name: use for use in entry.parameters}
        for which in entry.constants:
            higher, lower = (one.entries[key].constants[which].value for one in (up, down))
            if name not in uses:
                assert higher == lower, f"{name} moves {key}.{which}, which the record does not say"
            else:
                predicted = uses[name].sensitivity[which] * uses[name].value * 2 * share
                # between up and down the second order cancels; the third is share^3 with coefficients of order one
                assert higher - lower == pytest.approx(predicted, rel=0.03, abs=2 * share**3)
    moved = [output(one) for one in (before, up, down)]
    assert not torch.equal(moved[0], moved[1])
    assert not torch.equal(moved[0], moved[2])


@pytest.mark.parametrize("name", sorted(record.load().entries))
def test_an_entry_moves_the_output_or_stands_on_the_list(name):
    before = record.load()
    entry = before.entries[name]
    changed = dataclasses.replace(entry, formula=f"({entry.formula})**1.05")  # as if the form were another
    moved = not torch.equal(output(before),
                            output(dataclasses.replace(before, entries={**before.entries, name: changed})))
    assert moved == (name not in UNREAD)
