"""The macro model's constants: which are reduced from biophysical models, which are conventions, which are assumed.

A reduction is a function of biophysical parameters with its protocol, what it neglects, its error against the full
model and the range in which it stays within 5 % of it; see derivation/reductions/.
"""

from collections.abc import Mapping

from astro_sim.models import MODELS
from astro_sim.parameter import Parameter
from derivation.reductions import (
    calcium_curve,
    coupling,
    cycle,
    gliotransmitter,
    long_term,
    process,
    resting,
    sheet,
    synapse,
)
from derivation.reductions.cycle import tau_cycle
from derivation.reductions.long_term import gamma_l
from derivation.reductions.reduction import Reduction
from foundation.errors import choose

__all__ = ["ASSUMED", "CONVENTIONS", "REDUCTIONS", "Reduction", "gamma_l", "rows", "tau_cycle", "text"]

# Shares of a parameter for central differences: of the period, whose solver is off by 1e-9; of a steady state, which
# Newton's method gives to 1e-13; and of a closed form.
PERIOD_STEP, REST_STEP, CLOSED_FORM_STEP = 1e-3, 1e-4, 1e-5

_CALCIUM = f"{cycle.CALCIUM_MODEL}:{cycle.CALCIUM_SET}"
_SYNAPSE = f"{synapse.MODEL}:{synapse.SET}"
_NETWORK = f"{resting.MODEL}:{resting.SET}"
_RULE = f"{long_term.MODEL}:{long_term.SET}"
_PAIRS = "pairs of spikes {pair_offset} apart, one a {pair_period}, in a share of {duty} of each of six cycles".format(
    **{name: f"{one.value:g} {one.unit}".removesuffix(" 1") for name, one in long_term.PROTOCOL.items()})
_LINE = f"a line of {coupling.ASTROCYTES} astrocytes without glutamate, linear gap junctions"
_SHEET = f"a sheet of {sheet.ROWS} by {sheet.ROWS} astrocytes; calcium let into the middle one, steady"
_STEADY = ("the time that IP3 takes to spread (see tau_ps; the coupling is that of a drive which stays, one that "
           "changes with the cycle reaches less far), and what is not linear in calcium")

