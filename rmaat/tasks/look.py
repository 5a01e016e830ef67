"""What is there of each task's data, and what a look at a split shows: lengths, classes, duplicates, samples."""

import math
from itertools import zip_longest
from pathlib import Path

import numpy as np

from foundation.errors import UserError
from foundation.files import sha256_bytes
from rmaat.tasks.linear import majority
from rmaat.tasks.overlap import keys_of
from rmaat.tasks.splits import spread
from rmaat.tasks.task import Split, Task

LOOKED_AT = 50_000  # samples, for lengths and duplicates
SHOWN = 60  # letters of a sample that is read
DRAWN = 32  # columns of a sample that is an image
ABREAST = 3  # images in a row
CLASSES = 20  # whose counts are printed; of more, those of the commonest
SHADES = " \N{LIGHT SHADE}\N{MEDIUM SHADE}\N{DARK SHADE}\N{FULL BLOCK}"


def place_of(task: Task, data: Path | None = None) -> dict[str, str]:
    """{"state": there, made or missing; "where": the place, or what to do}."""
    try:
        place = task.place(data)
    except UserError as error:
        return {"state": "missing", "where": str(error)}
    return {"state": "made", "where": "generated when it is needed"} if place is None else {
        "state": "there", "where": str(place)}


def look(task: Task, split: Split, *, samples: int, most: int = LOOKED_AT) -> dict:
    """Counts, lengths, classes, duplicates, checksum and `samples` drawn samples of a split, as JSON values.

    Of lengths and duplicates at most so many samples are looked at.
    """
    indices = spread(split, most)
    lengths = np.concatenate([split.batch(part).lengths.numpy() for part in _portions(indices)])
    labels, keys = split.all_labels(), keys_of(split, indices)
    drawn = np.sort(np.random.default_rng(0).choice(len(split), min(samples, len(split)), replace=False))
    return {
        "samples": len(split), "looked_at": len(indices), "documents": task.documents,
        "lengths": {"shortest": int(lengths.min()), "median": float(np.median(lengths)),
                    "mean": round(float(lengths.mean()), 1), "longest": int(lengths.max())},
        "classes": {} if labels.ndim > 1 else {task.called(label): int(count) for label, count in enumerate(
            np.bincount(labels, minlength=task.num_classes))},
        "majority": None if labels.ndim > 1 else majority(labels)[1],
        "duplicates": None if keys is None else len(keys) - len(np.unique(keys)),
        "sources": dict(getattr(split, "sources", {})) or {"made": _checksum(split, drawn)},
        "licence": task.licence, "source": task.source,
        "drawn": [_sample(task, split, index) for index in drawn.tolist()]}


def _portions(indices: np.ndarray):
    return np.array_split(indices, max(1, -(-len(indices) // 256)))


def _checksum(split: Split, indices: np.ndarray) -> str:
    tokens, lengths, labels = split.batch(indices)
    return sha256_bytes(b"".join(x.numpy().astype("<i8").tobytes() for x in (tokens, lengths, labels)))


def _sample(task: Task, split: Split, index: int) -> dict:
    tokens, lengths, labels = split.batch(np.array([index]))
    label = labels[0].tolist()
    rows = [row[:length] for row, length in zip(tokens.numpy(), lengths.tolist(), strict=True)]
    about = {"sample": index, "label": label, "called": task.called(label) if isinstance(label, int) else "-",
             "length": int(lengths.sum()), "begins": [_begin(task, row) for row in rows]}
    return about | ({"picture": picture(rows[0])} if task.pixels and math.isqrt(len(rows[0])) ** 2 == len(rows[0])
                    else {})


def _begin(task: Task, tokens: np.ndarray) -> str:
    read = task.readable(tokens[:SHOWN])
    return read if len(read) <= SHOWN and len(tokens) <= SHOWN else f"{read[:SHOWN]}..."


def picture(tokens: np.ndarray) -> list[str]:
    """A square image in row order as lines of blocks, its darkest grey blank and its brightest a full block.

    A letter stands for a patch twice as high as it is wide; a line has at most 32.
    """
    side = math.isqrt(len(tokens))
    wide = -(-side // DRAWN)
    high = wide + wide
    image = tokens.reshape(side, side).astype(np.float64)
    framed = np.pad(image, ((0, -side % high), (0, -side % wide)), constant_values=np.nan)
    patches = np.nanmean(framed.reshape(framed.shape[0] // high, high, -1, wide), axis=(1, 3))
    scaled = (patches - image.min()) / max(1, np.ptp(image))
    shades = np.minimum((scaled * len(SHADES)).astype(int), len(SHADES) - 1)
    return ["".join(SHADES[shade] for shade in line) for line in shades]


def text(name: str, split: str, about: dict) -> str:
    """What `look` found, as lines."""
    lengths, many = about["lengths"], "" if about["documents"] == 1 else f" in each of {about['documents']} documents"
    lines = [f"{name}, {split}: {about['samples']:,} samples"
             + (f" ({about['looked_at']:,} looked at)" if about["looked_at"] < about["samples"] else ""),
             f"  tokens      {lengths['shortest']:,} to {lengths['longest']:,}, median {lengths['median']:,.0f}, mean "
             f"{lengths['mean']:,.1f}{many}"]
    if about["classes"]:
        counts = list(about["classes"].items())
        if len(counts) > CLASSES:
            counts = sorted(counts, key=lambda counted: -counted[1])[:CLASSES]
        more = len(about["classes"]) - len(counts)
        lines.append("  classes     " + ", ".join(f"{label}: {count:,}" for label, count in counts)
                     + (f" and {more} more" if more else "") + f"; majority {about['majority']:.1%}")
    lines.append("  duplicates  " + ("not looked for: samples are made one by one" if about["duplicates"] is None else
                                     f"{about['duplicates']:,}"))
    lines += [f"  SHA-256     {digest}  {file}" for file, digest in about["sources"].items()]
    lines += [f"  licence     {about['licence'] or 'unknown'}", f"  source      {about['source'] or 'unknown'}", ""]
    drawn = about["drawn"]
    if all("picture" in each for each in drawn):
        for start in range(0, len(drawn), ABREAST):
            lines += [*_beside(drawn[start:start + ABREAST]), ""]
        return "\n".join(lines).rstrip()
    for each in drawn:
        head = f"  {each['sample']:>7}  label {each['called']}  "
        lines += [f"{head if not place else ' ' * len(head)}{begins!r}" for place, begins in enumerate(each["begins"])]
    return "\n".join(lines)


def _beside(drawn: list[dict]) -> list[str]:
    """Images side by side, each below its number and label."""
    heads = [f"{each['sample']}  label {each['called']}" for each in drawn]
    rows = zip_longest(*(each["picture"] for each in drawn), fillvalue="")  # sizes may differ
    return ["".join(f"  {part:<{DRAWN}}" for part in row).rstrip() for row in (heads, *rows)]
