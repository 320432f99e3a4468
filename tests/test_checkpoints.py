"""A weights file says what it is, comes back as it was, and is refused by name when anything is wrong."""

import contextlib
import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace

import pytest
import safetensors.torch
import tiny
import torch

from deconvdemo.checkpoints import checkpoint as checkpoints
from deconvdemo.checkpoints.checkpoint import Header, load_checkpoint, save_checkpoint
from deconvdemo.checkpoints.index import INDEX, Entry, add_to_index, read_index, write_index
from deconvdemo.checkpoints.serving import Weights
from deconvdemo.checkpoints.sources import Nothing, OneCheckpoint, WeightsSource, source_of
from deconvdemo.errors import CheckpointError, ControlError
from deconvdemo.hub.download import HubRef
from deconvdemo.networks import NETWORKS
from deconvdemo.networks.articles import ARTICLE_NETWORKS

SMALL: dict[str, dict] = {
    "DeconvUNet": {"image_channels": 3, "side_channels": 1, "widths": [8, 16], "blocks": 1},
    "DeconvSR": {"scale": 2, "channels": 8, "depth": 3},
    "GatedExpert": tiny.SIZES["GatedExpert"],
    "DeconvMask": tiny.SIZES["DeconvMask"],
    "HarmJudge": tiny.SIZES["HarmJudge"],
    "Decoder": tiny.SIZES["Decoder"],
    **{name: {} for name in ARTICLE_NETWORKS},
}

ENLARGING = ("DeconvSR", "ArticleUpscaler")


def a_header(network="DeconvUNet", **changes) -> Header:
    task, scale = ("upscale", 2) if network in ENLARGING else ("denoise", 1)
    header = Header(
        network,
        SMALL[network],
        task,
        scale,
        data=["photos: a source, CC BY 4.0"],
        recipe={"steps": 3, "rate": 1e-3},
        measured={"cbsd68 sigma 25 PSNR": 31.02},
        created="2026-11-20",
    )
    return replace(header, **changes)


