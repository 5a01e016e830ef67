"""The macro model's constants: which are reduced from biophysical models, which are conventions, which are assumed.

A reduction is a function of biophysical parameters with its protocol, what it neglects, its error against the full
model and the range in which it stays within 5 % of it; see derivation/reductions/.
"""

from collections.abc import Iterator, Mapping

from astro_sim.models import MODELS
from astro_sim.parameter import Parameter
from derivation.record.points import Reduced
from derivation.reductions import (
    calcium_curve,
    coupling,
    cycle,
    gliotransmitter,
    long_term,
    process,
    sheet,
    synapse,
)
from derivation.reductions.reduction import Reduction
from foundation.errors import DamagedFileError, choose

__all__ = ["ASSUMED", "CONVENTIONS", "REDUCTIONS", "reduction_of", "rows", "text"]
MOST_LETTERS = 60  # of a name in an error

REDUCTIONS: dict[str, Reduction] = {
    **cycle.REDUCTIONS, **synapse.REDUCTIONS, **process.REDUCTIONS, **coupling.REDUCTIONS, **sheet.REDUCTIONS,
    **long_term.REDUCTIONS, **gliotransmitter.REDUCTIONS, **calcium_curve.REDUCTIONS}

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


def reduction_of(name: str, parameter: str) -> Reduction:
    """The reduction by which a record's `parameter` acts.

    Raises `DamagedFileError` where there is none of that name, or none that has such a parameter: the record may be
    another program's, or hold an entry whose reduction is not here.
    """
    short = parameter.rpartition(".")[2]
    if name not in REDUCTIONS or short not in REDUCTIONS[name].parameters():
        raise DamagedFileError(f"the record says that {parameter[:MOST_LETTERS]} acts through {name[:MOST_LETTERS]}, "
                               "which no reduction of this program gives from it; leave that parameter as it is, or "
                               "derive the record anew: python -m derivation derive")
    return REDUCTIONS[name]


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


def reduced() -> Iterator[Reduced]:
    """The same of all constants, for the file beside the record."""
    for row in rows():
        if row["basis"] == "reduced":
            yield Reduced(row["name"], row["value"], row["unit"], row["basis"], row["meaning"], row["model"],
                          row["protocol"], row["neglected"], row["compared"], row["error"], _within(row["valid"]),
                          row["equation"], tuple(row["sources"]), tuple(row["assumes"]))
        else:
            yield Reduced(row["name"], row["value"], row["unit"], row["basis"], row["meaning"], "", "", row["reason"],
                          "", None, "", "", (), ())


def _within(valid: Mapping) -> str:
    """The range within 5 % in words."""
    unit = "" if valid["unit"] == "1" else f" {valid['unit']}"
    return (f"{valid['quantity']} from {valid['low']:.3g} to {valid['high']:.3g}{unit}"
            + f" ({valid['note']})" * bool(valid["note"]))


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
        lines += [f"{shown}{100 * row['error']:6.2g}%  {_within(row['valid'])}",
                  f"    {row['meaning']} ({row['equation']}; {row['model']}; {', '.join(row['sources'])})",
                  f"    protocol: {row['protocol']}; error of: {row['compared']}",
                  f"    neglected: {row['neglected']}"]
        lines += [f"    assumed in it: {', '.join(row['assumes'])}"] if row["assumes"] else []
        lines += [f"    another reading: {value:.4g} ({what})" for what, value in row["others"].items()]
    return [*lines, "", _counts(found)] if len(found) > 1 else lines


def _counts(found: list[dict]) -> str:
    """How many of the rows, and of the macro model's parameters among them, are known how."""
    bases = ", ".join(f"{count} {basis}" for basis in ("reduced", "convention", "assumed")
                      if (count := sum(row["basis"] == basis for row in found)))
    macro = [row for row in found if row["name"] in MODELS["macro"].parameters()]
    reduced = sum(row["basis"] == "reduced" for row in macro)
    return bases + (f"; of {len(macro)} parameters of the macro model {reduced} are reduced" if macro else "")
