"""The generator of Pathfinder (Linsley2018) with the settings of Long Range Arena (Tay2021): an image from its seed.

Written anew, for the same distribution: every choice is drawn as in the published one, but the mask is kept as whole
numbers (its values are multiples of 1/255) and as bits, and only the places under a dash are looked at. Nothing on the
way to this file loads torch: workers run it.
"""

import random
from dataclasses import replace
from functools import lru_cache
from math import cos, radians, sin
from typing import NamedTuple, no_type_check

import numpy as np

from foundation.errors import UserError
from rmaat.tasks.pathfinder_dashes import FREE, TOGETHER, Dashes, Point, Scene, flipped, marker, moved
from rmaat.tasks.workers import answer

MAX_PAIRS = 100_000  # pairs of contours begun for one image, where the hardest setting needs about 1,000
NAMED = {"easy": 6, "intermediate": 9, "hard": 14}  # dashes of a target contour
NUMBERS = tuple(map(str, range(3, 15)))  # a distractor has a third of them
CONTOURS = NAMED | {number: int(number) for number in NUMBERS}
_SIZES = {32: {"margins": (1,), "dash": 2, "thickness": .5, "marker": 1.5, "continuity": 1., "seed_distance": 7,
               "distractor_dashes": 20, "distractor_contrast": 2., "contour_contrast": 1.5},  # .75 of 2
          64: {"margins": (1,), "dash": 5, "thickness": 1., "marker": 2.5, "continuity": 1.8, "seed_distance": 12,
               "distractor_dashes": 22, "distractor_contrast": .8, "contour_contrast": .8},
          128: {"margins": (2, 3), "dash": 5, "thickness": 1.5, "marker": 3., "continuity": 1.8, "seed_distance": 20,
                "distractor_dashes": 35, "distractor_contrast": .9, "contour_contrast": .9}}
SIDES = tuple(_SIZES)


def scene(side: int, difficulty: str, *, distractors: bool = True) -> Scene:
    """The settings of Pathfinder32, 64 and 128, as the builders of Long Range Arena's data sets state them."""
    made = Scene(side=side, contour=CONTOURS[difficulty], **_SIZES[side])
    return made if distractors else replace(made, distractor_dashes=0)


class Failed(Exception):  # noqa: N818 - no error: the contour is begun anew
    """A contour found no place."""


class Snake(NamedTuple):
    """A contour while it grows."""

    pivot: Point       # around which its next dash turns, once moved on
    angle: float
    last: tuple        # its last dash: that is put into the mask when the next one is there
    tip: Point         # the end of its last dash; at first, its begin


