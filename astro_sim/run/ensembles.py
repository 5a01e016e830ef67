"""The same simulation with several seeds: mean and spread over them, and their events.

    found = ensemble("gchi_stochastic", glutamate, seeds=range(20), events=["C>0.3 uM"], duration="120 s")
    found.plot("C");  print(found)

A seed is that of the noise and of drawn initial values; to the seed of a Poisson train it is added, so that each member
has trains of its own. One recording at a time is in memory, whatever their number.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from astro_sim.analysis.detection import detect
from astro_sim.model import Model
from astro_sim.parameter import Amount, read
from astro_sim.plan import Plan, prepare
from astro_sim.protocols import Protocol, drives
from astro_sim.protocols.text import chosen_elements
from astro_sim.recording.recording import Recording
from astro_sim.recording.series import Events
from astro_sim.run.ensemble_result import Ensemble
from foundation.errors import UserError

RANDOM = re.compile(r"\b(?:rand|randn|poisson|binomial)\s*\(")
MOST = 100_000  # members


def read_seeds(seeds: int | str | Iterable[int]) -> tuple[int, ...]:
    """Whole numbers, or text such as "0-19" or "1+4+7-9". Errors: `UserError` for another form, or one given twice."""
    found = chosen_elements(seeds)
    if not found or len(found) > MOST:
        raise UserError(f"seeds: {seeds!r} are {len(found or ())}; give 1 to {MOST}, as in '0-19'")
    if len(set(found)) < len(found):
        raise UserError(f"seeds: {seeds!r} names a seed twice; the same seed gives the same recording")
    return found


def members(model: str | Model, protocol: Protocol, seeds: Sequence[int], settings: Mapping[str, Any]) -> list[dict]:
    """The keywords of `prepare` of each member. Errors: `UserError` where a seed would change nothing."""
    trains = drives(protocol)
    if not any(hasattr(train, "seed") for train in trains):
        _check_random(prepare(model, protocol, **settings))
    return [{"model": model, **settings, "seed": seed, "protocol": [
        replace(train, seed=(train.seed + seed) % 2**32) if is_dataclass(train) and hasattr(train, "seed") else train
        for train in trains]} for seed in seeds]


def _check_random(plan: Plan) -> None:
    drawn = any(isinstance(plan.initial.get(name), tuple) for name in plan.model.drawn)
    texts = "\n".join(plan.model.texts(plan.options).values())
    if not (plan.model.stochastic or drawn or RANDOM.search(texts)):
        raise UserError(f"seeds: nothing in {plan.model.name} is random under this protocol, so every seed gives the "
                        "same recording; choose a model with noise, or drive it with poisson")


def ensemble(model: str | Model, protocol: Protocol = None, *, seeds: int | str | Iterable[int],
             events: Sequence[str] = (), after: Amount = 0.0, folder: str | Path | None = None,
             workers: int | None = None, progress: bool = False, **settings: Any) -> Ensemble:
    """Simulate with each of several seeds, and gather mean, spread and events over them.

    seeds: whole numbers, or text such as "0-19". events: conditions such as "C>0.3 uM" (`analysis.detect`), from
    `after` s on; events that the model records are counted too. folder: keep the recordings there, as `sweep` does, in
    `workers` processes; without one they are not kept. settings: all else as of `simulate`. Errors: `UserError` where a
    seed changes nothing, and where no member could be simulated.
    """
    numbers = read_seeds(seeds)
    points = members(model, protocol, numbers, settings)
    begin, failed = read(after, "second", "after"), {}
    if folder is None:
        pairs = _one_by_one(points, failed, progress=progress)
    else:
        from astro_sim.run.sweeps import name_of, sweep

        outcome = sweep(points, folder, workers=workers, progress=progress)
        failed |= {point["seed"]: outcome.failed[name] for point in points
                   if (name := name_of(point)) in outcome.failed}
        pairs = ((outcome.points[name]["seed"], recording) for name, recording in outcome.recordings())
    return _gathered(pairs, tuple(events), begin, failed)


def _one_by_one(points: Sequence[Mapping], failed: dict[int, str], *, progress: bool
                ) -> Iterator[tuple[int, Recording]]:
    from astro_sim.run.simulation import run
    from foundation.cli import Progress

    with Progress("ensemble", len(points), quiet=not progress) as bar:
        for n, point in enumerate(points, start=1):
            try:
                yield point["seed"], run(prepare(**point))
            except UserError as error:
                failed[point["seed"]] = str(error)
            bar.update(n)


def _gathered(pairs: Iterable[tuple[int, Recording]], conditions: tuple[str, ...], after: float,
              failed: Mapping[int, str]) -> Ensemble:
    """Mean and spread by Welford's recursion, a recording at a time."""
    seeds, hashes, found, means, squares, first = [], [], {}, {}, {}, None
    for seed, recording in pairs:
        first = first or recording
        seeds.append(seed)
        hashes.append(recording.hash)
        for name, series in recording.variables.items():
            values = np.asarray(series.values)
            mean = means.setdefault(name, np.zeros_like(values))
            off = values - mean
            mean += off / len(seeds)
            squares[name] = squares.get(name, 0.0) + off * (values - mean)
        for condition in conditions:
            found.setdefault(condition, []).append(detect(recording, condition, after=after).statistics())
        for name, seen in recording.events.items():
            found.setdefault(name, []).append(_of_recorded(recording, seen, after))
    if first is None:
        raise UserError("ensemble: no member could be simulated: " + "; ".join(f"seed {seed}: {why}" for seed, why
                                                                              in failed.items()))
    spread = {name: np.sqrt(total / max(1, len(seeds) - 1)) for name, total in squares.items()}
    return Ensemble(first.meta["model"], tuple(seeds), tuple(hashes), first.time,
                    {name: replace(series, values=means[name]) for name, series in first.variables.items()},
                    {name: replace(series, values=spread[name]) for name, series in first.variables.items()},
                    {name: tuple(each) for name, each in found.items()}, dict(failed))


def _of_recorded(recording: Recording, seen: Events, after: float) -> dict:
    """Statistics of events that the model records, as those of detected ones."""
    from astro_sim.analysis.events import rates

    kept = np.asarray(seen.times) > after
    order = np.lexsort((seen.times[kept], seen.elements[kept]))
    times, elements = seen.times[kept][order], seen.elements[kept][order]
    gaps = np.diff(times)[np.diff(elements) == 0]
    return {"count": int(kept.sum()), "rate_hertz": float(rates(recording, seen, after).mean()), "amplitude": None,
            "width_s": None, "interval_s": {"mean": float(gaps.mean())} if len(gaps) else None}
