"""Whether what a file gave is a recording: shapes that belong together, finite numbers, a meta of the right kinds.

A hash says that a file is as it was written, not that what wrote it was this program. Whoever reads a recording may
rely on what is checked here.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from foundation.errors import DamagedFileError

if TYPE_CHECKING:
    from astro_sim.recording.recording import Recording

LONGEST = 1_000  # letters of a name, a label, a unit
NUMBER = (int, float)
SOLVER = {"method": str, "dt_s": NUMBER, "duration_s": NUMBER, "steps": int, "record_every": int, "backend": str}
PARAMETER = {"value": NUMBER, "unit": str, "meaning": str, "source": str, "basis": str}
META = {"model": str, "parameter_set": str, "equations": dict, "parameters": dict, "options": dict, "initial": dict,
        "protocol": list, "solver": dict, "seed": int, "declared": dict, "versions": dict, "per_element": dict,
        "partial": bool, "reached_s": NUMBER}
DECLARED = {"populations": dict, "observables": dict, "inputs": dict, "spike_inputs": dict, "initial_units": dict}


def check(recording: "Recording", where: str) -> None:
    """Raises `DamagedFileError` that names the part of `recording`, read from `where`, that cannot be."""
    def fail(part: str, why: str) -> DamagedFileError:
        return DamagedFileError(f"{where}: {part} {why}; no simulation gives that: simulate again")

    time = recording.time
    if time.ndim != 1 or not len(time) or not np.isfinite(time).all() or (np.diff(time) <= 0).any():
        raise fail("time", "is empty, not finite or does not rise")
    _check_meta(recording.meta, fail)
    sizes: dict[str, int] = {}
    for name, series in recording.variables.items():
        _check_texts((name, series.unit, series.long_name, series.population, *series.labels), fail)
        _check_series(series, len(time), lambda why, name=name: fail(f"variable {name}", why))
        if sizes.setdefault(series.population, len(series.labels)) != len(series.labels):
            raise fail(f"population {series.population}", "has two sizes")
    for name, seen in recording.events.items():
        _check_texts((name, seen.population, seen.long_name), fail)
        top = sizes.get(seen.population, 2**31)
        if seen.times.ndim != 1 or seen.times.shape != seen.elements.shape or not np.isfinite(seen.times).all():
            raise fail(f"event {name}", "has times that are not finite, or not one for each element")
        if ((seen.elements < 0) | (seen.elements >= top)).any():
            raise fail(f"event {name}", "is of elements that are not there")
    for name, belongs in recording.maps.items():
        _check_texts((name, belongs.population, belongs.target, belongs.long_name), fail)
        if belongs.indices.shape != (sizes.get(belongs.population, belongs.indices.size),) or (
                (belongs.indices < 0) | (belongs.indices >= sizes.get(belongs.target, 2**31))).any():
            raise fail(f"assignment {name}", "names elements that are not there")


def _check_series(series: Any, records: int, fail: Any) -> None:
    if series.values.shape != (records, len(series.labels)):
        raise fail(f"has the shape {series.values.shape}, not ({records}, {len(series.labels)})")
    if not np.isfinite(series.values).all():
        at, element = np.argwhere(~np.isfinite(series.values))[0].tolist()
        raise fail(f"is {series.values[at, element]} at record {at}, element {series.labels[element]}")
    places = series.positions
    if places is not None and (places.ndim != 2 or len(places) != len(series.labels) or not np.isfinite(places).all()):
        raise fail("has places that are not finite, or not one for each element")


def _check_texts(texts: tuple, fail: Any) -> None:
    for text in texts:
        if not isinstance(text, str) or len(text) > LONGEST:
            raise fail(f"a name, label or unit ({str(text)[:40]!r})", f"is no text of at most {LONGEST} letters")


def _check_meta(meta: Any, fail: Any) -> None:
    """The kinds of what is there; what a use of it needs besides, it looks for itself."""
    def kinds(part: str, found: Any, wanted: Mapping[str, Any], *, all_there: bool = False) -> None:
        if not isinstance(found, dict):
            raise fail(part, "is no object")
        if all_there and not wanted.keys() <= found.keys():
            raise fail(f"{part}.{min(wanted.keys() - found.keys())}", "is missing")
        for key, kind in wanted.items():
            if key in found and not _is(found[key], kind):
                raise fail(f"{part}.{key}", f"is {str(found[key])[:40]!r}, of another kind than it should be")

    kinds("meta", meta, META)
    if not isinstance(meta.get("model"), str):
        raise fail("meta.model", "is missing")
    _check_texts((meta["model"], meta.get("parameter_set", "")), fail)
    kinds("meta.solver", meta.get("solver", {}), SOLVER)
    kinds("meta.declared", meta.get("declared", {}), DECLARED)
    kinds("meta.equations", meta.get("equations", {}), dict.fromkeys(meta.get("equations", {}), str))
    for name, told in meta.get("parameters", {}).items():
        kinds(f"meta.parameters.{name[:40]}", told, PARAMETER, all_there=True)
    for part in meta.get("protocol", ()):
        kinds("meta.protocol", part, {"kind": str, "input": str})
    if meta.get("partial") and not ("reached_s" in meta and "duration_s" in meta.get("solver", {})):
        raise fail("meta", "says that the run was stopped, but not when")


def _is(value: Any, kind: Any) -> bool:
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
