"""Spike trains as data: given times, regular, Poisson, rasters, and pairs of spikes for plasticity.

    poisson("spikes", rate="5 hertz", stop="60 s", seed=1)
    pairing(offset="10 ms", period="1 s", count=60)
    raster("spikes", indices=[0, 2, 0], times=["1 s", "1 s", "1.2 s"])

A spike at t acts on the state at t, before the step that starts there; the record at t is the state just after it.
Several trains of an element are sent together. Spikes of an element that meet in a step act in it one after another.
"""

import functools
import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from astro_sim.parameter import Amount, column_of, read, read_columns, seconds
from astro_sim.protocols.text import Elements, Several, chosen_elements, moment, several
from foundation.errors import UserError
from foundation.files import sha256_bytes
from foundation.shapes import Float, Int

MAX_SPIKES = 1_000_000


@dataclass(frozen=True)
class Spikes:
    """The same spike times (s, rising) for each of `elements` of an input; None means all."""

    kind: str
    input: str
    times: tuple[float, ...]
    elements: tuple[int, ...] | None = None

    def of(self, element: int) -> Float[np.ndarray, "spike"]:
        """Spike times of one element, float64 seconds, rising."""
        return np.array(self.times)

    def as_dict(self) -> dict:
        """The train as JSON: times in seconds."""
        return {"kind": self.kind, "input": self.input, "spike_times_s": list(self.times),
                "elements": None if self.elements is None else list(self.elements)}


@dataclass(frozen=True)
class Poisson:
    """Independent Poisson trains, one an element: `rate` in hertz from `start` to `stop` (s).

    The train of an element depends on seed, input and element alone, not on the backend or on the other elements.
    """

    input: str
    rate: float
    start: float
    stop: float
    seed: int
    elements: tuple[int, ...] | None = None
    kind = "poisson"

    def of(self, element: int) -> Float[np.ndarray, "spike"]:
        """Spike times of one element, float64 seconds, rising."""
        random = np.random.default_rng([self.seed, element, zlib.crc32(self.input.encode())])
        mean = self.rate * (self.stop - self.start)
        gaps = random.exponential(1 / self.rate, int(mean + 12 * mean**0.5 + 40))  # 12 deviations: never too few
        times = self.start + np.cumsum(gaps)
        return times[times < self.stop]

    def as_dict(self) -> dict:
        """The train as JSON: rate in hertz, times in seconds, its seed."""
        return {"kind": self.kind, "input": self.input, "rate_hertz": self.rate, "start_s": self.start,
                "stop_s": self.stop, "seed": self.seed,
                "elements": None if self.elements is None else list(self.elements)}


@dataclass(frozen=True, repr=False)
class Raster:
    """A spike of element `senders[n]` of an input at `times[n]` (s, in any order)."""

    input: str
    times: tuple[float, ...]
    senders: tuple[int, ...]
    kind = "raster"

    def __repr__(self) -> str:
        numbers = sha256_bytes(np.array([self.times, self.senders]).tobytes())[:12]
        return f"<raster of {self.input}, {numbers}: {len(self.times)} spikes>"

    @functools.cached_property
    def elements(self) -> tuple[int, ...]:
        """The elements that have a spike."""
        return tuple(sorted(set(self.senders)))

    @functools.cached_property
    def _trains(self) -> dict[int, Float[np.ndarray, "spike"]]:
        order = np.lexsort((self.times, self.senders))
        senders, times = np.array(self.senders)[order], np.array(self.times)[order]
        borders = np.searchsorted(senders, [*self.elements, senders[-1] + 1])
        return {element: times[start:stop]
                for element, start, stop in zip(self.elements, borders[:-1], borders[1:], strict=True)}

    def of(self, element: int) -> Float[np.ndarray, "spike"]:
        """Spike times of one element, float64 seconds, rising."""
        return self._trains.get(element, np.zeros(0))

    def as_dict(self) -> dict:
        """The train as JSON: times in seconds."""
        return {"kind": self.kind, "input": self.input, "spike_times_s": list(self.times),
                "senders": list(self.senders)}


Train = Spikes | Poisson | Raster


