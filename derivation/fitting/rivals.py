"""Rival forms held against the same data: fitted, weighed by Akaike's criterion, and told with what is lost."""

from collections.abc import Mapping

import numpy as np

from derivation.fitting.least_squares import fit
from derivation.record.record import Comparison, Rival
from foundation.errors import UserError
from foundation.fitting.least_squares import Fit, weights

Forms = Mapping[str, tuple[str, Mapping[str, float]]]  # name -> (formula, constants to start from)


def compare(data: str, arguments: Mapping[str, tuple[str, np.ndarray]], observed: np.ndarray, forms: Forms, own: str,
            recording: str | None = None) -> Comparison:
    """Fit every form to `observed` [n] over `arguments` (name -> what it is, values [n]).

    `own` names the form that the entry has: what it loses against the chosen one is told. A form that cannot be fitted
    to these data is left out, and a warning says why. Raises `UserError` when fewer than two are left, or not `own`.
    """
    at = {name: values for name, (_, values) in arguments.items()}
    fits, warnings = {}, []
    for name, (formula, start) in forms.items():
        try:
            fits[name] = fit(formula, at, observed, start, profile=False)
        except UserError as error:
            warnings.append(f"{name} is left out: {error}")
    if own not in fits or len(fits) < 2:
        raise UserError(f"{data}: no rivals to compare; " + "; ".join(warnings))
    weighed = weights(fits)
    chosen = min(fits, key=lambda name: fits[name].aicc)
    warnings += [f"{name}: {text}" for name in dict.fromkeys((own, chosen)) for text in fits[name].warnings]
    rivals = {name: Rival(forms[name][0], one.values, one.max_error, one.rms_error, one.aicc, weighed[name])
              for name, one in fits.items()}
    described = {name: text for name, (text, _) in arguments.items()}
    return Comparison(data, described, int(np.size(observed)), rivals, chosen,
                      _loss(own, chosen, fits, weighed, observed), recording, tuple(warnings))


def _loss(own: str, chosen: str, fits: Mapping[str, Fit], weighed: Mapping[str, float], observed: np.ndarray) -> str:
    size = float(np.abs(observed).max())
    ours, best = fits[own].max_error / size, fits[chosen].max_error / size
    if own == chosen:
        second = max((name for name in weighed if name != own), key=weighed.get)
        return (f"nothing: {own} is chosen, with weight {weighed[own]:.2g}, before {second}; it is off by at most "
                f"{ours:.2g} of the largest value")
    many = f"{len(fits[chosen].values)} constants instead of {len(fits[own].values)}"
    return (f"{own} is off by at most {ours:.2g} of the largest value, {chosen} with {many} by {best:.2g}; "
            f"{own} has weight {weighed[own]:.1g}")
