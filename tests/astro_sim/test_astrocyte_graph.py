"""Graphs of gap junctions: what each kind is, that a seed gives one, what flows through them; rest and waves."""

import warnings

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from astro_sim.models import MODELS
from astro_sim.models.astrocyte_graph.graph import Graph, LooseGraph, graph
from astro_sim.models.astrocyte_graph.kinds import _pair_of
from astro_sim.protocols import constant
from astro_sim.run.simulation import simulate
from foundation.errors import UserError

KINDS = ("regular", "link_radius", "erdos_renyi", "scale_free", "small_world")


def made(**given) -> Graph:
    with warnings.catch_warnings(action="ignore", category=LooseGraph):
        return graph(MODELS["astrocyte_graph"].read_options(given))


def lengths(found):
    return np.linalg.norm(found.places[found.links[:, 0]] - found.places[found.links[:, 1]], axis=1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [{"dimensions": 3, "n_side": 5}, {"dimensions": 2, "n_side": 9, "mean_degree": 4}])
def test_a_graph_has_pairs_without_loops_or_doubles(kind, shape):
    found = made(topology=kind, **shape)
    first, second = found.links.T
    assert (first < second).all() and first.min() >= 0 and second.max() < len(found.places) == (
        shape["n_side"] ** shape["dimensions"])
    assert len({*map(tuple, found.links.tolist())}) == len(found.links) > 0
    assert found.degrees.sum() == 2 * len(found.links)
    again, other = made(topology=kind, **shape), made(topology=kind, **shape, wiring_seed=2)
    assert np.array_equal(again.links, found.links) and not np.array_equal(other.links, found.links)
    assert np.array_equal(made(topology="regular", **shape).places, found.places)  # all kinds share them
    # both ways in the simulation, each once
    pairs = MODELS["astrocyte_graph"].connections[1].pairs(MODELS["astrocyte_graph"].read_options(
        {"topology": kind, **shape}))
    met = {*zip(pairs.source.tolist(), pairs.target.tolist(), strict=True)}
    assert len(met) == len(pairs.source) == 2 * len(found.links) and met == {(b, a) for a, b in met}


def test_places_are_those_of_the_paper():
    """11 x 11 x 11 cells whose nearest others are 50 um away on average, none nearer than 5 um."""
    where = made(n_side=11).places
    far = np.linalg.norm(where[:, None] - where[None], axis=2) + 1e9 * np.eye(len(where))
    assert len(where) == 1331 and far.min(axis=1).mean() == pytest.approx(50, abs=1) and far.min() > 5
    lattice = 70.0 * np.stack(np.unravel_index(np.arange(1331), (11, 11, 11)), axis=1)
    assert np.linalg.norm(where - lattice, axis=1).max() <= 32.5
    assert np.array_equal(made(n_side=4, jitter=0).places, 70.0 * np.stack(np.unravel_index(np.arange(64), (4, 4, 4)),
                                                                           axis=1))


@pytest.mark.parametrize("degree", [3, 6, 9])
def test_a_regular_graph_has_one_degree_but_for_a_few(degree):
    found = made(topology="regular", n_side=7, mean_degree=degree)
    assert found.degrees.max() == degree and (found.degrees == degree).mean() > 0.9
    assert lengths(found).max() <= 150 and lengths(found).mean() < 110
    short = made(topology="regular", n_side=7, mean_degree=degree, longest_link=60)
    assert lengths(short).max() <= 60 and short.degrees.mean() < found.degrees.mean()


@pytest.mark.parametrize("degree", [2.5, 6.0, 12.0])
def test_a_link_radius_joins_all_within_it(degree):
    found = made(n_side=6, mean_degree=degree)
    far = np.linalg.norm(found.places[:, None] - found.places[None], axis=2)
    radius = lengths(found).max()
    assert found.degrees.mean() == pytest.approx(degree, abs=1 / len(found.places))
    assert ((far <= radius).sum() - len(far)) == 2 * len(found.links)
    given = made(n_side=6, link_radius=83.5)
    assert given.degrees.tolist() == ((far < 83.5).sum(axis=1) - 1).tolist()


def test_a_random_graph_joins_any_two_alike():
    found = [made(topology="erdos_renyi", n_side=5, mean_degree=8, wiring_seed=seed) for seed in range(30)]
    degrees = np.array([one.degrees for one in found])
    # binomial of 124 others: mean 8 and variance 7.48, in 30 graphs of 125 known to 0.07 and 0.25
    assert degrees.mean() == pytest.approx(8, abs=0.25) and degrees.var() == pytest.approx(7.48, abs=0.8)
    all_far = np.concatenate([np.linalg.norm(one.places[:, None] - one.places[None], axis=2)[np.triu_indices(125, 1)]
                              for one in found])
    assert np.concatenate([lengths(one) for one in found]).mean() == pytest.approx(all_far.mean(), rel=0.02)


