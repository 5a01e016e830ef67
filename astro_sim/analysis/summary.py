"""What a recording says, in numbers: ranges, oscillations, waves, encoding, events; in words what is not there."""

from contextlib import suppress
from dataclasses import asdict, replace

import numpy as np

from astro_sim.analysis import events
from astro_sim.analysis.course import amplitude, oscillation
from astro_sim.analysis.levels import constant_levels, encoding
from astro_sim.analysis.spiking import firing_rates
from astro_sim.analysis.waves import wave
from astro_sim.dynamics import phase_plane
from astro_sim.plan import plan_of
from astro_sim.recording.recording import Recording
from foundation.errors import UserError
from foundation.reading import content_of

SHOWN = 10       # elements in the text; all are in the numbers
FEWEST_PLACES = 5  # elements with places that may make a wave
CALCIUM = "C"    # what waves, encoding and releases are measured by


def summarise(recording: Recording, after: float | None = None, *, progress: bool = False) -> dict:
    """{"variables": {name: {unit, long_name, min, max, mean, elements: [...]}}, ...} from `after` s (default: half).

    Each element: label, lowest, highest (between records too), and its oscillation or `no_oscillation` in words.
    "wave", "equilibria", "encoding" and "events" are there where they apply; a wave is looked for from the start on
    unless `after` is given. Errors: `UserError` for an `after` that leaves fewer than four records.
    """
    start = float(recording.time[-1]) / 2 if after is None else after
    if start < 0:
        raise UserError(f"after: {start:g} s is before the start; give 0 s or later")
    kept = recording.time >= start
    if kept.sum() < 4:
        raise UserError(f"after: {start:g} s leaves {kept.sum()} records of {recording.time[-1]:g} s; give an earlier "
                        "time")
    from foundation.cli import Progress

    found, done, total = {}, 0, sum(len(series.labels) for series in recording.variables.values())
    with Progress("analyse", max(1, total), quiet=not progress) as bar:
        for name, series in recording.variables.items():
            values, rows = series.values[kept], []
            for n in range(values.shape[1]):
                rows.append(_element(recording, name, n, start))
                bar.update(done := done + 1, name)
            found[name] = {"unit": series.unit, "long_name": series.long_name, "min": float(values.min()),
                           "max": float(values.max()), "mean": float(np.mean(values)), "elements": rows}
    return {"model": recording.meta["model"], "hash": recording.hash, "after_s": start,
            "last_time_s": float(recording.time[-1]), "variables": found, **_wave(recording, after or 0.0),
            **_equilibria(recording), **_encoding(recording, start), **_events(recording, after or 0.0)}


def _element(recording: Recording, name: str, n: int, start: float) -> dict:
    try:
        found = oscillation(recording, name, n, after=start)
    except UserError as why:
        ends = amplitude(recording, name, n, after=start)
        return _ends(recording[name].labels[n], *ends) | {
            "no_oscillation": str(why).removeprefix(f"no oscillation: {name} ").partition(";")[0]}
    return _ends(recording[name].labels[n], found.low, found.high) | {
        "period_s": found.period, "period_spread_s": found.period_spread, "frequency_hertz": found.frequency,
        "duty": found.duty, "rise_time_s": found.rise_time, "peaks_s": list(found.peak_times),
        "peak_heights": list(found.peak_heights), "rises_s": list(found.rises)}


def _ends(label: str, low: float, high: float) -> dict:
    return {"label": label, "low": low, "high": high, "amplitude": high - low}


def _wave(recording: Recording, after: float) -> dict:
    series = recording.variables.get(CALCIUM)
    if series is None or series.positions is None or len(series.labels) < FEWEST_PLACES:
        return {}
    try:
        found = asdict(wave(recording, CALCIUM, after=after))
    except UserError as why:
        return {"no_wave": str(why).removeprefix("no wave: ")}
    for name in ("first", "distance"):
        found[name] = [None if number != number else number for number in found[name]]
    return {"wave": found}


def _equilibria(recording: Recording) -> dict:
    """All equilibria of a model of two states at the one level that its input was held at, with the run's parameters.
    """
    try:
        plan = plan_of(recording.meta)
    except UserError as why:
        return {"no_equilibria": str(why)}
    if plan.per_element:
        return {"no_equilibria": f"{', '.join(plan.per_element)}: one value an element, so there are as many planes"}
    held = {drive.values for drive in plan.protocol if getattr(drive, "kind", None) == "constant"}
    if len(plan.model.states()) != 2 or len(plan.model.inputs) != 1 or len(held) != len(plan.protocol) or len(held) > 1:
        return {}
    name, target = next(iter(plan.model.inputs.items()))
    level = next(iter(held))[0] if held else target.default
    run = replace(plan.model, parameter_sets={plan.parameter_set: dict(plan.parameters)})
    # a model that is coupled, or without bounds of its own, or with some that its meta does not explain
    with suppress(UserError), content_of("the meta of the recording"):
        plane = phase_plane(run, {name: level}, parameter_set=plan.parameter_set)
        return {"equilibria": {"input": name, "level": plane.level, "unit": target.unit, "rows": plane.equilibria}}
    return {}


