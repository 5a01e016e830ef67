"""What a run gave, as data: where it is, its hashes, the range of each variable."""

from collections.abc import Mapping
from os import PathLike

from astro_sim.plan import NOTHING
from astro_sim.recording.recording import Recording
from astro_sim.run.checks import Extent


def summary(recording: Recording, path: str | PathLike, extents: Mapping[str, Extent] = NOTHING) -> dict:
    """What a run gave, for --json. extents: lowest and highest of each variable, where they are known."""
    ranges = {name: (extents[name].low, extents[name].high) if name in extents else (series.values, series.values)
              for name, series in recording.variables.items()}
    return {"out": str(path), "model": recording.meta["model"], "hash": recording.hash,
            "content_sha256": recording.content_hash, "records": len(recording.time),
            "last_time_s": float(recording.time[-1]),
            "variables": {name: {"unit": s.unit, "long_name": s.long_name, "elements": s.values.shape[1],
                                 "min": float(ranges[name][0].min()), "max": float(ranges[name][1].max()),
                                 "last": [float(v) for v in s.values[-1][:10]]}
                          for name, s in recording.variables.items()}}
