"""The part on the derivation: the fits of each entry, what was neglected, and what the biology leaves open."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from astro_sim.recording.labels import pretty_unit
from derivation.record import ensemble
from derivation.record.entry import Record
from derivation.record.points import WHAT_TO_DO, Behind
from figures import fig_uncertainty
from figures.report import fits
from figures.report.pictures import Picture, picture
from figures.sources import Sources
from foundation.reading import content_of
from rmaat.benchmark.report import Table

COLUMNS = ("constant", "value", "basis", "what it is, and of which model", "error, %", "within 5 %", "neglected")


@dataclass(frozen=True)
class Derivation:
    """What the page says of a record beside its own texts: pictures by entry, the reductions, the uncertainty."""

    fits: Mapping[str, Sequence[Picture]]
    reductions: Table | None
    uncertainty: Picture | None


def derivation(record: Record, behind: Behind | None) -> Derivation:
    """`behind` are the points of the record, None where there are none: then its fits are numbers alone."""
    if behind is None:
        return Derivation({}, None, _uncertainty(record))
    with content_of("the points behind the record", WHAT_TO_DO):  # they may be of forms that the record does not have
        shown = {name: [fits.draw(name, entry, points) for points in behind.of(name)]
                 for name, entry in record.entries.items()}
        table = reductions(behind)
    return Derivation(shown, table, _uncertainty(record))


def reductions(behind: Behind) -> Table:
    """The constants of the macro model: value, error against the full model, range, and what was neglected."""
    rows = [(one.name, f"{one.value:.5g} {'' if one.unit == '1' else pretty_unit(one.unit)}".rstrip(), one.basis,
             one.meaning + (f"; {one.model} ({one.equation})" if one.model else ""),
             "" if one.error is None else f"{100 * one.error:.2g}", one.valid,
             one.neglected + (f"; assumed in it: {', '.join(one.assumes)}" if one.assumes else ""))
            for one in behind.reductions]
    counts = {basis: sum(one.basis == basis for one in behind.reductions)
              for basis in dict.fromkeys(one.basis for one in behind.reductions)}
    return Table("Constants of the macro model: how each was reduced, and what was neglected", COLUMNS, rows,
                 note=", ".join(f"{count} {basis}" for basis, count in counts.items())
                      + "; of a convention and of what is assumed, the last column says why")


def _uncertainty(record: Record) -> Picture | None:
    """Bands of the committed draws, where they are of this record."""
    path = ensemble.path_beside(None)
    if not path.exists() or not ensemble.load(path).belongs_to(record):
        return None
    return picture(fig_uncertainty.draw(Sources(record)), "Retention and kernel under the biology's uncertainty",
                   caption="Each draw changes what is fitted or assumed within what is known of it.",
                   command="python -m figures uncertainty --out output")
