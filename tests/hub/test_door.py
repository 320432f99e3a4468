"""The demo as people run it, with a dataset to publish to: a flag's way from the click to the dataset and out again."""

from __future__ import annotations

import urllib.error
import urllib.parse
import urllib.request

import pytest
from demo_app import asked, becomes, png, running_door
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from tiny import picture

REPO = "lab/door"


def restored(client: Client, folder, number: int) -> str:
    file = folder / f"{number}.png"
    file.write_bytes(png(picture(40, 40 + number)))
    return client.predict(handle_file(str(file)), api_name="/denoise")[1]["restoration_id"]


@pytest.mark.timeout(300)
def test_flags_are_published_survive_a_wiped_disk_and_are_erased_by_their_link(hub, tiny_weights, tmp_path):
    with running_door(tiny_weights, tmp_path / "one", hub, REPO, DECONVDEMO_FLAGS_PER_VISITOR="2") as (url, process):
        client = Client(url, verbose=False, download_files=str(tmp_path))
        sent = [
            client.predict(restored(client, tmp_path, number), ["seams"], comment="<b>", api_name="/flag")
            for number in (1, 2)
        ]
        assert [flag["state"] for flag in sent] == ["saved", "saved"]
        with pytest.raises(AppError, match=r"2 flags came from you within an hour.*try again in"):
            client.predict(restored(client, tmp_path, 3), ["seams"], api_name="/flag")
        for flag in sent:
            state = becomes(f"{url}/flags/{flag['flag_id']}", lambda facts: facts["state"] == "published")
            assert state["revision"] in state["url"]
        health = asked(f"{url}/healthz")["publishing"]
        assert (health["repo"], health["waiting"], health["error"]) == (REPO, 0, "")
        assert len(hub.rows(REPO)) == 2
        process.kill()  # -9, and the disk with it

    with running_door(tiny_weights, tmp_path / "two", hub, REPO) as (url, process):
        flag_id, key = sent[0]["flag_id"], sent[0]["erase"].partition("key=")[2]
        # the new machine has taken it in from the dataset, and the old private link opens it
        state = becomes(f"{url}/healthz", lambda facts: facts["flags"] == 2)
        assert state["flags"] == 2
        erase = f"{url}/erase/{flag_id}"
        with urllib.request.urlopen(f"{erase}?key={key}") as page:
            assert b"&lt;b&gt;" in page.read()
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(erase, urllib.parse.urlencode({"key": "0" * 64}).encode())
        urllib.request.urlopen(erase, urllib.parse.urlencode({"key": key}).encode()).close()
        assert asked(f"{url}/flags/{flag_id}")["state"] == "erased"
        becomes(f"{url}/healthz", lambda facts: len(hub.rows(REPO)) == 1)
        assert [row["flag_id"] for row in hub.rows(REPO)] == [sent[1]["flag_id"]]