def the_tensors(network="DeconvUNet", seed=0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return NETWORKS[network](**SMALL[network]).state_dict()


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "denoise.safetensors"
    save_checkpoint(path, a_header(), the_tensors())
    return path


def refusal(path, **arguments) -> str:
    """The one sentence with which loading `path` is refused; it names the file."""
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(path, **arguments)
    sentence = str(error.value)
    assert path.name in sentence
    assert "\n" not in sentence
    return sentence


# ---- what was saved comes back ----------------------------------------------------------------------------


def test_every_network_has_a_small_configuration_here():
    assert NETWORKS.keys() == SMALL.keys()


@pytest.mark.parametrize("network", NETWORKS)
def test_a_saved_network_comes_back(network, tmp_path):
    tensors = the_tensors(network)
    path = tmp_path / "weights.safetensors"
    sha256 = save_checkpoint(path, a_header(network), tensors, dtype=None)
    checkpoint = load_checkpoint(path, sha256)
    assert checkpoint.header == a_header(network)
    assert checkpoint.sha256 == sha256
    assert checkpoint.source == str(path)
    assert checkpoint.name == ("upscale-x2" if network in ENLARGING else "denoise")
    restored = checkpoint.network()
    assert not restored.training
    for name, tensor in restored.state_dict().items():
        assert torch.equal(tensor, tensors[name])
    assert not any(parameter.requires_grad for parameter in restored.parameters())


def test_weights_are_stored_as_bf16_and_computed_as_float32(saved):
    checkpoint = load_checkpoint(saved)
    assert {tensor.dtype for tensor in checkpoint.tensors.values()} == {torch.bfloat16}
    assert {tensor.dtype for tensor in checkpoint.network().state_dict().values()} == {torch.float32}


def test_building_a_network_leaves_the_random_numbers_alone(saved):
    checkpoint = load_checkpoint(saved)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    checkpoint.network()
    assert torch.equal(torch.rand(3), expected)


def test_a_network_is_put_together_once_for_the_checks_of_all_its_files(saved, monkeypatch):
    load_checkpoint(saved)
    monkeypatch.setattr(checkpoints, "_built", lambda *given: pytest.fail("it was known already"))
    load_checkpoint(saved)
    save_checkpoint(saved.with_name("again"), a_header(), the_tensors(seed=1))


def test_the_same_weights_are_the_same_bytes_in_every_process(saved):
    # the order of a safetensors file's metadata differs between processes, unless we sort it
    program = (
        "import sys; from test_checkpoints import *; print(save_checkpoint(sys.argv[1], a_header(), the_tensors()))"
    )
    other = subprocess.run(
        [sys.executable, "-c", program, str(saved.with_name("other"))],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert other.stdout.strip() == load_checkpoint(saved).sha256, other.stderr


def test_the_header_is_readable_by_any_safetensors_tool(saved):
    with safetensors.safe_open(saved, "pt") as file:
        metadata = file.metadata()
    assert metadata["deconvdemo.network"] == "DeconvUNet"
    assert json.loads(metadata["deconvdemo.measured"]) == {"cbsd68 sigma 25 PSNR": 31.02}


@pytest.mark.parametrize(
    ("task", "scale", "variant", "name"),
    [
        ("denoise", 1, "", "denoise"),
        ("denoise", 1, "photo", "denoise-photo"),
        ("upscale", 2, "", "upscale-x2"),
        ("upscale", 2, "photo", "upscale-x2-photo"),
        ("upscale", 4, "fast", "upscale-x4-fast"),
    ],
)
def test_weights_are_named_for_their_task_scale_and_variant(task, scale, variant, name):
    assert a_header(task=task, scale=scale, variant=variant).name == name


def test_a_variant_comes_back_and_a_file_from_before_there_were_any_is_the_standard_one(saved):
    save_checkpoint(saved, a_header(variant="photo"), the_tensors())
    assert load_checkpoint(saved).header == a_header(variant="photo")
    metadata = a_header().metadata()
    del metadata["deconvdemo.variant"]
    safetensors.torch.save_file(the_tensors(), saved, metadata)
    assert load_checkpoint(saved).header == a_header()


@pytest.mark.parametrize("variant", ["Photo", "photo-2", "a b", "../x", "standard", "x" * 21, "\n"])
def test_a_variant_that_is_no_word_is_neither_written_nor_read(saved, variant):
    old = saved.read_bytes()
    with pytest.raises(CheckpointError, match="one lower-case word") as error:
        save_checkpoint(saved, a_header(variant=variant), the_tensors())
    assert "\n" not in str(error.value)
    assert saved.read_bytes() == old
    rewritten(saved, variant=variant)
    assert "one lower-case word" in refusal(saved)


def test_a_failed_save_leaves_the_old_file(saved, monkeypatch):
    old = saved.read_bytes()

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(CheckpointError, match="No space left"):
        save_checkpoint(saved, a_header(), the_tensors(seed=1))
    assert saved.read_bytes() == old
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_what_would_be_refused_is_not_written(tmp_path):
    tensors = the_tensors()
    tensors[min(tensors)] = torch.full_like(tensors[min(tensors)], torch.nan)
    with pytest.raises(CheckpointError, match="NaN"):
        save_checkpoint(tmp_path / "denoise.safetensors", a_header(), tensors)
    assert not list(tmp_path.iterdir())


# ---- what is wrong is refused by name ---------------------------------------------------------------------


def test_a_missing_file(tmp_path):
    assert "does not exist" in refusal(tmp_path / "denoise.safetensors")


def test_a_folder(tmp_path):
    assert "is a folder" in refusal(tmp_path)


def test_an_empty_file(saved):
    saved.write_bytes(b"")
    assert "0 bytes" in refusal(saved)


@pytest.mark.parametrize("keep", [3, 8, 9, 200, -1])
def test_a_truncated_file(saved, keep):
    saved.write_bytes(saved.read_bytes()[:keep])
    sentence = refusal(saved)
    assert "truncated" in sentence or "not a safetensors file" in sentence


def test_a_flipped_header_byte_is_refused_or_harmless(saved):
    whole, sha256 = saved.read_bytes(), load_checkpoint(saved).sha256
    for position in range(0, 8 + int.from_bytes(whole[:8], "little"), 7):
        broken = bytearray(whole)
        broken[position] ^= 0x15
        saved.write_bytes(broken)
        # some bytes only spell a licence or a date: those load, unless the sha256 is known
        with contextlib.suppress(CheckpointError):
            load_checkpoint(saved)
        refusal(saved, sha256=sha256)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"not weights at all", "not a safetensors file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (pickle.dumps({"weight": 1}), "no pickle"),
        ((5).to_bytes(8, "little") + b"{[}]x", "damaged"),
        ((9).to_bytes(8, "little") + b'{"a": 17}', "damaged"),
    ],
)
def test_a_file_of_another_kind(tmp_path, content, word):
    path = tmp_path / "denoise.safetensors"
    path.write_bytes(content)
    assert word in refusal(path)


def test_no_length_of_a_header_is_taken_for_something_else(saved):
    """The file's first bytes are that length: some of them are those a pickle begins with."""
    first = set()
    for length in range(0, 256, 8):
        save_checkpoint(saved, a_header(created="x" * length), the_tensors())
        first.add(saved.read_bytes()[0])
        assert load_checkpoint(saved).header.created == "x" * length
    assert 0x80 in first


