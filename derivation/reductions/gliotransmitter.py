"""What gliotransmitter does to receptors at the terminal: the level that binds half, and the dose of one release."""

from functools import cache
from math import exp

from scipy.integrate import solve_ivp

from astro_sim.model.equation_text import right_sides
from astro_sim.models import MODELS
from astro_sim.models.tripartite import release
from astro_sim.parameter import Parameter, convert
from derivation.forms import feedback
from derivation.forms.ode import text_of
from derivation.record import closed_form
from derivation.reductions import cycle
from derivation.reductions.reduction import CLOSED_FORM_STEP, Changes, Held, Reduction, Valid, reach, values

MODEL, SET = "tripartite", "release_decreasing"
COHERENT = {"1": "1", "1/second": "1/second", "1/umolar/second": "1/umolar/second", "mmolar": "umolar"}
RARE, OFTEN = 600.0, 0.01  # seconds between releases


def _table(form) -> dict[str, Parameter]:
    known = MODELS[MODEL].parameters(SET)
    return {name: known[name] for name in sorted(map(str, form.free_symbols))}


def _number(form, changes: Changes) -> float:
    """`form` in umolar and seconds."""
    table = _table(form)
    given = {name: convert(value, table[name].unit, COHERENT[table[name].unit], name)
             for name, value in values(table, changes).items()}
    return closed_form.evaluate(text_of(form), given)


def half_level_parameters() -> dict[str, Parameter]:
    """Parameters that the half level depends on, by name."""
    return _table(feedback.derive().half_level_of_parameters)


def dose_parameters() -> dict[str, Parameter]:
    """Parameters that the dose depends on, by name."""
    return _table(feedback.derive().dose_of_parameters)


def half_level(changes: Changes = None) -> float:
    """Level of gliotransmitter, in umolar, at which half of the receptors are bound."""
    # (E4.7) half_level = Omega_G/O_G
    return _number(feedback.derive().half_level_of_parameters, changes)


def dose(changes: Changes = None) -> float:
    """Integral over time, in umolar second, of the gliotransmitter of one release from full stores."""
    # (E4.11) dose = rho_e G_T U_A/Omega_e
    return _number(feedback.derive().dose_of_parameters, changes)


def after_release(period: float) -> tuple[float, float]:
    """(receptors bound, stores) just after a release of a long train, one each `period` seconds."""
    table = {name: one.value for name, one in MODELS[MODEL].parameters(SET).items()}
    affinity = table["O_G"] * dose() / table["U_A"]
    bound = release.bound_by_regular_releases(1 / period, affinity, table["U_A"], table["Omega_A"], table["Omega_G"])
    return bound, (1 - table["U_A"]) * _stores(table, period)


def _stores(table: dict[str, float], period: float) -> float:
    """Share of the stores that each release of a long train finds."""
    left = exp(-table["Omega_A"] * period)
    return (1 - left) / (1 - (1 - table["U_A"]) * left)


@cache
def half_level_held() -> Held:
    """The receptors' own ODE at a constant level, long enough; exact but for the solver."""
    rates = right_sides(MODELS[MODEL].population("synapse").equations, {})
    table = {name: float(one.quantity()) for name, one in MODELS[MODEL].parameters(SET).items()}
    rest = dict.fromkeys(("u_S", "x_S", "Y_S", "x_A"), 0.0)
    level = half_level() * 1e-3  # umolar to mol/m^3

    def slope(t, y):
        return [rates({**table, **rest, "G_A": level, "Gamma_S": y[0]})["Gamma_S"]]

    found = solve_ivp(slope, (0, 2400), [0.0], "LSODA", rtol=1e-10, atol=1e-12).y[0, -1]
    return Held(abs(float(found) / 0.5 - 1), "receptors bound at a constant level, after 40 minutes",
                Valid("constant level of gliotransmitter", "umolar", low=0.0, high=1e6))


@cache
def dose_held() -> Held:
    """Against stores that recover between regular releases, one each calcium cycle."""
    table = {name: one.value for name, one in MODELS[MODEL].parameters(SET).items()}

    def error(period: float) -> float:
        return 1 / _stores(table, period) - 1

    return Held(error(cycle.tau_cycle()), "gliotransmitter of a release, one each cycle, stores recovering",
                Valid("time between releases", "second", low=reach(error, RARE, OFTEN), high=RARE))


REDUCTIONS = {  # not of the macro model: what the feedback of the network rests on
    "half_level": Reduction(
        value=half_level,
        parameters=half_level_parameters,
        model=f"{MODEL}:{SET}",
        relative_step=CLOSED_FORM_STEP,
        unit="umolar",
        meaning="level of gliotransmitter that binds half of the receptors",
        equation="E4.7",
        protocol="receptors at a constant level, steady",
        neglected="that gliotransmitter comes in pulses",
        held=half_level_held),
    "dose": Reduction(
        value=dose,
        parameters=dose_parameters,
        model=f"{MODEL}:{SET}",
        relative_step=CLOSED_FORM_STEP,
        unit="umolar*second",
        meaning="gliotransmitter of one release from full stores, integrated over time",
        equation="E4.11",
        protocol="one release a calcium cycle",
        neglected="stores that are not full again (Omega_A)",
        held=dose_held),
}
