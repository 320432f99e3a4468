"""What the documentation says is so: its commands are commands, its names are there, its examples run."""

from __future__ import annotations

import argparse
import ast
import re
import runpy
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
import tiny
from feedback_flags import flag_of
from PIL import Image

from deconvdemo.__main__ import main, parser
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.tasks import TASKS
from deconvdemo.training.data.batches import GROUP
from deconvdemo.training.recipes import RECIPES

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL = ("", "sh")
BEFORE = r"^\s*(?:\w+=\S+ )*(?:accelerate launch .*?-m |python -m )?"
OURS = re.compile(BEFORE + r"(deconvdemo .*|make .*|make$|python \S+\.py.*)$")


@cache
def command_line() -> argparse.ArgumentParser:
    return parser()


def blocks(page: Path, kinds: tuple[str, ...] = SHELL) -> str:
    """What stands in fences of these kinds and, with `sh`, indented as code."""
    text = page.read_text(encoding="utf-8")
    fenced = [code for kind, code in FENCE.findall(text) if kind in kinds]
    indented = re.findall(r"^ {4,}\S.*$", FENCE.sub("", text), re.MULTILINE) if "sh" in kinds else []
    return "\n".join([*fenced, *indented])


def commands(text: str) -> Iterator[list[str]]:
    """The words of each line that is one of our commands, without comments and brackets of what may be left out."""
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        if found := OURS.match(line):
            yield shlex.split(re.sub(r"\[(-[^\]]*)\]", r"\1", found[1]), comments=True)


def inline(page: Path) -> Iterator[list[str]]:
    """Commands within sentences, which may be no more than a verb."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for code in re.findall(r"`((?:deconvdemo|make|python) [^`\n]+)`", text):
        yield from commands(code)


def fault(words: list[str], whole: bool) -> str:
    """Why this is no command; "" if it is one. What is not `whole` may lack what the parser needs."""
    program, *rest = words
    if program == "make":
        targets = re.findall(r"^([\w%-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        known = "|".join(target.replace("%", ".+") for target in targets)
        asked = [word for word in rest if "=" not in word]
        return "" if all(re.fullmatch(known, word) for word in asked) else f"make has no {asked}"
    if program == "python":
        return "" if (ROOT / rest[0]).is_file() else f"there is no {rest[0]}"
    if (why := verb_fault(rest)) or not whole or "…" in words:
        return why
    try:
        command_line().parse_args(rest)
    except SystemExit as leaving:
        return "" if leaving.code == 0 else f"{words} is a wrong call"
    return ""


def verb_fault(words: list[str]) -> str:
    command = command_line()
    for word in words:
        verbs = next((action for action in command._actions if isinstance(action, argparse._SubParsersAction)), None)
        if verbs and not word.startswith("-") and word not in ("VERB", "…"):
            if word not in verbs.choices:
                return f"there is no verb {word}"
            command = verbs.choices[word]
        elif word.startswith("-") and word not in command._option_string_actions:
            return f"{command.prog} has no option {word}"
    return ""


@every_page
def test_every_command_is_one(page):
    faults = [fault(words, whole=True) for words in commands(blocks(page))]
    faults += [fault(words, whole=False) for words in inline(page)]
    assert not [why for why in faults if why]


@every_page
def test_documented_processes_can_share_their_batch(page):
    """Patches are shared in groups: a command whose batch leaves a process without any fails when it is tried."""
    for line in blocks(page).replace("\\\n", " ").splitlines():
        found = re.search(r"--num_processes[= ](\d+) .*deconvdemo (?:train|finetune) (\S+)", line)
        if not found:
            continue
        batch = re.search(r"--batch (\d+)", line)
        size = int(batch[1]) if batch else RECIPES[found[2]].batch
        assert size % (GROUP * int(found[1])) == 0, f"{line.strip()}: {size} patches"


def test_commands_are_found_and_wrong_ones_told():
    found = [words for page in PAGES for words in commands(blocks(page))]
    assert {words[0] for words in found} >= {"deconvdemo", "make"}
    assert len(found) > 50
    for wrong in ("deconvdemo sharpen x", "deconvdemo serve --shar", "make tests", "python docs/none.py"):
        assert fault(next(commands(wrong)), whole=True)
        assert fault(next(commands(wrong)), whole=False)
    assert fault(["deconvdemo", "denoise", "x"], whole=True)
    assert not fault(["deconvdemo", "denoise", "…"], whole=True)


@every_page
def test_every_link_leads_somewhere(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        name, _, heading = target.partition("#")
        other = (page.parent / name).resolve() if name else page
        assert other.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.*)$", other.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}, target


# ---- what is written from the code ---------------------------------------------------------------------------


@pytest.fixture
def scripts(monkeypatch):
    """The scripts of docs/, which are no part of the package."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    import api
    import floors

    return api, floors


