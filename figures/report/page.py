"""The page: what was gathered, drawn and derived, put into the template; written whole or not at all."""

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from astro_sim.show.citations import bibliography
from derivation.record import points
from derivation.record import record as records
from derivation.record.entry import Record
from derivation.reductions.registry import REDUCTIONS
from figures.report import chain, marks, sliders
from figures.report.data import data
from figures.report.derivation import derivation
from figures.report.gathering import Gathered, gather
from figures.report.mathml import as_mathml
from figures.report.recordings import recorded
from figures.report.simulation import Simulation, simulation
from figures.report.training import training
from foundation import trailer
from foundation.checkout import commit
from foundation.errors import ResourceError
from foundation.files import write_text
from foundation.workers import processes
from rmaat.benchmark.report import Table
from rmaat.training.configs import CONFIGS
from rmaat.training.variants import DEFAULT

HERE = Path(__file__).parent
MOST_BYTES = 15_000_000  # what mail lets through
SCRIPTS = ("numbers.js", "sliders.js", "graph.js", "script.js")  # in the order that they stand in the page
CONFIG = "recall"  # the network whose tensors end the chain
PARTS = (("chain", "The chain"), ("simulation", "The simulation"), ("derivation", "The derivation"),
         ("training", "The training"), ("data", "The data"), ("again", "Again"))
Told = Callable[[int, int], None]


def report(places: Iterable[str | Path], out: str | Path, *, record: Record | None = None, against: str = DEFAULT,
           simulate: bool = True, told: Told = lambda done, of: None,
           drawn: Mapping[str, object] | None = None) -> Path:
    """Write the page of the runs at `places` to `out`, and return it.

    `record` is the committed one by default; without `simulate` nothing is simulated; `told` hears how many folders are
    read; `drawn` is what `unchanging` made of the record, where that was done before. Raises `UserError` for a place
    without any run, `ResourceError` where the page would be larger than 15 MB.
    """
    found = gather(places, told)
    drawn = unchanging(record or records.load(), simulate=simulate) if drawn is None else drawn
    return write(page(found, drawn, against=against), out)


def write(text: str, out: str | Path) -> Path:
    """Put a page in its place, whole. Raises `ResourceError` for one that mail would not take."""
    size = len(text.encode(errors="replace"))
    if size > MOST_BYTES:
        raise ResourceError(f"the page would have {size:,} bytes, {MOST_BYTES:,} are allowed; give fewer runs")
    write_text(out, trailer.page("report", text))
    return Path(out)


def page(found: Gathered, drawn: Mapping[str, object], *, against: str = DEFAULT, every: float | None = None,
         inside: bool = True, parts: Sequence[str] = tuple(dict(PARTS)), title: str | None = None) -> str:
    """The HTML of runs; `drawn` is what `unchanging` made. Equal runs, record and program give equal bytes.

    `every`: seconds after which the page loads itself anew, for one that is written again and again; that one, and one
    without `inside`, reads no checkpoint and no data, which takes seconds. `parts` are shown, by their names in PARTS;
    what they need must be in `drawn`.
    """
    count = len(found.runs)
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(HERE), autoescape=True, trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {"number": number, "cell": cell, "mathml": as_mathml, "breakable": breakable,
                            "embedded": embedded}
    return environment.get_template("page.html.j2").render(
        parts=[(name, dict(PARTS)[name]) for name in parts], every=every,
        title=title or f"Report of {count} run{'' if count == 1 else 's'}",
        training=training(found, against, inside=inside and every is None),
        recordings=[recorded(path) for path in found.recordings], unreadable=found.unreadable,
        data=data(found, looked_at=inside and every is None), runs=found.runs, **drawn)


def bare(record: Record) -> dict[str, object]:
    """What every page needs of the record, whatever its parts are."""
    return {"record": record, "commit": commit(), "simulation": Simulation((), ()), "style": _source("style.css"),
            "script": _script("\n".join(map(_source, SCRIPTS))), "needed": {}}


def unchanging(record: Record, *, simulate: bool = True, record_file: str | Path | None = None, workers: int = 1,
               told: Callable[[float, str], None] = lambda share, words: None) -> Mapping[str, object]:
    """All that the page shows of the record, whatever the runs are: what the template is given under these names.

    `record_file` is where the record was read from, the committed one's by default: beside it stand the points that it
    follows. With two `workers` another process moves the parameters meanwhile, where that was not done before; it
    begins as a new Python, so ask for it in a program that may be imported. `told` hears how much is done, and what is
    being done.
    """
    with contextlib.ExitStack() as stack:
        beside = None
        if workers > 1 and not sliders.are_known(record):
            beside = stack.enter_context(processes(1)).submit(sliders.sliders_of, record)
        told(0.0, "simulate")
        simulated = simulation(record, anew=simulate)
        told(0.4, "derive")
        derived = derivation(record, points.behind_record(record, record_file))
        told(0.6, "move every parameter")
        moved = beside.result() if beside else sliders.sliders_of(record)
    return bare(record) | {"simulation": simulated, "derivation": derived, **_chain(record, moved)}


def _chain(record: Record, moved: list[sliders.Slider]) -> Mapping[str, object]:
    """The part on the chain, and what the page's scripts need for it."""
    effects = chain.effects_of(CONFIGS[CONFIG]().model, record)
    links = chain.links(record, effects)
    graph, needed = chain.graph(record, effects, links), sliders.as_json(record, moved)
    functions = _script("\n".join([sliders.functions(record), *map(_source, SCRIPTS)]))
    return {"links": links, "graph": graph, "kinds": chain.KINDS, "no_paper": chain.NO_PAPER, "unread": effects.unread,
            "moved": [name for name in effects.columns if any(name in link.moved for link in links)], "config": CONFIG,
            "bibliography": bibliography(), "reductions": REDUCTIONS, "sliders": moved,
            "groups": sliders.grouped(moved), "shares": marks.SHARES, "curves": needed["curves"],
            "script": functions, "needed": {"sliders": needed, "edges": graph.edges}}


def _source(name: str) -> Markup:
    return _script((HERE / name).read_text("utf-8"))


def _script(text: str) -> Markup:
    """Text of this program's own, which stands in the page as it is."""
    return Markup(text)


def embedded(value: object) -> Markup:
    """JSON that may stand inside of a script element: no `<`, `>` or `&`, whatever the names are."""
    text = json.dumps(value, sort_keys=True, allow_nan=False)
    return _script(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def number(value: float | None) -> str:
    """Six digits; a dash for nothing."""
    return "–" if value is None else f"{value:.6g}"


def breakable(name: str) -> Markup:
    """A name with places where a narrow column may break it."""
    return Markup("<wbr>").join(escape(part) for part in re.split(r"(?<=[._])", name))


def cell(table: Table, value: object) -> str:
    """A cell of a table as the table shows it."""
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:,.{table.digits}f}"
