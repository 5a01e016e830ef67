"""Spike trains as data: given times, regular, Poisson, and pairs of spikes for plasticity.

    poisson("spikes", rate="5 hertz", stop="60 s", seed=1)
    pairing(offset="10 ms", period="1 s", count=60)

A spike at t acts on the state at t, before the step that starts there; the record at t is the state just after it.
"""

import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from astro_sim.parameter import Amount, read, seconds
from astro_sim.protocols.text import Elements, Several, chosen_elements, moment, several
from foundation.errors import UserError
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


Train = Spikes | Poisson


def train_from_dict(entry: dict) -> Train:
    """The train that `as_dict` wrote."""
    elements = None if entry["elements"] is None else tuple(entry["elements"])
    if entry["kind"] == "poisson":
        return Poisson(entry["input"], entry["rate_hertz"], entry["start_s"], entry["stop_s"], entry["seed"], elements)
    return Spikes(entry["kind"], entry["input"], tuple(entry["spike_times_s"]), elements)


def spikes(input: str, times: Several, elements: Elements = None) -> Spikes:
    """Spikes at the given times, rising; text joins them by +, as in 0.1s+0.2s."""
    times = several(times, "times")
    at = tuple(moment(time, "times") for time in times)
    if not at or any(b <= a for a, b in itertools.pairwise(at)):
        raise UserError(f"times: {', '.join(map(str, times))} do not rise; give each spike a later time")
    return Spikes("spikes", input, at, chosen_elements(elements))


def regular(input: str, rate: Amount, count: Amount, start: Amount = "0 s", elements: Elements = None) -> Spikes:
    """`count` spikes at equal intervals 1/`rate`, the first at `start`."""
    frequency, number, begin = _rate(rate), _count(count), moment(start, "start")
    return Spikes("regular", input, tuple(begin + n / frequency for n in range(number)), chosen_elements(elements))


def poisson(input: str, rate: Amount, stop: Amount, start: Amount = "0 s", seed: Amount = 0,
            elements: Elements = None) -> Poisson:
    """Independent Poisson trains of every element from `start` to `stop`.

    A second spike in one step of dt moves to the next free step, so no spike is lost.
    """
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


def spike_steps(trains: Sequence[Train], size: int, *, dt: float, steps: int
                ) -> tuple[Int[np.ndarray, "spike"], Int[np.ndarray, "spike"]]:
    """(element, step) of every spike that `size` sources send in `steps` steps of dt (s), each at the nearest step.

    Errors: `UserError` where two given spikes of an element meet in one step. Poisson spikes then move on.
    """
    senders, sent = [np.zeros(0, int)], [np.zeros(0, int)]
    for train in trains:
        for element in range(size) if train.elements is None else train.elements:
            at = nearest_steps(train.of(element), dt)
            if (np.diff(at) < 1).any():
                if not isinstance(train, Poisson):
                    raise UserError(f"dt: two spikes of {train.input} meet in one step of {dt:g} s; give a shorter "
                                    "step")
                at = np.maximum.accumulate(at - np.arange(len(at))) + np.arange(len(at))
            at = at[at <= steps]
            senders.append(np.full(len(at), element))
            sent.append(at)
    return np.concatenate(senders), np.concatenate(sent)
