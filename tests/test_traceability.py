"""Biology reaches the network: every parameter of the record moves a tensor, every entry moves the output."""

import dataclasses

import pytest
import torch

from derivation import record, whatif
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


PARAMETERS = sorted({use.name for name, entry in record.load().entries.items() if name not in UNREAD
                     for use in entry.parameters})


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_moves_what_its_derivative_says_and_the_output(name):
    before = record.load()
    through = any(use.name == name and use.through for entry in before.entries.values() for use in entry.parameters)
    # the period bends strongly, and 10 % may end the oscillation: 2 % there
    share = 0.02 if through else 0.1
    value = whatif.parameters(before)[name].value
    up, down = (whatif.recompute(before, {name: value * (1 + change)}) for change in (share, -share))
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