@pytest.mark.parametrize("n", [2, 5, 31])
def test_the_pairs_of_a_row_are_counted(n):
    assert np.array_equal(np.stack(_pair_of(np.arange(n * (n - 1) // 2), n)), np.stack(np.triu_indices(n, 1)))


def test_a_scale_free_graph_has_hubs_that_its_range_shortens():
    near, far = (made(topology="scale_free", n_side=8, interaction_range=reach) for reach in (25.0, 1e6))
    for found in (near, far):
        assert found.degrees.min() >= 3 and found.degrees.mean() == pytest.approx(6, abs=0.1)
        assert found.pieces.max() == 0  # each joins those before it
    assert far.degrees.max() > 40 > made(topology="erdos_renyi", n_side=8).degrees.max()
    assert lengths(near).mean() < 0.5 * lengths(far).mean()
    # without distance the law of Barabasi and Albert: P(degree >= k) = m (m+1)/(k (k+1)) for m = 3
    for k in (6, 12):
        assert (far.degrees >= k).mean() == pytest.approx(12 / (k * (k + 1)), rel=0.35)


def test_a_small_world_is_a_lattice_with_shortcuts():
    lattice = made(topology="small_world", n_side=5, shortcuts=0)
    assert len(lattice.links) == 3 * 5 * 5 * 4 and lattice.degrees.max() == 6 and lattice.degrees.min() == 3
    rewired = made(topology="small_world", n_side=5, shortcuts=0.3)
    kept = {*map(tuple, lattice.links.tolist())} & {*map(tuple, rewired.links.tolist())}
    assert len(rewired.links) == len(lattice.links) and 1 - len(kept) / 300 == pytest.approx(0.3, abs=0.08)
    wide = made(topology="small_world", n_side=7, dimensions=2, mean_degree=8, shortcuts=0, jitter=0)
    assert sorted({*lengths(wide).tolist()}) == [70.0, 140.0]


def test_pieces_and_degrees_are_said():
    told = Graph(np.zeros((5, 2)), np.array([[0, 1], [1, 2], [3, 4]]))
    assert told.describe() == "5 astrocytes, 3 gap junctions, degrees 1 to 2 (mean 1.2), in 2 pieces, the largest of 3"
    assert told.pieces.tolist() == [0, 0, 0, 1, 1]
    options = MODELS["astrocyte_graph"].read_options({"topology": "erdos_renyi", "mean_degree": 1.5})
    with pytest.warns(LooseGraph, match=r"in \d+ pieces"):
        graph(options)


@pytest.mark.parametrize(("given", "says"), [
    ({"topology": "regular", "mean_degree": 4.5}, "whole number of links an astrocyte; 4.5 is not"),
    ({"topology": "scale_free", "mean_degree": 5}, "2.5 is not"),
    ({"topology": "small_world", "mean_degree": 8}, "6 links an astrocyte"),
    ({"topology": "erdos_renyi", "n_side": 2, "mean_degree": 9}, "above 7, the number of others"),
    ({"topology": "regular", "shortcuts": 0.1}, "belongs to topology small_world, and has no effect with regular"),
    ({"link_radius": 90, "mean_degree": 4}, "no effect beside link_radius"),
    ({"least_distance": 80}, "not below the spacing"), ({"n_side": 200}, "above 1000000"),
    ({"topology": "voronoi"}, "voronoi")])
def test_graphs_that_cannot_be_are_refused(given, says):
    with pytest.raises(UserError, match=says):
        made(**given)


def rates(t, y, links, stimulated):
    """Lallouette2014's cells in uM and s, with gap junctions at `links`."""
    c, h, i = y.reshape(3, -1)
    stored = 2 - 1.185 * c
    gate, q2 = i / (i + 0.13) * c / (c + 0.08234), 1.049 * (i + 0.13) / (i + 0.9434)

    def passed(gap):
        return 1.0 * (1 + np.tanh((np.abs(gap) - 0.3) / 0.05)) * np.sign(gap)

    flux = passed(2.0 - i) * stimulated
    first, second = np.reshape(links, (-1, 2)).T.astype(int)
    flow = passed(i[first] - i[second])
    np.add.at(flux, first, -flow)
    np.add.at(flux, second, flow)
    return np.concatenate([
        (6 * (gate * h) ** 3 + 0.11) * stored - 0.9 * c**2 / (c**2 + 0.05**2), (q2 / (q2 + c) - h) * 0.2 * (q2 + c),
        0.7 / (1 + i / 1.5) * c**2 / (c**2 + 0.1**2) - 4.5 * c**4 / (c**4 + 0.7**4) * i / (i + 1) - 0.21 * i + flux])


@pytest.mark.slow
def test_a_stimulated_graph_agrees_with_an_independent_solution():
    given = {"topology": "scale_free", "dimensions": 2, "n_side": 3, "mean_degree": 4}
    recording = simulate("astrocyte_graph", constant("stimulated", 1, elements=[4]), options=given, duration="12 s",
                         dt="10 ms", record_every="0.1 s")
    stimulated = np.arange(9) == 4
    start = np.repeat([0.0351, 0.9122, 0.3046], 9)
    wanted = solve_ivp(rates, (0, recording.time[-1]), start, "LSODA", recording.time, rtol=1e-7, atol=1e-9,
                       args=(made(**given).links.tolist(), stimulated)).y.reshape(3, 9, -1)
    assert wanted[0].max(axis=1).min() > 0.2  # all were reached
    for k, name in enumerate(("C", "h", "I")):
        assert np.abs(recording[name].values.T - wanted[k]).max() < 2e-3 * wanted[k].max()


def test_cells_left_alone_rest_where_the_program_of_the_authors_says():
    start = np.array([0.0351, 0.9122, 0.3046])
    assert np.abs(rates(0.0, start, [], np.zeros(1))).max() < 4e-4  # given to four digits
    recording = simulate("astrocyte_graph", options={"n_side": 2, "mean_degree": 3}, duration="20 s", dt="50 ms")
    for name, value in zip(("C", "h", "I"), start, strict=True):
        assert recording[name].values[-1] == pytest.approx(value, rel=2e-3)
