"""The models, by hand: one line here and one file beside make a new one. Importing this loads no Brian2."""

from astro_sim.model import Model
from astro_sim.models import li_rinzel, macro

MODELS: dict[str, Model] = {
    "macro": macro.MODEL,
    "li_rinzel": li_rinzel.MODEL,
}
