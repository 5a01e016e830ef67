"""The entry `retention`: each segment's share of the capacity."""

import numpy as np

from astro_sim.models import MODELS
from derivation.entries.build import constant, simulated, with_fit
from derivation.entries.workbench import Workbench
from derivation.fitting.least_squares import fit
from derivation.fitting.rivals import compare
from derivation.forms import retention
from derivation.forms.ode import text_of
from derivation.record import closed_form
from derivation.record.record import Comparison, Entry, Evidence, Range, Scale
from derivation.reductions import long_term
from derivation.reductions.registry import REDUCTIONS
from derivation.simulation.nondimensional import cycle_shares
from derivation.simulation.simulations import (
    CALCIUM_SET,
    IP3,
    NUM_CYCLES,
    calcium_oscillation,
    calcium_period,
    driven_cycles,
)

RULE_CYCLES = 16
RIVALS = {
    "geometric": (f"q**(t-1)*(1-q)/(1-q**{RULE_CYCLES})", {"q": 0.6}),
    "stretched exponential": ("first*exp(-rate*t**stretch)", {"first": 0.5, "rate": 0.4, "stretch": 0.9}),
    "two exponentials": ("fast*exp(-t*fast_rate)+slow*exp(-t*slow_rate)",
                         {"fast": 0.4, "fast_rate": 0.6, "slow": 0.2, "slow_rate": 0.2}),
    "Hill": ("first/(1+(t/half)**steepness)", {"first": 0.4, "half": 2.0, "steepness": 2.0}),
    "power law": ("first*t**(-exponent)", {"first": 0.4, "exponent": 1.0}),
}


def shares(workbench: Workbench) -> Entry:
    """The retention factor from the long-term process, and how recorded cycles of one calcium period follow it."""
    calcium = workbench.recording("calcium", calcium_oscillation)
    period = calcium_period(calcium)
    cycles = workbench.recording("cycles", lambda: driven_cycles(period.value, REDUCTIONS["gamma_l"].value(None)))
    form = retention.derive(MODELS["macro"].population("process").equations)
    uses, q = constant("q", form.q_of_parameters, "what a cycle leaves of the long-term state",
                       own={"tau_cycle": period})
    measured = cycle_shares(cycles, period.value, NUM_CYCLES)
    segment, formula = np.arange(1.0, NUM_CYCLES + 1), text_of(form.share)
    best = fit(formula, {"t": segment, "T": float(NUM_CYCLES)}, measured.shares, {"q": q.value})
    workbench.keep("increments of p_l over the driven cycles, as shares of their sum", ("t", segment),
                   measured.shares, formula=formula, fitted=best, T=float(NUM_CYCLES))
    off = measured.shares - [closed_form.evaluate(formula, {"q": q.value, "t": t, "T": NUM_CYCLES}) for t in segment]
    return Entry(
        meaning="share of the capacity that segment t of T writes",
        equation="E4.2",
        formula=formula,
        arguments={"t": "segment, 1 to T", "T": "number of segments"},
        constants={"q": with_fit(q, best, "q")},
        basis="derived",
        sources=("Mia2026", "GraupnerBrunel2012", "LiRinzel1994"),
        parameters=uses,
        cancels=dict.fromkeys(sorted(form.cancelled), "cancels exactly: every cycle writes the same amount"),
        evidence=Evidence(
            compared=f"increments of p_l over {NUM_CYCLES} driven cycles of the macro model, as shares of their sum",
            max_error=float(np.abs(off).max()), error_unit="1",
            range=f"t = 1..{NUM_CYCLES} of T = {NUM_CYCLES}; calcium set {CALCIUM_SET} at ip3 = {IP3}",
            recording=cycles.hash,
            neglected="the synapse's transient in the first cycle",
            rms_error=float(np.sqrt(np.mean(off**2))), warnings=best.warnings),
        validity=(Range("t", 1, None, "segments are counted from 1"), Range("T-t", 0, None, "t is one of T segments"),
                  Range("gamma_l*tau_cycle/tau_pl", 1e-6, 30, "q is apart from 1 and 0 by more than rounding")),
        scales=(Scale("time", "second", period.value, "one calcium cycle is one segment"),
                Scale("p_l", "1", measured.long_term_scale, "the long-term state after the last cycle")),
        simulations=(simulated("calcium oscillation", calcium), simulated("driven cycles", cycles)),
        comparisons={f"a pair each {pause:g} s": whole_rule(workbench, period.value, pause)
                     for pause in (1.0, 10.0)})


def whole_rule(workbench: Workbench, cycle_seconds: float, pair_period: float) -> Comparison:
    """Rivals for the increments of the whole rule, with its cubic term and whole pairs: there no form is exact."""
    rho = long_term.efficacy(pair_period, cycle_seconds, cycles=RULE_CYCLES)
    shares = np.diff(rho) / (rho[-1] - rho[0])
    cycle = np.arange(1.0, RULE_CYCLES + 1)
    workbench.keep("increments of rho of the whole rule, as shares of their sum", ("t", cycle), shares,
                   comparison=f"a pair each {pair_period:g} s")
    return compare(f"increments of rho of the whole rule (graupner_brunel) over {RULE_CYCLES} cycles, a pair each "
                   f"{pair_period:g} s while driven, as shares of their sum",
                   {"t": ("cycle, from 1", cycle)}, shares, RIVALS, "geometric")
