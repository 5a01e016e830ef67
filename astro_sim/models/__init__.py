"""The models, by hand: one line here and one file beside make a new one. Importing this loads no Brian2."""

from astro_sim.model import Model
from astro_sim.models import associative_memory, astrocyte_network, gchi, li_rinzel, open_cell, sic_neuron
from astro_sim.models.astrocyte_graph import model as astrocyte_graph
from astro_sim.models.graupner_brunel import model as graupner_brunel
from astro_sim.models.macro import model as macro
from astro_sim.models.neuron_glia_network import model as neuron_glia_network
from astro_sim.models.tripartite import model as tripartite

MODELS: dict[str, Model] = {
    "macro": macro.MODEL,
    "li_rinzel": li_rinzel.MODEL,
    "li_rinzel_driven": li_rinzel.DRIVEN_MODEL,
    "open_cell": open_cell.MODEL,
    "lavrentovich_hemkin": open_cell.SPONTANEOUS,
    "gchi": gchi.MODEL,
    "gchi_stochastic": gchi.STOCHASTIC,
    "gchi_receptor": gchi.BINDING,
    "gchi_receptor_stochastic": gchi.BINDING_STOCHASTIC,
    "graupner_brunel": graupner_brunel.MODEL,
    "graupner_brunel_stochastic": graupner_brunel.STOCHASTIC,
    "tripartite": tripartite.MODEL,
    "astrocyte_network": astrocyte_network.MODEL,
    "astrocyte_graph": astrocyte_graph.MODEL,
    "neuron_glia_network": neuron_glia_network.MODEL,
    "sic_neuron": sic_neuron.MODEL,
    "associative_memory": associative_memory.MODEL,
}


def named(name: str) -> Model:
    """The built-in model of a name: as such it travels to other processes."""
    return MODELS[name]
