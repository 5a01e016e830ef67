"""Where the processes of the macro model are, and who meets whom."""

from collections.abc import Mapping

import numpy as np

from astro_sim.model import Options, Pairs
from foundation.errors import ResourceError, UserError
from foundation.shapes import Array, Float

MAX_PROCESSES = 5000  # that meet pair by pair: their distances take 200 MB
FFT_ABOVE = 256       # processes, at which the sum over pairs doubles the cost of a step


def processes(options: Options) -> int:
    """Number of astrocyte processes: one for each pair of neurons."""
    return options["n_pre"] * options["n_post"]


def process_places(options: Options) -> list[tuple[float, ...]] | None:
    """Places of the processes: (post, pre) on a grid, one number on a line, none where all are equally far apart."""
    n_pre, count = options["n_pre"], processes(options)
    if options["layout"] == "grid":
        return [(float(k // n_pre), float(k % n_pre)) for k in range(count)]
    return [(float(k),) for k in range(count)] if options["layout"] == "line" else None


def distances(options: Options) -> Float[Array, "process process"]:
    """Distance of every process from every other, float64 [process, process], in places; 0 on the diagonal."""
    if processes(options) > MAX_PROCESSES:
        raise ResourceError(f"macro: {processes(options)} processes meet in {processes(options)**2} pairs, more than "
                            f"those of {MAX_PROCESSES}; choose layout = grid or line (with dense_sum = auto or fft, or "
                            "coupling = diffusive), or fewer elements")
    places = process_places(options)
    if places is None:
        return 1.0 - np.eye(processes(options))
    return np.linalg.norm(np.array(places)[:, None] - np.array(places)[None], axis=-1)


def falling(values: Mapping[str, float], options: Options) -> tuple[float, float]:
    """Size at distance 0 and length of the dense coupling, as the layout has them."""
    end = "" if options["layout"] == "line" else "_sheet"
    return values[f"a{end}"], values[f"ell{end}"]


def grid_shape(options: Options) -> tuple[int, ...] | None:
    """Shape of the grid whose dense coupling is summed by FFT; None where it is summed pair by pair.

    Errors: `UserError` for an FFT where all are equally far apart.
    """
    how, layout = options["dense_sum"], options["layout"]
    if how == "fft" and layout == "equal":
        raise UserError("option dense_sum: 'fft' is not allowed with layout equal, which is no grid; choose auto")
    if how == "pairs" or layout == "equal" or (how == "auto" and processes(options) <= FFT_ABOVE):
        return None
    return (options["n_post"], options["n_pre"]) if layout == "grid" else (processes(options),)


def all_pairs(options: Options) -> Pairs:
    """Every process with every other, and their distance; none where the sum is by FFT."""
    if grid_shape(options):
        return Pairs((), ())
    far = distances(options)
    target, source = np.nonzero(~np.eye(len(far), dtype=bool))
    return Pairs(source, target, {"distance": far[target, source]})


def neighbours(options: Options) -> Pairs:
    """Processes at distance 1: four on a grid, two on a line, all where all are equally far apart."""
    if options["layout"] == "equal":
        target, source = np.nonzero(distances(options) == 1.0)
        return Pairs(source, target)
    shape = (options["n_post"], options["n_pre"]) if options["layout"] == "grid" else (processes(options),)
    k = np.arange(processes(options)).reshape(shape)
    ways = [(np.delete(k, -1, axis).ravel(), np.delete(k, 0, axis).ravel()) for axis in range(k.ndim)]
    source, target = (np.concatenate([way[n] for way in ways] + [way[1 - n] for way in ways]) for n in (0, 1))
    order = np.lexsort((source, target))
    return Pairs(source[order], target[order])


def drive_pairs(options: Options) -> Pairs:
    """Every process to its postsynaptic neuron (forward) and to its presynaptic one."""
    n_pre, k = options["n_pre"], np.arange(processes(options))
    return Pairs(np.tile(k, 2), np.concatenate([n_pre + k // n_pre, k % n_pre]),
                 {"forward": np.repeat([1.0, 0.0], len(k))})


def presynaptic_pairs(options: Options) -> Pairs:
    """Pairs (presynaptic neuron, process); process k belongs to neuron k modulo n_pre."""
    return Pairs([k % options["n_pre"] for k in range(processes(options))], range(processes(options)))


def postsynaptic_pairs(options: Options) -> Pairs:
    """Pairs (postsynaptic neuron, process), neurons counted after the presynaptic ones."""
    n_pre = options["n_pre"]
    return Pairs([n_pre + k // n_pre for k in range(processes(options))], range(processes(options)))
