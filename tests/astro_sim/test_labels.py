"""Words and units as people write them."""

import pytest

from astro_sim.models import MODELS
from astro_sim.recording.labels import label, pretty_unit, with_unit


@pytest.mark.parametrize(("unit", "shown"), [
    ("1", ""), ("", ""), ("umolar", "µM"), ("second", "s"), ("umolar/second", "µM/s"), ("mvolt", "mV"),
    ("hertz", "Hz"), ("1/second", "1/s"), ("1/umolar/second", "1/µM/s"), ("umolar**-1*second**-1", "µM⁻¹·s⁻¹"),
    ("meter ** 2", "m²"), ("namp", "nA"), ("msiemens/meter^2", "mS/m²"), ("spikes", "spikes")])
def test_units_are_written_as_people_do(unit, shown):
    assert pretty_unit(unit) == shown


def test_labels_have_words_and_the_unit_in_brackets():
    assert label("calcium", "umolar") == "calcium (µM)"
    assert label("gating variable", "1") == "gating variable"
    assert with_unit(0.25137, "umolar") == "0.2514 µM"
    assert with_unit(12.0) == "12"


def test_every_unit_of_every_model_is_known():
    """No name as Brian2 has it is left over: no word of more than three letters."""
    units = {one.unit for model in MODELS.values()
             for one in (*model.parameters().values(), *model.observables.values(), *model.inputs.values())}
    assert len(units) > 10
    for unit in units:
        assert all(len(word) <= 3 for word in pretty_unit(unit).replace("/", " ").replace("·", " ").split()), unit
