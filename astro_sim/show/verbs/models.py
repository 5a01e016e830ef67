"""Verbs about what there is: the models, one model in words, its papers, the kinds of protocol."""

from typing import Annotated

import typer

from astro_sim.show.verbs.options import Json, ModelName, SetName
from foundation.cli import print_json
from foundation.errors import UserError


def list_models(as_json: Json = False) -> None:
    """The models, with their parameter sets, inputs, options."""
    from astro_sim.models import MODELS

    rows = {name: {"summary": model.summary, "parameter_sets": list(model.parameter_sets),
                   "inputs": [*model.inputs, *model.spike_inputs], "sources": list(model.sources),
                   "options": {key: list(option.allowed) for key, option in model.options.items()}}
            for name, model in MODELS.items()}
    if as_json:
        return print_json(rows)
    for name, row in rows.items():
        print(f"{name:26} {row['summary']}")
        print(f"{'':26} sets: {', '.join(row['parameter_sets'])}; inputs: {', '.join(row['inputs'])}"
              + (f"; options: {', '.join(row['options'])}" if row["options"] else ""))
    return None


def show(
    model: ModelName,
    set_name: SetName = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Markdown with rendered equations.")] = False,
    as_json: Json = False,
) -> None:
    """Equations, parameters, units and sources of a model."""
    from astro_sim.plan import find_model
    from astro_sim.show import describe

    if as_json and as_markdown:
        raise UserError("--json and --markdown contradict each other; give one")
    shown, parameter_set = find_model(model, set_name)
    if as_json:
        return print_json(describe.as_dict(shown, parameter_set))
    if as_markdown:
        from astro_sim.show import markdown

        return print(markdown.as_markdown(shown, parameter_set), end="")
    return print(describe.as_text(shown, parameter_set))


def cite(
    cited: Annotated[str, typer.Argument(metavar="MODEL", help="As in show, or the file of a recording (.nc).")],
    set_name: SetName = None,
    as_json: Json = False,
) -> None:
    """The papers behind a model and its parameter set, or behind a recording, as BibTeX."""
    from astro_sim.recording.recording import Recording
    from astro_sim.show import citations

    given = Recording.load(cited) if cited.endswith(".nc") else cited
    if as_json:
        return print_json(citations.citations(given, set_name))
    return citations.print_citations(given, set_name)


def protocols(as_json: Json = False) -> None:
    """The kinds of protocol, with their arguments and an example each."""
    from astro_sim.protocols import about, about_text

    return print_json(about()) if as_json else print(about_text())
