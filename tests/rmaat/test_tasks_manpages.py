"""Manual pages: roff to text, packages without installing, pairs split by page with negatives of equal section."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings, strategies
from twins import page, write_package

from foundation.errors import DamagedFileError, UserError
from rmaat.tasks.checks import check_data
from rmaat.tasks.controls import control_rows
from rmaat.tasks.debian import PageName, pages_of
from rmaat.tasks.fetch import fetch
from rmaat.tasks.man_pairs import SHARES, assign, links_of, pairs_of, read_page
from rmaat.tasks.manpages import PACKAGES, Manpages
from rmaat.tasks.roff import sections_of

PAGE = r"""'\" t
.\" a comment that names other(3)
.de Vb
.nf
..
.TH OPEN 2 2022-10-30 "Linux \(em 6.03"
.SH NAME
open, openat \- open a file
.SH "SYNOPSIS"
.B "int open(const char *" pathname ", int " flags );
.BI "int " creat "(const char *" path );
.if n .sp
.SH DESCRIPTION
The \fBopen\fR() call, see
.BR close (2),
takes \f(CWO_CREAT\fP\|; don\(aqt \*(L"quote\*(R" \e n.
.IP \(bu 4
A point \" and what is not read
.Nm prog
.Xr read 2 ,
.SH "SEE ALSO"
.BR close (2),
.BR io_uring (7)
.SH COLOPHON
The end.
"""


def test_a_page_is_read_as_a_reader_would():
    assert sections_of(PAGE) == [
        ("NAME", "open, openat - open a file"),
        ("SYNOPSIS", "int open(const char * pathname , int flags );\nint creat(const char *path);"),
        ("DESCRIPTION", "The open() call, see\nclose(2),\ntakes O_CREAT; don't \"quote\" \\ n.\n*\nA point\nprog\n"
                        "read(2),"),
        ("SEE ALSO", "close(2),\nio_uring(7)"), ("COLOPHON", "The end.")]
    text, also = read_page(PAGE)
    assert also == "close(2),\nio_uring(7)" and "io_uring" not in text and text.endswith("COLOPHON\nThe end.")


@settings(max_examples=50)
@given(strategies.text(alphabet="\\.\"'()[]*fsnBIR 1\nSH", max_size=60))
def test_any_text_can_be_read(text):
    assert all("\n\n" not in body for _, body in sections_of(f".SH A\n{text}"))


@pytest.mark.parametrize("ending", ["xz", "gz"])
def test_pages_and_the_names_that_stand_for_them(tmp_path, ending):
    path = write_package(tmp_path / "a_1_all.deb", [page("open", "2", [("close", "2")]), (
        "man3/creat.3.gz", ".so man2/open.2\n"), ("de/man2/open.2.gz", "auf Deutsch"), ("man2/odd.txt.gz", "no page")],
        links=[("man2/openat.2.gz", "open.2.gz"), ("man3/far.3ssl.gz", "../man2/open.2.gz")], ending=ending)
    pages, others = pages_of(path)
    assert list(pages) == [("open", "2")]
    assert others == {("creat", "3"): ("open", "2"), ("openat", "2"): ("open", "2"), ("far", "3ssl"): ("open", "2")}
    links = links_of({PageName("read", "2"): "openat(2), nobody(2), read(2), far(3)", PageName("open", "2"): "read(2)"},
                     others)
    assert links == {("read", "2"): {("open", "2")}, ("open", "2"): {("read", "2")}}


def ring(count, section="3", name="p"):
    """Pages that each name the next two."""
    pages = [PageName(f"{name}{i:03}", section) for i in range(count)]
    return {each: {pages[(i + 1) % count], pages[(i + 2) % count]} for i, each in enumerate(pages)}


def test_no_page_is_in_two_splits_and_negatives_have_no_link_and_the_same_section():
    links = ring(300) | ring(200, "2", "q") | ring(90, "3ssl", "r")
    splits = assign(links)
    made = pairs_of(links, splits)
    assert set(splits) == set(links) and set(made) == set(SHARES)
    for name, pairs in made.items():
        assert pairs and {splits[each] for pair in pairs for each in pair[:2]} == {name}
        positive = [pair for pair in pairs if pair.label]
        negative = [pair for pair in pairs if not pair.label]
        assert all(second in links[first] for first, second, _ in positive)
        assert all(second not in links[first] and first not in links[second] and first != second
                   for first, second, _ in negative)
        assert len(negative) > .9 * len(positive) and len(set(pairs)) == len(pairs)
        sections = [Counter((a.section, b.section) for a, b, _ in kind) for kind in (positive, negative)]
        assert all(sections[1][each] <= sections[0][each] for each in sections[1]), "matched by section"
    inside = sum(splits[each] == splits[other] for each, named in links.items() for other in named)
    assert inside > .8 * sum(map(len, links.values())), "clusters keep most references within a split"
    assert assign(dict(reversed(links.items()))) == splits, "whatever the order"


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Packages of 240 pages; what a page says tells which ones it refers to."""
    monkeypatch.setenv("ASTRO_RMAAT_CACHE", str(tmp_path / "cache"))
    links = ring(240)
    pages = [page(each.name, "3", sorted(links[each]), words=f"topic{int(each.name[1:]) // 4}") for each in links]
    folder = tmp_path / "packages"
    folder.mkdir()
    for place, name in enumerate(PACKAGES):
        write_package(folder / f"{name}_1.0_all.deb", pages[place::len(PACKAGES)])
    return folder


@pytest.mark.slow
def test_the_task_from_packages(packages):
    task = Manpages(max_length=64)
    splits = {name: task.split(name, packages) for name in ("train", "validation", "test")}
    for name, split in splits.items():
        check_data(split, name, task)
        assert abs(split.labels.mean() - .5) < .05
    seen = [{int(number) for number in np.unique(split.pairs)} for split in splits.values()]
    assert not seen[0] & seen[1] and not seen[0] & seen[2] and not seen[1] & seen[2]
    texts = [splits["test"].document(number).tobytes() for number in splits["test"].pairs[0].tolist()]
    assert all(text.startswith(b"NAME\np") and b"SEE ALSO" not in text for text in texts)
    rows = {row.name: row.accuracy for row in control_rows(task, "test", 16, data=packages)}
    assert rows["majority"] < .56 and rows["tf-idf of words"] > .6, "words that are shared tell of a reference"


@pytest.mark.slow
def test_fetch_puts_packages_where_the_task_looks(packages, tmp_path):
    with pytest.raises(UserError, match="rmaat data fetch manpages"):
        Manpages().split("train")
    written = fetch("manpages", packages)
    assert [path.name for path in written] == [f"{name}_1.0_all.deb" for name in PACKAGES]
    assert all(path.parent == tmp_path / "cache" / "data" / "manpages" for path in written)
    assert len(Manpages().split("train")) == len(Manpages().split("train", packages))
    next(packages.glob("perl-doc*")).unlink()
    with pytest.raises(UserError, match=r"no perl-doc_\*\.deb in .*packages\.debian\.org/perl-doc"):
        fetch("manpages", packages)


@pytest.mark.slow
def test_what_another_system_left_beside_packages_is_none(packages):
    (packages / "._perl-doc_1.0_all.deb").write_bytes(b"\0\5\x16\7")
    assert len(Manpages().split("test", packages))
    (packages / "perl-doc_1.0_all.deb").write_bytes(
        b"!<arch>\n" + f"{'data.tar.gz':16}{0:<12}{0:<6}{0:<6}{100644:<8}{4:<10}`\n".encode() + b"none")
    with pytest.raises(DamagedFileError, match=r"perl-doc_1\.0_all\.deb: damaged or cut") as raised:
        Manpages().split("test", packages)
    assert "\n" not in str(raised.value)


def test_packages_that_refer_to_nothing_give_no_pairs(tmp_path, monkeypatch):
    monkeypatch.setenv("ASTRO_RMAAT_CACHE", str(tmp_path / "cache"))
    write_package(tmp_path / "a_1_all.deb", [page("open", "2", [])])
    with pytest.raises(UserError, match="give no pairs for train: 1 pages, 0 references; add packages"):
        Manpages().split("train", tmp_path)


@pytest.mark.parametrize("spoil", [
    lambda content: content[:-5], lambda content: content[:40], lambda content: b"", lambda content: b"!<arch>\n",
    lambda content: content.replace(b"data.tar", b"else.tar"), lambda content: content[:200] + b"\0" * 200
    + content[400:]])
def test_a_damaged_package_has_exit_code_three(tmp_path, spoil):
    path = write_package(tmp_path / "a_1_all.deb", [page(f"p{i}", "2", []) for i in range(30)])
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DamagedFileError, match=r"a_1_all\.deb"):
        pages_of(path)


def test_zstd_is_said(tmp_path):
    path = write_package(tmp_path / "a_1_all.deb", [page("p", "2", [])])
    path.write_bytes(path.read_bytes().replace(b"data.tar.xz ", b"data.tar.zst"))
    with pytest.raises(UserError, match="zstd"):
        pages_of(path)
