"""Weights published to a model repository, over HTTP with the real client: in one commit or not at all, and back."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import hub_client
import pytest
import tiny
from demo_app import asked, becomes, png, running_door
from gradio_client import Client, handle_file
from huggingface_hub import ModelCard, ModelCardData
from PIL import Image

from deconvdemo.checkpoints.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from deconvdemo.checkpoints.index import INDEX, SHADOW, Entry, add_to_index, read_index, write_index
from deconvdemo.checkpoints.promotion import promote, rollback, shadow, withdraw
from deconvdemo.checkpoints.serving import pull
from deconvdemo.tasks import TASKS

NAMES = {"denoise": ("denoise", {}), "inpaint": ("inpaint", {}), "upscale-x2": ("upscale", {"scale": 2})}
NUMBERS = itertools.count()
FACTS = {
    "data": ["CID22 (CC BY-SA 4.0)", "a | b (research use)"],
    "measured": {"cbsd68 sigma 25 PSNR": 31.2629, "cbsd68 sigma 25 SSIM": 0.8862, "set5 ×2 PSNR": 37.5987},
    "recipe": {
        "parent": "f" * 64,
        "flags": {"from": "a" * 40, "repo": "lab/flags", "target": 12, "noisy": 3, "share": 0.5},
    },
    "created": "2026-11-21",
}


@pytest.fixture
def repo() -> str:
    return f"lab/nets-{uuid4().hex[:8]}"


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder of three small weights that serve."""
    folder = tmp_path / "weights"
    folder.mkdir()
    for task, choices in NAMES.values():
        tiny.weights_file(folder, TASKS[task], {"variant": "standard", **choices})
    return folder


def changed(checkpoint: Checkpoint, file: Path) -> Path:
    """A candidate: the same network with weights that no other test has, and a header that tells their origin."""
    factor = 1.1 + 0.05 * next(NUMBERS)  # the Hub asks nobody twice for the same bytes
    tensors = {name: value.float() * factor for name, value in checkpoint.tensors.items()}
    save_checkpoint(file, replace(checkpoint.header, **FACTS), tensors)
    return file


def promoted(folder: Path) -> str:
    """Promotes a changed denoiser; its sha256."""
    served = load_checkpoint(folder / read_index(folder / INDEX)["denoise"].file)
    return promote(changed(served, folder.parent / "candidate.safetensors"), folder, {}).sha256


def pushed(client, folder: Path, repo: str, *more: str) -> hub_client.Done:
    done = client(hub_client.command, "weights", "push", repo, "--from", str(folder), *more)
    assert done.status == 0, done.err
    return done


def refused(client, folder: Path, repo: str, *more: str, status: int = 1) -> str:
    done = client(hub_client.command, "weights", "push", repo, "--from", str(folder), *more)
    assert (done.status, done.out) == (status, [])
    return done.sentence


def served_by(hub, repo: str) -> dict[str, str]:
    """Name → sha256, as the repository's index has it."""
    index = json.loads(hub.content(repo, "index.json", "models"))
    return {name: entry["sha256"] for name, entry in index["weights"].items()}


def local(folder: Path) -> dict[str, str]:
    return {name: entry.sha256 for name, entry in read_index(folder / INDEX).items()}


def uploads(hub) -> set[str]:
    """The sha256 of each file whose bytes were sent."""
    return {match[1] for line in hub.requests() if (match := re.search(r"PUT /_lfs/put/(\w+)", line))}


# ---- one commit -------------------------------------------------------------------------------------------


