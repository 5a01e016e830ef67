"""Which model a name means: a built-in one, or one of the user's own."""

from astro_sim.model import Model
from astro_sim.models import MODELS
from foundation.errors import UserError, choose
from foundation.outside import find, is_outside


def find_model(model: str | Model, parameter_set: str | None = None) -> tuple[Model, str]:
    """A model and the name of its parameter set.

    model: a `Model`; a name of `MODELS`, or "NAME:SET"; "file.py:NAME" or "package.module:NAME" for one of the user's
    own, and ":SET" after it. Errors: `UserError` for what is not there, and for two sets that contradict each other.
    """
    if isinstance(model, Model):
        chosen, set_in_name = model, None
    else:
        where, set_in_name = _split(str(model))
        chosen = find("model", where, MODELS, of=Model)
    if set_in_name is not None and parameter_set and set_in_name != parameter_set:
        raise UserError(f"parameter set: '{model}' and '{parameter_set}' contradict each other; give one")
    name = set_in_name if set_in_name is not None else parameter_set
    name = chosen.default_set if name is None else name
    choose(f"parameter set of {chosen.name}", name, dict(chosen.parameter_sets))
    return chosen, name


def _split(text: str) -> tuple[str, str | None]:
    """"li_rinzel:FM" or "file.py:NAME:FM" -> what names the model, and the set after it, if there is one."""
    name, colon, after = text.partition(":")
    if name not in MODELS and is_outside(text):
        before, colon, after = text.rpartition(":")
        return (before, after) if is_outside(before) else (text, None)
    return name, after if colon else None
