"""Weights from the Hub, over HTTP with the real client: pinned, verified, cached, never silently others."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import hub_client
import pytest

from deconvdemo.checkpoints.checkpoint import Header, save_checkpoint
from deconvdemo.checkpoints.index import Entry, write_index
from deconvdemo.checkpoints.serving import pull
from deconvdemo.errors import CheckpointError
from deconvdemo.networks import NETWORKS

SMALL = {"image_channels": 3, "side_channels": 1, "widths": [8, 16], "blocks": 1}


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Three different checkpoints' bytes: denoise, denoise trained longer, inpaint."""
    folder = tmp_path_factory.mktemp("made")
    contents = {}
    for name, task, steps in (("first", "denoise", 1), ("second", "denoise", 2), ("third", "inpaint", 1)):
        header = Header("DeconvUNet", SMALL, task, recipe={"steps": steps})
        save_checkpoint(folder / name, header, NETWORKS["DeconvUNet"](**SMALL).state_dict())
        contents[name] = (folder / name).read_bytes()
    return contents


@pytest.fixture
def repo(request):
    """A repository name of the test's own, so that the clients' caches know nothing of it."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())
    return f"lab/{words[:40].strip('-')}-{sha256_of(request.node.name.encode())[:8]}"


@pytest.fixture
def published(hub, repo, made):
    """denoise and inpaint with their index in the test's repository; the commit."""
    files = {"denoise.safetensors": made["first"], "inpaint.safetensors": made["third"]}
    return hub.publish(repo, {**files, "index.json": hub.index_of(files)}, tag="v1")


@pytest.fixture
def bundled(tmp_path, made):
    """A folder of bundled weights: `second` for denoise."""
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "denoise.safetensors").write_bytes(made["second"])
    write_index(folder, {"denoise": Entry("denoise.safetensors", sha256_of(made["second"]))})
    return str(folder)


def refusal(client, *call) -> str:
    """The one sentence with which the client refuses."""
    with pytest.raises(CheckpointError) as error:
        client(*call)
    sentence = str(error.value)
    assert "\n" not in sentence
    return sentence


# ---- pinned, verified, cached -----------------------------------------------------------------------------


@pytest.mark.parametrize("revision", ["", "@main", "@v1", "@COMMIT"])
@pytest.mark.parametrize("file", ["", "/denoise.safetensors"])
def test_any_revision_is_resolved_to_its_commit(client, hub, repo, published, made, revision, file):
    served = client(hub_client.chosen, f"hf://{repo}{revision.replace('COMMIT', published)}{file}")
    assert served.sha256 == sha256_of(made["first"])
    assert served.source == served.status == f"hf://{repo}@{published[:7]}/denoise.safetensors"


def test_a_pinned_commit_is_asked_for_once(client, hub, repo, published):
    spec = f"hf://{repo}@{published}"
    client(hub_client.chosen, spec)
    assert hub.requests()
    hub.log.clear()
    client(hub_client.chosen, spec)
    assert hub.requests() == []


def test_a_branch_that_moved_is_followed(client, hub, repo, published, made):
    client(hub_client.chosen, f"hf://{repo}")
    files = {"denoise.safetensors": made["second"]}
    moved = hub.publish(repo, {**files, "index.json": hub.index_of(files)})
    served = client(hub_client.chosen, f"hf://{repo}")
    assert served.sha256 == sha256_of(made["second"])
    assert moved[:7] in served.source
    assert client(hub_client.chosen, f"hf://{repo}@v1").sha256 == sha256_of(made["first"])


def test_pull_says_where_each_file_is(client, repo, published, made):
    rows = client(pull, f"hf://{repo}@v1")
    assert [row.name for row in rows] == ["denoise", "inpaint"]
    assert Path(rows[0].file).read_bytes() == made["first"]
    assert rows[0].sha256 == sha256_of(made["first"])
    assert rows[0].source == f"hf://{repo}@{published[:7]}/denoise.safetensors"


def test_weights_that_are_not_bundled_come_from_where_the_index_says(client, repo, published, made, tmp_path):
    elsewhere = Entry("denoise.safetensors", sha256_of(made["first"]), repo, published)
    write_index(tmp_path, {"denoise": elsewhere})
    at_once, _, _ = client(hub_client.background, str(tmp_path), "")
    assert at_once.source == f"hf://{repo}@{published[:7]}/denoise.safetensors"


# ---- damaged ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["/_cdn/", "GET .*index.json"])
def test_a_file_corrupted_on_the_way_is_fetched_again(client, hub, repo, published, made, what):
    hub.fault(what, "corrupt", times=1)
    served = client(hub_client.chosen, f"hf://{repo}")
    assert hub.faults[0]["times"] == 0
    assert served.sha256 == sha256_of(made["first"])