def test_a_new_repository_gets_all_of_it_in_one_commit(hub, client, folder, repo):
    done = pushed(client, folder, repo)
    tree = hub.tree(repo, "models")
    pictures = [f"pictures/{name}-{sha256[:12]}.webp" for name, sha256 in local(folder).items()]
    files = [f"{name}.safetensors" for name in NAMES]
    assert done.uploaded == sorted(["README.md", "index.json", *files, *pictures])
    assert set(tree) == {*done.uploaded, ".gitattributes"}
    assert len(hub.commits(repo, "models")) == 2  # the repository's own, and this one
    assert hub.store.resolve("models", repo, "main")[1]["id"] in done.out[0]
    assert served_by(hub, repo) == local(folder)
    for name, sha256 in local(folder).items():
        assert hashlib.sha256(hub.content(repo, f"{name}.safetensors", "models")).hexdigest() == sha256
    assert not hub.store.repo("models", repo)["private"]


def test_what_is_there_already_is_not_committed_again(hub, client, folder, repo):
    pushed(client, folder, repo)
    before = hub.commits(repo, "models")
    hub.log.clear()
    done = pushed(client, folder, repo)
    assert "nothing was committed" in done.out[0]
    assert hub.commits(repo, "models") == before
    assert uploads(hub) == set()


def test_a_look_changes_nothing(hub, client, folder, repo):
    would = pushed(client, folder, repo, "--dry-run").uploaded
    assert not [line for line in hub.requests() if "create" in line or "commit" in line]
    assert would == pushed(client, folder, repo).uploaded


def test_a_private_repository_is_made_private_and_a_public_one_is_not_taken_for_it(hub, client, folder, repo):
    pushed(client, folder, repo, "--private")
    assert hub.store.repo("models", repo)["private"]
    pushed(client, folder, repo, "--private")
    pushed(client, folder, f"{repo}-open")
    assert "is there already, and public" in refused(client, folder, f"{repo}-open", "--private", status=2)


def test_only_what_changed_is_uploaded_and_what_served_before_stays(hub, client, folder, repo):
    pushed(client, folder, repo)
    before = local(folder)["denoise"]
    now = promoted(folder)
    hub.log.clear()
    done = pushed(client, folder, repo)
    new = f"denoise-{now[:12]}.safetensors"
    assert done.uploaded == sorted(
        [new, "README.md", "history.json", "index.json", f"pictures/denoise-{now[:12]}.webp"]
    )
    assert now in uploads(hub)
    assert not uploads(hub) & {before, *(local(folder)[name] for name in ("inpaint", "upscale-x2"))}
    assert served_by(hub, repo)["denoise"] == now
    assert hashlib.sha256(hub.content(repo, "denoise.safetensors", "models")).hexdigest() == before
    assert hub.commits(repo, "models")[-1] == f"denoise {now[:12]} promoted"


def test_what_was_pushed_is_pulled_back_and_serves(hub, client, folder, repo):
    pushed(client, folder, repo)
    rows = client(pull, f"hf://{repo}")
    assert {row.name: row.sha256 for row in rows} == local(folder)
    for name in NAMES:
        assert client(hub_client.chosen, f"hf://{repo}", name).sha256 == local(folder)[name]


def test_a_file_of_another_repository_is_named_and_not_copied(hub, client, folder, repo):
    pushed(client, folder, repo)
    commit = hub.store.resolve("models", repo, "main")[1]["id"]
    entries = read_index(folder / INDEX)
    elsewhere = replace(entries["inpaint"], repo=repo, revision=commit)
    (folder / elsewhere.file).unlink()
    write_index(folder, {**entries, "inpaint": elsewhere})
    other = f"{repo}-2"
    assert "inpaint.safetensors" not in pushed(client, folder, other).uploaded
    assert "inpaint.safetensors" not in hub.tree(other, "models")
    assert (
        client(hub_client.chosen, f"hf://{other}", "inpaint").source == f"hf://{repo}@{commit[:7]}/inpaint.safetensors"
    )
    assert f"`inpaint.safetensors` of [{repo}](https://hf.co/{repo})" in hub.card(other, "models")


# ---- promotion and rollback, through the Hub ----------------------------------------------------------------


