"""Weights between two files: every number between theirs, and a header that says how they came to be."""

from dataclasses import replace

import pytest
import torch
from tiny import SIZES

from deconvdemo.checkpoints.checkpoint import Header, load_checkpoint, save_checkpoint
from deconvdemo.checkpoints.mixing import mixed
from deconvdemo.cli import main
from deconvdemo.errors import CheckpointError, ControlError
from deconvdemo.networks import NETWORKS


def weights(path, seed: int, side_channels: int = 0, scale: int = 2, **header):
    torch.manual_seed(seed)
    config = {**SIZES["DeconvSR"], "scale": scale, "side_channels": side_channels}
    made = Header("DeconvSR", config, "upscale", scale, "photo", recipe={"steps": 7}, measured={"set5": 30.0})
    tensors = {name: torch.randn_like(value) for name, value in NETWORKS["DeconvSR"](**config).state_dict().items()}
    save_checkpoint(path, replace(made, **header), tensors)
    return load_checkpoint(path)


def test_each_number_lies_between_both(tmp_path):
    tuned, parent = weights(tmp_path / "a.safetensors", 1), weights(tmp_path / "b.safetensors", 2)
    header, tensors = mixed(tuned, parent, 0.75)
    for name, value in tensors.items():
        expected = 0.75 * tuned.tensors[name].float() + 0.25 * parent.tensors[name].float()
        torch.testing.assert_close(value.float(), expected, rtol=0.01, atol=0.01)
    assert header.recipe == {"steps": 7, "mixed": f"0.75 with 0.25 of upscale-x2-photo {parent.sha256[:12]}"}
    assert header.measured == {}  # nobody has measured these yet
    for share, whose in ((1.0, tuned), (0.0, parent)):
        assert all(torch.equal(value, whose.tensors[name]) for name, value in mixed(tuned, parent, share)[1].items())


def test_what_the_parent_did_not_see_counts_for_nothing_in_its_part(tmp_path):
    tuned, parent = weights(tmp_path / "a.safetensors", 1, 1), weights(tmp_path / "b.safetensors", 2)
    _, tensors = mixed(tuned, parent, 0.5)
    first = next(name for name in tensors if tensors[name].shape != parent.tensors[name].shape)
    torch.testing.assert_close(tensors[first][:, 3:], tuned.tensors[first][:, 3:] / 2)
    with pytest.raises(CheckpointError, match="not of one form"):
        mixed(parent, tuned, 0.5)


def test_only_like_weights_mix_and_the_command_says_what_it_wrote(tmp_path, capsys):
    files = [tmp_path / f"{name}.safetensors" for name in "abc"]
    tuned, parent = weights(files[0], 1), weights(files[1], 2)
    other = weights(files[2], 3, scale=3)
    with pytest.raises(CheckpointError, match="like weights mix"):
        mixed(tuned, other, 0.5)
    with pytest.raises(ControlError, match=r"--share is 1\.5"):
        mixed(tuned, parent, 1.5)
    out = tmp_path / "mixed.safetensors"
    assert main(["weights", "mix", str(files[0]), str(files[1]), "--share", "0.5", "-o", str(out)]) == 0
    assert load_checkpoint(out).sha256[:12] in capsys.readouterr().out
