"""What a recording says, in numbers: range, mean, amplitude, period and rises of every variable."""

from astro_sim.analysis import amplitude, crossings
from astro_sim.recording import Recording
from foundation.errors import UserError

SHOWN = 10  # elements in the text; all are in the numbers


def summarise(recording: Recording, after: float | None = None) -> dict:
    """{variable: {unit, long_name, min, max, mean, elements: [...]}}, from `after` seconds on (default: half).

    Each element: label, lowest, highest (between records too), and, where it rises at least twice through the middle
    of its range, `period_s` (mean time between rises) and `rises_s`. Errors: `UserError` for an `after` that leaves
    fewer than four records.
    """
    import numpy as np

    start = float(recording.time[-1]) / 2 if after is None else after
    kept = recording.time >= start
    if kept.sum() < 4:
        raise UserError(f"after: {start:g} s leaves {kept.sum()} records of {recording.time[-1]:g} s; give an earlier "
                        "time")
    found = {}
    for name, series in recording.variables.items():
        values = series.values[kept]
        found[name] = {"unit": series.unit, "long_name": series.long_name, "min": float(values.min()),
                       "max": float(values.max()), "mean": float(np.mean(values)),
                       "elements": [_element(recording, name, n, start) for n in range(values.shape[1])]}
    return {"model": recording.meta["model"], "hash": recording.hash, "after_s": start,
            "last_time_s": float(recording.time[-1]), "variables": found}


def _element(recording: Recording, name: str, n: int, start: float) -> dict:
    low, high = amplitude(recording, name, n, start)
    rises = [float(t) for t in crossings(recording, name, n, start)]
    row = {"label": recording[name].labels[n], "low": low, "high": high, "amplitude": high - low}
    if len(rises) > 1:
        row |= {"period_s": (rises[-1] - rises[0]) / (len(rises) - 1), "rises_s": rises}
    return row


def text(summary: dict) -> str:
    lines = [f"{summary['model']}, {summary['after_s']:g} to {summary['last_time_s']:g} s, hash {summary['hash'][:12]}"]
    for name, found in summary["variables"].items():
        unit = "" if found["unit"] == "1" else f" {found['unit']}"
        lines.append(f"{name}: {found['long_name']}: {found['min']:.6g} to {found['max']:.6g}{unit}, "
                     f"mean {found['mean']:.6g}")
        for row in found["elements"][:SHOWN]:
            period = f", period {row['period_s']:.6g} s ({len(row['rises_s'])} rises)" if "period_s" in row else ""
            lines.append(f"  {row['label']:>12}  {row['low']:.6g} to {row['high']:.6g}, amplitude "
                         f"{row['amplitude']:.6g}{period}")
        if len(found["elements"]) > SHOWN:
            lines.append(f"  and {len(found['elements']) - SHOWN} more: see --json")
    return "\n".join(lines)
