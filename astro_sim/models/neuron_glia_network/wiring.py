"""Neurons on the sheet of astrocytes, who meets whom by chance, and where the synapses are.

Places are [row, column] in distances of neighbouring astrocytes, which stand at whole numbers; the sheet reaches half a
place beyond them. All functions take the options of neuron_glia_network; what is drawn is drawn from `wiring_seed`.
"""

import functools
from dataclasses import dataclass

import numpy as np

from astro_sim.model import Options
from astro_sim.models.synapse_map import SynapseMap
from foundation.errors import UserError
from foundation.shapes import Array, Float, Int


@dataclass(frozen=True, eq=False)
class Wiring:
    """Who meets whom: neurons, int64 (synapse,), of excitatory and inhibitory synapses; places of the former."""

    pre: Int[Array, "synapse"]
    post: Int[Array, "synapse"]
    inhibitory_pre: Int[Array, "inhibitory"]
    inhibitory_post: Int[Array, "inhibitory"]
    places: Float[Array, "synapse 2"]


def wiring(options: Options) -> Wiring:
    """Every excitatory (inhibitory) neuron meets every other neuron by chance p_excitatory (p_inhibitory).

    Errors: `UserError` where not one excitatory synapse comes out.
    """
    return _wiring(tuple(options.items()))


@functools.lru_cache(maxsize=4)
def _wiring(given: tuple) -> Wiring:
    options = dict(given)
    random, first = np.random.default_rng(options["wiring_seed"]), options["n_excitatory"]
    pre, post = _meetings(random, range(first), neurons(options), chance=options["p_excitatory"])
    inhibitory = _meetings(random, range(first, neurons(options)), neurons(options), chance=options["p_inhibitory"])
    if len(pre) == 0:
        raise UserError(f"option p_excitatory: {options['p_excitatory']} gives no excitatory synapse at all; give a "
                        "larger chance or more neurons")
    moved = neuron_places(options)[post] + options["synapse_spread"] * random.standard_normal((len(pre), 2))
    return Wiring(pre, post, *inhibitory, _folded(moved, options))


def _meetings(random: np.random.Generator, sources: range, count: int, *, chance: float
              ) -> tuple[Int[Array, "synapse"], Int[Array, "synapse"]]:
    """(pre, post) of all synapses of `sources` with `count` neurons; row by row, so that no matrix is held."""
    # (E2.28) each pair by chance, no neuron with itself
    rows = [np.flatnonzero((random.random(count) < chance) & (np.arange(count) != pre)) for pre in sources]
    return np.repeat(np.array(sources), [len(row) for row in rows]), np.concatenate(rows)


def neurons(options: Options) -> int:
    """Number of neurons of both kinds; excitatory ones come first."""
    return options["n_excitatory"] + options["n_inhibitory"]


def neuron_places(options: Options) -> Float[Array, "neuron 2"]:
    """Places of the neurons, float64 (neuron, 2): a grid over the sheet for either kind."""
    return np.concatenate([_grid(options["n_excitatory"], options), _grid(options["n_inhibitory"], options)])


def _grid(count: int, options: Options) -> Float[Array, "place 2"]:
    """`count` places in rows that fill the sheet evenly, the last row perhaps not full."""
    height, width = options["n_rows"], options["n_columns"]
    across = -(-count // max(1, round(np.sqrt(count * height / width))))
    row, column = np.divmod(np.arange(count), across)
    return np.stack([(row + 0.5) / (row[-1] + 1) * height, (column + 0.5) / across * width], axis=1) - 0.5


def _folded(places: Float[Array, "place 2"], options: Options) -> Float[Array, "place 2"]:
    """Places beyond the sheet: round about where it is periodic, else mirrored at its edge."""
    size = np.array([options["n_rows"], options["n_columns"]], float)
    if options["boundary"] == "periodic":
        return (places + 0.5) % size - 0.5
    beyond = (places + 0.5) % (2 * size)
    return np.minimum(beyond, 2 * size - beyond) - 0.5


def astrocyte_places(options: Options) -> Float[Array, "astrocyte 2"]:
    """Places of the astrocytes, float64 (astrocyte, 2)."""
    k = np.arange(options["n_rows"] * options["n_columns"])
    return np.stack(np.divmod(k, options["n_columns"]), axis=1).astype(float)


def synapse_map(options: Options) -> SynapseMap:
    """The astrocyte of every excitatory synapse: the nearest, or what the option `map` says."""
    return _synapse_map(tuple(options.items()))


@functools.lru_cache(maxsize=4)
def _synapse_map(given: tuple) -> SynapseMap:
    options = dict(given)
    synapses, astrocytes, idle = wiring(options).places, astrocyte_places(options), options["idle_astrocytes"]
    if options["map"]:
        return SynapseMap.of_array(options["map"], len(synapses), len(astrocytes), idle=idle, synapse_places=synapses,
                                   astrocyte_places=astrocytes)
    period = (options["n_rows"], options["n_columns"]) if options["boundary"] == "periodic" else None
    # (E2.29) the nearest astrocyte
    return SynapseMap.nearest(synapses, astrocytes, idle=idle, period=period)
