"""From recordings to the record: closed forms and fits of biology, and the one small file that travels to the network.

    from derivation import load_record, whatif

    record = load_record()
    record.entry("retention").evaluate(t=3, T=8)
    whatif("tau_pl=300 second")

Nothing is loaded before it is asked for.
"""

from typing import TYPE_CHECKING

from foundation.lazy import face

if TYPE_CHECKING:
    from derivation.entries.registry import ENTRIES
    from derivation.entries.workbench import Workbench
    from derivation.fitting.least_squares import fit
    from derivation.proof.uncertainty import draw_records
    from derivation.proof.what_if import WhatIf, whatif
    from derivation.record.ensemble import Ensemble
    from derivation.record.ensemble import load as load_ensemble
    from derivation.record.entry import Alternative, Constant, Entry, Evidence, ParameterUse, Range, Record, Scale
    from derivation.record.record import load as load_record
    from derivation.record.record import save as save_record
    from derivation.regenerate import Derivation, derive
    from foundation.fitting.least_squares import Fit

_PARTS = ("Alternative", "Constant", "Entry", "Evidence", "ParameterUse", "Range", "Record", "Scale")
__getattr__, __dir__, __all__ = face(__name__, {
    "load_record": "derivation.record.record:load", "save_record": "derivation.record.record:save",
    **dict.fromkeys(_PARTS, "derivation.record.entry"),
    "derive": "derivation.regenerate", "Derivation": "derivation.regenerate",
    "ENTRIES": "derivation.entries.registry", "Workbench": "derivation.entries.workbench",
    "whatif": "derivation.proof.what_if", "WhatIf": "derivation.proof.what_if",
    "draw_records": "derivation.proof.uncertainty",
    "Ensemble": "derivation.record.ensemble", "load_ensemble": "derivation.record.ensemble:load",
    "fit": "derivation.fitting.least_squares", "Fit": "foundation.fitting.least_squares",
})