def test_a_demo_that_follows_the_repository_sees_a_promotion_and_its_rollback(hub, client, folder, repo):
    pushed(client, folder, repo)
    first = local(folder)["denoise"]
    assert client(hub_client.watch, "/nowhere", repo, 1, 3) == [first]
    second = promoted(folder)
    pushed(client, folder, repo)
    assert client(hub_client.watched, repo, 2) == [first, second]
    hub.log.clear()
    done = client(hub_client.command, "weights", "rollback", "denoise", "--into", str(folder), "--push", repo)
    assert done.status == 0, done.err
    assert done.uploaded == ["README.md", "history.json", "index.json"]
    assert uploads(hub) == set()
    assert client(hub_client.watched, repo, 3) == [first, second, first]
    assert hub.commits(repo, "models")[-1] == f"denoise {first[:12]} rolled back"


@pytest.mark.timeout(300)
def test_a_running_demo_changes_over_between_two_requests_and_drops_none(hub, client, folder, repo, tmp_path):
    first = local(folder)["denoise"]
    pushed(client, folder, repo)
    follows = {"DECONVDEMO_WEIGHTS_REPO": repo, "DECONVDEMO_WEIGHTS_EVERY": "1"}
    photo = tmp_path / "photo.png"
    photo.write_bytes(png(tiny.picture(40, 40)))
    made: list[str] = []
    over = threading.Event()
    with running_door(None, tmp_path / "data", hub, "lab/flags", **follows) as (url, _):
        visitor = Client(url, verbose=False, download_files=str(tmp_path))

        def visit() -> None:
            while not over.is_set():
                _, report = visitor.predict(handle_file(str(photo)), variant="standard", api_name="/denoise")
                made.append(report["checkpoint"]["sha256"])

        def serves(sha256: str) -> None:
            deadline = time.monotonic() + 60
            while made[-1:] != [sha256] and time.monotonic() < deadline:
                time.sleep(0.1)
            assert made[-1] == sha256

        becomes(f"{url}/healthz", lambda facts: facts["weights"]["denoise"].startswith(f"hf://{repo}@"))
        thread = threading.Thread(target=visit)
        thread.start()
        serves(first)
        second = promoted(folder)
        pushed(client, folder, repo)
        serves(second)
        rollback(folder, "denoise")
        pushed(client, folder, repo)
        serves(first)
        over.set()
        thread.join(60)
        assert asked(f"{url}/healthz")["status"] == "ok"
    changes = [sha256 for sha256, _ in itertools.groupby(made)]
    assert changes == [first, second, first]  # an answer that failed would have ended the thread


def test_a_rollback_that_cannot_be_published_stands_and_says_what_to_do(client, lonely_client, folder, repo):
    first = local(folder)["denoise"]
    promoted(folder)
    done = lonely_client(hub_client.command, "weights", "rollback", "denoise", "--into", str(folder), "--push", repo)
    assert done.status == 1
    assert local(folder)["denoise"] == first
    assert "the Hub cannot be reached" in done.sentence
    assert f"run `deconvdemo weights push {repo} --from {folder}`" in done.sentence


def test_the_settings_repository_is_the_default(hub, client, folder, repo):
    setting = {"DECONVDEMO_WEIGHTS_REPO": repo}
    assert client(hub_client.command_as, setting, "weights", "push", "--from", str(folder)).status == 0
    now = promoted(folder)
    rolled = client(hub_client.command_as, setting, "weights", "rollback", "denoise", "--into", str(folder), "--push")
    assert rolled.status == 0
    assert now not in served_by(hub, repo).values()
    pushed(client, folder, f"{repo}-2")  # an explicit one wins
    assert served_by(hub, f"{repo}-2") == local(folder)


# ---- others push, too ---------------------------------------------------------------------------------------


