"""Muon: every direction of a weight learns at the same rate; the layers that meet the image are Adam's."""

import pytest
import tiny
import torch

from deconvdemo.networks import NETWORKS
from deconvdemo.training.run.muon import Muon, optimizers, orthogonalised


@pytest.mark.parametrize("shape", [(16, 144), (64, 16), (8, 8)])
def test_an_orthogonalised_matrix_has_singular_values_near_one(shape):
    u, _, v = torch.linalg.svd(torch.randn(shape, generator=torch.Generator().manual_seed(0)), full_matrices=False)
    matrix = u * torch.logspace(-1, 1, u.shape[1]) @ v
    values = torch.linalg.svdvals(orthogonalised(matrix))
    assert values.min() > 0.4
    assert values.max() < 1.3


def test_the_size_of_the_gradient_does_not_matter():
    steps = []
    for size in (1.0, 1e-6):
        weight = torch.nn.Parameter(torch.zeros(8, 4, 3, 3))
        optimizer = Muon([weight], lr=0.1)
        weight.grad = size * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
        optimizer.step()
        steps.append(weight.detach().clone())
    torch.testing.assert_close(steps[0], steps[1], rtol=0.2, atol=2e-3)
    assert 0.1 * 0.1 < steps[0].square().mean().sqrt() < 0.1 * 0.4  # about STEP times the learning rate


def test_layers_of_one_shape_are_stepped_together_as_each_alone():
    generator = torch.Generator().manual_seed(2)
    gradients = [torch.randn(shape, generator=generator) for shape in ((8, 4, 3, 3), (8, 4, 3, 3), (8, 36), (6, 2))]
    apart, together = ([torch.nn.Parameter(torch.zeros(g.shape)) for g in gradients] for _ in range(2))
    optimizers_of = [*(Muon([parameter], lr=0.1) for parameter in apart), Muon(together, lr=0.1)]
    for parameters in (apart, together):
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient.clone()
    for optimizer in optimizers_of:
        optimizer.step()
    for one, other in zip(apart, together, strict=True):
        assert torch.allclose(one, other, atol=1e-3)
        assert one.abs().mean() > 5e-3


@pytest.mark.parametrize("name", [name for name in NETWORKS if hasattr(NETWORKS[name], "outer_layers")])
def test_every_weight_has_one_optimizer_and_the_outer_layers_have_adam(name):
    network = NETWORKS[name](**tiny.SIZES[name])
    adam, muon = optimizers(network, "muon")
    owned = [
        parameter for optimizer in (adam, muon) for group in optimizer.param_groups for parameter in group["params"]
    ]
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    assert len(owned) == len(set(map(id, owned))) == len(trained)
    inner = {id(parameter) for parameter in muon.param_groups[0]["params"]}
    for parameter_name, parameter in network.named_parameters():
        is_outer = parameter_name.startswith(tuple(f"{layer}." for layer in network.outer_layers))
        is_outer |= not parameter.requires_grad
        assert (id(parameter) in inner) == (parameter.ndim > 1 and not is_outer)
    assert len(optimizers(network, "adam")) == 1


def test_it_looks_ahead_as_nesterov_does():
    """The gradient drawn to the running mean, which counts it already, is made orthogonal; not that mean alone."""
    parameter = torch.nn.Parameter(torch.zeros(2, 2))
    first, second = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[0.0, 3.0], [1.0, 0.0]])
    muon = Muon([parameter], lr=0.0, momentum=0.75)
    ahead = []
    for gradient in (first, second):
        parameter.grad = gradient
        ahead.append(muon._ahead(parameter, 0.75))
    running = 0.75 * 0.25 * first + 0.25 * second
    assert torch.allclose(ahead[0], 0.25 * first + 0.75 * 0.25 * first)
    assert torch.allclose(ahead[1], 0.25 * second + 0.75 * running)
