"""Astrocytes that exchange IP3 through gap junctions: on a ring, a line or a sheet, with closed, open or periodic ends.

Calcium and IP3 are those of gchi at held glutamate; IP3 is also supplied from outside and passed to neighbours. What
passes is a sum over connections: taken at the middle of the step, so that it is of second order in dt, at no cost.
With coupling_scheme = held it is what it was at the start of the step, and of first order.
"""

from collections.abc import Callable

import numpy as np

from astro_sim.model import Connection, Input, Law, Model, Observable, Option, Options, Pairs, Population
from astro_sim.model.option import SCHEME
from astro_sim.model.views import Planned, Recorded
from astro_sim.models.gchi import (
    CLAMPED,
    INITIAL,
    IP3_SOURCE,
    OBSERVABLES,
    SIDE,
    SOURCE,
    SUPPLIED_IP3,
    clamped,
    degradation,
    exchange,
)
from astro_sim.models.li_rinzel import AM as CALCIUM_AM
from astro_sim.models.li_rinzel import EQUATIONS as CALCIUM
from astro_sim.models.li_rinzel import FM as CALCIUM_FM
from astro_sim.models.li_rinzel import LAWS, calcium_of_stimberg
from astro_sim.parameter import Parameter
from foundation.errors import UserError
from foundation.shapes import Array, Float

# (E2.20) IP3 as in gchi, with what comes from outside and from neighbours
TOGETHER = SUPPLIED_IP3.replace("+ J_ex", "+ J_ex + ip3_flux + J_coupling + J_bath")

EXCHANGE = SOURCE + """J_coupling : mmolar/second
J_bath  : mmolar/second
"""

# (E2.21) linear gap junctions
LINEAR = "J_coupling_post = F_linear*(I_pre - I_post) : mmolar/second (summed)"

# (E2.22) nonlinear gap junctions: they open where the difference exceeds I_Theta
NONLINEAR = f"""
J_coupling_post = F/2*(1 + tanh((abs(gap) - I_Theta)/omega_I))*{SIDE.format(gap="gap")} : mmolar/second (summed)
gap = I_pre - I_post : mmolar
"""

# (E2.24) an open end: each neighbour that is missing is a bath
BATH = "ends : 1 (constant)\n"
LINEAR_BATH = BATH + "J_bath_post = ends*F_linear*(I_bath - I_post) : mmolar/second (summed)"
NONLINEAR_BATH = BATH + f"""
J_bath_post = ends*F/2*(1 + tanh((abs(gap) - I_Theta)/omega_I))*{SIDE.format(gap="gap")} : mmolar/second (summed)
gap = I_bath - I_post : mmolar
"""

_HERE, _DP, _ST = "assumed here", "DePitta2009", "Stimberg2019"


def gaps(F_ex: float, source: str = _ST) -> dict[str, Parameter]:
    """Exchange with neighbours and with a source outside: parameters by name; F_ex in umolar/second."""
    return {
        "F":        Parameter(0.09, "umolar/second", "largest flux through a nonlinear gap junction", _ST, "fitted",
                              "nonnegative"),
        **exchange(F_ex, source),
        "F_linear": Parameter(0.09, "1/second", "rate of exchange through a linear gap junction: F at a difference of "
                              "1 umolar", _HERE, "assumed", "nonnegative"),
        "I_bath":   Parameter(0.05, "umolar", "IP3 beyond an open end",                        _HERE, "assumed",
                              "nonnegative"),
    }  # fmt: skip


AM = {**CALCIUM_AM, **clamped(0.2), **degradation(_DP, 0.02, 0.1, 0.04, 0.7, 2.0), **gaps(0.0, _HERE)}
FM = {**CALCIUM_FM, **clamped(0.5), **degradation(_DP, 0.05, 0.1, 0.05, 0.7, 2.0), **gaps(0.0, _HERE)}
# the ring of Stimberg2019 (figure 5) has no glutamate, so that the production of DePitta2009 is zero in it
RING = {**calcium_of_stimberg(0.05), **clamped(0.2), **degradation(_ST, 0.6, 0.1, 0.05, 0.7, 4.5), **gaps(0.09)}


def astrocytes(options: Options) -> int:
    """How many there are; raises `UserError` where layout, rows and boundary contradict each other."""
    layout, rows, boundary = options["layout"], options["n_rows"], options["boundary"]
    if (layout == "sheet") != (rows > 1):
        raise UserError(f"n_rows: {rows} is not allowed with layout {layout}; a ring or line has 1, a sheet 2 or more")
    if layout == "ring" and boundary == "open":
        raise UserError("boundary: 'open' is not allowed with layout ring, which has no end; use a line")
    return rows * options["n_columns"]


