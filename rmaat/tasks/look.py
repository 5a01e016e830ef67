"""What is there of each task's data, and what a look at a split shows: lengths, classes, duplicates, samples."""

from pathlib import Path

import numpy as np

from foundation.errors import UserError
from foundation.files import sha256_bytes
from rmaat.tasks.linear import majority
from rmaat.tasks.overlap import keys_of
from rmaat.tasks.splits import spread
from rmaat.tasks.task import Split, Task

LOOKED_AT = 50_000  # samples, for lengths and duplicates
SHOWN = 60  # tokens or bytes of a sample


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
        "classes": {} if labels.ndim > 1 else {str(label): int(count) for label, count in enumerate(np.bincount(
            labels, minlength=task.num_classes))},
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
    first = getattr(split, "first", None)
    texts = []
    for row, length in zip(tokens.numpy(), lengths.tolist(), strict=True):
        shown = row[:min(length, SHOWN)]
        texts.append(" ".join(map(str, shown[:SHOWN // 4].tolist())) if not first else
                     bytes((shown - first).clip(0, 255).astype(np.uint8).tolist()).decode("utf-8", "replace"))
    return {"sample": index, "label": labels[0].tolist(), "length": int(lengths.sum()), "begins": texts}


def text(name: str, split: str, about: dict) -> str:
    """What `look` found, as lines."""
    lengths, many = about["lengths"], "" if about["documents"] == 1 else f" in each of {about['documents']} documents"
    lines = [f"{name}, {split}: {about['samples']:,} samples"
             + (f" ({about['looked_at']:,} looked at)" if about["looked_at"] < about["samples"] else ""),
             f"  tokens      {lengths['shortest']:,} to {lengths['longest']:,}, median {lengths['median']:,.0f}, mean "
             f"{lengths['mean']:,.1f}{many}"]
    if about["classes"]:
        counts = ", ".join(f"{label}: {count:,}" for label, count in about["classes"].items())
        lines.append(f"  classes     {counts}; majority {about['majority']:.1%}")
    lines.append("  duplicates  " + ("not looked for: samples are made one by one" if about["duplicates"] is None else
                                     f"{about['duplicates']:,}"))
    lines += [f"  SHA-256     {digest}  {file}" for file, digest in about["sources"].items()]
    lines += [f"  licence     {about['licence'] or 'unknown'}", f"  source      {about['source'] or 'unknown'}", ""]
    for drawn in about["drawn"]:
        head = f"  {drawn['sample']:>7}  label {drawn['label'] if isinstance(drawn['label'], int) else '-'}  "
        lines += [f"{head if not place else ' ' * len(head)}{begins!r}" for place, begins in enumerate(drawn["begins"])]
    return "\n".join(lines)
