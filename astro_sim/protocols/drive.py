"""A course as data: what an input is from when on; and every protocol by name, as text on the command line.

    cycles("b_pre", high=1, period="11.5 s", duty=0.5, count=6)
    parse("cycles:input=b_pre,high=1,period=11.5s,duty=0.5,count=6")
"""

import inspect
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from astro_sim.parameter import Amount, as_text, read, seconds, split_quantity
from astro_sim.protocols.text import Elements, Several, chosen_elements, moment, several
from astro_sim.protocols.trains import Poisson, Spikes, Train, pairing, poisson, regular, spikes, train_from_dict
from foundation.errors import UserError, choose

MAX_CYCLES = 100_000


@dataclass(frozen=True)
class Drive:
    """One input's course: `values[n]` (text "VALUE UNIT") holds from `times[n]` (seconds, from 0 on) to the next.

    In a ramp the course goes straight from each value to the next, and holds the last. `elements` are places among
    those that the input reaches; None means all.
    """

    kind: str
    input: str
    times: tuple[float, ...]
    values: tuple[str, ...]
    elements: tuple[int, ...] | None = None

    @property
    def straight(self) -> bool:
        """Whether the course goes straight from value to value instead of holding each."""
        return self.kind == "ramp"

    def as_dict(self) -> dict:
        """The drive as JSON: times in seconds, values in the input's unit."""
        return {"kind": self.kind, "input": self.input, "times_s": list(self.times), "values": list(self.values),
                "elements": None if self.elements is None else list(self.elements)}


# what a simulation takes: None, a drive or train, text, or several of them
Protocol = Drive | Train | str | Sequence["Drive | Train | str | Sequence[Train]"] | None


def drive_from_dict(entry: dict) -> Drive | Train:
    """The drive or train that `as_dict` wrote."""
    if "times_s" not in entry:
        return train_from_dict(entry)
    elements = entry["elements"]
    return Drive(entry["kind"], entry["input"], tuple(entry["times_s"]), tuple(entry["values"]),
                 None if elements is None else tuple(elements))


def _text(value: Amount, field: str) -> str:
    """A value (text, number or Brian2 quantity) as text with its unit; NaN and infinity are refused here."""
    value = as_text(value, field)
    text = value if isinstance(value, str) else repr(read(value, "1", field))
    split_quantity(text, field)
    return text.strip()


def constant(input: str, value: Amount, elements: Elements = None) -> Drive:
    """One value from the start on."""
    return Drive("constant", input, (0.0,), (_text(value, "value"),), chosen_elements(elements))


def steps(input: str, times: Several, values: Several, elements: Elements = None) -> Drive:
    """`values[n]` from `times[n]` on; the times rise from 0 s. Text joins them by +, as in 0s+10s."""
    return _pieces("steps", input, times, values=values, elements=elements)


def ramp(input: str, times: Several, values: Several, elements: Elements = None) -> Drive:
    """Straight from each of `values` to the next, at their `times`, then the last; the times rise from 0 s."""
    drive = _pieces("ramp", input, times, values=values, elements=elements)
    if len(drive.times) < 2:
        raise UserError(f"times: a ramp goes from one time to another; {drive.times[0]:g} s alone is a constant")
    return drive


def _pieces(kind: str, input: str, times: Several, *, values: Several, elements: Elements) -> Drive:
    times, values = several(times, "times"), several(values, "values")
    at = tuple(moment(time, "times") for time in times)
    if not at or at[0] != 0 or any(b <= a for a, b in itertools.pairwise(at)):
        raise UserError(f"times: {', '.join(map(str, times))} do not rise from 0 s; the first must be 0 s")
    if len(values) != len(at):
        raise UserError(f"values: {len(values)} values for {len(at)} times; give one value for each time")
    return Drive(kind, input, at, tuple(_text(value, "values") for value in values), chosen_elements(elements))


