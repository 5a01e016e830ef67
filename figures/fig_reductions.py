"""Full models against the reduced ones, a panel for each group of constants; grey is where they agree to 5 %."""

import numpy as np

from derivation.reductions import coupling, cycle, long_term, process, resting, sheet, synapse
from derivation.reductions.registry import REDUCTIONS
from figures import style
from figures.sources import Sources

FULL = {"marker": "o", "ms": 4.5, "mfc": "none", "lw": 0}
COLOURS = (style.ORANGE, style.BLUE, style.GREEN)


def draw(sources: Sources):
    figure, axes = style.subplots(2, 4, width=14.0, height=6.6)
    panels = (_cycle, _recovery, _rate_curve, _decay, _response, _line, _sheet, _long_term)
    for axis, panel in zip(axes.flat, panels, strict=True):
        panel(axis)
        axis.title.set_fontsize(9.5)
        axis.legend(fontsize=7.5)
    figure.suptitle("Macro constants: circles are the full models, lines the reduced ones, grey the range within 5 %",
                    fontsize=11)
    return figure


def _value(name: str) -> str:
    one = REDUCTIONS[name]
    unit = {"1": "", "second": " s", "umolar": " µM"}[one.unit]
    return f"{name} = {one.value(None):.4g}{unit}"


def _range(axis, name: str, low: float | None = None) -> None:
    valid = REDUCTIONS[name].valid
    axis.axvspan(valid.low if low is None else low, valid.high, color="0.92", lw=0)


def _cycle(axis) -> None:
    ip3, period = zip(*cycle.full_cycles(), strict=True)
    _range(axis, "tau_cycle")
    axis.plot(ip3, period, color=style.ORANGE, **FULL, label="full: IP3 moves with calcium")
    axis.axhline(REDUCTIONS["tau_cycle"].value(None), color=style.BLUE, label="reduced: IP3 held at 0.5 µM")
    axis.set(title=_value("tau_cycle"), xlabel="mean IP3 of a cycle (µM)", ylabel="period (s)", ylim=(0, None))


def _recovery(axis) -> None:
    pause, plasticity = np.linspace(0, 2, 41), synapse.plasticity()
    for rate, colour in zip((0.01, 2.5, 20.0), COLOURS, strict=True):
        full, reduced = synapse.recovery(pause, rate, **plasticity)
        axis.plot(pause, full, color=colour, **FULL)
        axis.plot(pause, reduced, color=colour, label=f"after a train of {rate:g} Hz")
    valid = REDUCTIONS["tau_s"].valid
    axis.set(title=f"{_value('tau_s')}, beta = {synapse.BETA.value:g}: to {valid.high:.2g} Hz", xlabel="pause (s)",
             ylabel="release of a test spike (1 = at rest)", ylim=(0, None))


def _rate_curve(axis) -> None:
    rates = np.geomspace(0.05, 200, 25)
    _range(axis, "theta_half", low=rates[0])
    axis.plot(rates, [synapse.poisson_output(float(rate)) for rate in rates], color=style.ORANGE, **FULL,
              label="full: Poisson trains")
    axis.plot(rates, [synapse.theta(rate) for rate in rates], color=style.BLUE, label="reduced: logistic function")
    axis.set(title=f"{_value('theta_half')}, {_value('theta_width')}", xlabel="rate (Hz)", xscale="log",
             ylabel="release per second (1 = largest)", xlim=(rates[0], rates[-1]))


def _decay(axis) -> None:
    time = np.linspace(0, 1.5, 31)
    for gained, colour in zip((0.01, 0.04, 0.1), COLOURS, strict=True):
        axis.plot(time, process.calcium_decay(gained, time)[0], color=colour, **FULL, label=f"{gained:g} µM gained")
    axis.plot(time, process.calcium_decay(0.01, time)[1], color=style.BLACK, label="reduced")
    axis.set(title=f"{_value('tau_ps')}: to {REDUCTIONS['tau_ps'].valid.high:.2g} µM", xlabel="time (s)",
             ylabel="calcium above rest (1 = gained)")


def _response(axis) -> None:
    calcium = np.linspace(resting.at_rest().calcium, process.PEAK, 31)
    full, reduced = process.production(calcium)
    _range(axis, "psi_width")
    axis.plot(calcium, full, color=style.ORANGE, **FULL, label="full: IP3 by PLC delta")
    axis.plot(calcium, reduced, color=style.BLUE, label="reduced: tanh")
    axis.set(title=f"psi: {_value('psi_width')}", xlabel="calcium (µM)", ylabel="production above rest (1 = largest)")


def _line(axis) -> None:
    place = np.arange(coupling.SEEN + 1)
    names = {"dense": "dense: calcium let in", "diffusive": "diffusive: IP3 let in"}
    for (kind, label), colour in zip(names.items(), COLOURS, strict=False):
        full, reduced = coupling.responses(kind, coupling.SMALL)
        axis.plot(place, full, color=colour, **FULL)
        axis.plot(place, reduced, color=colour, label=label)
    axis.set(title=f"{_value('a')}, {_value('ell')}, {_value('D')}", xlabel="distance on a line (places)",
             ylabel="calcium (1 = driven astrocyte)", yscale="log")


def _sheet(axis) -> None:
    distance, full, reduced = sheet.responses()
    _range(axis, "a_sheet")
    axis.plot(distance, full / full[0], color=style.ORANGE, **FULL, label="full: square lattice")
    axis.plot(distance, reduced / full[0], color=style.BLUE, label="reduced: nearest exponential")
    axis.set(title=f"{_value('a_sheet')}, {_value('ell_sheet')}", xlabel="distance on a sheet (places)",
             ylabel="calcium (1 = nearest neighbour)", ylim=(0, None))


def _long_term(axis) -> None:
    seconds = cycle.tau_cycle()
    for rate, colour in zip((0.4, 1.0, 3.0), COLOURS, strict=True):
        full, reduced = long_term.efficacy(1 / rate, seconds), long_term.reduced_efficacy(1 / rate, seconds)
        axis.plot(full, color=colour, **FULL)
        axis.plot(reduced, color=colour, label=f"pairs at {rate:g} Hz")
    valid = REDUCTIONS["gamma_l"].valid
    axis.set(title=f"{_value('gamma_l')}: from {valid.low:.2g} Hz", xlabel="cycle",
             ylabel="efficacy rho = p_l", ylim=(0, None))
