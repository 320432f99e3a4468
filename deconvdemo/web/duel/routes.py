"""The duel: a visitor says which of two results is better, and learns only then what made them.

Sides are random and kept here until the vote: nothing that the page is sent before it tells the contenders apart.
"""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deconvdemo.errors import DeconvdemoError, FeedbackError
from deconvdemo.evaluation.contenders import DuelSampler, Subject, words_of
from deconvdemo.feedback.events.opinions import CHOICES, Vote
from deconvdemo.feedback.review.ranking import rankings
from deconvdemo.feedback.store.limits import NETWORK_DIGITS, FlagLimits
from deconvdemo.image.lossless import lossless
from deconvdemo.image.photo import Photo
from deconvdemo.redaction import without_places
from deconvdemo.tasks import TASKS
from deconvdemo.web.components.page import page_html, page_links, page_script, page_style
from deconvdemo.web.review.guard import MAX_JSON, PRIVATE, html, image_file
from deconvdemo.web.review.sent import read_json
from deconvdemo.web.server.leaving import while_connected
from deconvdemo.web.server.visitors import address_of

KEPT = 100  # duels whose votes are waited for; about 1 MB each
AT_ONCE = 4  # duels being made: who asks meanwhile is asked to wait
SIDES = ("observed", "left", "right")


@dataclass
class Duel:
    """One that is under way: its images, by side, and what made them."""

    subject: Subject
    images: dict[str, bytes]
    contenders: dict[str, dict[str, Any]]
    visitor: str = ""  # whose it is, as FlagLimits know them
    duel_id: str = field(default_factory=lambda: secrets.token_hex(16))


class Duels:
    """Makes duels, keeps them until they are voted on, and stores the votes."""

    def __init__(self, ring: DuelSampler, limits: FlagLimits, rng: np.random.Generator | None = None):
        self.ring, self.limits = ring, limits
        self._rng = rng or np.random.default_rng()
        self._kept: dict[str, Duel] = {}  # the oldest first
        self._lock = threading.Lock()
        self._making = threading.Semaphore(AT_ONCE)

    def new(self, task: str = "", address: str = "") -> Duel:
        """FeedbackError where there are too many at once, or nothing to compare."""
        tasks = self.ring.tasks()
        if task and task not in tasks:
            raise FeedbackError(f"there is no duel for {task!r}: choose among {', '.join(tasks)}")
        if not tasks:
            raise FeedbackError("there are no weights here that could meet: come back later")
        visitor = self.limits.visitor(address)
        if not self._making.acquire(blocking=False):
            raise FeedbackError("many duels are being made right now: try again in a few seconds")
        try:
            with self._lock:
                rng = self._rng.spawn(1)[0]
            subject = self.ring.subject(task or str(rng.choice(tasks)), rng)
            with self.ring.restorer.place():
                made = [make(subject) for make in self.ring.pair(subject, rng)]
        finally:
            self._making.release()
        images = [subject.observed, *(pixels for pixels, _ in made)]
        files = {side: lossless(Photo(np.ascontiguousarray(of))) for side, of in zip(SIDES, images, strict=True)}
        duel = Duel(subject, files, {"left": made[0][1], "right": made[1][1]}, visitor)
        with self._lock:
            self._kept[duel.duel_id] = duel
            self._make_room()
        return duel

    def _make_room(self) -> None:
        """When there are too many, the oldest goes of the visitor with most, in the network with most: whoever asks for
        many loses their own."""
        while len(self._kept) > KEPT:
            some = list(self._kept.values())
            for length in (NETWORK_DIGITS, None):
                most = Counter(duel.visitor[:length] for duel in some).most_common(1)[0][0]
                some = [duel for duel in some if duel.visitor[:length] == most]
            del self._kept[some[0].duel_id]

    def get(self, duel_id: str) -> Duel:
        with self._lock:
            duel = self._kept.get(duel_id)
        if duel is None:
            raise FeedbackError("this duel is over: take the next one")
        if duel.subject.flag_id and not self.ring.shows(duel.subject.flag_id):
            self.skip(duel_id)
            raise FeedbackError("this photo is not shown any more: take the next duel")
        return duel

    def skip(self, duel_id: str) -> None:
        """Nobody votes on it: what was skipped says nothing of either side, and is not stored."""
        with self._lock:
            self._kept.pop(duel_id, None)

    def vote(self, duel_id: str, choice: str, address: str = "") -> dict[str, str]:
        """Stores the vote and tells what made each side. The same duel's second vote is the first's."""
        duel = self.get(duel_id)
        vote = Vote(
            task=duel.subject.task,
            choice=choice,
            left_contender=duel.contenders["left"],
            right_contender=duel.contenders["right"],
            flag_id=duel.subject.flag_id,
            client_token=f"duel {duel_id}",
            visitor=self.limits.visitor(address),
            **duel.images,  # type: ignore[arg-type]
        )
        store = self.limits.store
        if not store.has(vote):
            self.limits.check("votes", vote.visitor)
        store.add(vote)
        return {side: words_of(facts) for side, facts in duel.contenders.items()}


