"""Does one manual page name the other under SEE ALSO? Stands for Retrieval with data that packages bring.

Read from the files of Debian packages, which `rmaat data fetch manpages` brings. The text of a page is what it says
without its SEE ALSO; no page is in two splits, and negatives are of the same section.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from foundation.errors import UserError
from foundation.files import sha256_file
from rmaat.tasks.debian import PageName, pages_of
from rmaat.tasks.documents import Store
from rmaat.tasks.man_pairs import SHORTEST, assign, links_of, pairs_of, read_page
from rmaat.tasks.retrieval import Retrieval
from rmaat.tasks.trees import Tree, default_folder

PACKAGES = ("git-man", "libcurl4-doc", "libssl-doc", "manpages", "manpages-dev", "perl-doc", "tcl8.6-doc", "tk8.6-doc")


@dataclass(frozen=True)
class Manpages(Retrieval):
    """Pairs of manual pages, the first `max_length` bytes of each; label 1: the first names the second."""

    name: ClassVar[str] = "manpages"
    summary: ClassVar[str] = "does a manual page name the other under SEE ALSO? two documents of bytes; Debian packages"
    source: ClassVar[str] = f"manual pages of the Debian packages {', '.join(PACKAGES)}"
    licence: ClassVar[str] = "free licences, one a package: see its /usr/share/doc/PACKAGE/copyright"

    max_length: int = 2_048

    def tree(self, data: Path | None) -> Tree:
        """The folder with the packages' files. Raises `UserError` where it has none."""
        place = default_folder() / self.name if data is None else Path(data)
        folder = next((each for each in (place, place / self.name) if _packages(each)), None)
        if folder is None:
            raise UserError(f"no Debian packages (*.deb) in {place}; 'rmaat data fetch manpages' brings "
                            f"{', '.join(PACKAGES)}, or give the folder of such files with --data")
        return Tree(folder)

    def _read(self, tree: Tree) -> dict[str, np.ndarray]:
        """All pairs of the packages, with the checksum of these."""
        packages = _packages(tree.path)
        texts: dict[PageName, str] = {}
        also: dict[PageName, str] = {}
        others: dict[PageName, PageName] = {}
        for package in packages:
            pages, named = pages_of(package)
            others |= named
            for page, source in pages.items():
                text, see_also = read_page(source)
                if page not in texts and len(text.encode()) >= SHORTEST:
                    texts[page], also[page] = text, see_also
        links = links_of(also, others)
        store, arrays = Store(self.max_length), {}
        for name, pairs in pairs_of(links, assign(links)).items():
            if not pairs:
                raise UserError(f"the packages in {tree.path} give no pairs for {name}: {len(texts)} pages, "
                                f"{sum(map(len, links.values()))} references; add packages, for example "
                                f"{', '.join(PACKAGES)}")
            numbers = [[store.number(texts[page].encode()) for page in pair[:2]] for pair in pairs]
            arrays |= {f"{name}.pairs": np.array(numbers, dtype=np.int64),
                       f"{name}.labels": np.array([pair.label for pair in pairs], dtype=np.int64)}
        digests = [(package.name, sha256_file(package)) for package in packages]
        return arrays | store.arrays() | {"sha256": tree.checksum(digests)}


def _packages(folder: Path) -> list[Path]:
    """The packages in a folder by name; not what another system left beside them, as `._perl-doc.deb`."""
    return sorted(path for path in folder.glob("*.deb") if not path.name.startswith("."))
