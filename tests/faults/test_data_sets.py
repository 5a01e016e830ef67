"""Data sets that nobody wrote on purpose: a file of each layout that a task reads, spoiled at random places."""

import csv
import json
import random
import shutil
import warnings

import numpy as np
import pytest

from foundation.errors import UserError

SECONDS = 5  # of CPU time for one reading
MOST = 2_000  # letters of an error
BITS = [b"", b"\0", b"\xff" * 4, b"\t", b"\n", b'"', b"{", b"[", b"( [MAX", b"9" * 400, b"nan", b"-1", b"1e999",
        bytes(64), b"\xff\xff\xff\x7f", b"\x80\x02c__builtin__\nprint\n", b"../../x", b"PK\x03\x04", b"\x1f\x8b",
        b"IHDR\x7f\xff\xff\xff"]


def write_fashion(folder):
    for part, count in (("train", 12), ("t10k", 5)):
        images = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (count, 28, 28)) + bytes(range(256)) * 49
        (folder / f"{part}-images-idx3-ubyte").write_bytes(images[:16 + count * 784])
        labels = bytes(k % 10 for k in range(count))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + count.to_bytes(4, "big") + labels)
    return folder


def write_listops(folder):
    for part in ("train", "val", "test"):
        lines = [f"( ( ( [MAX {k % 10} ) {(k + 3) % 10} ) ] )\t{max(k % 10, (k + 3) % 10)}" for k in range(12)]
        (folder / f"basic_{part}.tsv").write_text("\n".join(["Source\tTarget", *lines]) + "\n")
    return folder


def write_packages(folder):
    from twins import page, write_package

    from rmaat.tasks.manpages import PACKAGES

    names = [f"p{k:03}" for k in range(240)]
    pages = [page(name, "3", [(names[k - 1], "3"), (names[k - 2], "3")]) for k, name in enumerate(names)]
    for place, name in enumerate(PACKAGES):
        write_package(folder / f"{name}_1.0_all.deb", pages[place::len(PACKAGES)])
    return folder


def rows(count=40):
    return [(f"text {k} of many", ("ham", "spam")[k % 2]) for k in range(count)]


def write_table(folder, ending="csv", delimiter=","):
    with open(folder / f"x.{ending}", "w", newline="") as stream:
        csv.writer(stream, delimiter=delimiter).writerows([("text", "label"), *rows()])
    return folder / f"x.{ending}"


def write_lines(folder):
    (folder / "x.jsonl").write_text("".join(json.dumps({"text": a, "label": b}) + "\n" for a, b in rows()))
    return folder / "x.jsonl"


def write_parquet(folder):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    texts, labels = zip(*rows(), strict=True)
    parquet.write_table(pyarrow.table({"text": texts, "label": labels}), folder / "x.parquet")
    return folder / "x.parquet"


def write_arrays(folder):
    texts, labels = zip(*rows(), strict=True)
    np.savez_compressed(folder / "x.npz", text=texts, label=labels)
    return folder / "x.npz"


def write_array(folder):
    np.save(folder / "x.npy", np.array(rows(), dtype=[("text", "U20"), ("label", "U9")]))
    return folder / "x.npy"


def written(kind, folder):
    """What --data names, a tiny data set of this kind in `folder`; the name of its task."""
    from twins import pack, write_binary, write_images, write_pairs, write_pickled, write_release, write_reviews

    task, _, how = kind.partition(" ")
    if task == "text":
        write_reviews(folder, 3)
        made = folder / "aclImdb"
    elif task == "image":
        made = {"binary": write_binary, "pickled": write_pickled, "png": write_images,
                "jpg": lambda folder, count: write_images(folder, count, kind="jpg")}[how.split()[0]](folder, 10)
    elif task == "pathfinder":
        made = write_release(folder, images=20)
    elif task == "retrieval":
        write_pairs(folder, 6)
        made = folder
    elif task == "files":
        made = {"csv": write_table, "tsv": lambda folder: write_table(folder, "tsv", "\t"), "jsonl": write_lines,
                "parquet": write_parquet, "npz": write_arrays, "npy": write_array}[how](folder)
    else:
        made = {"fashion": write_fashion, "listops": write_listops, "manpages": write_packages}[task](folder)
    ending = kind.rpartition(" ")[2]
    if ending in ("zip", "tar.gz", "tar.xz"):
        name = "pathfinder32" if task == "pathfinder" else made.name
        packed = pack(made, folder.parent / f"{name}.{ending}")
        shutil.rmtree(folder)
        folder.mkdir()
        made = packed.rename(folder / packed.name)
    return task, made


