"""NumPy in blocks gives the numbers of NumPy at once, to the last bit, and keeps away from where it must not be."""

import brian2
import numpy as np
import pytest

from astro_sim.brian import blocks
from astro_sim.brian.backend import opened
from astro_sim.run.simulation import simulate

SHEET = {"layout": "sheet", "n_rows": 3, "n_columns": 7}


@pytest.fixture
def cut(monkeypatch):
    """Let blocks be of 8 elements, the last one shorter -> the names of what was computed in blocks."""
    seen, start = set(), blocks.InBlocks._own_arrays

    def noted(self):
        found = start(self)
        if found:
            seen.add(self.name)
        return found

    monkeypatch.setattr(blocks.InBlocks, "_own_arrays", noted)
    monkeypatch.setattr(blocks, "BLOCK", 8)
    return seen


@pytest.mark.slow
@pytest.mark.parametrize(("model", "given", "in_blocks"), [
    ("astrocyte_network:AM", {"options": {**SHEET, "coupling_scheme": "extrapolated"}, "method": "rk4",
                              "protocol": ["ramp:input=glutamate,times=0s+1s,values=0uM+3uM",
                                           "constant:input=ip3_flux,value=1 umolar/second,elements=3"]},
     {"astrocyte_stateupdater", "astrocyte_subexpression_update", "astrocyte_J_coupling_middle"}),
    ("tripartite", {"options": {"n_synapses": 21, "n_astrocytes": 9}, "initial": {"C": "0.6 umolar"},
                    "protocol": "poisson:input=spikes,rate=40 hertz,stop=0.2s", "duration": "0.2 s", "dt": "1 ms"},
     {"synapse_stateupdater", "astrocyte_stateupdater"}),
    ("gchi_stochastic", {"options": {"n": 21}}, set()),  # an element's noise must not depend on the blocks
])
def test_blocks_change_no_bit(cut, monkeypatch, model, given, in_blocks):
    given = {"duration": "1 s", "dt": "10 ms", "seed": 3} | given
    parts = simulate(model, **given)
    assert {name.split("_codeobject")[0] for name in cut} == in_blocks
    monkeypatch.setattr(blocks, "BLOCK", 1000)
    cut.clear()
    whole = simulate(model, **given)
    assert cut == set()
    assert parts.content_hash == whole.content_hash
    assert any(np.ptp(series.values[-1]) > 0 for series in whole.variables.values())  # the elements differ


def test_shared_variables_are_set_once_a_step(cut):
    with opened("numpy", 0):
        group = brian2.NeuronGroup(21, "v : 1\ns : 1 (shared)", codeobj_class=blocks.InBlocks,
                                   clock=brian2.Clock(dt=0.1 * brian2.second))
        group.run_regularly("s += 1; v += s")
        brian2.Network(group).run(1 * brian2.second, namespace={})
        assert group.s == 10
        assert np.array_equal(group.v[:], np.full(21, 55.0))
    assert cut == set()
