"""Every network: any size, no checkerboard, an honest radius; and the identities that deconvolution stands on."""

import itertools

import pytest
import tiny
import torch
from torch import nn
from torch.nn import functional

from deconvdemo.checkpoints.index import INDEX, bundled_folder, read_index
from deconvdemo.checkpoints.serving import Weights
from deconvdemo.networks import NETWORKS
from deconvdemo.networks.gated_expert import GatedExpert
from deconvdemo.networks.layers import Halving, deconvolution, pad_to_multiple
from deconvdemo.tasks import TASKS
from deconvdemo.tasks.helpers import HELPERS

SCALES = {"DeconvSR": (2, 3, 4)}
PICTURING = [name for name in NETWORKS if name not in tiny.NOT_SHOWN_PHOTOS]
CASES = [(name, {"scale": scale} if name in SCALES else {}) for name in PICTURING for scale in SCALES.get(name, (1,))]
every_network = pytest.mark.parametrize(("name", "config"), CASES, ids=[f"{n}-{c.get('scale', 1)}" for n, c in CASES])
BUNDLED = list(read_index(bundled_folder() / INDEX)) if (bundled_folder() / INDEX).exists() else []
BUNDLED = [name for name in BUNDLED if name not in HELPERS]  # those give no pictures


def inputs_for(network, height: int, width: int) -> torch.Tensor:
    image = tiny.tensor(tiny.picture(height, width))
    side = torch.full((1, network.side_channels, height, width), 0.1)
    return torch.cat([image, side], dim=1)


@every_network
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (8, 1), (3, 2), (5, 13), (16, 16), (17, 31)])
def test_every_size_works_and_is_kept(name, config, size):
    network = tiny.network(name, **config)
    restored = network(inputs_for(network, *size))
    channels = getattr(network, "result_channels", network.image_channels)
    assert restored.shape == (1, channels, size[0] * network.scale, size[1] * network.scale)
    assert torch.isfinite(restored).all()


@every_network
def test_an_image_does_not_look_at_others_in_its_batch(name, config):
    network = tiny.network(name, **config)
    first = inputs_for(network, 12, 10)
    both = network(torch.cat([first, first.flip(-1)]))
    assert torch.allclose(both[:1], network(first), atol=1e-5)


# ---- deconvolution -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (5, 2), (4, 3), (5, 3), (6, 4), (1, 2)])
def test_a_kernel_that_would_draw_a_checkerboard_is_refused(kernel, stride):
    with pytest.raises(ValueError, match="checkerboard"):
        deconvolution(4, 3, kernel=kernel, stride=stride)


@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (6, 2), (10, 2), (9, 3), (12, 4)])
def test_a_flat_field_stays_flat_before_training(kernel, stride):
    torch.manual_seed(0)
    painted = deconvolution(8, 3, kernel, stride)(torch.rand(1, 8, 1, 1).expand(1, 8, 20, 20))
    assert painted.shape[-1] == 20 * stride
    inner = painted[..., kernel:-kernel, kernel:-kernel]
    assert inner.std(dim=(2, 3)).max() < 1e-5
    assert inner.abs().max() > 0.1  # not flat for being nothing


def test_uneven_overlap_does_draw_a_checkerboard():
    """The reason for the rule: a kernel of 3 and a stride of 2 paint every second pixel twice."""
    layer = nn.ConvTranspose2d(1, 1, 3, stride=2, bias=False)
    nn.init.ones_(layer.weight)
    inner = layer(torch.ones(1, 1, 10, 10))[0, 0, 4:-4, 4:-4]
    assert inner.max() == 4 * inner.min()


@pytest.mark.parametrize(("taps", "stride"), [(1, 2), (3, 2), (3, 3), (3, 4), (5, 2)])
def test_a_deconvolution_is_a_convolution_and_a_sub_pixel_shuffle(taps, stride):
    """Shi et al. 2016: kernel k·s and stride s ⇔ k×k convolution to s² as many channels, then a pixel shuffle."""
    torch.manual_seed(0)
    layer = deconvolution(4, 3, taps * stride, stride).double()
    nn.init.normal_(layer.weight)
    # result s·m + r reads pixel m + j - (k - 1) / 2 by the kernel's tap s·(k - 1 - j) + r
    phases = layer.weight.unflatten(3, (taps, stride)).unflatten(2, (taps, stride)).flip(2, 4)
    weight = phases.permute(1, 3, 5, 0, 2, 4).reshape(3 * stride**2, 4, taps, taps)
    images = torch.rand(2, 4, 7, 6, dtype=torch.float64)
    shuffled = functional.pixel_shuffle(functional.conv2d(images, weight, padding=taps // 2), stride)
    assert torch.allclose(layer(images), shuffled, atol=1e-12)


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (2, 2, 0), (6, 2, 2), (9, 3, 3), (12, 4, 4)])
def test_the_transposed_convolution_is_the_adjoint(kernel, stride, padding):
    """⟨Ax, y⟩ = ⟨x, Aᵀy⟩ for A a strided convolution: `ConvTranspose2d` is its adjoint, not its inverse."""
    torch.manual_seed(0)
    weight = torch.randn(5, 3, kernel, kernel, dtype=torch.float64)
    x = torch.randn(1, 3, 12 * stride, 8 * stride, dtype=torch.float64)
    ax = functional.conv2d(x, weight, stride=stride, padding=padding)
    y = torch.randn_like(ax)
    aty = functional.conv_transpose2d(y, weight, stride=stride, padding=padding)
    assert aty.shape == x.shape
    assert torch.allclose((ax * y).sum(), (x * aty).sum(), rtol=1e-12)


