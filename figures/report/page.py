"""The page: what was gathered, drawn and derived, put into the template; written whole or not at all."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from astro_sim.show.citations import bibliography
from derivation.record import ensemble
from derivation.record import record as records
from derivation.record.entry import Record
from derivation.reductions.registry import REDUCTIONS
from derivation.simulation.cache import kept_in
from figures import fig_phase_plane, fig_retention, fig_stp_ltp, fig_uncertainty, style
from figures.report import chain, sliders
from figures.report.gathering import Gathered, gather, plain
from figures.report.mathml import mathml
from figures.report.pictures import Picture, picture
from figures.report.training import training
from figures.sources import Sources
from foundation import trailer
from foundation.checkout import commit
from foundation.errors import ResourceError, UserError
from foundation.files import cache_folder, write_text
from rmaat.benchmark.report import Table
from rmaat.tasks.describe import describe
from rmaat.tasks.registry import TASKS
from rmaat.training.configs import CONFIGS
from rmaat.training.settings import find_task
from rmaat.training.variants import DEFAULT

HERE = Path(__file__).parent
MOST_BYTES = 15_000_000  # what mail lets through
SCRIPTS = ("numbers.js", "sliders.js", "graph.js", "script.js")  # in the order that they stand in the page
CONFIG = "recall"  # the network whose tensors end the chain
SIMULATED = {  # figure: (its module, what it shows, the command that records it)
    "stp_ltp": (fig_stp_ltp, "Short- and long-term state of the macro model over the cycles",
                "python -m figures stp_ltp --out output"),
    "retention": (fig_retention, "Retention: recorded increments, closed form, tensor of the network",
                  "python -m figures retention --out output"),
    "phase_plane": (fig_phase_plane, "Calcium and its gate: nullclines, equilibria and a course",
                    "python -m figures phase_plane --out output"),
}
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
    size = len(text.encode())
    if size > MOST_BYTES:
        raise ResourceError(f"the page would have {size:,} bytes, {MOST_BYTES:,} are allowed; give fewer runs")
    write_text(out, trailer.page("report", text))
    return Path(out)


def page(found: Gathered, drawn: Mapping[str, object], *, against: str = DEFAULT, every: float | None = None) -> str:
    """The HTML of runs; `drawn` is what `unchanging` made. Equal runs, record and program give equal bytes.

    `every`: seconds after which the page loads itself anew, for one that is written again and again.
    """
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(HERE), autoescape=True, trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {"number": number, "cell": cell, "mathml": mathml, "breakable": breakable,
                            "embedded": embedded}
    return environment.get_template("page.html.j2").render(
        parts=PARTS, every=every, training=training(found.runs, against), unreadable=found.unreadable,
        data=[about(run) for run in _tasks(found.runs)], runs=found.runs, **drawn)


def unchanging(record: Record, *, simulate: bool = True,
               told: Callable[[float, str], None] = lambda share, words: None) -> Mapping[str, object]:
    """All that the page shows of the record, whatever the runs are: what the template is given under these names.

    `told` hears how much is done, and what is being done.
    """
    told(0.0, "simulate")
    with kept_in(cache_folder()):
        simulated, missing = _simulated(record) if simulate else ({}, {})
    told(0.4, "derive")
    uncertainty = _uncertainty(record)
    told(0.6, "move every parameter")
    return {"record": record, "commit": commit(), "simulated": simulated, "missing": missing, "commands": SIMULATED,
            "simulate": simulate, "uncertainty": uncertainty, "style": _source("style.css"), **_chain(record)}


def _chain(record: Record) -> Mapping[str, object]:
    """The part on the chain, and what the page's scripts need for it."""
    effects = chain.effects_of(CONFIGS[CONFIG]().model, record)
    links, moved = chain.links(record, effects), sliders.sliders(record)
    graph, needed = chain.graph(record, effects, links), sliders.as_json(record, moved)
    functions = _script("\n".join([sliders.functions(record), *map(_source, SCRIPTS)]))
    return {"links": links, "graph": graph, "kinds": chain.KINDS, "no_paper": chain.NO_PAPER, "unread": effects.unread,
            "moved": [name for name in effects.columns if any(name in link.moved for link in links)], "config": CONFIG,
            "bibliography": bibliography(), "reductions": REDUCTIONS, "sliders": moved,
            "groups": sliders.grouped(moved), "shares": sliders.SHARES, "curves": needed["curves"],
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


def _simulated(record: Record) -> tuple[dict[str, Picture], dict[str, str]]:
    """Pictures of simulations made anew; of one that fails, why."""
    sources, drawn, missing = Sources(record), {}, {}
    for name, (module, words, command) in SIMULATED.items():
        try:
            drawn[name] = picture(module.draw(sources), words, command=command)
        except UserError as error:
            missing[name] = str(error)
    return drawn, missing


def _uncertainty(record: Record) -> Picture | None:
    """Bands of the committed draws, where they are of this record."""
    path = ensemble.path_beside(None)
    if not path.exists() or not ensemble.load(path).belongs_to(record):
        return None
    shown = picture(fig_uncertainty.draw(Sources(record)), "Retention and kernel under the biology's uncertainty")
    style.plt.close("all")
    return shown


def _tasks(runs) -> list:
    """A run of each task with each test data."""
    first = {}
    for run in runs:
        first.setdefault((run.experiment["task"]["name"], json.dumps(run.fingerprints, sort_keys=True)), run)
    return list(first.values())


def about(run) -> Mapping:
    """What is known of the data of a run: the task's own words, its dials, and checksums."""
    name = run.experiment["task"]["name"]
    said = describe(find_task(name)) if name in TASKS else {}
    dials = {key: value for key, value in run.experiment["task"].items() if key != "name"}
    checksums = {plain(key): plain(value, most=80) for key, value in run.fingerprints.items()}
    return {"name": name, "said": said, "dials": dials, "checksums": checksums}