@pytest.mark.parametrize("what", ["/_cdn/", "GET .*index.json"])
def test_a_file_that_stays_corrupt_is_refused_by_name(client, hub, repo, published, made, what):
    hub.fault(what, "corrupt", times=-1)
    sentence = refusal(client, hub_client.chosen, f"hf://{repo}")
    name = "denoise.safetensors" if what == "/_cdn/" else "index.json"
    assert f"hf://{repo}@{published[:7]}/{name} has " in sentence
    assert "the Hub says" in sentence
    hub.clear()  # and nothing of it stays in the cache
    assert client(hub_client.chosen, f"hf://{repo}").sha256 == sha256_of(made["first"])


def test_a_file_corrupted_in_the_cache_is_fetched_again(client, hub, repo, published, made):
    [row] = client(pull, f"hf://{repo}@{published}/denoise.safetensors")
    damaged = bytearray(made["first"])
    damaged[-5] ^= 0xFF
    Path(row.file).resolve().write_bytes(damaged)
    served = client(hub_client.chosen, f"hf://{repo}@{published}")
    assert served.sha256 == sha256_of(made["first"])


def test_a_blob_that_is_a_link_itself_is_verified_by_its_etag(client, hub, repo, published, made, tmp_path):
    [row] = client(pull, f"hf://{repo}@{published}/denoise.safetensors")
    blob = Path(row.file).parent / Path(row.file).readlink()
    shared = blob.rename(tmp_path / ("e" * 64))  # the client may keep blobs in a store under names of its own
    blob.symlink_to(shared)
    hub.log.clear()
    assert client(pull, f"hf://{repo}@{published}/denoise.safetensors") == [row]
    assert hub.requests() == []
    shared.write_bytes(made["second"])
    assert client(pull, f"hf://{repo}@{published}/denoise.safetensors") == [row]
    assert hub.requests()


def test_a_full_disk_is_called_that(client, repo, published):
    sentence = refusal(client, hub_client.chosen_with_full_disk, f"hf://{repo}")
    assert "No space left on device" in sentence
    assert "unreachable" not in sentence


def test_a_cut_transfer_is_resumed(client, hub, repo, published, made):
    hub.fault("/_cdn/", "truncate", times=1)
    assert client(hub_client.chosen, f"hf://{repo}").sha256 == sha256_of(made["first"])


def test_transfers_that_are_always_cut_are_one_sentence(client, hub, repo, published):
    hub.fault("/_cdn/", "truncate", times=-1, keep=0.0)
    assert f"hf://{repo}@{published[:7]}/denoise.safetensors cannot be fetched" in refusal(
        client, hub_client.impatiently_chosen, f"hf://{repo}"
    )


def test_a_file_that_the_index_does_not_know_is_refused_by_both_names(client, hub, repo, made):
    files = {"denoise.safetensors": made["first"]}
    commit = hub.publish(repo, {**files, "index.json": hub.index_of(files, denoise="c" * 64)})
    sentence = refusal(client, hub_client.chosen, f"hf://{repo}")
    place = f"hf://{repo}@{commit[:7]}"
    assert sentence == (
        f"{place}/denoise.safetensors has sha256 {sha256_of(made['first'])[:12]}…, "
        f"but {place}/index.json says cccccccccccc…: fetch it again"
    )


def test_weights_that_are_no_checkpoint_are_refused(client, hub, repo):
    hub.publish(repo, {"denoise.safetensors": b"hello"})
    assert "is not a safetensors file" in refusal(client, hub_client.chosen, f"hf://{repo}/denoise.safetensors")


# ---- unreachable ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "details", "words"),
    [
        ("drop", {}, "Hub unreachable"),
        ("status", {"code": 500}, "the Hub answered 500"),
        ("status", {"code": 429}, "the Hub answered 429"),
        ("status", {"code": 401}, "HF_TOKEN"),
    ],
)
def test_a_cached_copy_serves_a_branch_and_says_so(client, hub, repo, published, made, kind, details, words):
    client(hub_client.chosen, f"hf://{repo}")
    hub.fault("HEAD ", kind, times=-1, **details)
    served = client(hub_client.chosen, f"hf://{repo}")
    assert served.sha256 == sha256_of(made["first"])
    assert served.status.startswith(f"{served.source} (cached copy; ")
    assert words in served.status


def test_an_unreachable_hub_is_one_sentence_at_once(lonely_client):
    sentence = refusal(lonely_client, hub_client.chosen, "hf://lab/nets")
    assert sentence.startswith("hf://lab/nets/index.json cannot be fetched (Hub unreachable: ")


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("lab/no-such-repo", "no model repository lab/no-such-repo, or it is private"),
        ("stranger/private", "no model repository stranger/private, or it is private"),
        ("REPO@v9", "has no revision 'v9'"),
        ("REPO@" + "0" * 40, "has no revision"),
        ("REPO/upscale-x2.safetensors", "the repository has no such file"),
    ],
)
def test_what_is_not_on_the_hub_is_one_sentence(client, hub, repo, published, place, words):
    hub.publish("stranger/private", {}, private=True)
    assert words in refusal(client, hub_client.chosen, "hf://" + place.replace("REPO", repo))