REDUCTIONS: dict[str, Reduction] = {
    "tau_cycle": Reduction(
        cycle.tau_cycle, cycle.parameters, _CALCIUM, PERIOD_STEP, "second", "period of the calcium oscillation",
        "E3.1", f"calcium at IP3 held at {cycle.IP3}, after its transient",
        "IP3 moves with calcium: where glutamate is held instead, the cycle at the same mean IP3 is shorter",
        cycle.tau_cycle_held),
    "tau_s": Reduction(
        synapse.tau_s, synapse.recovery_parameters, _SYNAPSE, CLOSED_FORM_STEP, "second", "time constant of a synapse",
        "E3.2", "a second spike after a pause of any length, no gliotransmitter",
        "facilitation (Omega_f), and that spikes in between take resources", synapse.tau_s_held),
    "theta_half": Reduction(
        synapse.theta_half, synapse.rate_parameters, _SYNAPSE, CLOSED_FORM_STEP, "1",
        "state at which a neuron's effect is half of its largest", "E3.3",
        "release per second under Poisson trains, from {rate_rest.value:g} hertz (rest) to {rate_driven.value:g} hertz "
        "(driven)".format(**synapse.PROTOCOL),
        "that use and resources are correlated in a Poisson train; no membrane: x is the logarithm of the rate",
        synapse.theta_held),
    "theta_width": Reduction(
        synapse.theta_width, synapse.rate_parameters, _SYNAPSE, CLOSED_FORM_STEP, "1", "width of that threshold",
        "E3.4", "as theta_half", "as theta_half; that use rises with the rate beside the half", synapse.theta_held),
    "tau_ps": Reduction(
        process.tau_ps, resting.parameters, _NETWORK, REST_STEP, "second",
        "time constant of the short-term process: calcium of the astrocyte process above its rest", "E3.5",
        f"an astrocyte at rest without glutamate gains {process.SMALL:g} umolar of calcium at once",
        "that h and IP3 answer; the slower after-effect on release, see the other readings", process.tau_ps_held,
        resting.owners()),
    "psi_width": Reduction(
        process.psi_width, resting.parameters, _NETWORK, REST_STEP, "umolar", "calcium above rest that p_s = 1 stands "
        "for", "E3.6", "production of IP3 by PLC delta at held calcium, from rest to the peak of the oscillation",
        "that production bends up at low calcium (exponent 2) and reaches its largest later than tanh",
        process.psi_held, resting.owners()),
    "D": Reduction(
        coupling.diffusive, coupling.parameters, _NETWORK, REST_STEP, "1", "diffusive coupling of neighbours", "E3.7",
        f"{_LINE}; IP3 let into the middle one, steady", _STEADY, coupling.diffusive_held, resting.owners()),
    "ell": Reduction(
        coupling.length, coupling.parameters, _NETWORK, REST_STEP, "1", "length of the dense coupling, in places",
        "E3.8", f"{_LINE}; calcium let into the middle one, steady", _STEADY, coupling.ell_held, resting.owners()),
    "a": Reduction(
        coupling.amplitude, coupling.parameters, _NETWORK, REST_STEP, "1", "dense coupling at distance 0", "E3.9",
        f"{_LINE}; calcium let into the middle one, steady", _STEADY, coupling.a_held, resting.owners()),
    "a_sheet": Reduction(
        sheet.amplitude, coupling.parameters, _NETWORK, REST_STEP, "1",
        "dense coupling at distance 0 where processes lie on a sheet", "E3.9", _SHEET,
        "that a square lattice's response is no exponential", sheet.held, resting.owners()),
    "ell_sheet": Reduction(
        sheet.length, coupling.parameters, _NETWORK, REST_STEP, "1",
        "length of the dense coupling where processes lie on a sheet, in places", "E3.8", _SHEET,
        "that a square lattice's response is no exponential", sheet.held, resting.owners()),
    "tau_pl": Reduction(
        long_term.tau_pl, long_term.time_parameters, _RULE, CLOSED_FORM_STEP, "second",
        "time constant of the long-term process", "E3.10", _PAIRS, "the cubic term, which keeps rho at 0 and 1",
        long_term.held),
    "gamma_l": Reduction(
        long_term.gamma_l, long_term.rule_parameters, _RULE, CLOSED_FORM_STEP, "1", "decay of the long-term process",
        "E3.11", _PAIRS, "the cubic term, and that a driven part of a cycle holds a whole number of pairs",
        long_term.held),
    "kappa": Reduction(
        long_term.kappa, long_term.gain_parameters, _RULE, CLOSED_FORM_STEP, "1",
        "gain of a synapse on the long-term process: p_l is then the efficacy rho", "E3.12", _PAIRS,
        "as gamma_l; the synapse's rise to 1/beta, and what psi adds to it", long_term.held),
    # not of the macro model: what the feedback and the calcium response of the network rest on
    "half_level": Reduction(
        gliotransmitter.half_level, gliotransmitter.half_level_parameters, _SYNAPSE, CLOSED_FORM_STEP, "umolar",
        "level of gliotransmitter that binds half of the receptors", "E4.7", "receptors at a constant level, steady",
        "that gliotransmitter comes in pulses", gliotransmitter.half_level_held),
    "dose": Reduction(
        gliotransmitter.dose, gliotransmitter.dose_parameters, _SYNAPSE, CLOSED_FORM_STEP, "umolar*second",
        "gliotransmitter of one release from full stores, integrated over time", "E4.11", "one release a calcium cycle",
        "stores that are not full again (Omega_A)", gliotransmitter.dose_held),
    "calcium_exponent": Reduction(
        calcium_curve.exponent, calcium_curve.parameters, f"{calcium_curve.MODEL}:{calcium_curve.SET}", REST_STEP, "1",
        "exponent of calcium above rest, mean over its oscillation, against glutamate", "E4.13",
        "glutamate held, from 0.1 to 1 umolar", "that the curve bends, and the time course",
        calcium_curve.exponent_held, calcium_curve.owners()),
}

