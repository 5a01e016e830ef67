"""The dashes of Pathfinder's contours (Linsley2018), drawn once per direction, and where on an image they lie.

Places of an image are indices into a framed one, flat, so that a dash at the border needs no special case. Directions
are angles in radians from the x axis (right) towards y (down); coordinates are (y, x). Nothing here loads torch.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import atan2, ceil, cos, pi, sin
from typing import NamedTuple, no_type_check

import numpy as np
from PIL import Image, ImageDraw

Point = tuple[int, int]
FREE = 76       # of 255: a place is free where the mask is at most .3
TOGETHER = 459  # of 255: a dash fits where its mask and what is there add up to less than 1.8


@dataclass(frozen=True)
class Scene:
    """The settings of one size: lengths in pixels, contrasts as factors, retries after a first try."""

    side: int
    contour: int                # dashes of a target contour
    margins: tuple[int, ...]    # around a dash; one of them for an image
    dash: int                   # length
    thickness: float
    marker: float               # radius
    continuity: float
    seed_distance: int          # between the first dashes of the two target contours
    distractor_dashes: int      # in all distractors together, about
    distractor_contrast: float
    contour_contrast: float
    padding: int = 1
    antialias: int = 2
    distractor_retries: int = 4
    dash_retries: int = 2
    least_free: float = .01     # share of the image, for a distractor to be tried

    @property
    def distractor(self) -> int:
        """Dashes of one distractor."""
        return self.contour // 3


def moved(point: Point, angle: float, distance: int) -> Point:
    """A point shifted along an angle; each coordinate rounded up, as published."""
    return ceil(point[0] + distance * sin(angle)), ceil(point[1] + distance * cos(angle))


def flipped(angle: float) -> float:
    """The opposite direction."""
    return angle + pi if angle < 0 else angle - pi


def disc(radius: int) -> list[Point]:
    """Offsets of all places within a radius."""
    reach = range(-radius, radius + 1)
    return [(y, x) for y in reach for x in reach if y * y + x * x <= radius * radius]


class Stamp(NamedTuple):
    """A dash as (offset, value 1..255): its brightness, what it occupies, and of this what could be too much."""

    line: tuple[tuple[int, int], ...]
    mask: tuple[tuple[int, int], ...]
    strong: tuple[tuple[int, int], ...]  # TOGETHER cannot be reached with less
    core: tuple[int, ...]                # shifts under which all of a first dash lies free, see `Dashes.taken`
    begins: bool                         # whether a contour can begin in this direction


class Candidate(NamedTuple):
    """Where the next dash of a contour may end, relative to its pivot."""

    offset: int
    shift: Point
    angle: float
    weight: float


@no_type_check  # called thousands of times an image: the tests' checks of signatures would take minutes
class Dashes:
    """All that depends on the settings and one margin; what it has made it keeps."""

    def __init__(self, scene: Scene, margin: int):
        self.scene, self.margin = scene, margin
        self.half = scene.dash + ceil(scene.thickness) + margin      # of a stamp
        self.rim = max(self.half, scene.dash + 3 * margin + 4)       # a dash's candidates lie at most so far outside
        self.width = scene.side + 2 * self.rim
        self.disc = tuple(self.shift(point) for point in disc(margin))
        self.window = self._rows(0)
        inside = np.zeros((self.width, self.width), np.uint8)
        inside[self.rim:-self.rim, self.rim:-self.rim] = 1
        self.outside = (255 * (1 - inside)).ravel().tolist()         # 255 where nothing can end
        edge = self._border(scene.padding)
        self.padding = [255 * (edge >> place & 1) for place in range(self.width ** 2)]  # of an empty mask
        self.stamp, self.candidates, self.border = (lru_cache(maxsize=None)(method) for method in (
            self._stamp, self._candidates, self._border))

    def shift(self, point: Point) -> int:
        """A shift of coordinates as one of indices."""
        return point[0] * self.width + point[1]

    def place(self, point: Point) -> int:
        """The index of a point of the image."""
        return (point[0] + self.rim) * self.width + point[1] + self.rim

    def point(self, place: int) -> Point:
        """The point of an index."""
        y, x = divmod(place, self.width)
        return y - self.rim, x - self.rim

    def holds(self, point: Point) -> bool:
        """Whether a point lies on the image."""
        return 0 <= point[0] < self.scene.side and 0 <= point[1] < self.scene.side

    def _rows(self, border: int) -> int:
        """Bits of all places of the image but a border."""
        row = ((1 << max(0, self.scene.side - 2 * border)) - 1) << self.rim + border
        return sum(row << self.width * (self.rim + y) for y in range(border, self.scene.side - border))

    def _border(self, width: int) -> int:
        """Bits of the places within `width` of the image's edge."""
        return self.window & ~self._rows(width)

    def taken(self, bits: int, angle: float) -> int:
        """Bits of the places where the core of a first dash in this direction would meet one of `bits`."""
        return _met(bits, self.stamp(angle).core)

    def _stamp(self, angle: float) -> Stamp:
        scene, fine = self.scene, self.scene.antialias
        centre, size = self.half * fine, 2 * self.half + 1
        blown = Image.new("L", (2 * centre + 1, 2 * centre + 1))
        head = moved((centre, centre), angle, scene.dash * fine)
        ImageDraw.Draw(blown).line([(centre, centre), head[::-1]], fill=255, width=round(scene.thickness * fine))
        grown = Image.fromarray(grow(np.asarray(blown), self.margin * fine))
        line, mask = (np.asarray(each.resize((size, size), Image.Resampling.LANCZOS)) for each in (blown, grown))
        around = self._listed(mask)
        reach = range(-scene.dash - self.margin, scene.dash + self.margin + 1)
        full = np.argwhere(mask == 255) - self.half + 1  # only full places count, shifted by one: as published
        core = tuple(self.shift((y, x)) for y, x in full.tolist() if y in reach and x in reach)
        # as published: where the core at some place of the image would lie all outside, no place at all counts as free
        return Stamp(self._listed(line), around, tuple(each for each in around if each[1] >= TOGETHER - 255), core,
                     not self.window & ~_met(self.window, core))

    def _listed(self, values: np.ndarray) -> tuple[tuple[int, int], ...]:
        """(offset, value) of all places above 0 of a stamp."""
        return tuple((self.shift((y - self.half, x - self.half)), int(values[y, x]))
                     for y, x in np.argwhere(values).tolist())

    def _candidates(self, angle: float) -> tuple[Candidate, ...]:
        """Places on a circle around the pivot; likelier the straighter the contour goes on."""
        step = self.scene.dash + self.margin
        turns = np.arange(0, 360, 360 / (2 * step * pi)) * pi / 180
        middle = 4 * self.rim  # of a coordinate's size: what is rounded down is not a tiny number's sign
        shifts = {(int(middle + step * sin(turn)) - middle, int(middle + step * cos(turn)) - middle) for turn in turns}
        found = []
        for y, x in sorted(shifts):
            towards = atan2(y, x)
            bend = abs(towards - angle)
            bend = min(min(bend, 2 * pi - bend) * self.scene.continuity, pi / 2)
            if (weight := max(cos(bend), 0.) ** 2) > 1e-9:
                found.append(Candidate(self.shift((y, x)), (y, x), towards, weight))
        return tuple(found)


def _met(bits: int, shifts: tuple[int, ...]) -> int:
    """The places that are one of `bits` after one of the shifts."""
    met = 0
    for shift in shifts:
        met |= bits >> shift if shift >= 0 else bits << -shift
    return met


def grow(values: np.ndarray, radius: int) -> np.ndarray:
    """Grey dilation: the greatest value within a radius; outside the image is nothing."""
    most, (height, width) = np.zeros_like(values), values.shape
    framed = np.pad(values, radius)
    for y, x in disc(radius):
        np.maximum(most, framed[radius + y:radius + y + height, radius + x:radius + x + width], out=most)
    return most


def marker(scene: Scene, centre: Point) -> np.ndarray:
    """A disc around a point, float [side, side] in 0..1, smoothed as the dashes are."""
    fine = scene.antialias
    y, x = (np.arange(-coordinate * fine, (scene.side - coordinate) * fine) for coordinate in centre)
    blown = y[:, None] ** 2 + x ** 2 <= (scene.marker * fine) ** 2
    small = Image.fromarray(255 * blown.astype(np.uint8)).resize((scene.side,) * 2, Image.Resampling.LANCZOS)
    return np.asarray(small) / 255
