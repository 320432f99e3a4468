"""The networks of five articles on deconvolution, as they stand where they can run, and made to work where they cannot.

What was wrong is said beside each; docs/articles.md has what became of them. They serve nobody: `train-articles` shows
what their faults look like. Kernels of 3 with a stride of 2 are kept, since the checkerboards are part of the story.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from deconvdemo.networks.arguments import Argument, Whole
from deconvdemo.networks.layers import pad_to_multiple

SLOPE = 0.2  # of the third article's leaky rectifiers


class ArticleNetwork(nn.Module):
    """What they have in common: plain layers, and a result of `scale` times the size of what is shown."""

    ARGUMENTS: ClassVar[dict[str, Argument]] = {}
    image_channels, side_channels = 3, 0
    scale, stride = 1, 2
    radius: int
    layers: nn.Sequential

    def forward(self, inputs: Tensor) -> Tensor:
        height, width = inputs.shape[-2:]
        result = self.layers(pad_to_multiple(inputs, self.stride))
        return result[..., : self.scale * height, : self.scale * width]


class ArticleRestorer(ArticleNetwork):
    """Article 1: two 3×3 convolutions, 3→32→64, then two transposed ones, 64→32→3, of stride 2; noisy in, clean out.

    As it stands (`as_written`) no stride goes down, so a picture of H×W comes out at 4H−3 × 4W−3, sixteen times as many
    pixels, and cannot be compared with its target. Made to work: the convolutions have a stride of 2.
    Kernel 3 is no multiple of stride 2: checkerboards (Odena et al. 2016). The text also names input and target the
    wrong way round.
    """

    stride, radius = 4, 6

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 32, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 3, stride=2, padding=1, output_padding=1), nn.ReLU(),
            nn.ConvTranspose2d(32, 3, 3, stride=2, padding=1, output_padding=1),
        )  # fmt: skip

    @staticmethod
    def as_written() -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 3, stride=2, padding=1), nn.ReLU(),
            nn.ConvTranspose2d(32, 3, 3, stride=2, padding=1),
        )  # fmt: skip


class ArticleInverse(ArticleNetwork):
    """Article 2: a classifier's convolutions, 32-64-128 with pooling, and "inverse" layers that lead back to a picture.

    The sum over y(x+m, y+n) that the text calls the inverse is a correlation, which is the adjoint: it blurs once more.
    Pooling has no inverse at all. Made to work: the layers that lead back learn to do so, together with the others.
    As it stands (`as_written`) the last layer is to make 64×64 of 32×32 by a 1×1 kernel, which does not enlarge: with a
    stride of 2, three of four pixels are never painted.
    """

    stride, radius = 4, 17

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(),
            nn.ConvTranspose2d(128, 64, 3, padding=1), nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 3, stride=2, padding=1, output_padding=1), nn.ReLU(),
            nn.ConvTranspose2d(32, 3, 3, stride=2, padding=1, output_padding=1),
        )  # fmt: skip

    @staticmethod
    def as_written() -> nn.Sequential:
        """The last layer alone, with the stride that it would need."""
        return nn.Sequential(nn.ConvTranspose2d(3, 3, 1, stride=2, output_padding=1))


class ArticleDeconvolution(ArticleNetwork):
    """Article 3: convolution of 64, BatchNorm, LeakyReLU; transposed convolution of 64, stride 2, both again; one to 3.

    As it stands (`scale` 2) it makes a picture twice as large of noise or of a picture, whose target is as large as
    what it is shown. Made to work for restoring (`scale` 1): the convolution goes down. The formula for f⁻¹ ∗ y has f
    in the integral again, and the "noisy" picture is one that a bilateral filter had smoothed: here it is noisy.
    With noise that belongs to no picture, the mean squared error is least for the mean of all pictures: grey fog.
    """

    ARGUMENTS: ClassVar[dict[str, Argument]] = {"scale": Whole(1, 2)}

    def __init__(self, scale: int = 1) -> None:
        super().__init__()
        self.scale, down = scale, 3 - scale
        self.radius = 1 + down
        self.stride = down
        self.layers = nn.Sequential(
            nn.Conv2d(3, 64, 3, stride=down, padding=1), nn.BatchNorm2d(64), nn.LeakyReLU(SLOPE),
            nn.ConvTranspose2d(64, 64, 3, stride=2, padding=1, output_padding=1), nn.BatchNorm2d(64),
            nn.LeakyReLU(SLOPE),
            nn.ConvTranspose2d(64, 3, 3, padding=1),
        )  # fmt: skip


class ArticleUpscaler(ArticleNetwork):
    """Article 4: `ConvTranspose2d(3, 3, 4, 2, 1)`, which makes 960×1280 of 480×640, as it stands.

    Kernel 4 is a multiple of stride 2: no checkerboard from overlap alone. Untrained, as in the article, it shows
    nothing; trained, it is one linear filter: soft edges. The formula H = F⁻¹{F · F{G}} multiplies, which is the
    convolution again: the inverse divides.
    """

    scale, stride, radius = 2, 1, 1

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.ConvTranspose2d(3, 3, 4, 2, 1))


class ArticleInpainter(ArticleNetwork):
    """Article 5: convolution of 64, ReLU; transposed convolution to 3, stride 2, sigmoid; binary cross-entropy.

    As it stands (`as_written`) there is no mask anywhere, twice the size comes out, and "accuracy" is counted on
    pixels. Made to work: the convolution goes down, and the mask is a fourth channel: a hole is no black paint.
    """

    side_channels, radius = 1, 2

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(4, 64, 3, stride=2, padding=1), nn.ReLU(),
            nn.ConvTranspose2d(64, 3, 3, stride=2, padding=1, output_padding=1), nn.Sigmoid(),
        )  # fmt: skip

    @staticmethod
    def as_written() -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(),
            nn.ConvTranspose2d(64, 3, 3, stride=2, padding=1), nn.Sigmoid(),
        )  # fmt: skip


ARTICLE_NETWORKS: dict[str, type[ArticleNetwork]] = {
    one.__name__: one
    for one in (ArticleRestorer, ArticleInverse, ArticleDeconvolution, ArticleUpscaler, ArticleInpainter)
}