def places(options: Options) -> Float[Array, "astrocyte axis"]:
    """Places of the astrocytes, neighbours 1 apart: [row, column] on a sheet, [x] on a line, [x, y] on a ring."""
    k = np.arange(astrocytes(options))
    if options["layout"] == "sheet":
        return np.stack(np.divmod(k, options["n_columns"]), axis=1).astype(float)
    if options["layout"] == "line" or len(k) < 3:
        return k[:, None].astype(float)
    angle = 2 * np.pi * k / len(k)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) / (2 * np.sin(np.pi / len(k)))


def _steps(options: Options) -> tuple[Array, Array]:
    """Every element's neighbour in each direction, int [direction, element]; -1 where there is none."""
    rows, columns = options["n_rows"], options["n_columns"]
    row, column = np.divmod(np.arange(astrocytes(options)), columns)
    round_about = options["layout"] == "ring" or options["boundary"] == "periodic"
    found = []
    for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0))[: 4 if options["layout"] == "sheet" else 2]:
        to_row, to_column = row + down, column + right
        inside = (to_row >= 0) & (to_row < rows) & (to_column >= 0) & (to_column < columns)
        target = to_row % rows * columns + to_column % columns
        found.append(target if round_about else np.where(inside, target, -1))
    return np.stack(found)


def neighbours(options: Options) -> Pairs:
    """Each astrocyte with its neighbours, both ways, each pair once even where the way round is as short."""
    near = _steps(options)
    source, target = np.broadcast_to(np.arange(near.shape[1]), near.shape)[near >= 0], near[near >= 0]
    pairs = np.unique(target[source != target] * near.shape[1] + source[source != target])
    return Pairs(pairs % near.shape[1], pairs // near.shape[1])


def open_ends(options: Options) -> Pairs:
    """Each astrocyte that lacks neighbours with itself, and how many it lacks."""
    lacking = (_steps(options) < 0).sum(axis=0)
    edge = np.flatnonzero(lacking)
    return Pairs(edge, edge, {"ends": lacking[edge].astype(float)})


def _unbalanced(plan: Planned, recording: Recorded) -> Float[Array, "time"] | None:
    """What flows through all gap junctions, as a share of all that flows: what leaves one astrocyte enters another."""
    flux = recording["J_coupling"].values
    size = np.abs(flux).sum(axis=1)
    return flux.sum(axis=1) / np.where(size > 0, size, 1.0)


def _connection(name: str, meaning: str, text: str, *, pairs: Callable[[Options], Pairs], **when: str) -> Connection:
    return Connection(name, "astrocyte", "astrocyte", meaning, text, pairs,
                      when={key: (value,) for key, value in when.items()})


MODEL = Model(
    name="astrocyte_network",
    summary="calcium and IP3 of astrocytes coupled by gap junctions on a ring, a line or a sheet (3 ODEs an astrocyte)",
    populations=(Population("astrocyte", "one compartment each; on a sheet k = row*n_columns + column",
                            CALCIUM + TOGETHER + CLAMPED + EXCHANGE, size=astrocytes, positions=places),),
    connections=(
        _connection("linear_gaps", "gap junctions between neighbours", LINEAR, pairs=neighbours, gaps="linear"),
        _connection("nonlinear_gaps", "gap junctions between neighbours", NONLINEAR, pairs=neighbours,
                    gaps="nonlinear"),
        _connection("linear_bath", "what lies beyond an open end", LINEAR_BATH, pairs=open_ends, gaps="linear",
                    boundary="open"),
        _connection("nonlinear_bath", "what lies beyond an open end", NONLINEAR_BATH, pairs=open_ends, gaps="nonlinear",
                    boundary="open"),
    ),
    parameter_sets={"Stimberg2019": RING, "AM": AM, "FM": FM},
    initial=INITIAL,
    inputs={"glutamate": Input("astrocyte", "glutamate", "umolar", 0.0, "glutamate outside, held",
                                allowed="nonnegative"),
            "ip3_source": IP3_SOURCE,
            "ip3_flux": Input("astrocyte", "ip3_flux", "umolar/second", 0.0, "IP3 let in, whatever the concentration")},
    observables={**OBSERVABLES, "J_coupling": Observable("astrocyte", "umolar/second",
                                                         "IP3 that comes through gap junctions")},
    options={"layout": Option("ring", ("ring", "line", "sheet"), "where the astrocytes are"),
             "n_columns": Option(50, (1, 1_000_000), "astrocytes in a row"),
             "n_rows": Option(1, (1, 1000), "rows of a sheet"),
             "gaps": Option("nonlinear", ("nonlinear", "linear"), "how IP3 passes between neighbours"),
             "boundary": Option("closed", ("closed", "open", "periodic"), "what is beyond the ends: nothing, a bath at "
                                "I_bath, the other end"),
             "coupling_scheme": SCHEME},
    sources=("LiRinzel1994", "DePitta2009", "Stimberg2019"),
    not_modelled="diffusion inside an astrocyte, calcium and ATP through or around gap junctions, receptor noise",
    laws=(*LAWS, Law("the sum of the flux through gap junctions", "zero", _unbalanced),),
)
