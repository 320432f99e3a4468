"""The pages' scripts, put together as browsers get them: they parse, and use no name that nobody declared.

oxlint finds it, a linter that comes as one program with the development packages: nothing of Node is needed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from missing import missing

from deconvdemo.tasks import TASKS
from deconvdemo.web.asset import ASSETS, asset, in_the_browser, looked_up
from deconvdemo.web.components.kernel_pad import kernel_pad
from deconvdemo.web.components.painter import painter
from deconvdemo.web.components.viewer import viewer
from deconvdemo.web.duel.routes import _script as duel
from deconvdemo.web.learn.routes import script as learn
from deconvdemo.web.releases.routes import _script as releases
from deconvdemo.web.restore.flag_panel import FOLLOW
from deconvdemo.web.review.routes import _script as review
from deconvdemo.web.server.proxy import PublicAddress, slash_at_the_end

SCRIPTS = sorted(path.name for path in ASSETS.glob("*.js"))
RULES = {
    "env": {"browser": True, "es2024": True},
    "categories": {"correctness": "error"},
    "rules": {
        "no-undef": "error",
        "no-unused-vars": ["error", {"vars": "all", "argsIgnorePattern": "^_"}],
        "unicorn/no-useless-spread": "off",  # `[...[1, 2], more]`, which Python writes
        "no-unused-expressions": ["error", {"allowShortCircuit": True, "allowTernary": True}],
    },
}


def component(script: str) -> str:
    """What Gradio makes of a component's script: the body of a function."""
    return f"export default function (element, props, watch, _trigger, _server) {{\n{script}\nvoid [props, watch]; }}"


def programs() -> dict[str, str]:
    small = [in_the_browser(1, "a", None, new_ticket=True), looked_up({("a", 2): [1, None]})]
    return {
        "duel": duel(),
        "learn": learn(),
        "releases": releases(),
        "review": review(),
        "viewer": component(viewer("").js_on_load),
        "painter": component(painter("").js_on_load),
        "kernel": component(kernel_pad(TASKS["deblur"].controls[0]).js_on_load),
        "flag_state": component(FOLLOW),
        "head": f"{slash_at_the_end(PublicAddress.of('/demo'))}\nexport default [{', '.join(small)}];",
    }


def findings(texts: Mapping[str, str], folder: Path) -> dict[str, list[tuple[int, str]]]:
    """Name → (line, what is wrong) of each program."""
    program = shutil.which("oxlint", path=f"{Path(sys.executable).parent}") or shutil.which("oxlint")
    if program is None:
        missing(
            "THE SCRIPTS ARE NOT LINTED: install oxlint, with the other development packages: pip install -e '.[dev]'"
        )
    (folder / "rules.json").write_text(json.dumps(RULES))
    for name, text in texts.items():
        (folder / f"{name}.js").write_text(text, encoding="utf-8")
    words = [program, "--config", "rules.json", "--format", "json", "."]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60)
    found: dict[str, list[tuple[int, str]]] = {name: [] for name in texts}
    for one in json.loads(done.stdout)["diagnostics"]:
        place = one["labels"][0]["span"]["line"] if one["labels"] else 1
        found[Path(one["filename"]).stem].append((place, one["message"]))
    return found


@pytest.fixture(scope="module")
def linted(tmp_path_factory) -> dict[str, list[tuple[int, str]]]:
    """Script → (line, what is wrong) wherever it is on a page; and what is a program's own, of no script."""
    texts, told = programs(), {}
    found = findings(texts, tmp_path_factory.mktemp("scripts"))
    for script in SCRIPTS:
        holders = [name for name, text in texts.items() if asset(script) in text]
        assert holders, f"{script} is on no page"
        complaints = []
        for name in holders:
            first = texts[name][: texts[name].index(asset(script))].count("\n") + 1
            last = first + asset(script).count("\n")
            complaints.append({(line - first + 1, why) for line, why in found[name] if first <= line <= last})
            found[name] = [(line, why) for line, why in found[name] if not first <= line <= last]
        # what one page has no use for another one needs
        told[script] = {
            (line, why)
            for line, why in set.union(*complaints)
            if "never used" not in why or all((line, why) in of_one for of_one in complaints)
        }
    return {script: sorted(of_one) for script, of_one in told.items()} | {
        f"of {name}": left for name, left in found.items()
    }


def test_no_script_has_a_fault(linted):
    assert not {script: found for script, found in linted.items() if found}


def test_faults_are_found(tmp_path):
    """The linter runs, with these rules: a mistake of each kind is told."""
    texts = {
        "undeclared": "export const f = () => somewhere;",
        "unused": "function forgotten() {}",
        "unparsed": "const = 3;",
        "no_value": "export const f = (a) => { a == 3; };",
        "twice": "export const a = { b: 1, b: 2 };",
        "strict": "export const f = () => { with (document) body; };",
    }
    found = findings(texts, tmp_path)
    assert all(found.values()), found
    assert "somewhere" in found["undeclared"][0][1]
    assert "forgotten" in found["unused"][0][1]
