"""Tensors that follow from the record, held by a module as buffers."""

from collections.abc import Callable

import torch
from torch import nn

from foundation.shapes import Tensor


class Recorded(nn.Module):
    """A module with tensors computed from the record, which `hold` makes its buffers.

    They move with the module but stay out of its `state_dict`, for they follow from the record. A cast of the module
    rounds them to float32 at most, and they are filled anew after `to_empty`, or by `fill_after_loading`: a network
    that is built on the meta device and gets its learned tensors from a file has the record's as well.
    """

    def __init__(self):
        super().__init__()
        self._exact: dict[str, Tensor] = {}

    def hold(self, name: str, values: Tensor) -> None:
        """Make `values`, computed on the CPU in float64, a buffer on the device on which the module is being built."""
        self._exact[name] = values
        self.register_buffer(name, values.clone().to(torch.empty(0).device), persistent=False)

    def _apply(self, fn: Callable, recurse: bool = True) -> "Recorded":
        super()._apply(fn, recurse)
        for name, values in self._exact.items():
            buffer = self._buffers[name]
            if not buffer.is_meta:
                wide = buffer if buffer.dtype in (torch.float32, torch.float64) else buffer.float()
                self._buffers[name] = wide.copy_(values)
        return self

    def fill(self, device: torch.device) -> None:
        """Give buffers that are still on the meta device their values, on `device`."""
        for name, values in self._exact.items():
            if self._buffers[name].is_meta:
                self._buffers[name] = values.clone().to(device)


def fill_after_loading(module: nn.Module, incompatible: object) -> None:
    """Hook of `load_state_dict(..., assign=True)`: the record's tensors follow the learned ones off the meta device."""
    device = next((x.device for x in module.parameters()), None)
    if device is None or device.type == "meta":
        return
    for part in module.modules():
        if isinstance(part, Recorded):
            part.fill(device)
