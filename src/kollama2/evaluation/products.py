"""Linear layers in float32 on a CPU by oneDNN, which is faster there than torch's own choice."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

__all__ = ["OneDnn"]

# What torch.compile calls for a linear layer; MKL, which torch calls otherwise, has no AVX-512 code
# for every processor.
_KERNEL = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
_HERE = torch.backends.mkldnn.is_available() and "AVX512" in torch.backends.cpu.get_cpu_capability()


class OneDnn(TorchFunctionMode):  # type: ignore[misc]
    """While it is entered, linear layers whose gradients nobody wants take the faster kernel."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call `func`, or the kernel in its place."""
        call = _linear if func is nn.functional.linear else func
        return call(*args, **(kwargs or {}))


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    plain = all(
        # A subclass (quantised, spread over devices) has products of its own.
        type(one) in (Tensor, nn.Parameter)
        and (one.dtype, one.device.type) == (torch.float32, "cpu")
        and one.numel()
        for one in (input, weight, bias)
        if one is not None
    )
    if _HERE and _KERNEL and plain and weight.is_contiguous() and torch.is_inference_mode_enabled():
        found: Tensor = _KERNEL(input, weight, bias, "none", [], "")
        return found
    return nn.functional.linear(input, weight, bias)