def test_a_pickled_state_dict_is_never_opened(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "boom"),)

    path = tmp_path / "denoise.pt"
    torch.save({"weight": Bomb()}, path)
    assert "no pickle" in refusal(path)
    assert not (tmp_path / "boom").exists()


def test_safetensors_of_somebody_else(tmp_path):
    path = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"weight": torch.zeros(3)}, path)
    assert "no deconvdemo header" in refusal(path)


def rewritten(path, tensors=None, **metadata):
    """The same file with some header values or tensors replaced, as no `save_checkpoint` would write it."""
    checkpoint = load_checkpoint(path)
    changes = {f"deconvdemo.{name}": text for name, text in metadata.items()}
    safetensors.torch.save_file(
        checkpoint.tensors if tensors is None else tensors, path, {**checkpoint.header.metadata(), **changes}
    )


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"network": "DeconvNet9000"}, "DeconvNet9000"),
        ({"network": "DeconvSR"}, "cannot be built"),
        ({"task": "Paint it"}, "'Paint it'"),
        ({"scale": "0"}, "scale 0"),
        ({"scale": '"two"'}, "'scale'"),
        ({"scale": "true"}, "'scale'"),
        ({"config": "[1]"}, "'config'"),
        ({"config": "{"}, "'config'"),
        ({"config": '{"widths": 3}'}, "cannot be built"),
        ({"config": '{"widths": ["a", "b"]}'}, "cannot be built"),
        ({"config": '{"depth": 3}'}, "cannot be built"),
        ({"config": '{"widths": [8, 16, 32], "blocks": 1}'}, "lacks tensor"),
        ({"config": '{"widths": [8], "blocks": 1}'}, "unknown tensor"),
        ({"config": '{"widths": [8, 24], "blocks": 1}'}, "of shape"),
        ({"config": '{"widths": [80000, 160000], "blocks": 1}'}, "cannot be built"),
        ({"measured": '{"PSNR": "high"}'}, "'measured'"),
        ({"format": "2"}, "update deconvdemo"),
    ],
)
def test_a_header_that_does_not_fit(saved, changes, word):
    rewritten(saved, **changes)
    assert word in refusal(saved)


def test_tensors_that_are_missing_extra_or_not_finite(saved):
    tensors = load_checkpoint(saved).tensors
    name = min(tensors)
    for changed, word in [
        ({key: tensor for key, tensor in tensors.items() if key != name}, "lacks tensor"),
        ({**tensors, "extra": torch.zeros(2)}, "unknown tensor extra"),
        ({**tensors, name: torch.full_like(tensors[name], torch.inf)}, "NaN or infinite"),
    ]:
        save_checkpoint(saved, a_header(), tensors)
        rewritten(saved, tensors=changed)
        assert word in refusal(saved)


# ---- the index, and what serves ---------------------------------------------------------------------------


@pytest.fixture
def bundle(tmp_path):
    """A folder of bundled weights: denoise and upscale-x2."""
    folder = tmp_path / "weights"
    for network, name in (("DeconvUNet", "denoise"), ("DeconvSR", "upscale-x2")):
        save_checkpoint(folder / f"{name}.safetensors", a_header(network), the_tensors(network))
        assert add_to_index(folder / f"{name}.safetensors") == name
    return folder


def test_bundled_weights_serve(bundle):
    weights = Weights(bundle)
    assert weights.names() == ["denoise", "upscale-x2"]
    assert weights.load("denoise").source == weights.status("denoise") == "bundled"
    row = weights.list()[0]
    assert (row.name, row.measured, row.problem) == ("denoise", {"cbsd68 sigma 25 PSNR": 31.02}, "")
    assert row.size == (bundle / "denoise.safetensors").stat().st_size
    with pytest.raises(CheckpointError, match="no weights for 'inpaint', only for denoise, upscale-x2"):
        weights.load("inpaint")
    assert weights.fetch_in_background(print) is None


def test_a_file_that_its_index_does_not_know_is_refused(bundle):
    save_checkpoint(bundle / "denoise.safetensors", a_header(), the_tensors(seed=1))
    weights = Weights(bundle)
    with pytest.raises(
        CheckpointError, match=r"denoise\.safetensors has sha256 .*…, but .* says .*: fetch it again"
    ) as error:
        weights.load("denoise")
    assert str(bundle / "index.json") in str(error.value)
    assert [bool(row.problem) for row in weights.list()] == [True, False]