def test_halving_is_a_strided_convolution():
    torch.manual_seed(0)
    halving = Halving(5, 7)
    features = torch.randn(2, 5, 12, 8)
    strided = functional.conv2d(features, halving.weight, stride=2)
    assert torch.allclose(halving(features), strided, atol=1e-6)


def test_padding_repeats_the_last_row_and_column():
    padded = pad_to_multiple(torch.arange(6.0).view(1, 1, 2, 3), 4)
    assert padded[0, 0].tolist() == [[0, 1, 2, 2], [3, 4, 5, 5], [3, 4, 5, 5], [3, 4, 5, 5]]


# ---- what a network says of itself -------------------------------------------------------------------------

SIZES: dict[str, list[dict]] = {
    "DeconvUNet": [
        {},
        {"widths": [4, 4, 4], "blocks": 1},
        {"widths": [4, 4, 4, 4], "blocks": 2},
        {"widths": [4, 4, 4], "blocks": [3, 1, 2]},
    ],
    "DeconvSR": [{"scale": 2}, {"scale": 3, "depth": 4}, {"scale": 4}],
    "GatedExpert": [
        {"network": "DeconvUNet", "base": {"widths": [4] * 4, "blocks": 2}, "expert": {"widths": [4] * 4, "blocks": 2}},
        {"network": "DeconvSR", **{part: {"scale": 3, "channels": 4, "depth": 50} for part in ("base", "expert")}},
    ],
    "DeconvMask": [{"widths": [4, 4, 4], "blocks": 1}, {"widths": [4, 4, 4], "blocks": [1, 2, 2]}],
}
SIZED = [(name, config) for name in PICTURING for config in SIZES.get(name, [{}])]


