"""Muon: momentum whose update is made orthogonal, for the convolutions inside a network.

A gradient of a convolution is dominated by few directions; with all of its singular values brought near 1, every
direction learns (Jordan et al. 2024, "Muon"; scaled to Adam's usual step as by Liu et al. 2025, "Muon is scalable").
The first and the last layer and the biases are for Adam. What it gives here is in docs/networks.md.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

# Newton–Schulz coefficients of Jordan et al.: five iterations bring singular values between about 0.7 and 1.2
QUINTIC = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
STEP = 0.2  # of Adam's steps, the usual root mean square: a learning rate means the same for both


class Muon(torch.optim.Optimizer):
    """For weights of two dimensions or more; (out, in, kh, kw) counts as the matrix (out, in·kh·kw).

    torch has one since 2.9, for matrices alone.
    """

    def __init__(self, parameters, lr: float, momentum: float = 0.95):
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure=None) -> None:  # type: ignore[override]
        assert closure is None
        for group in self.param_groups:
            for alike in _by_shape(group["params"]):
                # all layers of a shape at once: a GPU is told as much for one as for ten
                ahead = torch.stack([self._ahead(parameter, group["momentum"]) for parameter in alike])
                updates = orthogonalised(ahead)
                step = STEP * max(updates.shape[1:]) ** 0.5
                if isinstance(group["lr"], Tensor):  # of a recorded step, to which the rate is no number
                    updates, by = updates * group["lr"], -step
                else:
                    by = -group["lr"] * step
                for parameter, update in zip(alike, updates, strict=True):
                    parameter.add_(update.reshape(parameter.shape), alpha=by)

    def _ahead(self, parameter: nn.Parameter, momentum: float) -> Tensor:
        """Nesterov's look ahead, as a matrix; counts this gradient."""
        assert parameter.grad is not None
        state = self.state[parameter]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        running = state["momentum_buffer"]
        running.lerp_(parameter.grad, 1 - momentum)
        return parameter.grad.lerp(running, momentum).reshape(len(parameter), -1)


def _by_shape(parameters: Iterable[nn.Parameter]) -> list[list[nn.Parameter]]:
    """Those that have gradients, the ones of the same matrix' shape together."""
    found: dict[tuple[int, int], list[nn.Parameter]] = {}
    for parameter in parameters:
        if parameter.grad is not None:
            found.setdefault((len(parameter), parameter[0].numel()), []).append(parameter)
    return list(found.values())


def orthogonalised(matrices: Tensor) -> Tensor:
    """U·Vᵀ, roughly, of each (…, rows, columns) matrix = U·S·Vᵀ, by Newton–Schulz iterations in bf16."""
    a, b, c = QUINTIC
    wide = matrices.shape[-2] <= matrices.shape[-1]
    x = (matrices if wide else matrices.mT).bfloat16()
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-12)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x if wide else x.mT).to(matrices.dtype)


def optimizers(network: nn.Module, kind: str) -> list[torch.optim.Optimizer]:
    """What trains `network`: Adam, or Muon for the layers inside and Adam for the rest.

    A network says in `outer_layers` which of its layers meet the image. The learning rate is set at every step.
    """
    inner: list[nn.Parameter] = []
    trained = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
    if kind == "muon":
        outer = tuple(f"{layer}." for layer in network.outer_layers)  # type: ignore[union-attr]
        inner = [p for name, p in trained.items() if p.ndim > 1 and not name.startswith(outer)]
    apart = set(map(id, inner))
    rest = [p for p in trained.values() if id(p) not in apart]
    on_gpu = rest[0].is_cuda
    adam = torch.optim.Adam(rest, lr=0.0, betas=(0.9, 0.99), fused=on_gpu, capturable=on_gpu)
    return [adam, Muon(inner, lr=0.0)] if inner else [adam]