def train_from_dict(entry: dict) -> Train:
    """The train that `as_dict` wrote."""
    if entry["kind"] == "raster":
        return Raster(entry["input"], tuple(entry["spike_times_s"]), tuple(entry["senders"]))
    elements = None if entry["elements"] is None else tuple(entry["elements"])
    if entry["kind"] == "poisson":
        return Poisson(entry["input"], entry["rate_hertz"], entry["start_s"], entry["stop_s"], entry["seed"], elements)
    return Spikes(entry["kind"], entry["input"], tuple(entry["spike_times_s"]), elements)


def spikes(input: str, times: Several, elements: Elements = None) -> Spikes:
    """Spikes at the given times, rising; text joins them by +, as in 0.1s+0.2s."""
    times = several(times, "times")
    at = tuple(moment(time, "times") for time in times)
    if not at or any(b <= a for a, b in itertools.pairwise(at)):
        raise UserError(f"times: {', '.join(map(str, times))[:200]} do not rise; give each spike a later time")
    return Spikes("spikes", input, at, chosen_elements(elements))


def regular(input: str, rate: Amount, count: Amount, start: Amount = "0 s", elements: Elements = None) -> Spikes:
    """`count` spikes at equal intervals 1/`rate`, the first at `start`."""
    frequency, number, begin = _rate(rate), _count(count), moment(start, "start")
    return Spikes("regular", input, tuple(begin + n / frequency for n in range(number)), chosen_elements(elements))


def poisson(input: str, rate: Amount, stop: Amount, start: Amount = "0 s", seed: Amount = 0,
            elements: Elements = None) -> Poisson:
    """Independent Poisson trains of every element from `start` to `stop`, none before or after, none lost."""
    frequency, begin, end = _rate(rate), moment(start, "start"), moment(stop, "stop")
    if end <= begin:
        raise UserError(f"stop: {stop} is not after start {start}; give a later time")
    if frequency * (end - begin) > MAX_SPIKES:
        raise UserError(f"rate: {rate} until {stop} are more than {MAX_SPIKES} spikes; give fewer")
    number = read(seed, "1", "seed")
    if number != int(number) or not 0 <= number < 2**32:
        raise UserError(f"seed: {seed} is not allowed; give a whole number from 0 to {2**32 - 1}")
    return Poisson(input, frequency, begin, end, int(number), chosen_elements(elements))


def pairing(offset: Amount, period: Amount = "1 s", count: Amount = 60, start: Amount = "100 ms", pre: str = "pre",
            post: str = "post", elements: Elements = None) -> tuple[Spikes, Spikes]:
    """`count` pairs of a presynaptic spike and a postsynaptic one `offset` later (negative: earlier), each `period`."""
    shift, length, number = read(offset, "second", "offset"), seconds(period, "period"), _count(count)
    begin, chosen = moment(start, "start"), chosen_elements(elements)
    if begin + shift < 0:
        raise UserError(f"offset: {offset} puts the first postsynaptic spike before 0 s; give a later start")
    trains = [tuple(begin + extra + n * length for n in range(number)) for extra in (0.0, shift)]
    return Spikes("pairing", pre, trains[0], chosen), Spikes("pairing", post, trains[1], chosen)


def _rate(given: Amount) -> float:
    value = read(given, "hertz", "rate")
    if value <= 0:
        raise UserError(f"rate: {given} is not allowed; it must be above zero (leave the train out for none)")
    return value


def _count(given: Amount) -> int:
    number = read(given, "1", "count")
    if number != int(number) or not 1 <= number <= MAX_SPIKES:
        raise UserError(f"count: {given} is not allowed; give a whole number from 1 to {MAX_SPIKES}")
    return int(number)


def nearest_steps(times: Float[np.ndarray, "..."], dt: float) -> Int[np.ndarray, "..."]:
    """The step that is nearest to each of `times` (s); half a step goes up, so that spikes a step apart stay so."""
    return np.floor(times / dt + 0.5 + 1e-6).astype(int)


