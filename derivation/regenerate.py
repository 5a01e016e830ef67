"""The derivation from end to end: simulate, take the dimensions away, solve, fit, and write the record."""

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from astro_sim.parameter import Parameter
from astro_sim.recording.recording import Recording
from derivation.entries import calcium_response, feedback, relative_position, retention
from derivation.record import record
from derivation.record.record import Record
from derivation.reductions import calcium_curve, gliotransmitter
from derivation.reductions.registry import REDUCTIONS
from derivation.simulation import cache
from derivation.simulation.simulations import (
    calcium_cycle,
    driven_cycles,
    driven_line,
    held_glutamate,
    regular_releases,
)


@dataclass(frozen=True)
class Derivation:
    """The record, and the recordings that it was held against, by name."""

    record: Record
    recordings: Mapping[str, Recording]


def derive(report: Callable[[str], None] = lambda text: None, keep: Path | None = None) -> Derivation:
    """Derive the whole record; `report` is told what is being done. Deterministic for equal versions.

    `keep` is a folder from which simulations are taken when they are there, and where they are put; None: all anew.
    """
    with cache.kept_in(keep):
        recordings, entries = {}, {}
        report("calcium oscillation")
        cycle = calcium_cycle()
        recordings["calcium"] = cycle.recording
        period = Parameter(cycle.seconds, "second", "calcium oscillation period: one cycle, one segment",
                           "LiRinzel1994, DePitta2009", "derived")
        report("driven cycles")
        recordings["cycles"] = driven_cycles(cycle.seconds, REDUCTIONS["gamma_l"].value(None))
        entries["retention"] = retention.entry(period, cycle.recording, recordings["cycles"])
        for coupling, end in (("dense", ""), ("diffusive", "_diffusive")):
            report(f"line and ring of processes, {coupling} coupling")
            recordings[coupling] = driven_line(coupling)
            entries[f"relative_position{end}"] = relative_position.line(coupling, recordings[coupling])
            entries[f"relative_position_ring{end}"] = relative_position.ring(coupling)
        report("sheet of processes")
        entries["relative_position_sheet_diffusive"] = relative_position.sheet()
        report("releases of gliotransmitter")
        recordings["releases"] = regular_releases(gliotransmitter.after_release)
        entries["feedback_bound"] = feedback.bound(period, recordings["releases"])
        entries["feedback"] = feedback.limit(entries["feedback_bound"].constants["K"].value)
        report("calcium at held glutamate")
        recordings["glutamate"] = held_glutamate(f"{calcium_curve.MODEL}:{calcium_curve.SET}", calcium_curve.GLUTAMATE)
        entries["calcium_response_fitted"] = calcium_response.fitted(recordings["glutamate"])
        entries["calcium_response"] = calcium_response.stated(entries["calcium_response_fitted"].constants["exponent"])
        packages = ("brian2", "numpy", "scipy", "sympy")
        versions = {"python": platform.python_version()} | {name: version(name) for name in packages}
        return Derivation(record.make(entries, versions), recordings)
