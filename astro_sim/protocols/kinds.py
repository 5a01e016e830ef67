"""Every protocol by name, and as text on the command line.

    parse("cycles:input=b_pre,high=1,period=11.5s,duty=0.5,count=6")
"""

import inspect
import itertools
from collections.abc import Callable, Sequence

from astro_sim.protocols.drive import Drive, constant, cycles, levels_from_dict, ramp, square, steps
from astro_sim.protocols.formula import alpha, exponential, expression, formula_from_dict, sine
from astro_sim.protocols.samples import samples, samples_from_dict
from astro_sim.protocols.trains import Train, pairing, poisson, raster, regular, spikes, train_from_dict
from foundation.errors import UserError, choose

PROTOCOLS: dict[str, Callable[..., Drive | Train | tuple]] = {
    "constant": constant, "steps": steps, "ramp": ramp, "square": square, "cycles": cycles,
    "exponential": exponential, "alpha": alpha, "sine": sine, "expression": expression, "samples": samples,
    "spikes": spikes, "regular": regular, "poisson": poisson, "pairing": pairing, "raster": raster,
}


# what a simulation takes: None, a drive or train, text, or several of them
Protocol = Drive | Train | str | Sequence["Drive | Train | str | Sequence[Train] | Sequence[Drive]"] | None

EXAMPLES = {
    "constant": "input=ip3,value=0.5 umolar", "steps": "input=ip3,times=0s+20s,values=0.1uM+0.5uM",
    "ramp": "input=ip3,times=0s+100s+200s,values=0.1uM+0.9uM+0.1uM",
    "square": "input=glutamate,high=2 umolar,start=5s,stop=15s",
    "cycles": "input=b_pre,high=1,period=11.5s,duty=0.5,count=6",
    "exponential": "input=glutamate,high=5 uM,tau=2s,start=1s", "alpha": "input=glutamate,high=5 uM,tau=0.5s,start=1s",
    "sine": "input=ip3,mean=0.4 uM,amplitude=0.1 uM,period=12s",
    "expression": "input=ip3,value=0.3*uM + 0.2*uM*tanh(t/(20*s)),stop=50s",
    "samples": "input=ip3,values=0.1uM+0.5uM+0.3uM,dt=10s,interpolation=cubic",
    "spikes": "input=spikes,times=0.1s+0.25s,elements=0-3", "regular": "input=spikes,rate=10 hertz,count=50,start=1s",
    "poisson": "input=spikes,rate=5 hertz,stop=60s,seed=3", "pairing": "offset=10 ms,period=1s,count=60",
    "raster": "input=spikes,indices=0+2+0,times=1s+1s+1.2s",
}


def about() -> dict[str, dict]:
    """Every kind of protocol: what it does, its arguments (with defaults), an example as text."""
    table = {}
    for kind, make in PROTOCOLS.items():
        arguments = {name: None if p.default is p.empty else p.default
                     for name, p in inspect.signature(make).parameters.items()}
        table[kind] = {"does": " ".join((inspect.getdoc(make) or "").split()), "arguments": arguments,
                       "required": [name for name, p in inspect.signature(make).parameters.items()
                                    if p.default is p.empty],
                       "example": f"{kind}:{EXAMPLES[kind]}"}
    return table


def about_text() -> str:
    """The kinds of protocol in words, for the command line."""
    lines = ["A protocol is KIND:name=value,name=value. Times and values carry their unit; several are joined by +.",
             "`elements` chooses among those that the input reaches, as in 0+2+5-8; without it all are driven.",
             "Drives of one input that reach the same element add up, and so do spikes; the default holds where there",
             "is none. A file is CSV with units in its first line, such as time (s), ip3 (uM); or .npy."]
    for kind, told in about().items():
        arguments = [name if name in told["required"] else f"{name}={told['arguments'][name]}"
                     for name in told["arguments"] if name != "elements"]
        lines += [f"\n{kind}: {told['does']}", f"  {', '.join(arguments)}", f'  --protocol "{told["example"]}"']
    return "\n".join(lines)


def parse(text: str) -> Drive | Train | tuple:
    """A drive or trains from text: "KIND:name=value,name=value". Raises `UserError` that names what is wrong."""
    kind, _, rest = text.partition(":")
    make = choose("protocol", kind.strip(), PROTOCOLS)
    signature = inspect.signature(make).parameters
    arguments: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in rest.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        choose(f"argument of protocol {kind}", name, dict(signature))
        if not equals or not value or name in arguments:
            raise UserError(f"protocol {kind}: '{part}' is not one name=value; write e.g. high=1,period=11.5s")
        arguments[name] = value
    missing = [name for name, p in signature.items() if p.default is p.empty and name not in arguments]
    if missing:
        raise UserError(f"protocol {kind}: {', '.join(missing)} missing; it takes {', '.join(signature)}")
    return make(**arguments)


def drive_from_dict(entry: dict) -> Drive | Train:
    """The drive or train that `as_dict` wrote."""
    read = {"times_s": levels_from_dict, "expression": formula_from_dict, "sample_times_s": samples_from_dict}
    return next((made(entry) for key, made in read.items() if key in entry), None) or train_from_dict(entry)


def drives(protocol: Protocol) -> tuple[Drive | Train, ...]:
    """A protocol -> its drives and trains. Errors: `UserError` for what is neither, and for text that is none."""
    if protocol is None:
        return ()
    parts: Sequence = protocol if isinstance(protocol, list | tuple) else (protocol,)
    made = [parse(part) if isinstance(part, str) else part for part in parts]
    flat = tuple(itertools.chain.from_iterable(part if isinstance(part, tuple) else (part,) for part in made))
    for drive in flat:
        if not isinstance(drive, Drive | Train):
            raise UserError(f"protocol: {drive!r} is neither a drive nor text like "
                            "'constant:input=ip3,value=0.5 umolar'")
    return flat