@no_type_check  # called thousands of times an image: the tests' checks of signatures would take minutes
class Canvas:
    """One image while it is drawn: brightness, what is occupied (0..255), and where that is above .3 as bits."""

    def __init__(self, dashes: Dashes, rng: random.Random):
        self.dashes, self.scene, self.draw = dashes, dashes.scene, rng.random
        self.lit, self.mask = dashes.border(self.scene.padding), dashes.padding[:]
        self.brightness = [0.] * dashes.width ** 2

    def state(self):
        """What a failed contour is undone with."""
        return self.brightness[:], self.mask[:], self.lit

    def below(self, top: int) -> int:
        """A whole number 0..top - 1."""
        return int(self.draw() * top)

    def angle(self) -> float:
        """A direction, a whole number of degrees."""
        return radians(self.below(360) - 180)

    def paint(self, place: int, angle: float, contrast: float) -> None:
        """The brighter of what is there and the dash."""
        brightness = self.brightness
        for offset, value in self.dashes.stamp(angle).line:
            value *= contrast
            if brightness[place + offset] < value:
                brightness[place + offset] = value

    def occupy(self, dash) -> None:
        """Put a dash (place, angle) into the mask; what lies outside the image is cut off."""
        place, angle = dash
        mask, outside = self.mask, self.dashes.outside
        for offset, value in self.dashes.stamp(angle).mask:
            at = place + offset
            if mask[at] < value and not outside[at]:
                mask[at] = value
                if value > FREE:
                    self.lit |= 1 << at

    def fits(self, place: int, angle: float) -> bool:
        """Whether a dash and what is there are less than 1.8 everywhere on the image."""
        mask = self.mask  # outside the image it is 0
        return all(mask[place + offset] + value < TOGETHER for offset, value in self.dashes.stamp(angle).strong)

    def begin(self, border: int, least_free: float = 0.) -> Snake:
        """A first dash that touches nothing and no place within `border` of the edge. Raises `Failed`."""
        dashes = self.dashes
        if least_free and (dashes.window & ~self.lit).bit_count() < least_free * self.scene.side ** 2:
            raise Failed
        for _ in range(self.scene.dash_retries + 1):
            angle = self.angle()
            if not dashes.stamp(angle).begins:
                raise Failed
            free = dashes.window & ~dashes.taken(self.lit | dashes.border(border), angle)
            if not free:
                raise Failed
            tail = dashes.point(_bit(free, self.below(free.bit_count())))
            if (snake := self.from_tail(tail, angle)) is not None:
                return snake
        raise Failed

    def begin_near(self, point: Point) -> Snake:
        """A first dash at the seed distance from a point, wherever that is. Raises `Failed`."""
        for _ in range(self.scene.dash_retries + 1):
            angle, around = self.angle(), radians(self.below(360))
            tail = (round(point[0] + self.scene.seed_distance * sin(around)),
                    round(point[1] + self.scene.seed_distance * cos(around)))
            if (snake := self.from_tail(tail, angle)) is not None:
                return snake
        raise Failed

    def from_tail(self, tail: Point, angle: float) -> Snake | None:
        """A contour of one dash; None where its head or its pivot would lie outside."""
        dashes = self.dashes
        head = moved(tail, angle, self.scene.dash)
        pivot = moved(head, flipped(angle), self.scene.dash + dashes.margin)
        if dashes.holds(head) and dashes.holds(pivot):
            return Snake(pivot, angle, (dashes.place(tail), angle), tail)
        return None

    def extend(self, snake: Snake, contrast: float) -> Snake:
        """The contour with one more dash; the one before it is put into the mask. Raises `Failed`."""
        dashes, mask, outside = self.dashes, self.mask, self.dashes.outside
        pivot = moved(snake.pivot, snake.angle, self.scene.dash + 2 * dashes.margin)
        centre, total, sums = dashes.place(pivot), 0., []
        candidates = dashes.candidates(snake.angle)
        for candidate in candidates:
            place = centre + candidate.offset
            most = outside[place]
            if not most:
                for near in dashes.disc:
                    if mask[place + near] > most:
                        most = mask[place + near]
            total += candidate.weight * (255 - most)
            sums.append(total)
        if total < 1e-4 * 255:
            raise Failed
        for _ in range(self.scene.dash_retries + 1):
            wanted = self.draw() * total
            chosen = candidates[next((k for k, value in enumerate(sums) if value > wanted), len(sums) - 1)]
            place, angle = centre + chosen.offset, flipped(chosen.angle)
            if self.fits(place, angle):
                break
        else:
            raise Failed
        self.paint(place, angle, contrast)
        self.occupy(snake.last)
        return Snake(pivot, chosen.angle, (place, angle), (pivot[0] + chosen.shift[0], pivot[1] + chosen.shift[1]))

    def contours(self) -> tuple[tuple[Point, Point], tuple[Point, Point]]:
        """Draw the two target contours; the begins of both, and the ends of both. Raises `Failed`."""
        scene = self.scene
        first = self.begin(2 * scene.seed_distance)
        snakes = [first, self.begin_near(first.tip)]
        begins = tuple(snake.tip for snake in snakes)
        for snake in snakes:
            self.paint(*snake.last, scene.contour_contrast)
        for _ in range(scene.contour - 1):
            snakes = [self.extend(snake, scene.contour_contrast) for snake in snakes]
        self.occupy(snakes[1].last)  # not the first one's: as published
        return begins, tuple(snake.tip for snake in snakes)

    def distract(self) -> None:
        """Draw one distractor, or nothing where none of the tries finds a place."""
        scene = self.scene
        before = self.state()
        for _ in range(scene.distractor_retries + 1):
            try:
                snake = self.begin(1, scene.least_free)
                self.paint(*snake.last, scene.distractor_contrast)
                for _ in range(scene.distractor - 1):
                    snake = self.extend(snake, scene.distractor_contrast)
            except Failed:
                self.brightness, self.mask, self.lit = before[0][:], before[1][:], before[2]
            else:
                self.occupy(snake.last)
                return


def _bit(bits: int, index: int) -> int:
    """The place of the bit of a number that has `index` bits below it."""
    found = np.frombuffer(bits.to_bytes((bits.bit_length() + 7) // 8, "little"), np.uint8)
    return int(np.flatnonzero(np.unpackbits(found, bitorder="little"))[index])


@lru_cache(maxsize=4)
def _dashes(scene: Scene, margin: int) -> Dashes:
    return Dashes(scene, margin)


def sample(scene: Scene, seed: int, split: str, index: int) -> tuple[np.ndarray, int]:
    """Image uint8 [side, side] and label, 1 where both circles are on one contour: a function of the arguments alone.

    Raises `UserError` where the settings leave no room for two contours.
    """
    rng = random.Random(f"{seed}/{split}/{index}")  # seeded by SHA-512 of the text
    label, marked = int(rng.random() * 2), int(rng.random() * 2)
    dashes = _dashes(scene, scene.margins[int(rng.random() * len(scene.margins))])
    for _ in range(MAX_PAIRS):
        canvas = Canvas(dashes, rng)
        try:
            begins, ends = canvas.contours()
            break
        except Failed:
            continue
    else:
        raise UserError(f"pathfinder: no room for two contours of {scene.contour} dashes on {scene.side} x "
                        f"{scene.side} pixels in {MAX_PAIRS} tries")
    for _ in range(scene.distractor_dashes // scene.distractor):
        canvas.distract()
    circles = np.maximum(marker(scene, begins[marked]), marker(scene, ends[marked if label else 1 - marked]))
    drawn = np.reshape(canvas.brightness, (dashes.width,) * 2)[dashes.rim:-dashes.rim, dashes.rim:-dashes.rim] / 255
    return stretched(np.maximum(drawn, circles)), label


def stretched(values: np.ndarray) -> np.ndarray:
    """The values from their least to their greatest as 0..255, rounded."""
    least = values.min()
    return ((values - least) * (255 / (values.max() - least)) + .5).astype(np.uint8)


def work(settings: dict, seed: int, split: str, start: int, stop: int) -> bytes:
    """A chunk: the labels of the samples from `start` to `stop`, without it, a byte each, then their images."""
    made = [sample(Scene(**settings | {"margins": tuple(settings["margins"])}), seed, split, index)
            for index in range(start, stop)]
    return bytes(label for _, label in made) + b"".join(image.tobytes() for image, _ in made)


if __name__ == "__main__":
    answer(work)
