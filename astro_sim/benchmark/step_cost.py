"""The cost of a step by network size: rings, sheets and tripartite synapses, timed in turns.

NumPy is what `simulate` takes unless told otherwise; Cython is the other backend whose steps run in this process. Which
is quicker depends on the model: NumPy computes several exponentials at a time, Cython needs no temporary arrays.

The exponent is that of what a step costs beyond a step of the smallest network, which is nearly all fixed cost. A fixed
cost that stays in would hide how the rest grows; a little too much taken out makes the exponent larger, never smaller.
"""

import time
from collections.abc import Callable, Sequence

import numpy as np

from astro_sim.brian.network import build
from astro_sim.plan import Plan, prepare

SYNAPSES_AN_ASTROCYTE = 10
LEAST = 5                      # the fit takes sizes whose step costs this many times that of the smallest
TURNS = 5                      # batches of steps of every network
CELL_STEPS = 6e5               # of one batch: fewer steps of larger networks,
FEWEST, MOST = 6, 60           # between these
GAPS = {"ring": "nonlinear", "sheet": "nonlinear", "line": "linear"}  # the line meets LSODA, which needs it smooth
DRIVEN = "constant:input=glutamate,value=2 umolar"


def astrocytes(layout: str, size: int, duration: float, backend: str, scheme: str = "extrapolated",
               **changes: object) -> Plan:
    """Astrocytes with calcium on its way, at 10 ms a step."""
    rows = max(2, round(size**0.5)) if layout == "sheet" else 1
    return prepare("astrocyte_network:AM", [DRIVEN, "constant:input=ip3_flux,value=0.2 umolar/second,elements=0"],
                   options={"layout": layout, "n_rows": rows, "n_columns": max(1, size // rows), "gaps": GAPS[layout],
                            "coupling_scheme": scheme},
                   duration=duration, dt="10 ms", backend=backend, **changes)


def _synapses(size: int, duration: float, backend: str, **changes: object) -> Plan:
    return prepare("tripartite", f"poisson:input=spikes,rate=10 hertz,stop={duration}s", duration=duration, dt="1 ms",
                   options={"n_synapses": size, "n_astrocytes": max(1, size // SYNAPSES_AN_ASTROCYTE)},
                   backend=backend, **changes)


NETWORKS: dict[str, Callable[..., Plan]] = {
    "ring": lambda size, steps, backend: astrocytes("ring", size, steps * 0.01, backend, record_every=steps * 0.01),
    "sheet": lambda size, steps, backend: astrocytes("sheet", size, steps * 0.01, backend, record_every=steps * 0.01),
    "tripartite": lambda size, steps, backend: _synapses(size, steps * 0.001, backend, record_every=steps * 0.001),
}


def step_costs(kind: str, sizes: Sequence[int], backend: str = "numpy") -> list[dict]:
    """Seconds of one step, and nanoseconds a step and cell (or synapse), by size; building is timed apart."""
    from astro_sim.brian import backend as device

    with device.opened(backend, 0), np.errstate(all="ignore"):
        networks = [_Stepped(kind, size, backend) for size in sizes]
        for _ in range(TURNS):
            for network in networks:
                network.batch()
        return [network.row() for network in networks]


class _Stepped:
    """A network that runs in batches of steps, every step timed."""

    def __init__(self, kind: str, size: int, backend: str):
        import brian2

        self.kind, self.backend, self.means, self.at = kind, backend, [], []
        self.steps = int(min(MOST, max(FEWEST, CELL_STEPS / size)))
        self.plan = NETWORKS[kind](size, 1 + TURNS * self.steps, backend)
        started = time.perf_counter()
        self.network = build(self.plan).network
        self.network.add(brian2.NetworkOperation(lambda: self.at.append(time.process_time()), when="end", order=1000,
                                                 dt=self.plan.dt * brian2.second))
        self._run(1)  # generates the code, compiles it
        self.seconds_to_build = time.perf_counter() - started

    def _run(self, steps: int) -> None:
        import brian2

        self.network.run(steps * self.plan.dt * brian2.second, namespace={})

    def batch(self) -> None:
        self.at.clear()
        self._run(self.steps)
        # the first steps fill what later ones reuse
        self.means.append((self.at[-1] - self.at[1]) / (len(self.at) - 2))

    def row(self) -> dict:
        cells, second = self.plan.size("synapse" if self.kind == "tripartite" else "astrocyte"), min(self.means)
        return {"backend": self.backend, "network": self.kind, "cells": cells, "steps": TURNS * self.steps,
                "seconds_a_step": second, "ns_a_cell_step": 1e9 * second / cells,
                "seconds_to_build": self.seconds_to_build}


def growth(rows: Sequence[dict]) -> dict | None:
    """Exponent of a step's cost, beyond that of the smallest network, against size; None below two sizes."""
    fixed = min((row["seconds_a_step"] for row in rows), default=0)
    used = [row for row in rows if row["seconds_a_step"] >= LEAST * fixed]
    if len(used) < 2:
        return None
    sizes, costs = [row["cells"] for row in used], [row["seconds_a_step"] - fixed for row in used]
    return {"exponent": float(np.polyfit(np.log(sizes), np.log(costs), 1)[0]), "sizes": sizes}