def duel_routes(duels: Duels, behind_proxy: bool) -> list[Route]:
    """`/duel` and what it asks. Open to everybody: it shows bundled and published photos alone."""

    def answered(work: Callable[..., Any]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            said: Any = {}
            try:
                if request.method == "POST":
                    length = request.headers.get("content-length", "0")
                    if not length.isdigit() or int(length) > MAX_JSON:
                        raise FeedbackError("this is more than a vote: reload the page")
                    said = read_json(await request.body())
                found = await while_connected(request, work, request, said, behind_proxy=behind_proxy)
            except DeconvdemoError as error:
                return JSONResponse({"error": without_places(str(error))}, 400, headers=PRIVATE)
            return found if isinstance(found, Response) else JSONResponse(found, headers=PRIVATE)

        return answer

    def page(request: Request) -> Response:
        return html(page_html("duel", "Duel", page_links("duel"), listed=True))

    def new(request: Request, said: Any) -> Any:
        duel = duels.new(str(said.get("task") or ""), address_of(request, behind_proxy))
        clean = duel.subject.observed.shape
        scale = duel.subject.scale
        return {
            "duel_id": duel.duel_id,
            "task": duel.subject.task,
            "told": duel.subject.told,
            "width": clean[1] * scale,
            "height": clean[0] * scale,
        }

    def image(request: Request, said: Any) -> Any:
        duel, side = duels.get(request.path_params["duel_id"]), request.path_params["side"]
        if side not in SIDES:
            raise FeedbackError(f"{side!r} is not a side: it is left, right or observed")
        return image_file(duel.images[side])

    def vote(request: Request, said: Any) -> Any:
        address = address_of(request, behind_proxy)
        return {"made": duels.vote(request.path_params["duel_id"], str(said.get("choice", "")), address)}

    def ranked(request: Request, said: Any) -> Any:
        return {"rankings": [_told(one) for task in TASKS for one in rankings(duels.limits.store, task)]}

    def skip(request: Request, said: Any) -> Any:
        duels.skip(request.path_params["duel_id"])
        return {}

    def static(text: Callable[[], str], kind: str) -> Callable[[Request], Response]:
        return lambda request: Response(text(), media_type=kind, headers={"Cache-Control": "no-cache"})

    return [
        Route("/duel", page),
        Route("/duel/page.js", static(_script, "text/javascript")),
        Route("/duel/page.css", static(_style, "text/css")),
        Route("/duel/new", answered(new), methods=["POST"]),
        Route("/duel/ranking", answered(ranked)),
        Route("/duel/{duel_id}/vote", answered(vote), methods=["POST"]),
        Route("/duel/{duel_id}/skip", answered(skip), methods=["POST"]),
        Route("/duel/{duel_id}/{side}", answered(image)),
    ]


def _told(found: Any) -> dict[str, Any]:
    standings = [
        {**asdict(standing), "name": words_of(standing.contender), "chance": standing.chance}
        for standing in found.standings
    ]
    title = TASKS[found.task].title + (f" ×{found.scale}" if found.scale else "")
    return {**asdict(replace(found, standings=())), "title": title, "standings": standings}


def _style() -> str:
    return page_style("duel")


def _script() -> str:
    words = {"choices": CHOICES, "tasks": {name: task.title for name, task in TASKS.items()}}
    return page_script(words, "duel.js")
