"""Which astrocyte each synapse belongs to: checked when it is made, described in words, saved with a recording.

    chosen = SynapseMap.nearest(synapse_places, astrocyte_places)
    print(chosen.describe())

In the best-known public network example 41.6 % of the excitatory synapses have a negative astrocyte index, hence no
astrocyte at all, and the after-effect that it reports goes away once the map is repaired. So a map is an object here:
every synapse has exactly one astrocyte, and an astrocyte without synapses is refused unless that is asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from astro_sim.model.views import Recorded
from foundation.errors import UserError, unknown
from foundation.shapes import Array, Float, Int

IDLE = ("refused", "allowed")
Places = Sequence[Sequence[float]] | Array
TIE = 1e-9  # astrocytes whose distances differ by less, relatively, are equally near: rounding must not choose


@dataclass(frozen=True, eq=False)
class SynapseMap:
    """`astrocytes` int64 (synapse,): the astrocyte, 0 to `n_astrocytes` - 1, of every synapse.

    Places, where known, are float64 (element, axis) in places of the sheet. idle: "refused", or "allowed" for
    astrocytes without a synapse. Errors: `UserError` for an astrocyte that is not there, or idle and refused.
    """

    astrocytes: ArrayLike  # checked, and made int64 (synapse,)
    n_astrocytes: int
    idle: str = "refused"
    synapse_places: Float[Array, "synapse axis"] | None = None
    astrocyte_places: Float[Array, "astrocyte axis"] | None = None

    def __post_init__(self):
        if self.idle not in IDLE:
            raise unknown("choice for idle astrocytes", self.idle, IDLE)
        given = np.asarray(self.astrocytes)
        if given.ndim != 1 or given.dtype.kind not in "iuf" or (given != np.rint(given)).any():
            raise UserError(f"map: an array of shape {given.shape} and type {given.dtype} is not a map; give one "
                            "whole number for each synapse")
        found = given.astype("i8")
        object.__setattr__(self, "astrocytes", found)
        outside = np.flatnonzero((found < 0) | (found >= self.n_astrocytes))
        if len(outside):
            raise UserError(f"map: synapse {outside[0]}{_others(outside)} has astrocyte {found[outside[0]]}; "
                            f"astrocytes are 0 to {self.n_astrocytes - 1}")
        idle = self.idle_astrocytes
        if self.idle == "refused" and len(idle):
            raise UserError(f"map: astrocyte {idle[0]}{_others(idle)} has no synapse; leave it out, map one to it, or "
                            "allow idle astrocytes")

    @classmethod
    def nearest(cls, synapse_places: Places, astrocyte_places: Places, *, idle: str = "refused",
                period: Sequence[float] | None = None) -> "SynapseMap":
        """Each synapse to its nearest astrocyte, and where several are equally near to that with the lowest number.

        Places: float (element, axis). period: lengths after which the sheet repeats itself, one an axis.
        Errors: `UserError` for places that are not numbers, of different dimensions, or no astrocyte at all.
        """
        from scipy.spatial import cKDTree

        synapses, astrocytes = _places(synapse_places, "synapse"), _places(astrocyte_places, "astrocyte")
        if len(astrocytes) == 0 or synapses.shape[1] != astrocytes.shape[1]:
            raise UserError(f"map: synapse places {synapses.shape} and astrocyte places {astrocytes.shape} do not fit; "
                            "give at least one astrocyte, and as many coordinates for both")
        moved = (synapses, astrocytes) if period is None else (synapses % period, astrocytes % period)
        tree = cKDTree(moved[1], boxsize=period)
        far, _ = tree.query(moved[0])
        around = tree.query_ball_point(moved[0], far * (1 + TIE) + np.finfo(float).tiny, return_sorted=True)
        return cls([one[0] for one in around], len(astrocytes), idle, synapses, astrocytes)

    @classmethod
    def equal_shares(cls, n_synapses: int, n_astrocytes: int) -> "SynapseMap":
        """Neighbouring synapses in shares that differ by one at most. Errors: `UserError` for too many astrocytes."""
        if n_astrocytes > n_synapses:
            raise UserError(f"map: {n_astrocytes} astrocytes are more than the {n_synapses} synapses; give at most one "
                            "astrocyte for each synapse")
        return cls(np.arange(n_synapses) * n_astrocytes // n_synapses, n_astrocytes)

    @classmethod
    def of_array(cls, astrocytes: Sequence[int], n_synapses: int, n_astrocytes: int, *, idle: str = "refused",
                 synapse_places: Places | None = None, astrocyte_places: Places | None = None) -> "SynapseMap":
        """A map that the user made. Errors: `UserError` where it does not hold one astrocyte a synapse."""
        if len(astrocytes) != n_synapses:
            raise UserError(f"map: {len(astrocytes)} entries for {n_synapses} synapses; give each synapse exactly one "
                            "astrocyte")
        return cls(astrocytes, n_astrocytes, idle, synapse_places, astrocyte_places)

    @classmethod
    def of_recording(cls, recording: Recorded) -> "SynapseMap":
        """The map that a recording was made with. Errors: `UserError` where it has none."""
        for belongs in recording.maps.values():
            if (belongs.population, belongs.target) == ("synapse", "astrocyte"):
                seen = {name: [s for s in recording.variables.values() if s.population == name]
                        for name in ("synapse", "astrocyte")}
                places = (one[0].positions if one else None for one in seen.values())
                return cls(belongs.indices, seen["astrocyte"][0].values.shape[1], "allowed", *places)
        raise UserError(f"map: a recording of {recording.meta['model']} with these options has no map of synapses on "
                        "astrocytes; give one of tripartite or neuron_glia_network with loop = open or closed")

    @property
    def in_degree(self) -> Int[Array, "astrocyte"]:
        """How many synapses each astrocyte has."""
        return np.bincount(self.astrocytes, minlength=self.n_astrocytes)

    @property
    def idle_astrocytes(self) -> Int[Array, "idle"]:
        """Astrocytes without a synapse, rising."""
        return np.flatnonzero(self.in_degree == 0)

    @property
    def shares(self) -> Float[Array, "synapse"]:
        """1 over the number of synapses of its astrocyte: weights of the mean over an astrocyte."""
        return 1.0 / self.in_degree[self.astrocytes]

    def describe(self) -> str:
        """Size, coverage and in-degree in one or two lines; distances where the places are known."""
        count, busy = self.in_degree, self.n_astrocytes - len(self.idle_astrocytes)
        words = f"{len(self.astrocytes)} synapses on {busy} of {self.n_astrocytes} astrocytes, each on exactly one"
        if busy:
            kept = count[count > 0]
            words += f"; synapses an astrocyte: {kept.min()} to {kept.max()}, median {np.median(kept):g}"
        if busy < self.n_astrocytes:
            words += f"; {self.n_astrocytes - busy} astrocytes are idle"
        if self.synapse_places is not None and self.astrocyte_places is not None and len(self.astrocytes):
            far = np.linalg.norm(self.synapse_places - self.astrocyte_places[self.astrocytes], axis=1)
            words += f"\ndistance to the astrocyte: median {np.median(far):.3g}, largest {far.max():.3g} places"
        return words


def _others(found: Int[Array, "wrong"]) -> str:
    return f" (and {len(found) - 1} more)" if len(found) > 1 else ""


def _places(given: Places, what: str) -> Float[Array, "place axis"]:
    places = np.asarray(given, float)
    if places.ndim != 2 or not np.isfinite(places).all():
        raise UserError(f"map: {what} places of shape {places.shape} are not allowed; give finite numbers, one row of "
                        f"coordinates a {what}")
    return places