def test_two_pushers_do_not_overwrite_each_other(hub, client, folder, repo):
    pushed(client, folder, repo)
    promoted(folder)
    before = hub.content(repo, "index.json", "models")
    other = before.replace(b'"version": 1', b'"version":1')
    done = client(hub_client.command_beside, {"index.json": other}, "weights", "push", repo, "--from", str(folder))
    assert done.status == 1
    assert "somebody else pushed other weights" in done.sentence
    assert hub.content(repo, "index.json", "models") == other
    assert "history.json" not in hub.tree(repo, "models")


def test_somebody_elses_other_files_are_no_conflict(hub, client, folder, repo):
    pushed(client, folder, repo)
    now = promoted(folder)
    done = client(hub_client.command_beside, {"notes.txt": b"hello"}, "weights", "push", repo, "--from", str(folder))
    assert done.status == 0
    assert hub.content(repo, "notes.txt", "models") == b"hello"
    assert served_by(hub, repo)["denoise"] == now


def test_what_was_promoted_elsewhere_is_not_undone_unasked(hub, client, folder, repo, tmp_path):
    old = tmp_path / "old"
    old.mkdir()
    for file in folder.iterdir():
        (old / file.name).write_bytes(file.read_bytes())
    pushed(client, folder, repo)
    now = promoted(folder)
    pushed(client, folder, repo)
    sentence = refused(client, old, repo)
    assert f"does not know that denoise {now[:12]} was promoted in {repo}" in sentence
    assert served_by(hub, repo) == local(folder)
    pushed(client, old, repo, "--replace")
    assert served_by(hub, repo) == local(old)
    assert json.loads(hub.content(repo, "history.json", "models")) == []


def test_names_and_cards_of_others_are_not_dropped_unasked(hub, client, folder, repo, tmp_path):
    pushed(client, folder, repo)
    few = tmp_path / "few"
    few.mkdir()
    (few / "denoise.safetensors").write_bytes((folder / "denoise.safetensors").read_bytes())
    add_to_index(few / "denoise.safetensors")
    assert f"{repo} serves inpaint, upscale-x2, for which {few} has no weights" in refused(client, few, repo)
    hub.publish(f"{repo}-2", {"README.md": b"# somebody's own"})
    assert "has a README.md that is not ours" in refused(client, folder, f"{repo}-2")
    assert hub.card(f"{repo}-2", "models") == "# somebody's own"
    pushed(client, folder, f"{repo}-2", "--replace")
    assert served_by(hub, f"{repo}-2") == local(folder)


# ---- what goes wrong is one sentence, and leaves the Hub as it was ------------------------------------------


@pytest.mark.parametrize(
    ("place", "environment", "status", "words"),
    [
        ("MINE", {"HF_TOKEN": ""}, 1, "there is no token for the Hub: set HF_TOKEN to one that may write to MINE"),
        ("MINE", {"HF_TOKEN": "hf_wrong"}, 1, "does not let the HF_TOKEN write to the model MINE (401)"),
        ("MINE", {"HF_TOKEN": "hf_read"}, 1, "does not let the HF_TOKEN write to the model MINE (403)"),
        ("stranger/nets", {}, 1, "does not let the HF_TOKEN write to the model stranger/nets (403)"),
        ("nets", {}, 2, "'nets' is not a place on the Hub"),
        ("a/b/c", {}, 2, "names a file that is not .safetensors"),
        ("MINE@v1", {}, 2, "weights are pushed to the main branch of a repository: write MINE"),
        ("", {}, 2, "there is no repository to push to: name OWNER/REPO, or set DECONVDEMO_WEIGHTS_REPO"),
    ],
)
def test_a_push_that_may_not_be_is_one_sentence(hub, client, folder, repo, place, environment, status, words):
    hub.publish(repo, {})
    before = hub.commits(repo, "models")
    given = [place.replace("MINE", repo)] if place else []
    done = client(hub_client.command_as, environment, "weights", "push", *given, "--from", str(folder))
    assert done.status == status
    assert words.replace("MINE", repo) in done.sentence
    assert hub.commits(repo, "models") == before