def test_a_file_serves_only_what_its_header_says(bundle):
    index = read_index(bundle / "index.json")
    write_index(bundle, {"inpaint": index["denoise"]})
    with pytest.raises(CheckpointError, match="holds weights for denoise"):
        Weights(bundle).load("inpaint")


def test_a_chosen_file_serves_its_task_and_the_bundle_the_rest(bundle, tmp_path):
    mine = tmp_path / "mine.safetensors"
    save_checkpoint(mine, a_header(), the_tensors(seed=1))
    weights = Weights(bundle, str(mine))
    assert weights.load("denoise").source == weights.status("denoise") == str(mine)
    assert weights.load("upscale-x2").source == "bundled"


def test_a_chosen_folder_serves_what_its_index_names(bundle, tmp_path):
    weights = Weights(tmp_path / "nothing bundled", str(bundle))
    assert weights.load("denoise").source == str(bundle / "denoise.safetensors")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"version": 1}',
        '{"version": 1, "weights": {"denoise": "denoise.safetensors"}}',
        '{"version": 1, "weights": {"denoise": {"file": "../x.safetensors", "sha256": "' + "0" * 64 + '"}}}',
        '{"version": 1, "weights": {"denoise": {"file": "x.pt", "sha256": "' + "0" * 64 + '"}}}',
        '{"version": 1, "weights": {"denoise": {"file": "x.safetensors", "sha256": "12"}}}',
        '{"version": 2, "weights": {}}',
    ],
)
def test_a_malformed_index_is_refused_by_name(tmp_path, text):
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"index\.json is "):
        Weights(tmp_path).names()


def test_an_index_comes_back_as_it_was_written(tmp_path):
    entries = {"denoise": Entry("denoise.safetensors", "0" * 64, "lab/nets", "v1")}
    write_index(tmp_path, entries)
    assert read_index(tmp_path / "index.json") == entries


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hf://lab/nets", HubRef("lab/nets")),
        ("lab/nets@v1", HubRef("lab/nets", "v1")),
        ("hf://lab/nets@v1/denoise.safetensors", HubRef("lab/nets", "v1", "denoise.safetensors")),
        ("hf://lab/nets/a/denoise.safetensors", HubRef("lab/nets", "", "a/denoise.safetensors")),
        ("hf://lab/nets@refs%2Fpr%2F1", HubRef("lab/nets", "refs/pr/1")),
    ],
)
def test_places_on_the_hub(text, expected):
    assert HubRef.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "hf://",
        "hf://lab",
        "hf://lab/",
        "hf:lab/nets",
        "hf://lab/nets@",
        "hf://lab/nets@/x.safetensors",
        "hf://lab/nets@v1@v2",
        "hf://lab/nets/x.pt",
        "hf://lab/nets/../x.safetensors",
        "hf://lab/nets//x.safetensors",
        "hf://../nets",
        "hf://lab/a--b",
        "hf://lab/ne ts",
        "hf://https://huggingface.co/lab/nets",
    ],
)
def test_malformed_places_on_the_hub_are_refused(text):
    with pytest.raises(ControlError, match="hf:"):
        source_of(text)


def test_weights_that_are_nowhere_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        source_of(str(tmp_path / "nothing"))
    with pytest.raises(CheckpointError, match=r"without an index\.json"):
        source_of(str(tmp_path))


@pytest.mark.parametrize("kind", ["nothing", "checkpoint", "file", "folder"])
def test_every_source_of_weights_answers_alike(bundle, kind):
    file = bundle / read_index(bundle / INDEX)["denoise"].file
    kinds = {
        "nothing": Nothing,
        "checkpoint": lambda: OneCheckpoint(load_checkpoint(file)),
        "file": lambda: source_of(str(file)),
        "folder": lambda: source_of(str(bundle)),
    }
    source: WeightsSource = kinds[kind]()
    assert ("denoise" in source.names()) == (kind != "nothing")
    for name in source.names():
        found = source.find(name).load()
        assert (found.name, found.sha256) == (name, source.sha256(name))
    assert source.sha256("unknown") == ""
    assert source.changed() is None
    assert list(source.history()) == list(source.candidates()) == []
    assert source.past("0" * 64) is None


def test_one_checkpoint_is_weights_of_one_name(bundle):
    checkpoint = load_checkpoint(bundle / read_index(bundle / INDEX)["denoise"].file)
    alone = Weights.of(checkpoint)
    assert alone.names() == alone.asked_for() == ["denoise"]
    assert alone.load("denoise") is checkpoint
    assert alone.sha256("denoise") == checkpoint.sha256
    with pytest.raises(CheckpointError, match="no weights for 'inpaint', only for denoise"):
        alone.load("inpaint")
