"""Random ListOps trees as Long Range Arena defines them (Nangia2018, Tay2021). Standard library only.

A sample is a function of (seed, split, index, redraw) alone, so any number of workers makes the same data. Workers
import this file alone: nothing on the way to it loads torch.
"""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from statistics import median
from typing import NamedTuple, no_type_check

from foundation.errors import UserError
from rmaat.tasks.workers import answer, in_programs

# Token ids: 0 is padding, 1..10 the values 0..9, then the four operators, then the closing bracket.
VALUE_0 = 1
OPERATORS = ("[MIN", "[MAX", "[MED", "[SM")
OPERATOR_0 = VALUE_0 + 10
CLOSE = OPERATOR_0 + len(OPERATORS)
VOCABULARY = {str(value): VALUE_0 + value for value in range(10)} | {
    name: OPERATOR_0 + k for k, name in enumerate(OPERATORS)} | {"X": CLOSE}

APPLY: tuple[Callable[[list[int]], int], ...] = (
    min, max, lambda values: int(median(values)), lambda values: sum(values) % 10)
VALUE_PROBABILITY = .25  # an operator where the draw is at most this, as in the released generator
CHUNK = 1_000  # samples that one worker makes: a second's work, against a tenth to start it
MAX_TRIES = 1_000_000  # trees drawn for one sample; the defaults keep about one in 12
MAX_REDRAWS = 1_000


@dataclass(frozen=True)
class Shape:
    """Which trees are kept: those with `min_length` < tokens < `max_length`."""

    min_length: int = 500
    max_length: int = 2000
    max_depth: int = 10
    max_arguments: int = 10


@no_type_check  # called a thousand times a sample: the tests' checks of signatures would take a minute
def grow(draw: Callable[[], float], shape: Shape, tokens: bytearray, depth: int = 1) -> int:
    """Append a random subtree to `tokens` and return its value; stops early once the tree is too long to be kept."""
    if depth >= shape.max_depth or draw() > VALUE_PROBABILITY:
        value = int(draw() * 10)
        tokens.append(VALUE_0 + value)
        return value
    operator = int(draw() * len(OPERATORS))
    arguments = 2 + int(draw() * (shape.max_arguments - 1))
    tokens.append(OPERATOR_0 + operator)
    values = []
    for _ in range(arguments):
        if len(tokens) >= shape.max_length:
            return 0
        values.append(grow(draw, shape, tokens, depth + 1))
    tokens.append(CLOSE)
    return APPLY[operator](values)


def sample(shape: Shape, seed: int, split: str, *, index: int, redraw: int = 0) -> tuple[bytes, int]:
    """Token ids and value of one kept tree. Raises `UserError` when the shape keeps next to none."""
    draw = random.Random(f"{seed}/{split}/{index}/{redraw}").random  # seeded by SHA-512 of the text
    for _ in range(MAX_TRIES):
        tokens = bytearray()
        value = grow(draw, shape, tokens)
        if shape.min_length < len(tokens) < shape.max_length:
            return bytes(tokens), value
    raise UserError(f"listops: no tree with {shape.min_length} < length < {shape.max_length} in {MAX_TRIES} draws of "
                    f"depth {shape.max_depth}, at most {shape.max_arguments} arguments; widen the lengths or the tree")


class Chunk(NamedTuple):
    """The samples from `start` to `stop`, without it, of a split: what one worker makes."""

    shape: Shape
    seed: int
    split: str
    start: int
    stop: int

    def samples(self) -> list[tuple[bytes, int]]:
        """Token ids and value of each."""
        return [sample(self.shape, self.seed, self.split, index=index) for index in range(self.start, self.stop)]


def generate(shape: Shape, seed: int, sizes: dict[str, int], *, workers: int = 1,
             report: Callable[[int], None] = lambda done: None) -> dict[str, list[tuple[bytes, int]]]:
    """Samples of every split, no tree twice, neither within a split nor across splits.

    `sizes` maps split -> samples; where a tree repeats an earlier one (earlier splits first) it is drawn anew, in
    order, so the result depends on no worker. `report` is told the number of samples made so far.
    """
    jobs = [Chunk(shape, seed, split, start, min(start + CHUNK, size))
            for split, size in sizes.items() for start in range(0, size, CHUNK)]
    splits: dict[str, list[tuple[bytes, int]]] = {split: [] for split in sizes}
    seen: set[bytes] = set()
    for job, chunk in zip(jobs, _run(jobs, workers), strict=True):
        split = splits[job.split]
        for tokens, value in chunk:
            redraw = 0
            while tokens in seen:
                redraw += 1
                if redraw > MAX_REDRAWS:
                    raise UserError(f"listops: {len(seen)} distinct trees are all that {MAX_REDRAWS} draws find with "
                                    f"{shape}; ask for fewer samples or longer trees")
                tokens, value = sample(shape, seed, job.split, index=len(split), redraw=redraw)
            seen.add(tokens)
            split.append((tokens, value))
        report(sum(map(len, splits.values())))
    return splits


def _run(jobs: list[Chunk], workers: int) -> Iterator[list[tuple[bytes, int]]]:
    """The chunks in order."""
    if workers == 1 or len(jobs) < 2:
        yield from (job.samples() for job in jobs)
        return
    for made in in_programs(__name__, [[asdict(job.shape), *job[1:]] for job in jobs], workers=workers):
        yield [(bytes.fromhex(tokens), value) for tokens, value in json.loads(made)]


def work(shape: dict, seed: int, split: str, start: int, stop: int) -> bytes:
    """A chunk as JSON."""
    made = Chunk(Shape(**shape), seed, split, start, stop).samples()
    return json.dumps([(tokens.hex(), value) for tokens, value in made]).encode()


if __name__ == "__main__":
    answer(work)