def square(input: str, high: Amount, start: Amount = "0 s", stop: Amount = "1 s", low: Amount = 0,
           elements: Elements = None) -> Drive:
    """`high` from `start` to `stop`, else `low`."""
    begin, end = moment(start, "start"), moment(stop, "stop")
    if end <= begin:
        raise UserError(f"stop: {stop} is not after start {start}; give a later time")
    high = _text(high, "high")
    low = _with_unit_of(low, high)
    course = [(begin, high), (end, low)] if begin == 0 else [(0.0, low), (begin, high), (end, low)]
    return Drive("square", input, *map(tuple, zip(*course, strict=True)), chosen_elements(elements))


def cycles(input: str, high: Amount, period: Amount, duty: Amount = 0.5, count: Amount = 6, low: Amount = 0,
           start: Amount = "0 s", elements: Elements = None) -> Drive:
    """`count` cycles from `start`: `high` for the share `duty` of each `period`, then `low`; `low` afterwards."""
    length, begin = seconds(period, "period"), moment(start, "start")
    share, number = read(duty, "1", "duty"), read(count, "1", "count")
    if not 0 < share < 1:
        raise UserError(f"duty: {duty} is not allowed; it is the driven share of a cycle, above 0 and below 1")
    if number != int(number) or not 1 <= number <= MAX_CYCLES:
        raise UserError(f"count: {count} is not allowed; give a whole number of cycles from 1 to {MAX_CYCLES}")
    high = _text(high, "high")
    low = _with_unit_of(low, high)
    course = [] if begin == 0 else [(0.0, low)]
    for n in range(int(number)):
        course += [(begin + n * length, high), (begin + (n + share) * length, low)]
    return Drive("cycles", input, *map(tuple, zip(*course, strict=True)), chosen_elements(elements))


def _with_unit_of(low: Amount, high: str) -> str:
    """A bare 0 as `low` takes the unit of `high`."""
    text = _text(low, "low")
    value, unit = split_quantity(text, "low")
    return f"0 {split_quantity(high, 'high')[1]}" if value == 0 and unit == "1" else text


PROTOCOLS: dict[str, Callable[..., Drive | Train | tuple[Train, ...]]] = {
    "constant": constant, "steps": steps, "ramp": ramp, "square": square, "cycles": cycles,
    "spikes": spikes, "regular": regular, "poisson": poisson, "pairing": pairing,
}


EXAMPLES = {
    "constant": "input=ip3,value=0.5 umolar", "steps": "input=ip3,times=0s+20s,values=0.1uM+0.5uM",
    "ramp": "input=ip3,times=0s+100s+200s,values=0.1uM+0.9uM+0.1uM",
    "square": "input=glutamate,high=2 umolar,start=5s,stop=15s",
    "cycles": "input=b_pre,high=1,period=11.5s,duty=0.5,count=6",
    "spikes": "input=spikes,times=0.1s+0.25s,elements=0-3", "regular": "input=spikes,rate=10 hertz,count=50,start=1s",
    "poisson": "input=spikes,rate=5 hertz,stop=60s,seed=3", "pairing": "offset=10 ms,period=1s,count=60",
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
             "`elements` chooses among those that the input reaches, as in 0+2+5-8; without it all are driven."]
    for kind, told in about().items():
        arguments = [name if name in told["required"] else f"{name}={told['arguments'][name]}"
                     for name in told["arguments"] if name != "elements"]
        lines += [f"\n{kind}: {told['does']}", f"  {', '.join(arguments)}", f'  --protocol "{told["example"]}"']
    return "\n".join(lines)


def parse(text: str) -> Drive | Train | tuple[Train, ...]:
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


def drives(protocol: Protocol) -> tuple[Drive | Train, ...]:
    """A protocol -> its drives and trains. Errors: `UserError` for what is neither, and for text that is none."""
    if protocol is None:
        return ()
    parts: Sequence = protocol if isinstance(protocol, list | tuple) else (protocol,)
    made = [parse(part) if isinstance(part, str) else part for part in parts]
    flat = tuple(itertools.chain.from_iterable(part if isinstance(part, tuple) else (part,) for part in made))
    for drive in flat:
        if not isinstance(drive, Drive | Spikes | Poisson):
            raise UserError(f"protocol: {drive!r} is neither a drive nor text like "
                            "'constant:input=ip3,value=0.5 umolar'")
    return flat
