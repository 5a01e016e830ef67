"""What a model's own functions see of a run: bounds, laws and starting values ask a plan, laws a recording too."""

from collections.abc import Mapping
from typing import Any, Protocol

from astro_sim.parameter import Parameter
from astro_sim.protocols.course import Course
from foundation.shapes import Array, Float


class Planned(Protocol):
    """Of a plan; see `astro_sim.plan.Plan`."""

    parameters: Mapping[str, Parameter]
    options: Mapping[str, object]
    initial: Mapping[str, Parameter | tuple[float, ...]]
    inputs: Mapping[tuple[str, str], Course]
    dt: float
    seed: int
    edges: Float[Array, "edge"]

    def numbers(self, name: str) -> float | Float[Array, "element"]:
        """A parameter's value in its own unit: one, or one an element."""


class Recorded(Protocol):
    """Of a recording, or of a block of its records; see `astro_sim.recording.recording.Recording`."""

    time: Float[Array, "time"]
    variables: Mapping[str, Any]
    maps: Mapping[str, Any]
    meta: dict

    def __getitem__(self, name: str) -> Any: ...

    def parameter(self, name: str) -> float:
        """A parameter's value, in its own unit."""
