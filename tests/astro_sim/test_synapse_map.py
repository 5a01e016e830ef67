"""The map of synapses on astrocytes: nearest, shares, given; what it must hold; what it says; that a file keeps it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_sim.models.synapse_map import SynapseMap
from astro_sim.recording.recording import Recording
from astro_sim.run.simulation import simulate
from foundation.errors import DamagedFileError, UserError

SMALL = {"n_synapses": 5, "n_astrocytes": 2, "map": [1, 0, 0, 1, 0]}


@given(st.integers(1, 300), st.integers(1, 300))
def test_equal_shares_cover_all_and_differ_by_one(n_synapses, n_astrocytes):
    if n_astrocytes > n_synapses:
        with pytest.raises(UserError, match="at most one astrocyte for each synapse"):
            SynapseMap.equal_shares(n_synapses, n_astrocytes)
        return
    found = SynapseMap.equal_shares(n_synapses, n_astrocytes)
    assert found.in_degree.sum() == n_synapses and np.ptp(found.in_degree) <= 1 and found.in_degree.min() >= 1
    assert (np.diff(found.astrocytes) >= 0).all()  # neighbours stay together
    sums = np.bincount(found.astrocytes, found.shares)
    assert sums == pytest.approx(np.ones(n_astrocytes), rel=1e-12)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 12), st.sampled_from([None, (5.0, 7.0)]))
def test_nearest_is_nearest_with_ties_to_the_lowest_number(seed, n_synapses, n_astrocytes, period):
    """Places on a coarse lattice, so that ties are many; against all distances, one by one."""
    random = np.random.default_rng(seed)
    synapses = random.integers(0, 10, (n_synapses, 2)) * (0.5, 0.7)
    astrocytes = random.integers(0, 10, (n_astrocytes, 2)) * (0.5, 0.7)
    found = SynapseMap.nearest(synapses, astrocytes, idle="allowed", period=period)
    for k, place in enumerate(synapses):
        apart = np.abs(astrocytes - place)
        apart = apart if period is None else np.minimum(apart % period, period - apart % period)
        far = np.hypot(*apart.T)
        # multiples of 0.7 are rounded: equal means to 1e-9
        wanted = next(n for n in range(n_astrocytes) if far[n] <= far.min() + 1e-9)
        assert found.astrocytes[k] == wanted
    assert found.in_degree.sum() == n_synapses
    assert set(found.idle_astrocytes) == set(range(n_astrocytes)) - set(found.astrocytes.tolist())


def test_a_synapse_between_four_astrocytes_goes_to_the_first():
    corners = [(0, 0), (0, 1), (1, 0), (1, 1)]
    found = SynapseMap.nearest([(0.5, 0.5), (0.5, 0.51), (0.9, 0.9)], corners, idle="allowed")
    assert found.astrocytes.tolist() == [0, 1, 3]
    assert "3 synapses on 3 of 4 astrocytes" in found.describe() and "1 astrocytes are idle" in found.describe()
    assert "largest 0.707 places" in found.describe()


def test_over_the_edge_of_a_periodic_sheet_is_near():
    line = [(0.0,), (1.0,), (2.0,), (3.0,)]
    places = [(-0.4,), (3.4,), (3.6,)]
    assert SynapseMap.nearest(places, line, idle="allowed").astrocytes.tolist() == [0, 3, 3]
    assert SynapseMap.nearest(places, line, idle="allowed", period=(4.0,)).astrocytes.tolist() == [0, 3, 0]


@pytest.mark.parametrize(("entries", "says"), [
    ([0, 1], "2 entries for 3"), ([0, -1, 1], "synapse 1 has astrocyte -1; astrocytes are 0 to 1"),
    ([0, 2, 2], r"synapse 1 \(and 1 more\) has astrocyte 2"), ([0, 0, 0], "astrocyte 1 has no synapse"),
    ([0, 0.5, 1], "not a map"), ([[0], [1], [0]], "not a map"), (["a", "b", "c"], "not a map"),
    ([0, float("nan"), 1], "not a map")])
def test_a_map_that_leaves_something_out_is_refused(entries, says):
    with pytest.raises(UserError, match=says):
        SynapseMap.of_array(entries, 3, 2)


def test_idle_astrocytes_are_an_explicit_choice():
    with pytest.raises(UserError, match="astrocyte 0 has no synapse"):
        SynapseMap.of_array([1, 1], 2, 2)
    found = SynapseMap.of_array([1, 1], 2, 3, idle="allowed")
    assert found.idle_astrocytes.tolist() == [0, 2] and found.in_degree.tolist() == [0, 2, 0]
    with pytest.raises(UserError, match="unknown choice for idle astrocytes 'maybe'"):
        SynapseMap.of_array([1, 1], 2, 2, idle="maybe")


@pytest.mark.parametrize(("synapses", "astrocytes"), [
    ([(0, 0)], [(0,)]), ([(0, 0)], np.zeros((0, 2))), ([(0, np.nan)], [(0, 0)]), ([0, 1], [(0, 0)])])
def test_places_that_do_not_fit_are_refused(synapses, astrocytes):
    with pytest.raises(UserError, match="map: "):
        SynapseMap.nearest(synapses, astrocytes)


@pytest.mark.slow
def test_a_recording_keeps_its_map_and_the_hash_covers_it(tmp_path):
    recording = simulate("tripartite", options=SMALL, duration="0.1 s", dt="10 ms")
    path = recording.save(tmp_path / "small.nc")
    back = Recording.load(path)
    assert SynapseMap.of_recording(back).astrocytes.tolist() == SMALL["map"]
    assert back.maps["astrocyte_of_synapse"].population == "synapse"
    assert back.maps["astrocyte_of_synapse"].target == "astrocyte"
    import h5py

    with h5py.File(path, "r+") as file:
        file["astrocyte_of_synapse"][0] = 0
    with pytest.raises(DamagedFileError, match="SHA-256"):
        Recording.load(path)
    alone = simulate("tripartite", options={"loop": "none"}, duration="0.1 s", dt="10 ms")
    with pytest.raises(UserError, match="has no map of synapses on astrocytes"):
        SynapseMap.of_recording(alone)


@pytest.mark.parametrize(("entries", "says"), [("0+0+x", "as in 0"), ([0, 0.5, 0, 1, 1], "as in 0"),
                                               ("0+1", "2 entries for 5"), ([0, -1, 0, 1, 1], "-1 is not allowed"),
                                               ([0, 0, 0, 0, 7], "has astrocyte 7")])
def test_a_map_given_as_an_option_is_checked(entries, says):
    with pytest.raises(UserError, match=says):
        simulate("tripartite", options={**SMALL, "map": entries}, duration="0.1 s", dt="10 ms")