CONVENTIONS: dict[str, str] = {
    "lambda_n": "a factor of the whole equation of x: only tau_n/lambda_n is a time",
    "gamma_s": "a factor of the whole equation of p_s: only tau_ps, a, D and w_g over gamma_s mean something; the size "
               "of p_s itself is set by psi = tanh(p_s), see psi_width",
}
ASSUMED: dict[str, str] = {
    "tau_n": "no model here has a membrane; the rate only has to follow its drive within a cycle",
    "beta": "no published number says how much calcium, in units of psi_width, a synapse at its strongest raises in "
            "the process; 4 keeps the loop synapse - process - synapse below one (w_g/(beta gamma_s) = 1/4); "
            "tau_s/beta is reduced",
    "w_g": "stated by Kozachkov2025 with weight 1; the strength of the loop is in beta",
    "w_back": "structural: 0 is the feed-forward network of Mia2026, 1 the symmetric one that has an energy",
}


def rows(names: list[str] | None = None) -> list[dict]:
    """The constants, reduced ones with error and range, as plain values. Errors: `UserError` for an unknown name."""
    macro = MODELS["macro"].parameters()
    known = [*REDUCTIONS, *CONVENTIONS, *ASSUMED]
    for name in names or ():
        choose("constant of the macro model", name, dict.fromkeys(known))
    found = []
    for name in names or known:
        if name in REDUCTIONS:
            found.append(_reduced(name, REDUCTIONS[name]))
        else:
            basis, reason = (("convention", CONVENTIONS[name]) if name in CONVENTIONS else ("assumed", ASSUMED[name]))
            found.append({"name": name, "value": macro[name].value, "unit": macro[name].unit, "basis": basis,
                          "meaning": macro[name].meaning, "reason": reason})
    return found


def _reduced(name: str, one: Reduction) -> dict:
    held = one.held()
    return {"name": name, "value": one.value(None), "unit": one.unit, "basis": "reduced", "meaning": one.meaning,
            "error": held.error, "compared": held.compared, "valid": vars(held.valid), "others": dict(held.others),
            "model": one.model, "sources": one.sources, "assumes": _assumptions(one.parameters()),
            "equation": one.equation, "protocol": one.protocol, "neglected": one.neglected}


def _assumptions(parameters: Mapping[str, Parameter]) -> list[str]:
    """Parameters behind a reduction that are assumed themselves: its protocol, and what has no source."""
    return [name for name, one in parameters.items() if one.basis == "assumed"]


def text(found: list[dict]) -> list[str]:
    """The table for a reader, and how many constants are reduced, conventions and assumed."""
    lines = [f"{'constant':12} {'value':>10} {'unit':7} {'error':>7}  within 5 % of the full model"]
    for row in found:
        shown = f"{row['name']:12} {row['value']:10.6g} {row['unit'].replace('1', '', 1):7} "
        if row["basis"] != "reduced":
            lines += [f"{shown}{'-':>7}  {row['basis']}: {row['meaning']}", f"    {row['reason']}"]
            continue
        valid = row["valid"]
        unit = "" if valid["unit"] == "1" else f" {valid['unit']}"
        lines += [f"{shown}{100 * row['error']:6.2g}%  {valid['quantity']} from {valid['low']:.3g} to "
                  f"{valid['high']:.3g}{unit}" + f" ({valid['note']})" * bool(valid["note"]),
                  f"    {row['meaning']} ({row['equation']}; {row['model']}; {', '.join(row['sources'])})",
                  f"    protocol: {row['protocol']}; error of: {row['compared']}",
                  f"    neglected: {row['neglected']}"]
        lines += [f"    assumed in it: {', '.join(row['assumes'])}"] if row["assumes"] else []
        lines += [f"    another reading: {value:.4g} ({what})" for what, value in row["others"].items()]
    counts = {basis: sum(row["basis"] == basis for row in found) for basis in ("reduced", "convention", "assumed")}
    macro = [row for row in found if row["name"] in MODELS["macro"].parameters()]
    reduced = sum(row["basis"] == "reduced" for row in macro)
    return [*lines, "", ", ".join(f"{count} {basis}" for basis, count in counts.items())
            + f"; of {len(macro)} parameters of the macro model {reduced} are reduced"]