# ---- in the background ------------------------------------------------------------------------------------


def test_bundled_weights_serve_until_the_hubs_are_verified(client, hub, repo, published, made, bundled):
    at_once, afterwards, ready = client(hub_client.background, bundled, repo)
    assert at_once.sha256 == sha256_of(made["second"])
    assert at_once.status.startswith(f"bundled (hf://{repo} is ")  # not fetched, or not in use yet
    assert ready == {"denoise": sha256_of(made["first"]), "inpaint": sha256_of(made["third"])}
    assert afterwards.status == f"hf://{repo}@{published[:7]}/denoise.safetensors"


def test_bundled_weights_serve_at_once_without_a_hub(lonely_client, made, bundled):
    at_once, afterwards, ready = lonely_client(hub_client.background, bundled, "lab/nets@v1")
    assert at_once.source == "bundled"
    assert at_once.sha256 == afterwards.sha256 == sha256_of(made["second"])
    assert afterwards.status.startswith("bundled (hf://lab/nets@v1/index.json cannot be fetched (Hub unreachable: ")
    assert ready == {}


def test_what_the_user_chose_is_not_replaced_by_the_repositorys(client, repo, published, made, bundled):
    _, afterwards, ready = client(hub_client.background, "/nowhere", repo, "denoise", bundled)
    assert afterwards.sha256 == sha256_of(made["second"])
    assert ready == {"inpaint": sha256_of(made["third"])}


def test_an_index_on_the_hub_may_name_a_file_of_another_repository(client, hub, repo, published, made):
    entry = {"file": "denoise.safetensors", "sha256": sha256_of(made["first"]), "repo": repo, "revision": published}
    index = json.dumps({"version": 1, "weights": {"denoise": entry}}).encode()
    hub.publish(f"{repo}-2", {"index.json": index})
    served = client(hub_client.chosen, f"hf://{repo}-2")
    assert served.source == f"hf://{repo}@{published[:7]}/denoise.safetensors"


def test_one_damaged_file_keeps_all_of_its_commit_out(client, hub, repo, made, bundled):
    files = {"denoise.safetensors": made["first"], "inpaint.safetensors": made["third"]}
    hub.publish(repo, {**files, "index.json": hub.index_of(files, inpaint="c" * 64)})
    _, afterwards, ready = client(hub_client.background, bundled, repo)
    assert ready == {}
    assert afterwards.sha256 == sha256_of(made["second"])
    assert "inpaint.safetensors has sha256" in afterwards.status


def test_a_promoted_commit_serves_without_a_restart(client, hub, repo, published, made, bundled):
    seen = client(hub_client.watch, bundled, repo, 1, 2)
    files = {"denoise.safetensors": made["second"]}
    hub.publish(repo, {**files, "index.json": hub.index_of(files)})
    assert seen == [sha256_of(made["first"])]
    assert client(hub_client.watched, repo, 2) == [sha256_of(made["first"]), sha256_of(made["second"])]


# ---- bounded


def test_a_file_that_is_too_large_is_not_fetched(client, hub, repo, published):
    hub.publish(repo, {"index.json": b" " * 300_000})
    hub.log.clear()
    assert "index.json has 0.3 MB, but at most 0.2 MB are fetched" in refusal(client, hub_client.chosen, f"hf://{repo}")
    assert not [request for request in hub.requests() if request.startswith("GET ")]


def test_a_file_that_is_too_slow_or_more_than_it_said_is_given_up(client, repo, published):
    spec = f"hf://{repo}/denoise.safetensors"
    assert "in 0 s: that is too slow" in refusal(client, hub_client.fetched, spec, 10**9, 0.0)
    assert "it sends more than the 100 bytes" in refusal(client, hub_client.fetched_lie, spec, 100)


def test_bad_commits_are_told_and_a_good_one_after_them_is_taken(client, hub, repo, made, bundled):
    good = {"denoise.safetensors": made["first"]}
    index = hub.index_of(good)
    bad = [b"[" * 100_000, b"{}", index.replace(b'"repo": ""', b'"repo": {"a": 1}'), b" " * 300_000]
    hub.publish(repo, {**good, "index.json": bad[0]})
    told, ready = client(hub_client.looks, bundled, repo, 1)
    assert told["repository"]["error"]
    assert "index.json is not an index of weights" in told["repository"]["error"]
    for one in bad[1:]:
        hub.publish(repo, {**good, "index.json": one})
        told, ready = client(hub_client.looks, bundled, repo, 1)
        assert told["repository"]["error"]
        assert ready == []
    hub.publish(repo, {**good, "index.json": index})
    told, ready = client(hub_client.looks, bundled, repo, 1)
    assert not told["repository"]["error"]
    assert ready == [sha256_of(made["first"])]