def _encoding(recording: Recording, start: float) -> dict:
    try:
        constant_levels(recording, CALCIUM)
    except UserError:
        return {}
    try:
        found = encoding(recording, CALCIUM, after=start)
    except UserError as why:
        return {"no_encoding": str(why).removeprefix("no encoding: ")}
    return {"encoding": {**asdict(found), "word": found.word, "index": found.index}}


def _events(recording: Recording, after: float) -> dict:
    """Every kind of event: how many, how often an element has one, how regular; releases by threshold if not recorded.
    """
    kinds = dict(recording.events)
    if "releases" not in kinds:
        with suppress(UserError):
            kinds["releases"] = events.releases(recording)
    found = {}
    for name, seen in kinds.items():
        rates = events.rates(recording, seen, after)
        found[name] = {"population": seen.population, "long_name": seen.long_name, "elements": len(rates),
                       "count": int((seen.times > after).sum()), "rate_hertz": float(rates.mean()),
                       "lowest_rate_hertz": float(rates.min()), "highest_rate_hertz": float(rates.max())}
        try:
            found[name]["irregularity"] = events.irregularity(seen, after)
        except UserError as why:
            found[name]["no_irregularity"] = str(why).removeprefix("irregularity: ")
        if name == "spikes":
            found[name]["kinds"] = firing_rates(recording, after)
    return {"events": found} if found else {}


def text(summary: dict) -> str:
    """The summary in words and numbers with units, a line each."""
    lines = [f"{summary['model']}, {summary['after_s']:g} to {summary['last_time_s']:g} s, hash {summary['hash'][:12]}"]
    for name, found in summary["variables"].items():
        unit = "" if found["unit"] == "1" else f" {found['unit']}"
        lines.append(f"{name}: {found['long_name']}: {found['min']:.6g} to {found['max']:.6g}{unit}, "
                     f"mean {found['mean']:.6g}")
        lines += [_element_text(row) for row in found["elements"][:SHOWN]]
        if len(found["elements"]) > SHOWN:
            lines.append(f"  and {len(found['elements']) - SHOWN} more: see --json")
    for said in (_wave_text, _equilibria_text, _encoding_text, _events_text):
        lines += said(summary)
    return "\n".join(lines)


def _element_text(row: dict) -> str:
    head = f"  {row['label']:>12}  {row['low']:.6g} to {row['high']:.6g}, amplitude {row['amplitude']:.6g}"
    if "no_oscillation" in row:
        return f"{head}; no oscillation: {row['no_oscillation']}"
    return (f"{head}, period {row['period_s']:.6g} +- {row['period_spread_s']:.1g} s ({len(row['rises_s'])} rises), "
            f"duty {row['duty']:.3g}, rise {row['rise_time_s']:.3g} s")


def _wave_text(summary: dict) -> list[str]:
    if "wave" not in summary:
        return [f"no wave: {summary['no_wave']}"] if "no_wave" in summary else []
    found = summary["wave"]
    return [f"wave: {found['speed']:.4g} +- {found['speed_error']:.2g} places/s from element {found['source']} at "
            f"{found['start']:.4g} s, reaches {found['reached']} of {found['elements']} elements, "
            f"{found['extent']:.3g} places far"]


def _equilibria_text(summary: dict) -> list[str]:
    if "equilibria" not in summary:
        return [f"no equilibria: {summary['no_equilibria']}"] if "no_equilibria" in summary else []
    found, lines = summary["equilibria"], []
    unit = "" if found["unit"] == "1" else f" {found['unit']}"
    for row in found["rows"]:
        at = ", ".join(f"{name} {row[name]:.6g}" for name in row if name in summary["variables"])
        lines.append(f"equilibrium at {found['input']} = {found['level']:g}{unit}: {at}, "
                     f"{'stable' if row['stable'] else 'unstable'} {row['kind']}, growth {row['growth']:.4g}/s")
    return lines


def _encoding_text(summary: dict) -> list[str]:
    if "encoding" not in summary:
        return [f"no encoding: {summary['no_encoding']}"] if "no_encoding" in summary else []
    found = summary["encoding"]
    return [f"encoding: {found['word']} (index {found['index']:.2f}; depth of amplitude {found['depth_am']:.2f}, of "
            f"frequency {found['depth_fm']:.2f}) over levels {found['levels'][0]:.4g} to {found['levels'][-1]:.4g}"]


def _events_text(summary: dict) -> list[str]:
    lines = []
    for name, found in summary.get("events", {}).items():
        regular = (f"irregularity {found['irregularity']:.3g}" if "irregularity" in found
                   else f"irregularity: {found['no_irregularity']}")
        lines.append(f"{name}: {found['count']} in {found['elements']} elements of {found['population']}, "
                     f"{found['rate_hertz']:.4g} per second ({found['lowest_rate_hertz']:.4g} to "
                     f"{found['highest_rate_hertz']:.4g}); {regular}")
        for kind, one in found.get("kinds", {}).items():
            lines.append(f"  {kind:>12}  {one['mean_hertz']:.4g} Hz ({one['lowest_hertz']:.4g} to "
                         f"{one['highest_hertz']:.4g}), {one['active']} of {one['neurons']} neurons active")
    return lines
