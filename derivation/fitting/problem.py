"""A least-squares problem of a closed form: its residuals, their exact derivatives, and what cannot be fitted."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from derivation.record import closed_form
from foundation.errors import DamagedFileError, UserError
from foundation.fitting.least_squares import ROUNDING
from foundation.fitting.slopes import idle, tangled

NUMPY = {"exp": np.exp, "log": np.log, "tanh": np.tanh, "sqrt": np.sqrt}
WALL = 1e150  # what the search sees where the form has no finite value
TINY = 1e-100  # of a complex step: squared it is nothing, so that the derivative is exact to rounding
DEPENDENT = 1e-10  # least singular value of the derivatives, each over its size: below, one follows from the others
# Cosine between the residuals and a derivative at a minimum. Differences give it to some 1e-7; more means that the
# search stopped elsewhere, as it does where a step of 1e-8 is not small against a constant.
NOT_ORTHOGONAL = 1e-4
FACTORS = (1e-9, 1e-6, 1e-3, 1e3, 1e6, 1e9)  # of one constant's start, where its size may be another


@dataclass(frozen=True)
class Problem:
    """`formula` at `arguments` (floats or float64 [n]) is to come close to `observed` [n] by the constants `names`."""

    formula: str
    arguments: Mapping[str, float | np.ndarray]
    observed: np.ndarray
    names: tuple[str, ...]

    def values(self, constants: np.ndarray) -> np.ndarray:
        """The form at float64 or complex `constants` [k]: [n], not finite where it has no finite value."""
        table = {name: np.full(self.observed.shape, x) if np.iscomplexobj(constants) else x
                 for name, x in zip(self.names, constants, strict=True)}
        try:
            with np.errstate(all="ignore"):
                values = closed_form.evaluate(self.formula, {**self.arguments, **table}, NUMPY)
        except DamagedFileError:  # no arrays in it, and no finite value
            values = np.nan
        return np.broadcast_to(values, self.observed.shape)

    def residuals(self, constants: np.ndarray) -> np.ndarray:
        """The form minus what was observed, [n]; a wall where it is not finite, or as good as not."""
        missed = self.values(constants) - self.observed
        return np.where(np.abs(missed) < WALL, missed, WALL)

    def slopes(self, constants: np.ndarray) -> np.ndarray:
        """d(form)/d(constant) by complex steps, [n, k]: no difference is taken, so none is lost to rounding."""
        return np.stack([self.values(constants + 1j * TINY * unit).imag / TINY
                         for unit in np.eye(len(self.names))], axis=1)

    @np.errstate(all="ignore")  # of the wall, whose square is out of range
    def search(self, guess: np.ndarray, *, exact: bool = False, most: int = 20_000) -> optimize.OptimizeResult:
        """Levenberg-Marquardt from `guess`, as far as float64 goes; by differences, or by `exact` derivatives."""
        def slopes(constants: np.ndarray) -> np.ndarray:
            return np.nan_to_num(self.slopes(constants), nan=0.0, posinf=0.0, neginf=0.0)

        sizes = np.where(guess == 0, 1.0, np.abs(guess)) if exact else np.maximum(np.abs(guess), 1e-8)
        return optimize.least_squares(self.residuals, guess, slopes if exact else "2-point", method="lm",
                                      x_scale=sizes, ftol=1e-15, xtol=1e-15, gtol=1e-15,
                                      max_nfev=most)

    def held(self, number: int, value: float) -> "Problem":
        """The same with one constant held at a value."""
        return dataclasses.replace(self, arguments={**self.arguments, self.names[number]: np.float64(value)},
                                   names=self.names[:number] + self.names[number + 1:])

    @np.errstate(all="ignore")
    def minimum(self, guess: np.ndarray) -> optimize.OptimizeResult:
        """The best constants. Raises `UserError` where the search finds none, or several are as good."""
        best = self.search(guess)
        if not self._is_minimum(best):
            # a constant far from 1, whose differences are no derivatives; a start of another size than the answer;
            # or a valley that falls without end, where all of these stop no lower
            starts = [best.x, guess] + [guess * np.where(unit, factor, 1.0) for unit in np.eye(guess.size)
                                        for factor in FACTORS]
            again = [best, *(self.search(start, exact=True, most=1000) for start in starts)]
            best = min(again, key=lambda found: (not found.success, found.cost))
        self.check_finite(best.x)
        self.check_determined(best.x)
        if not best.success:
            raise UserError(f"the fit of {self.formula!r} did not converge ({best.message}); start nearer, with "
                            "constants of the right size, or record more")
        return best

    def _is_minimum(self, found: optimize.OptimizeResult) -> bool:
        """Whether the search converged, to where the residuals are orthogonal to every derivative."""
        slopes = self.slopes(found.x)
        if not found.success or not np.isfinite(slopes).all() or np.abs(found.fun).max() >= WALL:
            return False
        sizes = np.linalg.norm(slopes, axis=0) * np.linalg.norm(found.fun)
        if self.is_exact(found.fun):
            return True
        return bool((np.abs(slopes.T @ found.fun) <= NOT_ORTHOGONAL * sizes).all())

    def is_exact(self, residuals: np.ndarray) -> bool:
        """Whether what is left is rounding, and has neither a direction nor a size that means anything."""
        return bool(np.abs(residuals).max() <= ROUNDING * np.abs(self.observed).max())

    # ------------------------------------------------------------------------------------------ refusals

    def check(self, guess: np.ndarray) -> None:
        """Raises `UserError` for data of other shapes, or data and starts that are not finite."""
        if self.observed.ndim != 1:
            raise UserError(f"the data have the shape {list(self.observed.shape)}; give one row of numbers")
        if both := sorted(set(self.names) & set(self.arguments)):
            raise UserError(f"{', '.join(both)}: both an argument and a constant to fit; give one of them another name")
        for name, values in self.arguments.items():
            if np.ndim(values) and values.shape != self.observed.shape:
                raise UserError(f"argument {name} has the shape {list(values.shape)}, the data "
                                f"{list(self.observed.shape)}; give a number, or one value for each point")
            self._check_point(np.broadcast_to(values, self.observed.shape), f"argument {name} is")
        self._check_point(self.observed, "the data are")
        for name, start in zip(self.names, guess, strict=True):
            if not np.isfinite(start):
                raise UserError(f"the constant {name} starts from {start}; give a finite number")

    def _check_point(self, values: np.ndarray, what: str) -> None:
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            raise UserError(f"{what} not finite at point {bad[0]} ({values[bad[0]]}); look at the recording, or leave "
                            "the point out")

    def check_finite(self, constants: np.ndarray) -> None:
        """Raises `UserError` naming the point where the form has no finite value at the best constants."""
        bad = np.flatnonzero(~np.isfinite(self.values(constants)))
        if bad.size:
            at = ", ".join(f"{name} = {np.broadcast_to(values, self.observed.shape)[bad[0]]:g}"
                           for name, values in self.arguments.items())
            raise UserError(f"{self.formula!r} has no finite value at point {bad[0]} ({at}) with "
                            f"{self._told(constants)}; leave the point out, or start elsewhere")

    def check_determined(self, constants: np.ndarray) -> None:
        """Raises `UserError` where a constant does nothing at these data, or what one does others do as well."""
        slopes = self.slopes(constants)
        if not np.isfinite(np.linalg.norm(slopes, axis=0)).all():
            raise UserError(f"the derivatives of {self.formula!r} are not finite at {self._told(constants)}; start "
                            "elsewhere")
        if still := [self.names[number] for number in idle(slopes)]:
            raise UserError(f"{', '.join(still)} of {self.formula!r} cannot be told from these data: it changes "
                            f"nothing at any point with {self._told(constants)}; start nearer, or leave it out")
        if len(tangled(slopes, DEPENDENT)):
            raise UserError(f"the constants {', '.join(self.names)} of {self.formula!r} cannot be told apart from "
                            "these data: what one changes, others change as well")

    def _told(self, constants: np.ndarray) -> str:
        return ", ".join(f"{name} = {x:g}" for name, x in zip(self.names, constants, strict=True))


def problem(formula: str, arguments: Mapping[str, object], observed: object, *, names: tuple[str, ...]) -> Problem:
    """A problem from anything that numpy reads. Raises `UserError` for what is no number, and a name without values."""
    try:
        table = {name: np.asarray(values, dtype=np.float64) for name, values in arguments.items()}
        data = np.asarray(observed, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"the data of {formula!r} are not numbers ({error})") from error
    if missing := sorted(closed_form.names(formula) - table.keys() - set(names)):
        raise UserError(f"{formula!r}: no argument and no constant {', '.join(missing)}; give its values, or a start")
    plain = {name: values if values.ndim else np.float64(values) for name, values in table.items()}
    return Problem(formula, plain, observed=data, names=names)
