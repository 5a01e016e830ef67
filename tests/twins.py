"""Tiny data sets in the layouts of the official releases, made by the tests themselves.

Each `write_*` makes a folder and gives what is in it; `pack` puts a folder into an archive as releases come.
"""

import gzip
import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
WORDS = {"neg": (b"dull", b"flat", b"poor"), "pos": (b"fine", b"warm", b"rich")}


def pack(folder: Path, archive: Path) -> Path:
    """The folder, under its own name, as .zip or .tar(.gz, .xz, .bz2) by the archive's name."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for path in sorted(folder.rglob("*")):
                packed.write(path, path.relative_to(folder.parent))
    else:
        with tarfile.open(archive, f"w:{archive.suffix.removeprefix('.').removesuffix('tar')}") as packed:
            packed.add(folder, folder.name)
    return archive


def write_reviews(folder: Path, count: int = 6, *, seed: int = 0) -> dict:
    """aclImdb with `count` reviews of each class in train and test; {(part, class): {id: bytes}}."""
    generator, made = np.random.default_rng(seed), {}
    for part in ("train", "test"):
        for kind, words in WORDS.items():
            place = folder / "aclImdb" / part / kind
            place.mkdir(parents=True)
            for number in range(count):
                chosen = generator.integers(0, 3, int(generator.integers(3, 40)))
                review = b" ".join(words[i] for i in chosen) + f" {part} {kind} {number} \xe9<br />".encode()
                (place / f"{number}_{generator.integers(1, 11)}.txt").write_bytes(review)
                made.setdefault((part, kind), {})[number] = review
    return made


def colours(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Colour images uint8 [count, 3, 32, 32] whose brightness tells their label, and the labels, in turn."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 10
    images = generator.integers(0, 30, (count, 3, 32, 32)) + 20 * labels[:, None, None, None]
    return images.astype(np.uint8), labels


def batches(count: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Images and labels of the six batches of CIFAR-10, `count` in each."""
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    return {name: colours(count, seed) for seed, name in enumerate(names)}


def write_binary(folder: Path, count: int = 10) -> Path:
    """cifar-10-batches-bin with `count` images a batch."""
    place = folder / "cifar-10-batches-bin"
    place.mkdir(parents=True)
    for name, (images, labels) in batches(count).items():
        records = np.concatenate([labels[:, None].astype(np.uint8), images.reshape(count, -1)], 1)
        (place / f"{name}.bin").write_bytes(records.tobytes())
    (place / "batches.meta.txt").write_text("\n".join(CLASSES))
    return place


def write_pickled(folder: Path, count: int = 10, *, protocol: int = 2) -> Path:
    """cifar-10-batches-py with `count` images a batch, as Python pickles it."""
    place = folder / "cifar-10-batches-py"
    place.mkdir(parents=True)
    for name, (images, labels) in batches(count).items():
        held = {b"batch_label": name.encode(), b"labels": labels.tolist(), b"data": images.reshape(count, -1),
                b"filenames": [b"%d.png" % i for i in range(count)]}
        (place / name).write_bytes(pickle.dumps(held, protocol))
    return place


def write_images(folder: Path, count: int = 20, *, kind: str = "png") -> Path:
    """A tree {train,test}/<class>/<n>.png with the same images as the batches, in the order of their labels."""
    from PIL import Image

    place = folder / "cifar10"
    found = batches(count)
    parts = {"train": [x for name, x in found.items() if name != "test_batch"], "test": [found["test_batch"]]}
    for part, pairs in parts.items():
        images, labels = (np.concatenate(arrays) for arrays in zip(*pairs, strict=True))
        for label, name in enumerate(CLASSES):
            (place / part / name).mkdir(parents=True)
            for number, image in enumerate(images[labels == label]):
                stream = io.BytesIO()
                Image.fromarray(image.transpose(1, 2, 0)).save(stream, {"jpg": "JPEG"}.get(kind, kind))
                (place / part / name / f"{number}.{kind}").write_bytes(stream.getvalue())
    return place


def write_pairs(folder: Path, count: int = 12, *, stem: str = "new_aan_pairs", seed: int = 0) -> dict:
    """`stem`.{train,eval,test}.tsv with `count` pairs each; {split: [(label, text1, text2)]}. A word of the first
    document comes again in the second where the label is 1."""
    generator, made = np.random.default_rng(seed), {}
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "eval", "test"):
        words = [f"{part}word{i}" for i in range(30)]
        papers = [" ".join(words[i] for i in generator.integers(0, 30, generator.integers(5, 25))) for _ in range(8)]
        rows = []
        for row in range(count):
            one, other = generator.choice(8, 2, replace=False)
            label = row % 2
            second = papers[one].split()[0] + " " + papers[other] if label else papers[other]
            rows.append((label, papers[one], second))
        lines = [f"{float(label)}\t{row}a\t{row}b\t{one}\t{other}\n" for row, (label, one, other) in enumerate(rows)]
        (folder / f"{stem}.{part}.tsv").write_text("".join(lines))
        made[part] = rows
    return made


def write_release(folder, *, side=32, images=30, name="curv_contour_length_14"):
    """Pathfinder as released: image k of folder k // 10 has the grey value k in its corner; label k % 2."""
    from PIL import Image

    for k in range(images):
        place = folder / name / "imgs" / str(k // 10)
        place.mkdir(parents=True, exist_ok=True)
        values = np.zeros((side, side), np.uint8)
        values[0, 0], values[1, 0] = k, 255
        Image.fromarray(values).save(place / f"sample_{k % 10}.png")
    (folder / name / "metadata").mkdir()
    for k in range(0, images, 10):
        lines = [f"imgs/{k // 10} sample_{j % 10}.png {j} {j % 2} 1.0 14 4 2 0.5 1 1"
                 for j in range(k, min(k + 10, images))]
        (folder / name / "metadata" / f"{k // 10}.npy").write_text("\n".join(lines) + "\n")
    return folder / name


def write_package(path, files, *, links=(), ending="xz"):
    """A .deb: ar of debian-binary, control.tar and data.tar."""
    def packed(entries):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode=f"w:{ending}") as archive:
            for name, content in entries:
                member = tarfile.TarInfo(f"./usr/share/man/{name}")
                if isinstance(content, str):
                    member.type, member.linkname = tarfile.SYMTYPE, content
                    archive.addfile(member)
                else:
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
        return stream.getvalue()

    body = b"!<arch>\n"
    data = packed([*((name, gzip.compress(text.encode(), mtime=0)) for name, text in files), *links])
    for name, content in (("debian-binary", b"2.0\n"), (f"control.tar.{ending}", packed([])),
                          (f"data.tar.{ending}", data)):
        body += f"{name:16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode() + content
        body += b"\n" * (len(content) % 2)
    path.write_bytes(body)
    return path


def page(name, section, also, words="word"):
    """Path and roff source of a manual page, with the (name, section) of pages that it refers to."""
    named = "\n".join(f".BR {other} ({where})," for other, where in also)
    return (f"man{section[0]}/{name}.{section}.gz",
            f".TH X\n.SH NAME\n{name} \\- {words}\n.SH DESCRIPTION\n{f'{words} ' * 40}\n.SH SEE ALSO\n{named}\n")