def test_the_reference_is_what_the_code_says(scripts):
    api, _ = scripts
    demo = api.built()
    assert {path for path, _ in api.routes(demo)} == api.ROUTES.keys(), "each route has its line in ROUTES"
    assert api.PAGE.read_text(encoding="utf-8") == api.page(demo), "run `make docs`"


def test_the_floors_are_drawn_as_they_are(scripts):
    _, floors = scripts
    text = floors.PAGE.read_text(encoding="utf-8")
    assert floors.with_drawing(text) == text, "run `make docs`"


def test_the_walks_pass_what_is_there():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w/.]+\.py)` \| `([\w.]+)` \|", text, re.MULTILINE)
    assert len(rows) > 20
    for file, name in rows:
        nodes = ast.parse((ROOT / "deconvdemo" / file).read_text()).body
        for part in name.split("."):
            defined = {node.name: node for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
            assert part in defined, f"{file} has no {name}"
            nodes = defined[part].body


def test_the_walks_are_short(scripts):
    _, floors = scripts
    photo, flag = floors.PAGE.read_text(encoding="utf-8").split("## From ")[1:]
    assert floors.walked(photo)[0] <= 20
    assert floors.walked(flag)[0] <= 35
    assert floors.walked("| `image/photo.py` |\n| `web/demo.py` |\n| `image/photo.py` |\n| `errors.py` |\n") == (3, 1)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_named_places_are_there(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:deconvdemo|tests|docs|benchmarks|installs)/[\w/.-]*)`", text))
    assert named
    assert not [place for place in named if not (ROOT / place).exists()]


# ---- what runs -----------------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A folder with the files that the README's commands speak of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DECONVDEMO_DATA_DIR", str(tmp_path / "data"))
    picture = Image.fromarray(tiny.picture(24, 30))
    for name in (
        "holiday/a.png",
        "phone.jpg",
        "cat.jpg",
        "bricks.png",
        "scan.tif",
        "photo.jpg",
        "Set5/bird.png",
        "album/a.jpg",
        "moved.jpg",
    ):
        Path(name).parent.mkdir(exist_ok=True)
        picture.save(name)
    hole = np.zeros((24, 30), np.uint8)
    hole[5:9, 6:12] = 255
    Image.fromarray(hole).save("scratches.png")
    store = FeedbackStore(tmp_path / "data")
    store.add(flag_of(1))
    store.close()
    logger = gr.CSVLogger(simplify_file_data=True)
    logger.setup([gr.Image(label="photo", type="pil"), gr.Image(label="restored", type="pil")], "flagged")
    files = [gr.FileData(path=str(Path(name).resolve())).model_dump() for name in ("phone.jpg", "bricks.png")]
    logger.flag(files)
    return tmp_path


def test_the_readmes_commands_run(here, tiny_weights, capsys):
    done = 0
    for words in commands(blocks(ROOT / "README.md", ("sh",)).split("\n\n")[0]):
        given = words[1:]
        if given[0] in TASKS or given[0] in ("evaluate", "bench-report"):
            given += ["--weights", str(tiny_weights), "--device", "cpu", "--precision", "fp32"]
        assert main(given) == 0, (words, capsys.readouterr().err)
        done += 1
    assert done == 16
    assert Image.open("cat-large.png").size == (120, 96)
    assert (here / "flags" / "data").is_dir()


def test_the_readmes_python_runs(here, capsys):
    restoring, calling = [code for kind, code in FENCE.findall((ROOT / "README.md").read_text()) if kind == "python"]
    exec(compile(restoring, "README.md", "exec"), {})
    assert Image.open("clean.jpg").size == (30, 24)
    assert "'task': 'denoise'" in capsys.readouterr().out
    compile(calling, "README.md", "exec")  # what it calls is tested in test_endpoints.py


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["example.py", str(tmp_path)])
    runpy.run_path(str(ROOT / "docs" / "example.py"))
    said = capsys.readouterr().out
    before, *_, after = map(float, re.findall(r"([\d.]+) dB", said))
    assert after > before + 8
    assert "is saved" in said
    assert "flags-00000.parquet" in said
