"""How each kind of graph is drawn: places in um, options and a random generator -> links, int64 (link, 2).

A pair may come in either order; options are those of astrocyte_graph.
"""

import numpy as np

from astro_sim.model import Options
from foundation.errors import UserError
from foundation.shapes import Array, Float, Int


def _whole(name: str, value: float, text: str) -> int:
    if value != int(value) or value < 1:
        raise UserError(f"option mean_degree: {name} {text} {value:g} is not")
    return int(value)


def _regular(where: Float[Array, "astrocyte axis"], options: Options, random: np.random.Generator
             ) -> Int[Array, "link 2"]:
    """In rounds, each astrocyte of too low a degree is joined to the nearest that may have one more link."""
    from scipy.spatial import cKDTree

    degree = _whole("a regular graph has", options["mean_degree"], "a whole number of links an astrocyte;")
    near = cKDTree(where).query_ball_point(where, options["longest_link"])
    near = [np.array(found)[np.argsort(np.linalg.norm(where[found] - where[k], axis=1), kind="stable")].tolist()
            for k, found in enumerate(near)]
    joined: list[set[int]] = [{k} for k in range(len(where))]  # nobody is joined to itself
    for most in range(1, degree + 1):
        for k in random.permutation(len(where)).tolist():
            if len(joined[k]) <= most:
                other = next((j for j in near[k] if j not in joined[k] and len(joined[j]) <= most), None)
                if other is not None:
                    joined[k].add(other)
                    joined[other].add(k)
    return np.array([(k, j) for k, others in enumerate(joined) for j in others if k < j], int).reshape(-1, 2)


def _link_radius(where: Float[Array, "astrocyte axis"], options: Options, random: np.random.Generator
                 ) -> Int[Array, "link 2"]:
    """All that are nearer than the radius; without one, as many of the nearest pairs as the mean degree asks for."""
    from scipy.spatial import cKDTree

    tree = cKDTree(where)
    if options["link_radius"]:
        return tree.query_pairs(np.nextafter(options["link_radius"], 0), output_type="ndarray")
    wanted = round(options["mean_degree"] * len(where) / 2)
    radius, found = options["spacing"], np.zeros((0, 2), int)
    while len(found) < wanted:
        radius *= 1.5
        found = tree.query_pairs(radius, output_type="ndarray")
    far = np.linalg.norm(where[found[:, 0]] - where[found[:, 1]], axis=1)
    return found[np.lexsort((found[:, 1], found[:, 0], far))[:wanted]]


def _erdos_renyi(where: Float[Array, "astrocyte axis"], options: Options, random: np.random.Generator
                 ) -> Int[Array, "link 2"]:
    """Each pair by chance, wherever they are."""
    # (E2.67) P(i meets j) = mean degree/(n - 1): as many pairs as that gives by chance, each as likely as any other
    n = len(where)
    pairs = n * (n - 1) // 2
    wanted, found = random.binomial(pairs, options["mean_degree"] / (n - 1)), np.zeros(0, int)
    while len(found) < wanted:
        more = random.integers(pairs, size=2 * (wanted - len(found)) + 10)
        together = np.concatenate([found, more])
        found = together[np.sort(np.unique(together, return_index=True)[1])]
    return np.stack(_pair_of(found[:wanted], n), axis=1)


def _scale_free(where: Float[Array, "astrocyte axis"], options: Options, random: np.random.Generator
                ) -> Int[Array, "link 2"]:
    """One after the other, each joined to those that have many links already and are near."""
    new = _whole("half of it is the number of links that a new astrocyte brings, which", options["mean_degree"] / 2,
                 "must be whole;")
    order = random.permutation(len(where))
    degrees, links = np.zeros(len(where)), []
    degrees[order[0]] = 1.0  # so that the second can be joined to the first
    for n in range(1, len(where)):
        k, there = order[n], order[:n]
        # (E2.68) P(k meets j) ~ degree_j exp(-distance/range): the largest of these with Gumbel noise are a draw
        # without replacement
        far = np.linalg.norm(where[there] - where[k], axis=1)
        keys = np.log(degrees[there]) - far / options["interaction_range"] + random.gumbel(size=n)
        chosen = there[np.argsort(keys)[-min(new, n):]]
        links += [(k, j) for j in chosen]
        if n == 1:
            degrees[order[0]] = 0.0
        degrees[chosen] += 1
        degrees[k] += len(chosen)
    return np.array(links, int)


def _small_world(where: Float[Array, "astrocyte axis"], options: Options, random: np.random.Generator
                 ) -> Int[Array, "link 2"]:
    """Neighbours along the axes of the lattice; each link by chance leads to any other astrocyte instead."""
    side, axes, n = options["n_side"], options["dimensions"], len(where)
    reach = _whole(f"a lattice of {axes} dimensions has {2 * axes} links an astrocyte for each step along an axis, and "
                   f"the number of steps, 1/{2 * axes} of it,", options["mean_degree"] / (2 * axes), "must be whole;")
    at = np.stack(np.unravel_index(np.arange(n), (side,) * axes), axis=1)
    joined: set[tuple[int, int]] = set()
    for step in (m * unit for m in range(1, reach + 1) for unit in np.eye(axes, dtype=int)):
        inside = ((at + step) < side).all(axis=1)
        others = np.ravel_multi_index(tuple((at[inside] + step).T), (side,) * axes)
        joined |= set(zip(np.flatnonzero(inside).tolist(), others.tolist(), strict=True))
    for link in sorted(joined):
        if random.random() < options["shortcuts"] and len(joined) < n * (n - 1) // 2:
            joined.remove(link)
            other = link
            while other[0] == other[1] or other in joined or other == link:
                other = tuple(sorted((link[0], int(random.integers(n)))))
            joined.add(other)
    return np.array(sorted(joined), int).reshape(-1, 2)


def _pair_of(index: Int[Array, "link"], n: int) -> tuple[Int[Array, "link"], Int[Array, "link"]]:
    """The pair (i, j), i < j, of each index, where pairs are counted row by row."""
    first = np.searchsorted(np.cumsum(np.arange(n - 1, 0, -1)), index, side="right")
    before = first * (2 * n - first - 1) // 2
    return first, index - before + first + 1


KINDS = {"regular": _regular, "link_radius": _link_radius, "erdos_renyi": _erdos_renyi, "scale_free": _scale_free,
         "small_world": _small_world}