@pytest.mark.parametrize(("name", "config"), SIZED, ids=[f"{name}-{number}" for number, (name, _) in enumerate(SIZED)])
def test_the_radius_is_how_far_the_network_sees(name, config):
    """A changed pixel changes nothing beyond the radius, and something near it: tiles overlap enough, not too much."""
    network = tiny.network(name, **config).double()
    # stronger inner layers, so that what arrives from afar is not lost in rounding; none as it starts, as the identity
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape))
    radius, scale, stride = network.radius, network.scale, network.stride
    side = 2 * (radius + 2 * stride) + 1
    images = torch.rand(
        1, network.image_channels + network.side_channels, side, side, generator=torch.Generator().manual_seed(0)
    ).double()
    plain = network(images)
    farthest = 0
    for at in {side // 2, side // 2 // stride * stride, side // 2 // stride * stride + stride - 1}:
        changed = images.clone()
        changed[..., at, at] += 10
        rows, columns = torch.nonzero((network(changed) != plain).any(dim=1)[0], as_tuple=True)
        reach = max((torch.stack([rows, columns]) // scale - at).abs().max().item(), 0)
        assert reach <= radius
        farthest = max(farthest, reach)
    assert farthest >= 0.6 * radius


def test_scaling_the_input_and_sigma_scales_the_output():
    """Without biases a DeconvUNet is homogeneous: one network serves every sigma (Mohan et al. 2020)."""
    network = tiny.network("DeconvUNet")
    inputs = inputs_for(network, 21, 18)
    correction = network(inputs) - inputs[:, :3]
    assert correction.abs().mean() > 0.01
    for factor in (0.01, 0.5, 7.0):
        assert torch.allclose(network(factor * inputs), factor * network(inputs), atol=1e-5 * factor)


def test_no_place_in_the_image_is_special():
    """Moving the image by the stride moves the result by as much, away from the border."""
    network = tiny.network("DeconvUNet")
    inputs, by, border = inputs_for(network, 48, 48), network.stride, network.radius + network.stride
    moved = network(torch.roll(inputs, (by, by), dims=(2, 3)))
    expected = torch.roll(network(inputs), (by, by), dims=(2, 3))
    inner = (..., slice(border, -border), slice(border, -border))
    assert torch.allclose(moved[inner], expected[inner], atol=1e-5)


# ---- a network with an expert ------------------------------------------------------------------------------


def gated(kind: str, bias: float, **config) -> GatedExpert:
    """One whose gate says the same everywhere: shut below -0.5, open from 0.5 on."""
    network = tiny.network("GatedExpert", network=kind, base=config, expert=config)
    network.expert.load_state_dict(tiny.network(kind, seed=1, **config).state_dict())
    nn.init.zeros_(network.gate.layers[-1].weight)
    nn.init.constant_(network.gate.layers[-1].bias, bias)
    assert isinstance(network, GatedExpert)
    return network


@pytest.mark.parametrize(
    ("kind", "config"),
    [("DeconvUNet", tiny.SIZES["DeconvUNet"]), ("DeconvSR", {"scale": 3, "channels": 8, "depth": 3})],
)
@pytest.mark.parametrize("size", [(5, 13), (17, 40)])
def test_where_the_gate_is_shut_the_base_counts_and_where_it_is_open_the_expert(kind, config, size):
    config = {**tiny.SIZES[kind], **config}
    shut, half, opened = (gated(kind, bias, **config) for bias in (-0.5, 0.0, 0.5))
    inputs = inputs_for(shut, *size)
    base, expert = shut.base(inputs), shut.expert(inputs)
    assert not torch.equal(base, expert)
    with torch.no_grad():
        assert torch.equal(shut(inputs), base)
        assert torch.equal(opened(inputs), expert)
        assert torch.equal(half(inputs), torch.lerp(base, expert, torch.tensor(0.5)))
    # computed both, as in training
    assert torch.equal(shut(inputs), base)
    assert torch.equal(opened(inputs), expert)


def test_what_the_gate_does_not_need_is_not_computed(monkeypatch):
    calls = []
    for name in ("base", "expert"):
        network = gated("DeconvUNet", {"base": 0.5, "expert": -0.5}[name], **tiny.SIZES["DeconvUNet"])
        getattr(network, name).register_forward_hook(lambda *told: calls.append(told))
        with torch.no_grad():
            network(inputs_for(network, 16, 16))
    assert not calls


def test_the_expert_alone_learns_from_pictures():
    network = NETWORKS["GatedExpert"](**tiny.SIZES["GatedExpert"])
    network(inputs_for(network, 24, 24)).square().mean().backward()
    assert all(parameter.grad is None for parameter in (*network.base.parameters(), *network.gate.parameters()))
    assert any(parameter.grad is not None for parameter in network.expert.parameters())


# ---- the bundled weights -----------------------------------------------------------------------------------


@pytest.mark.skipif(not BUNDLED, reason="no weights are bundled yet")
@pytest.mark.parametrize("name", BUNDLED)
@pytest.mark.parametrize("level", [0.25, 0.7])
def test_the_bundled_weights_draw_no_checkerboard_on_a_flat_grey(name, level):
    checkpoint = Weights().load(name)
    network = checkpoint.network()
    side = 72
    inputs = torch.full((1, network.image_channels, side, side), level)
    judged = slice(24 * network.scale, 48 * network.scale)
    holes = None
    if checkpoint.header.task == "inpaint":
        holes = torch.zeros(1, 1, side, side)
        holes[..., 12:60, 12:60] = 1
        judged = slice(16, 56)  # several cells, so that what is judged is the grid and not the hole's edge
    inputs = TASKS[checkpoint.header.task].inputs(inputs, holes, {"sigma": 15, "variant": checkpoint.header.variant})
    with torch.inference_mode():
        restored = 255 * network(inputs)[0, :, judged, judged]
    # a hole's filling is made up, where the other networks only correct what is there
    assert (restored - 255 * level).abs().max() < (1.5 if holes is None else 2.5)
    # every place within a cell of the upsampling is, on average, as bright as every other
    period = max(network.scale, network.stride)
    usable = restored.shape[-1] // period * period
    cells = restored[:, :usable, :usable].unflatten(2, (-1, period)).unflatten(1, (-1, period))
    for channel, across in itertools.product(cells.mean(dim=(1, 3)), (0, 1)):
        assert (channel.mean(dim=across) - channel.mean()).abs().max() < 0.4


@pytest.mark.parametrize("stride", [2, 3, 4])
def test_the_sub_pixel_deconvolution_is_a_transposed_convolution(stride):
    layer = deconvolution(5, 3, kernel=3 * stride, stride=stride, bias=True)
    torch.nn.init.normal_(layer.weight)
    image = torch.randn(2, 5, 7, 9)
    assert torch.allclose(layer(image), torch.nn.ConvTranspose2d.forward(layer, image), atol=1e-4)
