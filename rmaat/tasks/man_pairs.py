"""Pairs of manual pages: does the SEE ALSO of the first name the second? Split by page, negatives of equal section."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from foundation.files import sha256_bytes
from rmaat.tasks.debian import PageName
from rmaat.tasks.roff import sections_of

SEE_ALSO = "SEE ALSO"
REFERENCE = re.compile(r"([A-Za-z0-9_][\w.:+-]*)\s*\((\d\w*|n)\)")
MODULE = re.compile(r"\b\w+(?:::\w+)+\b")  # Perl names its modules without a section
CLUSTER = 24  # pages that refer to each other and are kept in one split
SHARES = {"train": .7, "validation": .1, "test": .2}  # of the clusters
SHORTEST = 200  # bytes of a page that says anything


class Pair(NamedTuple):
    """Two pages, and whether the first names the second."""

    first: PageName
    second: PageName
    label: int


def read_page(source: str) -> tuple[str, str]:
    """A page's text without its SEE ALSO, and the text of that."""
    sections = sections_of(source)
    text = "\n".join(f"{heading}\n{body}" for heading, body in sections if heading != SEE_ALSO)
    return text, "\n".join(body for heading, body in sections if heading == SEE_ALSO)


def links_of(see_also: Mapping[PageName, str], others: Mapping[PageName, PageName]) -> dict[PageName, set[PageName]]:
    """Page -> the pages that its SEE ALSO names, by their names or by names that stand for them."""
    by_name: dict[str, list[PageName]] = defaultdict(list)
    for page in sorted([*see_also, *others]):
        by_name[page.name].append(page)

    def find(name: str, section: str) -> PageName | None:
        known = by_name.get(name, [])
        fitting = [page for page in known if page.section == section] or [
            page for page in known if page.section[0] == section[0]] or (known if section == "n" else [])
        page = fitting[0] if fitting else None
        for _ in others:  # a name may stand for a name
            if page not in others or page in see_also:
                break
            page = others[page]
        return page if page in see_also else None

    links = {}
    for page, text in see_also.items():
        named = {find(*match.groups()) for match in REFERENCE.finditer(text)}
        named |= {find(match[0], page.section) for match in MODULE.finditer(text)}
        links[page] = named - {None, page}
    return links


def _rank(*words: str) -> int:
    """A number in 0..2**32 - 1 that says nothing, and is the same everywhere."""
    return int(sha256_bytes("\n".join(words).encode())[:8], 16)


def assign(links: Mapping[PageName, set[PageName]]) -> dict[PageName, str]:
    """The split of each page. Pages that refer to each other stay together, in clusters of up to `CLUSTER`."""
    beside: dict[PageName, set[PageName]] = {page: set(named) for page, named in links.items()}
    for page, named in links.items():
        for other in named:
            beside[other].add(page)
    splits: dict[PageName, str] = {}
    for seed in sorted(links, key=lambda page: _rank(*page)):
        if seed in splits:
            continue
        drawn, name = _rank("split", *seed) / 2**32, "test"
        for candidate, share in SHARES.items():
            if drawn < share:
                name = candidate
                break
            drawn -= share
        cluster = [seed]
        for page in cluster:  # grows while it is gone through
            new = [other for other in sorted(beside[page], key=lambda other: _rank(*other))
                   if other not in splits and other not in cluster]
            cluster += new[:CLUSTER - len(cluster)]
        splits |= dict.fromkeys(cluster, name)
    return splits


def pairs_of(links: Mapping[PageName, set[PageName]], splits: Mapping[PageName, str]) -> dict[str, list[Pair]]:
    """Pairs by split, of pages of that split alone; as many negative as positive where there are pages for it.

    A negative has the first page of a positive, and as its second one that is second in other positives of the split,
    of the same section: neither a page by itself nor its section says anything of the label.
    """
    made: dict[str, list[Pair]] = {name: [] for name in SHARES}
    for name in SHARES:
        positive = sorted((page, other) for page, named in links.items() for other in named
                          if splits[page] == splits[other] == name)
        seconds: dict[str, list[PageName]] = defaultdict(list)
        for _, other in positive:
            seconds[other.section].append(other)
        taken: set[tuple[PageName, PageName]] = set()
        for page, other in positive:
            found = _negative(page, other, seconds[other.section], links=links, taken=taken)
            made[name].append(Pair(page, other, 1))
            if found is not None:
                taken.add((page, found))
                made[name].append(Pair(page, found, 0))
        made[name].sort(key=lambda pair: _rank(*pair.first, *pair.second))
    return made


def _negative(page: PageName, other: PageName, candidates: list[PageName], *, links: Mapping[PageName, set[PageName]],
              taken: Iterable[tuple[PageName, PageName]]) -> PageName | None:
    start = _rank("negative", *page, *other) % len(candidates)
    for found in candidates[start:] + candidates[:start]:
        if found not in (page, other) and found not in links[page] and page not in links[found] \
                and (page, found) not in taken:
            return found
    return None