def raster(input: str, indices: Several | None = None, times: Several | None = None,
           file: str | Path | None = None) -> Raster:
    """A spike of element `indices[n]` at `times[n]`, or as a `file` says: CSV with columns "index, time (s)"."""
    if (file is None) == (indices is None or times is None):
        raise UserError("raster: give indices and times, or a file with a column of each: index, time (s)")
    if file is not None:
        columns = read_columns(file, "file")
        senders = column_of(columns, ("index", "element", "sender", "i"), "file", file).values
        at = column_of(columns, ("time", "times", "t"), "file", file).numbers("second", "time")
    else:
        senders = np.array([read(index, "1", "indices") for index in _each(indices, "indices")])
        at = np.array([read(time, "second", "times") for time in _each(times, "times")])
    if len(at) != len(senders) or not 1 <= len(at) <= MAX_SPIKES:
        raise UserError(f"raster: {len(senders)} indices and {len(at)} times; give one for one, from 1 to {MAX_SPIKES}")
    if (senders != np.floor(senders)).any() or senders.min() < 0:
        raise UserError("indices: not all are whole numbers from 0 on; give the element of each spike")
    if at.min() < 0:
        raise UserError(f"times: {at.min():g} s is before the start; give times of 0 s or later")
    return Raster(input, tuple(at.tolist()), tuple(senders.astype(int).tolist()))


def _each(given: Several, field: str) -> Sequence[Amount]:
    """Items; those of a Brian2 quantity, as a SpikeMonitor has them, keep its unit."""
    return list(given) if getattr(given, "dim", None) is not None else several(given, field)


MAX_AT_ONCE = 32  # spikes of an element in a step


def spike_steps(trains: Sequence[Train], size: int, *, dt: float, steps: int
                ) -> tuple[Int[np.ndarray, "spike"], Int[np.ndarray, "spike"], Int[np.ndarray, "spike"]]:
    """(element, step, place) of every spike that `size` sources send in `steps` steps of dt (s).

    Each is at the nearest step; those of a Poisson train within its start and stop. `place` counts the spikes of an
    element in a step, by their times, from 0. Errors: `UserError` where more than 32 meet, with a step that avoids it.
    """
    senders, times, sent = _sent(trains, size, dt)
    kept = sent <= steps
    order, places = in_turn(senders[kept], times[kept], sent[kept])
    refuse_crowds(trains, places, dt)
    return senders[kept][order], sent[kept][order], places


def in_turn(senders: Int[np.ndarray, "spike"], times: Float[np.ndarray, "spike"], sent: Int[np.ndarray, "spike"]
            ) -> tuple[Int[np.ndarray, "spike"], Int[np.ndarray, "spike"]]:
    """The order of spikes by sender, step and time; and in that order the place of each in its step, from 0."""
    order = np.lexsort((times, sent, senders))
    senders, sent = senders[order], sent[order]
    first = np.append(True, (np.diff(senders) != 0) | (np.diff(sent) != 0)) if len(sent) else np.zeros(0, bool)
    return order, np.arange(len(sent)) - np.flatnonzero(first)[np.cumsum(first) - 1]


def refuse_crowds(trains: Sequence[Train], places: Int[np.ndarray, "spike"], dt: float) -> None:
    """Errors: `UserError` where more than 32 spikes of an element meet in a step, with a step that avoids it."""
    most = int(places.max(initial=0)) + 1
    if most > MAX_AT_ONCE:
        names = ", ".join(dict.fromkeys(train.input for train in trains))
        shorter = float(f"{dt * MAX_AT_ONCE / (2 * most):.1g}")
        raise UserError(f"dt: {most} spikes of one element of {names} meet in a step of {dt:g} s, and {MAX_AT_ONCE} "
                        f"can; give a shorter step, such as dt = {shorter:g} s, or fewer spikes")


def _sent(trains: Sequence[Train], size: int, dt: float
          ) -> tuple[Int[np.ndarray, "spike"], Float[np.ndarray, "spike"], Int[np.ndarray, "spike"]]:
    """(element, time, step) of every spike, in no order."""
    senders, times, sent = [np.zeros(0, int)], [np.zeros(0)], [np.zeros(0, int)]
    for train in trains:
        for element in range(size) if train.elements is None else train.elements:
            found = train.of(element)
            at = nearest_steps(found, dt)
            if isinstance(train, Poisson):
                last = int(np.floor(train.stop / dt + 1e-6))
                at = np.clip(at, min(last, int(np.ceil(train.start / dt - 1e-6))), last)
            senders.append(np.full(len(at), element))
            times.append(found)
            sent.append(at)
    return np.concatenate(senders), np.concatenate(times), np.concatenate(sent)
