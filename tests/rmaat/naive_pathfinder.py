"""Pathfinder's generator once more, as it was published: whole arrays of floats, every dash drawn anew.

Written after https://github.com/drewlinsley/pathfinder (snakes.py, snakes2.py) for the tests; draws its random numbers
in the order of the package's generator, so that both give the same images.
"""

import math

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage


def scaled(values):
    """scipy.misc.bytescale."""
    if values.dtype == np.uint8:
        return values
    low, high = values.min(), values.max()
    return (np.clip((values - low) * (255 / ((high - low) or 1)), 0, 255) + .5).astype(np.uint8)


def resized(values, side):
    """scipy.misc.imresize with interp="lanczos"."""
    return np.asarray(Image.fromarray(scaled(values)).resize((side, side), Image.Resampling.LANCZOS))


def dilated(values, kernel):
    """cv2.dilate: a kernel is cast to whole numbers, and what lies outside counts for nothing."""
    return ndimage.maximum_filter(np.asarray(values, float), footprint=kernel.astype(np.uint8) > 0, mode="constant",
                                  cval=-np.inf)


def disc(radius):
    y, x = np.ogrid[-radius:radius + 1, -radius:radius + 1]
    return (x ** 2 + y ** 2 <= radius ** 2).astype(float)


def moved(point, angle, distance):
    return [int(np.ceil(point[0] + distance * np.sin(angle))), int(np.ceil(point[1] + distance * np.cos(angle)))]


def flipped(angle):
    return angle + np.pi if angle < 0 else angle - np.pi


def free(mask):
    rounded = np.ceil(mask - .3)
    if rounded.min() < 0:  # a kernel that lies all outside gives the least of all numbers; then nothing is free
        return np.empty((0, 2), int)
    return np.argwhere(rounded.astype(np.uint8) == 0)