def test_an_unreachable_hub_is_one_sentence_and_nothing_local_changes(lonely_client, folder, repo):
    assert "the Hub cannot be reached" in refused(lonely_client, folder, repo)


@pytest.mark.parametrize("what", ["damaged", "gone", "another's", "no index", "empty index"])
def test_weights_that_are_not_what_the_index_says_are_refused_before_anything_is_asked(hub, client, folder, repo, what):
    file = folder / "denoise.safetensors"
    if what == "damaged":
        data = bytearray(file.read_bytes())
        data[-5] ^= 0xFF
        file.write_bytes(data)
    elif what == "gone":
        file.unlink()
    elif what == "another's":
        other = folder / "inpaint.safetensors"
        entries = read_index(folder / INDEX)
        write_index(folder, {**entries, "denoise": Entry(other.name, entries["inpaint"].sha256)})
    elif what == "no index":
        (folder / INDEX).unlink()
    else:
        write_index(folder, {})
    words = {
        "damaged": f"{file} has sha256 ",
        "gone": f"{file} does not exist",
        "another's": "holds weights for inpaint, but",
        "no index": f"{folder / INDEX} cannot be read",
        "empty index": "names no weights: there is nothing to push",
    }
    assert words[what] in refused(client, folder, repo)
    assert not [line for line in hub.requests() if repo in line]


CALLS = {
    "look": r"^GET /api/models/REPO/revision/main",
    "tree": r"^GET /api/models/REPO/tree/",
    "read": r"^(GET|HEAD) /REPO/resolve/\w+/index.json",
    "preupload": r"^POST /api/models/REPO/preupload/",
    "batch": r"^POST /REPO.git/info/lfs/objects/batch",
    "upload": r"^PUT ",
    "commit": r"^POST /api/models/REPO/commit/",
}


@pytest.mark.parametrize("fault", [{"kind": "status", "code": 500}, {"kind": "drop"}], ids=["500", "dropped"])
@pytest.mark.parametrize("call", CALLS)
def test_a_failure_before_the_commit_leaves_the_hub_as_it_was(hub, client, folder, repo, call, fault):
    pushed(client, folder, repo)
    now = promoted(folder)
    before = hub.tree(repo, "models")
    hub.fault(CALLS[call].replace("REPO", repo), times=-1, **fault)
    done = client(hub_client.impatient_command, "weights", "push", repo, "--from", str(folder))
    assert done.status == 1
    assert "Hub" in done.sentence
    assert hub.tree(repo, "models") == before
    hub.clear()
    pushed(client, folder, repo)
    assert served_by(hub, repo)["denoise"] == now


def test_a_commit_whose_reply_was_lost_is_found_and_not_made_twice(hub, client, folder, repo):
    pushed(client, folder, repo)
    promoted(folder)
    before = len(hub.commits(repo, "models"))
    hub.fault(CALLS["commit"].replace("REPO", repo), "lost_reply", times=1)
    done = pushed(client, folder, repo)
    assert hub.store.resolve("models", repo, "main")[1]["id"] in done.out[0]
    assert len(hub.commits(repo, "models")) == before + 1
    assert served_by(hub, repo) == local(folder)


