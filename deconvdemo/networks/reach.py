"""How far an output pixel sees, layer by layer: what `radius` adds up."""

from __future__ import annotations

from torch import nn

from deconvdemo.networks.deconv_sr import DeconvSR
from deconvdemo.networks.deconv_unet import DeconvUNet
from deconvdemo.networks.gated_expert import GatedExpert

# kind of layer, its level (0: the photo's own pixels), pixels seen in each direction so far
Step = tuple[str, int, int]


def reach(network: nn.Module) -> list[Step]:
    """After each group of layers, from the first to the last; the last one's is the network's radius, in input pixels.

    Of a gated expert its base's. ValueError for a network of another kind.
    """
    if isinstance(network, GatedExpert):
        return reach(network.base)
    if isinstance(network, DeconvUNet):
        return _added(_of_unet(network))
    if isinstance(network, DeconvSR):
        trunk = [("convolutions", 0, 1)] * network.depth
        return _added([("head", 0, 1), *trunk, ("join", 0, 1), ("deconvolution", 0, 1)])
    raise ValueError(f"nobody has said how a {type(network).__name__} sees, layer by layer")


def _of_unet(network: DeconvUNet) -> list[Step]:
    blocks = [2 * count * 2**level for level, count in enumerate(network.blocks)]
    lowest = len(blocks) - 1
    down = [step for level in range(lowest) for step in (("down", level, blocks[level]), ("halving", level, 2**level))]
    # a doubling with kernel 2 and stride 2 sees one cell, which the halving has counted
    up = [
        step
        for level in reversed(range(lowest))
        for step in (("deconvolution", level, 0), ("up", level, blocks[level]))
    ]
    return [("head", 0, 1), *down, ("body", lowest, blocks[-1]), *up, ("tail", 0, 1)]


def _added(steps: list[Step]) -> list[Step]:
    total, found = 0, []
    for kind, level, pixels in steps:
        total += pixels
        found.append((kind, level, total))
    return found
