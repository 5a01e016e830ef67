"""The entries `feedback`, as the paper has it, and `feedback_bound`, with the level at which half is bound."""

import numpy as np

from derivation.entries.build import constant, parameter, simulated, with_fit
from derivation.entries.workbench import Workbench
from derivation.fitting.least_squares import fit
from derivation.fitting.problem import NUMPY
from derivation.fitting.rivals import compare
from derivation.forms import feedback
from derivation.forms.ode import text_of
from derivation.record import closed_form
from derivation.record.record import Alternative, Entry, Evidence, Range, Scale
from derivation.reductions import gliotransmitter
from derivation.simulation.nondimensional import mean_release
from derivation.simulation.simulations import RELEASE_PERIODS, calcium_oscillation, calcium_period, regular_releases

SOURCES = ("Mia2026", "DePitta2011", "Stimberg2019")
ONE_PER_CENT = 100  # times K: there 1/calcium is K/(K+calcium) over K to 1 %
RIVALS = {
    "binding": ("K/(K+calcium)", {"K": 0.05}),
    "Hill": ("1/(1+(calcium/K)**steepness)", {"K": 0.05, "steepness": 1.0}),
    "exponential": ("exp(-calcium/K)", {"K": 0.1}),
    "saturating": ("1-calcium/sqrt(K*K+calcium*calcium)", {"K": 0.1}),
    "pulsed": (text_of(feedback.derive().pulsed), {"K": 0.05, "affinity": 2.0}),
}
ARGUMENTS = {"calcium": "calcium response, one number a query; 1 is one release of gliotransmitter a cycle"}


def bound(workbench: Workbench) -> Entry:
    """Release that bound gliotransmitter leaves, and how simulated releases follow it."""
    cycle = calcium_period(workbench.recording("calcium", calcium_oscillation))
    recording = workbench.recording("releases", lambda: regular_releases(gliotransmitter.after_release))
    form = feedback.derive()
    uses, K = constant("K", form.K_of_scales, "calcium at which half of the release is left",
                       own={"tau_cycle": cycle})
    unit = parameter("dose").value / cycle.value
    measured = mean_release(recording, RELEASE_PERIODS, unit)
    formula = text_of(form.form)
    best = fit(formula, {"calcium": measured.calcium}, measured.release, {"K": K.value})
    workbench.keep("mean share of release left under regular releases", ("calcium", measured.calcium),
                   measured.release, formula=formula, fitted=best, comparison="pulses")
    off = measured.release - closed_form.evaluate(formula, {"K": K.value, "calcium": measured.calcium}, NUMPY)
    exact = {"K": K.value, "affinity": affinity(uses), "calcium": measured.calcium}
    pulsed = np.abs(measured.release - closed_form.evaluate(text_of(form.pulsed), exact, NUMPY)).max()
    low, high = float(measured.calcium.min()), float(measured.calcium.max())
    return Entry(
        meaning="share of release that bound gliotransmitter leaves", equation="E4.9", formula=formula,
        arguments=ARGUMENTS, constants={"K": with_fit(K, best, "K")}, basis="derived", sources=SOURCES,
        parameters=uses,
        cancels={},
        evidence=Evidence(
            compared="mean share 1 - Gamma_S of tripartite synapses under regular releases at many rates",
            max_error=float(np.abs(off).max()), error_unit="1",
            range=f"calcium {low:.3g} to {high:.3g}: a release each {max(RELEASE_PERIODS):g} to "
                  f"{min(RELEASE_PERIODS):g} s",
            recording=recording.hash,
            neglected=f"that releases are pulses: with them (rival 'pulsed', its constants derived) the largest "
                      f"deviation is {pulsed:.1g}, and for large calcium K is effectively larger by (y/2)/tanh(y/2), "
                      f"y = O_G*dose = {exact['affinity']:.3g}; stores that are not full again",
            rms_error=float(np.sqrt(np.mean(off**2))), warnings=best.warnings),
        validity=(Range("calcium", 0, None, "a concentration"), Range("K", 1e-9, None, "receptors unbind")),
        scales=(Scale("gliotransmitter", "umolar", unit, "mean level of one release from full stores a cycle, "
                      "dose/tau_cycle: taken as the calcium 1 of the network (assumed)"),
                Scale("release", "1", 1.0, "release probability over that at rest")),
        simulations=(simulated("regular releases", recording),),
        comparisons={"pulses": compare("mean share of release left under regular releases",
                                       {"calcium": (ARGUMENTS["calcium"], measured.calcium)}, measured.release, RIVALS,
                                       "binding", recording.hash)},
        alternatives={
            "limit": Alternative("1/calcium", {}, "calcium far above K, up to the factor K: the paper's", "derived",
                                 ("Mia2026",)),
            "pulsed": Alternative(text_of(form.pulsed), {"affinity": exact["affinity"]},
                                  "mean over pulses instead of a constant level", "derived", SOURCES[1:])})


def affinity(uses) -> float:
    """y = O_G dose: a release leaves exp(-y) of the free receptors free."""
    value = {use.name: use.value for use in uses}
    return value["tripartite.O_G"] * value["dose"]


def limit(workbench: Workbench) -> Entry:
    """The paper's 1/C: the limit of `feedback_bound` for calcium far above K; the factor K goes into the learned
    projection that follows."""
    K = workbench.entry("feedback_bound").constants["K"].value
    return Entry(
        meaning="presynaptic feedback of the calcium response", equation="E4.6", formula="1/calcium",
        arguments={"calcium": "calcium response, one number a query"}, constants={}, basis="stated",
        sources=("Mia2026",), parameters=(), cancels={}, evidence=None,
        validity=(Range("calcium", ONE_PER_CENT * K, None, "there it is K/(K+calcium) over K within 1 %"),),
        scales=(Scale("calcium", "1", 1.0, "as feedback_bound"),))