KINDS = ["text", "text tar.gz", "text tar.xz", "text zip", "image binary", "image binary tar.gz", "image pickled",
         "image pickled tar.gz", "image png", "image png zip", "image jpg", "pathfinder", "pathfinder zip",
         "retrieval", "fashion", "listops", "manpages", "files csv", "files tsv", "files jsonl", "files parquet",
         "files npz", "files npy"]


def spoiled(path, draw):
    """A few bytes of one of the files replaced, put in or taken out, or the file cut."""
    path = draw.choice(sorted(p for p in path.rglob("*") if p.is_file())) if path.is_dir() else path
    data = bytearray(path.read_bytes())
    for _ in range(draw.randint(1, 3)):
        at = draw.choice([draw.randrange(len(data) + 1), draw.randrange(min(len(data), 80) + 1)])
        if draw.random() < .1:
            del data[at:]
        elif draw.random() < .3 and data:
            data[at % len(data)] ^= 1 << draw.randrange(8)
        else:
            data[at:at + draw.randint(0, 8)] = draw.choice(BITS)
    path.write_bytes(data)
    return path.name, bytes(data[:200])


def read(task, place):
    """All that is done with a data set before a training: its splits, checked, its fingerprints, what is odd."""
    from rmaat.tasks.checks import check_data
    from rmaat.tasks.fingerprint import contents, fingerprint
    from rmaat.tasks.overlap import note_what_is_odd
    from rmaat.tasks.registry import TASKS

    dials = {"text": {"validation": 2}, "image": {"validation": 3}, "fashion": {"validation": 2}}.get(task, {})
    made = TASKS[task](**dials)
    if hasattr(made, "prepared"):
        made = made.prepared(place)
    splits = {name: check_data(made.split(name, place), name, made) for name in ("train", "validation", "test")}
    for split in splits.values():
        fingerprint(split), contents(split)
    note_what_is_odd(splits, made)


def test_the_data_sets_are_read_as_they_are(within, tmp_path, monkeypatch):
    monkeypatch.setenv("ASTRO_RMAAT_CACHE", str(tmp_path / "cache"))
    for number, kind in enumerate(KINDS):
        folder = tmp_path / str(number)
        folder.mkdir()
        with within(20), warnings.catch_warnings(action="ignore"):
            read(*written(kind, folder))


@pytest.mark.minutes
@pytest.mark.fault("F8")
def test_data_sets_of_bytes_that_nobody_wrote(within, rounds, tmp_path, monkeypatch):
    """A data set has a file that is cut, spoiled or packed wrongly: reviews, images, pairs, trees, packages, tables.

    Only the project's own errors of bounded length come out, nothing hangs, and nothing is run; or the data are read,
    where what was altered is a text or a pixel.
    """
    monkeypatch.setenv("ASTRO_RMAAT_CACHE", str(tmp_path / "cache"))
    made = {}
    for n in rounds(len(KINDS)):
        kind = KINDS[n % len(KINDS)]
        if kind not in made:
            whole = tmp_path / "whole" / str(len(made))
            whole.mkdir(parents=True)
            task, place = written(kind, whole)
            made[kind] = task, whole, place.relative_to(whole)
        task, whole, inside = made[kind]
        folder = tmp_path / "spoiled"
        shutil.copytree(whole, folder)
        what = spoiled(folder / inside, random.Random(n))
        try:
            with within(SECONDS), warnings.catch_warnings(action="ignore"):
                read(task, folder / inside)
        except UserError as error:
            assert len(str(error)) < MOST, (kind, n, what)
        except Exception as error:
            said = f"{type(error).__name__}: {str(error)[:300]}"
            raise AssertionError(f"{kind}, round {n}: {said}\nfrom {what}") from error
        shutil.rmtree(folder)
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