class Painter:
    def __init__(self, scene, rng):
        self.scene, self.draw = scene, rng.random
        self.label, self.marked = int(self.draw() * 2), int(self.draw() * 2)
        self.margin = scene.margins[int(self.draw() * len(scene.margins))]

    def dash(self, side, start, angle, contrast=1.):
        """Brightness and mask of a dash on an empty image."""
        scene, fine = self.scene, self.scene.antialias
        half = scene.dash + math.ceil(scene.thickness) + self.margin
        blown = Image.new("F", (2 * half * fine + 1,) * 2, "black")
        centre = [half * fine] * 2
        head = moved(centre, angle, scene.dash * fine)
        ImageDraw.Draw(blown).line([tuple(centre), (head[1], head[0])], fill="white",
                                   width=int(np.round(scene.thickness * fine)))
        grown = dilated(np.array(blown), disc(self.margin * fine)).astype(np.uint8)
        made = []
        for values, factor in ((np.array(blown), contrast), (grown, 1.)):
            framed = np.zeros((side + 8 * half,) * 2)
            y, x = start[0] + 4 * half, start[1] + 4 * half
            framed[y - half:y + half + 1, x - half:x + half + 1] = resized(values, 2 * half + 1) / 255 * factor
            made.append(framed[4 * half:-4 * half, 4 * half:-4 * half])
        return made

    def on_image(self, point):
        return 0 <= point[0] < self.scene.side and 0 <= point[1] < self.scene.side

    def first(self, mask, *, border=0, least_free=0., near=None):
        """Tail, pivot and angle of a first dash, or None."""
        scene, side = self.scene, self.scene.side
        for _ in range(scene.dash_retries + 1):
            angle = (int(self.draw() * 360) - 180) * np.pi / 180
            if near is None:
                size = 2 * (scene.dash + self.margin) + 1
                _, kernel = self.dash(size, [scene.dash + self.margin + 1] * 2, angle)
                lined = mask.copy()
                lined[:border] = lined[side - border:] = lined[:, :border] = lined[:, side - border:] = 1
                places = free(dilated(lined, kernel))
                if len(places) == 0 or len(free(mask)) / side ** 2 < least_free:
                    return None
                tail = places[int(self.draw() * len(places))].tolist()
            else:
                around = int(self.draw() * 360) * np.pi / 180
                tail = [int(np.round(near[0] + scene.seed_distance * np.sin(around))),
                        int(np.round(near[1] + scene.seed_distance * np.cos(around)))]
            head = moved(tail, angle, scene.dash)
            pivot = moved(head, flipped(angle), scene.dash + self.margin)
            if self.on_image(head) and self.on_image(pivot):
                return tail, pivot, angle
        return None

    def extended(self, snake, image, mask, contrast):
        """Snake (pivot, angle, its last mask, tip), image and mask with one more dash, or None."""
        scene, step = self.scene, self.scene.dash + self.margin
        pivot = moved(snake[0], snake[1], scene.dash + 2 * self.margin)
        occupied = dilated(mask, disc(self.margin))
        turns = np.arange(0, 360, 360 / (2 * step * np.pi)) * np.pi / 180
        y, x = pivot[0] + step * np.sin(turns), pivot[1] + step * np.cos(turns)
        inside = (y >= 0) & (y < scene.side) & (x >= 0) & (x < scene.side)
        ends = np.unique(np.stack([y, x], axis=1)[inside].astype(int), axis=0)
        angles = np.arctan2(*(ends - pivot).T)
        bend = np.minimum(abs(angles - snake[1]), 2 * np.pi - abs(angles - snake[1])) * scene.continuity
        odds = (1 - occupied[tuple(ends.T)]) * np.maximum(np.cos(np.minimum(bend, np.pi / 2)), 0) ** 2
        if odds.sum() < 1e-4:
            return None
        sums = np.cumsum(odds / odds.sum())
        for _ in range(scene.dash_retries + 1):
            chosen = np.argmax(sums - self.draw() > 0)
            line, around = self.dash(scene.side, ends[chosen], flipped(angles[chosen]), contrast)
            if (mask + around).max() < 1.8 - 1e-6:  # 459 / 255 as a sum of two floats falls on either side
                return ((pivot, angles[chosen], around, ends[chosen].tolist()), np.maximum(image, line),
                        np.maximum(mask, snake[2]))
        return None

    def two(self):
        """Image, mask, begins and ends of two contours, or None."""
        scene = self.scene
        mask = np.ones((scene.side,) * 2)
        mask[scene.padding:-scene.padding, scene.padding:-scene.padding] = 0
        if (one := self.first(mask, border=2 * scene.seed_distance)) is None:
            return None
        if (other := self.first(mask, near=one[0])) is None:
            return None
        image, snakes = np.zeros_like(mask), []
        for tail, pivot, angle in (one, other):
            line, around = self.dash(scene.side, tail, angle, scene.contour_contrast)
            image = np.maximum(image, line)
            snakes.append((pivot, angle, around, tail))
        begins = [snake[3] for snake in snakes]
        for _ in range(scene.contour - 1):
            for k in (0, 1):
                if (grown := self.extended(snakes[k], image, mask, scene.contour_contrast)) is None:
                    return None
                snakes[k], image, mask = grown
        return image, np.maximum(mask, snakes[1][2]), begins, [snake[3] for snake in snakes]

    def distractor(self, image, mask):
        scene = self.scene
        if (begun := self.first(mask, border=1, least_free=scene.least_free)) is None:
            return None
        tail, pivot, angle = begun
        line, around = self.dash(scene.side, tail, angle, scene.distractor_contrast)
        image, snake = np.maximum(image, line), (pivot, angle, around, tail)
        for _ in range(scene.distractor - 1):
            if (grown := self.extended(snake, image, mask, scene.distractor_contrast)) is None:
                return None
            snake, image, mask = grown
        return image, np.maximum(mask, snake[2])

    def circle(self, centre):
        fine, side = self.scene.antialias, self.scene.side
        y, x = np.ogrid[-centre[0] * fine:(side - centre[0]) * fine, -centre[1] * fine:(side - centre[1]) * fine]
        return resized((x ** 2 + y ** 2 <= (self.scene.marker * fine) ** 2).astype(float), side) / 255

    def image(self):
        """Image uint8 [side, side] and label."""
        while (drawn := self.two()) is None:
            pass
        image, mask, begins, ends = drawn
        for _ in range(self.scene.distractor_dashes // self.scene.distractor):
            for _ in range(self.scene.distractor_retries + 1):
                if (more := self.distractor(image, mask)) is not None:
                    image, mask = more
                    break
        other = self.marked if self.label else 1 - self.marked
        circles = np.maximum(self.circle(begins[self.marked]), self.circle(ends[other]))
        return scaled(np.maximum(image, circles)), self.label
