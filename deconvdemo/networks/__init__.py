"""The networks. A new one is one file here and one line in NETWORKS.

Each is an `nn.Module` built from plain numbers (a checkpoint's header holds them) that pads, crops and adds its own
shortcut inside `forward`, takes (N, C, H, W) in [0, 1] of any size, and says of itself: `scale`, `stride` (alignment of
tiles) and `radius` (how far it sees), both in input pixels, `image_channels` and `side_channels`, and, if it gives no
image, its `result_channels`. Its class names in `ARGUMENTS` the numbers it is built from, with their bounds: others
write headers, too.
"""

from __future__ import annotations

from deconvdemo.networks.articles import ARTICLE_NETWORKS
from deconvdemo.networks.decoder import Decoder
from deconvdemo.networks.deconv_mask import DeconvMask
from deconvdemo.networks.deconv_sr import DeconvSR
from deconvdemo.networks.deconv_unet import DeconvUNet
from deconvdemo.networks.gated_expert import GatedExpert
from deconvdemo.networks.harm_judge import HarmJudge

NETWORKS = {
    "DeconvUNet": DeconvUNet,
    "DeconvSR": DeconvSR,
    "GatedExpert": GatedExpert,
    "DeconvMask": DeconvMask,
    "HarmJudge": HarmJudge,
    "Decoder": Decoder,
    **ARTICLE_NETWORKS,
}
