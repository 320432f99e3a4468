"""Who may review: nobody, unless this machine's own user asks on this machine, or the password is known, or Hugging
Face says that it is somebody of the reviewers' list.

This machine's own user is who opens the link that the demo prints where it was started: an address tells nothing, as
a proxy on this machine asks from it for anybody, and so does a page of another program's.

A reviewer's name travels in a signed cookie. The key is in the feedback database, so any replica knows it. Hugging
Face's word travels in Gradio's own session.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from itsdangerous import BadData, URLSafeSerializer
from starlette.requests import Request
from starlette.responses import Response

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.events.records import clean_text
from deconvdemo.feedback.store.about import recall
from deconvdemo.feedback.store.addresses import parsed
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import about
from deconvdemo.web.asset import asset
from deconvdemo.web.components.page import page_html, page_links
from deconvdemo.web.server.tries import Tries

COOKIE = "deconvdemo_reviewer"
BROWSER, BROWSER_DAYS = "deconvdemo_browser", 180  # one that has signed in before
HOURS = 12
OFF, OPEN, SIGN_IN, LINK = "off", "open", "sign in", "link"
LOCAL_NAMES = ("127.0.0.1", "localhost", "::1")
WRONG_WAIT = 1.0  # seconds that a wrong password costs at least
MAX_NAME = 60
KEY = "key"  # of the link's query
LOCAL_DAYS = 30  # that this machine's user need not open the link again
HUGGING_FACE = "login/huggingface?_target_url={root}/review"  # Gradio's own route


@dataclass(frozen=True)
class Reviewers:
    """`password` opens the review to whoever has it, `listed` to these users of Hugging Face, where they can sign in
    (`oauth`). Without any of them it is open on this machine alone, and only if the demo listens to nobody else
    (`local`)."""

    store: FeedbackStore
    password: str = ""
    local: bool = False
    listed: frozenset[str] = frozenset()  # names in lower case
    oauth: bool = False
    clock: Callable[[], float] = time.time
    key: str = ""  # what the link must have on this machine; "": it is open to whoever asks from there
    embedded: bool = False  # the page stands in the Hub's, as a Space's does: its cookies are another site's there
    behind_proxy: bool = False  # an address is what a proxy says
    tries: Tries = field(default_factory=Tries)
    owners: frozenset[str] = frozenset()  # of the listed: their verdicts decide
    owner_password: str = ""  # signs an owner in, in place of `password`

    def door(self, request: Request) -> str:
        """What a request finds: OFF, OPEN, SIGN_IN, or LINK, where the link opens it that was printed at the start."""
        if not self.exists_for(request):
            return OFF
        if self.password or self._by_hugging_face:
            return SIGN_IN
        return OPEN if not self.key or self._signed_in(request.cookies.get(COOKIE, "")) else LINK

    def exists_for(self, request: Request) -> bool:
        """Whether there is a review at all for whoever asks; no database is asked."""
        return bool(self.password or self._by_hugging_face or (self.local and _from_this_machine(request)))

    def opens(self, request: Request) -> bool:
        """Whether this request is the printed link, on this machine."""
        given = request.query_params.get(KEY, "")
        return self.door(request) in (OPEN, LINK) and bool(self.key) and _same(given, self.key)

    def let_in(self, response: Response, root: str = "") -> None:
        """This machine's own user, whom the link has shown."""
        self._give_cookie(response, "me", LOCAL_DAYS * 24, root, samesite="lax")  # strict: not behind a mail's link

    def reviewer(self, request: Request) -> str:
        """Who it is, or "" for a stranger."""
        door = self.door(request)
        if door in (OFF, LINK):
            return ""
        name = self._signed_in(request.cookies.get(COOKIE, "")) if self.password or door == OPEN else ""
        return name or self._from_hugging_face(request) or ("me" if door == OPEN else "")

    def is_owner(self, request: Request) -> bool:
        """Whether a reviewer's verdict decides: of this machine's own user, of who signed in with the owners' password,
        of Hugging Face's users in `owners`. A name that somebody gave beside the reviewers' password proves nothing."""
        if self.door(request) == OPEN:
            return True
        facts = self._read(COOKIE, request.cookies.get(COOKIE, "")) if self.password else None
        if facts and facts["until"] > self.clock():
            return bool(facts.get("owner"))
        return self._from_hugging_face(request).lower() in self.owners

    def sign_in_page(self, root: str = "") -> str:
        """With the ways in that there are; `root` is the path before ours, behind a proxy."""
        ways = asset("sign_in_password.html") if self.password else ""
        if self._by_hugging_face:
            ways = (
                f'<p><a class="act accept" href="{HUGGING_FACE.format(root=root)}">Sign in with Hugging Face</a></p>'
                + ways
            )
        page = page_html("sign_in", "Sign in to review", page_links("review"))
        return page.replace("<!-- ways in -->", ways)

    @property
    def _by_hugging_face(self) -> bool:
        return bool(self.oauth and self.listed)

    def _from_hugging_face(self, request: Request) -> str:
        """The user whom Gradio's sign-in put into the session, if they are of the list."""
        if not self._by_hugging_face or "session" not in request.scope:
            return ""
        told = request.session.get("oauth_info") or {}
        name = str((told.get("userinfo") or {}).get("preferred_username") or "")
        current = told.get("expires_at") is None or told["expires_at"] > self.clock()
        return name if current and name.lower() in self.listed else ""

    def sign_in(
        self,
        response: Response,
        name: str,
        password: str,
        secure: bool,
        root: str = "",
        address: str = "",
        browser: str = "",
    ) -> str:
        """Puts the reviewer's name into a cookie. FeedbackError: wrong, tried too soon, or no name.

        `browser` is the cookie of BROWSER: who has signed in with this one before does not wait for others' attempts.
        """
        known = str(self._read(BROWSER, browser) or "")  # not the cookie itself, which can be spelt in many ways
        self.tries.begin(address, known)
        owner = bool(self.owner_password) and _same(password, self.owner_password)
        if not self.password or not (owner or _same(password, self.password)):
            raise WrongPasswordError("that is not the reviewers' password: ask whoever keeps this demo")
        self.tries.right(address, known)
        name = clean_text(name).strip()
        if not name or len(name) > MAX_NAME or "\n" in name:
            raise FeedbackError(f"give your name, of at most {MAX_NAME} characters: your verdicts carry it")
        if self._by_hugging_face and name.lower() in self.listed:
            raise FeedbackError("whoever has this name signs in with Hugging Face: give another one")
        self._give_cookie(response, name, HOURS, root, secure, owner=owner)
        self._set_cookie(response, BROWSER, secrets.token_hex(16), BROWSER_DAYS * 24, root, secure)
        return name

    def _give_cookie(
        self,
        response: Response,
        name: str,
        hours: float,
        root: str,
        secure: bool = False,
        samesite: Any = "strict",
        owner: bool = False,
    ) -> None:
        # until when, by the clock of whoever reads it: one replica's may be some seconds behind another's
        facts = {"name": name, "until": self.clock() + hours * 3600} | ({"owner": True} if owner else {})
        self._set_cookie(response, COOKIE, facts, hours, root, secure, samesite)

    def _set_cookie(
        self,
        response: Response,
        name: str,
        value: Any,
        hours: float,
        root: str,
        secure: bool,
        samesite: Any = "strict",
    ) -> None:
        """`value` is signed, for this cookie alone."""
        within = self.embedded and secure
        samesite, age = "none" if within else samesite, int(hours * 3600)
        # for this demo alone: another one may be beside it on the same host
        signed = str(self._signer(name).dumps(value))
        response.set_cookie(name, signed, age, path=root or "/", httponly=True, samesite=samesite, secure=secure)
        if within:  # Starlette knows the word from Python 3.14 on
            header, text = response.raw_headers[-1]
            response.raw_headers[-1] = (header, text + b"; Partitioned")

    def _signed_in(self, cookie: str) -> str:
        facts = self._read(COOKIE, cookie)
        return facts["name"] if facts and facts["until"] > self.clock() else ""

    def _read(self, name: str, cookie: str) -> Any:
        """What was put into a cookie; None for one that was not signed here, or by another password."""
        try:
            return self._signer(name).loads(cookie) if cookie else None  # no database is asked for nothing
        except BadData:
            return None

    def _signer(self, name: str) -> URLSafeSerializer:
        # with the password of now: whoever signed in by an old one is out. SHA-384 leaves no spare bits in base64
        how = {"key_derivation": "hmac", "digest_method": hashlib.sha384}
        key = recall(self.store, about.c.reviewers_key, lambda: secrets.token_hex(32))
        words = f"{name} {self.password}" + (f" {self.owner_password}" if self.owner_password else "")
        return URLSafeSerializer(bytes.fromhex(key), words, signer_kwargs=how)


class WrongPasswordError(FeedbackError):
    """A password that was looked at, and is another one."""


def _same(given: str, expected: str) -> bool:
    """In a time that tells neither how much is right nor how long the right one is."""
    one, other = (hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in (given, expected))
    return hmac.compare_digest(one, other)


def _from_this_machine(request: Request) -> bool:
    """By address, through no proxy, and by a name of this machine: another site's name that leads here is refused."""
    client = request.client.host if request.client else ""
    names = [name.lower() for name in request.headers]
    through_proxy = any(name in ("forwarded", "via", "x-real-ip") or name.startswith("x-forwarded") for name in names)
    address = parsed(client)
    return address is not None and address.is_loopback and not through_proxy and request.url.hostname in LOCAL_NAMES
