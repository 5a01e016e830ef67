"""Where the memories at the segments' starts wait for their replay."""

import torch

from foundation.shapes import Tensor


class OnDevice:
    """Where they were made."""

    def holds(self, device: torch.device) -> bool:
        """Whether memories made on `device` wait there."""
        return True

    def put(self, x: Tensor) -> Tensor:
        """Where x waits."""
        return x

    def get(self, x: Tensor, device: torch.device) -> Tensor:
        """x back on its device."""
        return x


class OnHost(OnDevice):
    """In pinned host memory: the device then holds one memory instead of T. On CPU the same as `OnDevice`.

    Both copies go through the current stream, so that a copy back waits for the copy out and no host thread waits.
    """

    def holds(self, device: torch.device) -> bool:
        """Whether what waits takes room of this device."""
        return device.type == "cpu"

    def put(self, x: Tensor) -> Tensor:
        """x in pinned memory of the host."""
        if self.holds(x.device):
            return x
        return torch.empty(x.shape, dtype=x.dtype, pin_memory=True).copy_(x, non_blocking=True)

    def get(self, x: Tensor, device: torch.device) -> Tensor:
        """x back on its device."""
        return x.to(device, non_blocking=True)


MEMORY_STORE = {"device": OnDevice(), "host": OnHost()}
