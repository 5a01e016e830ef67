"""What to cite: the papers behind a model and its parameter set, or behind a recording, and this package, as BibTeX."""

import functools
import re
from collections.abc import Iterable
from pathlib import Path

from astro_sim.model import Model
from astro_sim.plan import find_model
from astro_sim.recording.recording import Recording
from foundation.reading import content_of

BIBLIOGRAPHY = Path(__file__).parents[1] / "models" / "references.bib"
NO_SOURCES = ("assumed here", "set by the user")  # what a parameter says that no paper stands behind
_HEAD = re.compile(r"^@\w+\{(\w+),", re.MULTILINE)
_SOFTWARE = """@software{{astro_rmaat,
  author = {{{{The astro-rmaat developers}}}},
  title = {{astro-rmaat: a biophysical neuron-astrocyte simulator and the transformer layer derived from it}},
  version = {{{version}}},
}}"""


def print_citations(given: str | Model | Recording, parameter_set: str | None = None) -> None:
    """Print as BibTeX what to cite for a model ("li_rinzel:FM" or a `Model`) or a recording, this package included."""
    print(bibtex(given, parameter_set))


def bibtex(given: str | Model | Recording, parameter_set: str | None = None) -> str:
    """The BibTeX entries of all sources, then that of this package; sources without an entry stand in a comment."""
    found = citations(given, parameter_set)
    without = found["without_entry"]
    said = [f"% not in the bibliography, cite them yourself: {', '.join(without)}"] if without else []
    return "\n\n".join([*said, *found["entries"].values()])


def citations(given: str | Model | Recording, parameter_set: str | None = None) -> dict:
    """For --json: "entries", key -> BibTeX, and "without_entry", the sources that the bibliography does not have.

    Errors: `UserError` for an unknown model or parameter set.
    """
    if isinstance(given, Recording):
        sources = _of_recording(given.meta)
    else:
        sources = _of_model(*find_model(given, parameter_set))
    known = bibliography()
    named = [key for key in dict.fromkeys(sources) if key not in NO_SOURCES]
    return {"entries": {key: known[key] for key in named if key in known} | {"astro_rmaat": own_entry()},
            "without_entry": [key for key in named if key not in known]}


def _of_model(model: Model, parameter_set: str) -> Iterable[str]:
    numbers = [*model.parameters(parameter_set).values(), *model.initial_of(parameter_set).values()]
    return [*model.sources, *(number.source for number in numbers)]


def _of_recording(meta: dict) -> Iterable[str]:
    """Sources of its numbers, and of its equations where they are those of one of our models."""
    from astro_sim.models import MODELS

    with content_of("the recording's own account", "simulate again"):
        model = MODELS.get(meta["model"])
        numbers = [*meta["parameters"].values(), *(one for one in meta["initial"].values() if isinstance(one, dict))]
        sources = ["".join(number["source"]) for number in numbers]  # a text, or no recording of ours
    ours = {part.name: part.text for part in (*model.populations, *model.connections)} if model else {}
    same = bool(ours) and meta.get("equations", {"": ""}).items() <= ours.items()
    return [*(model.sources if same else ()), *sources]


@functools.cache
def bibliography() -> dict[str, str]:
    """The entries of references.bib by key."""
    text = BIBLIOGRAPHY.read_text("utf-8")
    heads = list(_HEAD.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    return {head[1]: text[head.start():end].strip() for head, end in zip(heads, ends, strict=True)}


def own_entry() -> str:
    """This package as a BibTeX entry, with the version that is installed."""
    from importlib.metadata import version

    return _SOFTWARE.format(version=version("astro-rmaat"))