def test_a_push_that_is_killed_leaves_the_hub_as_it_was(hub, client, folder, repo, hub_home):
    pushed(client, folder, repo)
    before = hub.tree(repo, "models")
    now = promoted(folder)
    hub.fault(r"^PUT ", "slow", times=-1, delay=5)
    hub.log.clear()
    words = [sys.executable, "-m", "deconvdemo", "weights", "push", repo, "--from", str(folder)]
    process = subprocess.Popen(words, env={**os.environ, **hub.env(hub_home)}, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not uploads(hub) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert uploads(hub)
    assert hub.tree(repo, "models") == before
    hub.clear()
    pushed(client, folder, repo)
    assert served_by(hub, repo)["denoise"] == now


def test_a_candidate_for_duels_goes_along_and_serves_nobody(hub, client, folder, repo):
    served = load_checkpoint(folder / read_index(folder / INDEX)["denoise"].file)
    candidate = shadow(changed(served, folder.parent / "candidate.safetensors"), folder)
    pushed(client, folder, repo)
    assert served_by(hub, repo)["denoise"] == served.sha256
    told = json.loads(hub.content(repo, SHADOW, "models"))["weights"]
    assert told["denoise"]["sha256"] == candidate.sha256
    found = client(hub_client.candidates, f"hf://{repo}")
    assert found == {"denoise": candidate.sha256}
    withdraw(folder, "denoise")
    pushed(client, folder, repo)
    assert client(hub_client.candidates, f"hf://{repo}") == {}


# ---- the card ------------------------------------------------------------------------------------------------


def test_the_card_tells_what_the_headers_and_the_history_tell(hub, client, folder, repo):
    candidate = changed(load_checkpoint(folder / "denoise.safetensors"), folder.parent / "candidate.safetensors")
    compared = {"images": "cbsd68", "setting": "sigma 25", "served": 31.0, "candidate": 31.5, "mean": 0.5}
    worst = {"image": "148089", "difference": -0.3}
    facts = {"found": [{**compared, "interval": [0.4, 0.6], "worst": worst}, compared]}
    now = promote(candidate, folder, facts).sha256
    pushed(client, folder, repo)
    text = hub.card(repo, "models")
    facts = ModelCard(text).data
    assert isinstance(facts, ModelCardData)
    assert facts.license == "apache-2.0"
    assert facts.pipeline_tag == "image-to-image"
    assert facts.datasets == ["lab/flags"]
    assert facts.metrics == ["psnr", "ssim"]
    results = {(one.dataset_name, one.metric_type): one.metric_value for one in facts.eval_results}
    assert results[("cbsd68 sigma 25", "psnr")] == 31.2629
    parameters = sum(tensor.numel() for tensor in load_checkpoint(candidate).tensors.values()) / 1e6
    row = f"| `denoise` | DeconvUNet 8-16 | {parameters:.2f} M | `denoise-{now[:12]}.safetensors` | `{now[:12]}` |"
    assert f"{row} 2026-11-21 | Apache-2.0 |" in text
    assert "| cbsd68 sigma 25 | 31.26 | 0.8862 |" in text
    assert "| set5 ×2 | 37.60 | – |" in text
    assert "| CID22 (CC BY-SA 4.0) | `denoise` |" in text
    assert "| a \\| b (research use) | `denoise` |" in text
    assert "What `inpaint`, `upscale-x2` learned from is not told." in text
    revision = "a" * 40
    assert f"[lab/flags@{revision[:12]}](https://hf.co/datasets/lab/flags/tree/{revision})" in text
    assert "12 with a clean target, 3 noisy, without a target" in text
    assert f"fine-tuned from `{'f' * 12}`" in text
    assert "| cbsd68 sigma 25 | 31.00 | 31.50 | +0.50 | +0.40 to +0.60 | -0.30 (148089) |" in text
    assert "| cbsd68 sigma 25 | 31.00 | 31.50 | +0.50 | – | – |" in text  # from before single pictures were judged
    assert f"`denoise` promoted, `{now[:12]}` serves" in text
    assert f"--weights hf://{repo}" in text


def test_the_card_shows_pictures_that_are_there(hub, client, folder, repo):
    pushed(client, folder, repo)
    shown = re.findall(r"!\[.*?\]\((.*?)\)", hub.card(repo, "models"))
    assert sorted(shown) == sorted(path for path in hub.tree(repo, "models") if path.startswith("pictures/"))
    assert len(shown) == len(NAMES)
    for path in shown:
        with Image.open(BytesIO(hub.content(repo, path, "models"))) as picture:
            assert (picture.format, picture.size) == ("WEBP", (480, 156))
