"""The part on the simulation: short simulations made anew, each with its command."""

import shlex
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from astro_sim.dynamics import scan
from astro_sim.recording.recording import Recording
from derivation.record.entry import Record
from derivation.simulation import simulations
from derivation.simulation.cache import kept_in, simulate
from figures import (
    fig_bifurcation,
    fig_glutamate,
    fig_phase_plane,
    fig_places,
    fig_raster,
    fig_retention,
    fig_stp_ltp,
    fig_wave,
    style,
)
from figures.report import recordings
from figures.report.pictures import Missing, Picture, picture
from figures.sources import Sources
from foundation.errors import UserError
from foundation.files import cache_folder
from foundation.pictures import named

STEPS = 240  # of a cycle, a tenth of the record's
NETWORK = {"seconds": 1.0, "step": (0.4, 0.8), "dt": "1 ms"}
SYNAPSE = ("tripartite", ("regular:input=spikes,rate=8 hertz,start=0.5 s,count=56", "spikes:input=release,times=3s"))
SYNAPSE_SECONDS = 8.0


class Short(Sources):
    """The same simulations in larger steps: for a look, not for a number of the record."""

    @cached_property
    def cycles(self) -> Recording:
        return simulations.driven_cycles(self.cycle_seconds, self._reduced("gamma_l"), STEPS)

    @cached_property
    def layouts(self) -> dict[str, Recording]:
        return {layout: simulations.driven_layout(layout, "20 ms") for layout in ("equal", "grid")}


_SYNAPSE_COMMAND = shlex.join([
    "python", "-m", "astro_sim", "run", SYNAPSE[0], *(word for drive in SYNAPSE[1] for word in ("--protocol", drive)),
    "--option", "loop=open", "--duration", f"{SYNAPSE_SECONDS:g} s", "--dt", "5 ms", "--out", "synapse.nc"])


def _synapse(sources: Sources):
    recording = simulate(*SYNAPSE, options={"loop": "open"}, duration=SYNAPSE_SECONDS, dt="5 ms")
    return recordings.drawn(recording, ("u_S", "x_S", "Y_S", "Gamma_S"))[0]


@dataclass(frozen=True)
class Shown:
    """A picture of the part: what draws it from the record's sources, its title, caption, and the full figure's name.

    Without a figure of that name, it is the synapse's recording.
    """

    draw: Callable[[Sources], object]
    title: str
    caption: str
    figure: str

    @property
    def command(self) -> str:
        """What draws it again, at full length; or records it."""
        return f"python -m figures {self.figure} --out output" if self.figure else _SYNAPSE_COMMAND


def _bifurcation(sources: Sources):
    figure, (above, below) = style.subplots(2, 1, width=7.0, height=5.6, sharex=True, height_ratios=(2, 1))
    diagram = scan("li_rinzel:AM", over="ip3", low="0.2 umolar", high="0.8 umolar", points=24)
    diagram.plot(above)
    fig_bifurcation.period(below, diagram)
    above.set(xlabel="", ylim=(0, None))
    below.set_ylim(0, 40)
    handles = named(above, below)
    for axes in (above, below):
        if axes.get_legend():
            axes.get_legend().remove()
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=2, fontsize=8)
    return figure


SHOWN: Mapping[str, Shown] = {
    "glutamate": Shown(fig_glutamate.draw, "Calcium, IP3 and h of an astrocyte under three levels of glutamate",
                       "Two published parameter sets under the same steps of glutamate (DePitta2009).", "glutamate"),
    "synapse": Shown(_synapse, "A synapse under spikes at 8 Hz, and a release of gliotransmitter at 3 s",
                     "Resources used and left by each spike, glutamate in the cleft, and the receptors that the "
                     "release binds: from then on each spike releases less.", ""),
    "stp_ltp": Shown(fig_stp_ltp.draw, "Short- and long-term state of the macro model over the cycles",
                     "Where grey, both layers are driven. Of the long-term state the memory's retention is made.",
                     "stp_ltp"),
    "places": Shown(fig_places.draw, "Short-term state by place",
                    "Equal distances leave it uniform; on a grid it is larger near the centre of activity.", "places"),
    "retention": Shown(fig_retention.draw, "Retention: recorded increments, closed form, tensor of the network",
                       "The same numbers three times: simulated, by the form, and in the network as built.",
                       "retention"),
    "phase_plane": Shown(fig_phase_plane.draw, "Calcium and its gate: nullclines, equilibria and a course",
                         "Where the nullclines cross nothing moves; what that point is decides what the cell does.",
                         "phase_plane"),
    "bifurcation": Shown(_bifurcation, "Equilibria and oscillations of calcium over IP3",
                         "Between the two Hopf points calcium oscillates; below, its period.", "bifurcation"),
    "wave": Shown(lambda sources: fig_wave.waves(fig_wave.FLUXES[:2], 2), "Calcium waves on a ring of astrocytes",
                  "Element against time; the astrocyte in the middle is fed IP3. With a third of the published flux "
                  "through gap junctions no wave leaves it.", "wave"),
    "raster": Shown(lambda sources: fig_raster.raster_of(fig_raster.network(**NETWORK), NETWORK["step"]),
                    "Spikes of a network, calcium of its astrocytes, receptors bound",
                    "One second, in steps of 1 ms; the command shows more, with releases.", "raster"),
}


@dataclass(frozen=True)
class Simulation:
    """`pictures` of simulations made for the page, none where nothing was simulated; the `commands` that draw them."""

    pictures: Sequence[Picture | Missing]
    commands: Sequence[str]


def simulation(record: Record, *, anew: bool = True) -> Simulation:
    """Simulate where `anew`; what is simulated is kept in the user's cache, and the next page is made sooner."""
    return Simulation(_drawn(record) if anew else (), [one.command for one in SHOWN.values()])


def _drawn(record: Record) -> list[Picture | Missing]:
    sources, drawn = Short(record), []
    with kept_in(cache_folder()), warnings.catch_warnings(action="ignore"):  # what a page cannot say, its command does
        for one in SHOWN.values():
            try:
                drawn.append(picture(one.draw(sources), one.title, caption=one.caption, command=one.command))
            except UserError as error:
                drawn.append(Missing(one.title, str(error), one.command))
    return drawn
