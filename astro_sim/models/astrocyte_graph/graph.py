"""Who is joined to whom by gap junctions: the kinds of graph of Lallouette2014, drawn from `wiring_seed`.

    found = graph(MODELS["astrocyte_graph"].read_options({"topology": "scale_free"}))
    print(found.describe())

Astrocytes stand about the places of a square or cubic lattice, moved by chance. All kinds share the places of a seed,
so that only who meets whom differs between them. What the paper's text leaves open is taken from the authors' own
simulator (AstroSim): how astrocytes are placed, and the order in which each kind is drawn.
"""

import functools
from dataclasses import dataclass

import numpy as np

from astro_sim.model import Option, Options
from astro_sim.models.astrocyte_graph.kinds import KINDS
from foundation.errors import UserError
from foundation.notes import Note, note
from foundation.shapes import Array, Float, Int

OPTIONS = {
    "topology": Option("link_radius", ("link_radius", "regular", "erdos_renyi", "scale_free", "small_world"),
                       "which astrocytes are joined: those that are near, each to as many near ones, any two by "
                       "chance, near ones that have many links, neighbours with shortcuts"),
    "mean_degree": Option(6.0, (1.0, 1000.0), "links an astrocyte has on average"),
    "dimensions": Option(3, (1, 3), "of the lattice"),
    "n_side": Option(5, (1, 1_000_000), "astrocytes along each of them (11 in Lallouette2014)"),
    "spacing": Option(70.0, (0.001, 1e6), "of the lattice, in um"),
    "jitter": Option(55.0, (0.0, 1e6), "standard deviation of a place about the lattice, along each axis, in um"),
    "least_distance": Option(5.0, (0.0, 1e6), "between two astrocytes, in um"),
    "longest_link": Option(150.0, (0.0, 1e9), "of a regular graph, in um"),
    "link_radius": Option(0.0, (0.0, 1e9), "of topology link_radius: below it astrocytes are joined, in um; 0: the "
                          "radius that gives the mean degree"),
    "interaction_range": Option(25.0, (0.001, 1e9), "of a scale-free graph: how links fall with distance, in um"),
    "shortcuts": Option(0.3, (0.0, 1.0), "share of the links of a small world that lead anywhere"),
    "wiring_seed": Option(1, (0, 2**31), "seed of places and links"),
}
# kind of graph -> options that only it reads
OWN = {"regular": ("longest_link",), "link_radius": ("link_radius",), "erdos_renyi": (),
       "scale_free": ("interaction_range",), "small_world": ("shortcuts",)}


class LooseGraph(Note):
    """A graph of gap junctions that is not in one piece, or has another mean degree than was asked for."""


@dataclass(frozen=True, eq=False)
class Graph:
    """`places` in um, float64 (astrocyte, axis); `links` int64 (link, 2), each pair once, the lower index first."""

    places: Float[Array, "astrocyte axis"]
    links: Int[Array, "link 2"]

    @property
    def degrees(self) -> Int[Array, "astrocyte"]:
        """How many others each astrocyte is joined to."""
        return np.bincount(self.links.ravel(), minlength=len(self.places))

    @property
    def pieces(self) -> Int[Array, "astrocyte"]:
        """The connected piece of each astrocyte, numbered from 0."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        count = len(self.places)
        joined = coo_array((np.ones(len(self.links)), tuple(self.links.T)), shape=(count, count))
        return connected_components(joined, directed=False)[1].astype("i8")

    def describe(self) -> str:
        """Size, degrees and pieces in words."""
        degrees, sizes = self.degrees, np.bincount(self.pieces)
        whole = "in one piece" if len(sizes) == 1 else f"in {len(sizes)} pieces, the largest of {sizes.max()}"
        return (f"{len(self.places)} astrocytes, {len(self.links)} gap junctions, degrees {degrees.min()} to "
                f"{degrees.max()} (mean {degrees.mean():.3g}), {whole}")


def graph(options: Options) -> Graph:
    """The graph that the options of astrocyte_graph ask for.

    Says so (`LooseGraph`) where it is not in one piece or misses the mean degree by more than a tenth. Errors:
    `UserError` for options that the kind of graph does not read, and for a degree that it cannot have.
    """
    _refuse_idle(options)
    found = _graph(tuple(options.items()))
    mean, asked = found.degrees.mean(), options["mean_degree"]
    missed = not options["link_radius"] and abs(mean - asked) > 0.1 * asked
    if found.pieces.max() > 0 or missed:
        note(LooseGraph, f"{options['topology']} graph: {found.describe()}"
                         + (f"; a mean degree of {asked:g} was asked for" if missed else ""))
    return found


@functools.lru_cache(maxsize=4)
def _graph(given: tuple) -> Graph:
    options = dict(given)
    where = places(options)
    if len(where) == 1:
        return Graph(where, np.zeros((0, 2), int))
    if options["mean_degree"] > len(where) - 1 and not options["link_radius"]:
        raise UserError(f"option mean_degree: {options['mean_degree']:g} is above {len(where) - 1}, the number of "
                        "others; give less, or more astrocytes")
    # after the places, and of its own: all kinds share the places
    random = np.random.default_rng([options["wiring_seed"], 1])
    return Graph(where, _sorted(KINDS[options["topology"]](where, options, random)))


def _refuse_idle(options: Options) -> None:
    for kind, names in OWN.items():
        for name in names:
            if kind != options["topology"] and options[name] != OPTIONS[name].default:
                raise UserError(f"option {name}: belongs to topology {kind}, and has no effect with "
                                f"{options['topology']}; leave it out")
    if options["topology"] == "link_radius" and options["link_radius"] and (
            options["mean_degree"] != OPTIONS["mean_degree"].default):
        raise UserError("option mean_degree: has no effect beside link_radius; give one of the two")


def count(options: Options) -> int:
    """How many astrocytes there are. Errors: `UserError` above a million."""
    number = options["n_side"] ** options["dimensions"]
    if number > 1_000_000:
        raise UserError(f"n_side: {options['n_side']} in {options['dimensions']} dimensions are {number} astrocytes, "
                        "above 1000000; give fewer")
    return number


def places(options: Options) -> Float[Array, "astrocyte axis"]:
    """Places in um, float64 (astrocyte, axis): a lattice, each moved by a normal deviation.

    A deviation that is longer than half of what lies between `spacing` and `least_distance` is drawn again, so that no
    two come nearer to each other than the latter.
    """
    side, axes, spacing = options["n_side"], options["dimensions"], options["spacing"]
    room = (spacing - options["least_distance"]) / 2
    if room <= 0:
        raise UserError(f"option least_distance: {options['least_distance']:g} um is not below the spacing, "
                        f"{spacing:g} um; give less")
    lattice = np.stack(np.unravel_index(np.arange(count(options)), (side,) * axes), axis=1) * spacing
    random, moved = np.random.default_rng([options["wiring_seed"], 0]), np.zeros(lattice.shape)
    left = np.arange(len(lattice)) if options["jitter"] else np.zeros(0, int)
    while len(left):
        moved[left] = options["jitter"] * random.standard_normal((len(left), axes))
        left = left[np.linalg.norm(moved[left], axis=1) > room]
    return lattice + moved


def _sorted(links: Int[Array, "link 2"]) -> Int[Array, "link 2"]:
    return np.unique(np.sort(np.asarray(links, int).reshape(-1, 2), axis=1), axis=0)
