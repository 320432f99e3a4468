"""Signing in with Hugging Face, the whole way: the demo as on a Space, and an OpenID provider that plays the Hub."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from demo_app import running_door
from feedback_flags import flag_of
from joserfc import jwt
from joserfc.jwk import RSAKey

from deconvdemo.feedback.store.store import FeedbackStore


class Server(ThreadingHTTPServer):
    key: RSAKey
    nonce: str
    user: str


class Provider(BaseHTTPRequestHandler):
    """What the Hub's OpenID endpoints answer, for whoever `server.user` is."""

    server: Server

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        here = f"http://127.0.0.1:{self.server.server_port}"
        if url.path.endswith("openid-configuration"):
            facts = {"issuer": here, "authorization_endpoint": f"{here}/oauth/authorize"}
            facts |= {"token_endpoint": f"{here}/oauth/token", "jwks_uri": f"{here}/keys"}
            self.answer({**facts, "id_token_signing_alg_values_supported": ["RS256"]})
        elif url.path == "/keys":
            self.answer({"keys": [self.server.key.as_dict(private=False)]})
        elif url.path == "/oauth/authorize":
            asked = dict(urllib.parse.parse_qsl(url.query))
            self.server.nonce = asked["nonce"]
            back = urllib.parse.urlencode({"code": "c", "state": asked["state"]})
            self.send_response(302)
            self.send_header("Location", f"{asked['redirect_uri']}&{back}")
            self.end_headers()

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        here = f"http://127.0.0.1:{self.server.server_port}"
        claims = {"iss": here, "aud": "client", "sub": "1", "exp": 4_000_000_000, "iat": 1, "nonce": self.server.nonce}
        claims |= {"preferred_username": self.server.user, "name": self.server.user}
        token = jwt.encode({"alg": "RS256", "kid": "k"}, claims, self.server.key)
        self.answer({"access_token": "t", "token_type": "bearer", "expires_in": 3600, "id_token": token})

    def answer(self, facts):
        body = json.dumps(facts).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def provider() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Provider)
    server.key = RSAKey.generate_key(2048, {"kid": "k"})
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


class Visitor:
    """Follows redirects and keeps cookies, also those that are meant for https."""

    def __init__(self):
        self.cookies: dict[str, str] = {}

    def get(self, url: str) -> tuple[int, str]:
        for _ in range(10):
            request = urllib.request.Request(url)
            if "oauth/authorize" not in url:
                request.add_header("Cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items()))
            try:
                reply = urllib.request.build_opener(_NoRedirect).open(request, timeout=30)
            except urllib.error.HTTPError as error:
                reply = error
            for header in reply.headers.get_all("Set-Cookie") or ():
                self.cookies |= {name: morsel.value for name, morsel in SimpleCookie(header).items()}
            if reply.status not in (302, 303, 307):
                return reply.status, reply.read().decode()
            url = urllib.parse.urljoin(url, reply.headers["Location"])
        raise AssertionError(f"too many redirects, the last to {url}")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args):
        return None


class _NoHub:
    """For a demo that publishes nothing."""

    def env(self, folder) -> dict[str, str]:
        return {"HOME": str(folder), "HF_HUB_OFFLINE": "1"}


def test_the_listed_may_review_and_nobody_else(tiny_weights, tmp_path, provider):
    store = FeedbackStore(tmp_path, min_free_mb=0)
    flag_id = store.add(flag_of(1)).flag_id
    space = {
        "SYSTEM": "spaces",
        "SPACE_ID": "ada/demo",
        "DECONVDEMO_REVIEWERS": "Ada, bob",
        "DECONVDEMO_FEEDBACK_REPO": "",
    }
    space |= {"OAUTH_CLIENT_ID": "client", "OAUTH_CLIENT_SECRET": "secret", "OAUTH_SCOPES": "openid profile"}
    space["OPENID_PROVIDER_URL"] = f"http://127.0.0.1:{provider.server_port}"
    with running_door(tiny_weights, tmp_path, _NoHub(), "", **space) as (url, _):
        for user, status in (("ada", 200), ("mallory", 401)):
            visitor, provider.user = Visitor(), user
            assert visitor.get(f"{url}/review/queue")[0] == 401
            assert "Sign in with Hugging Face" in visitor.get(f"{url}/review")[1]
            _, page = visitor.get(f"{url}/login/huggingface?_target_url=/review")
            assert ('id="filters"' in page) == (status == 200)
            found, answer = visitor.get(f"{url}/review/queue")
            assert found == status
            if status == 200:
                assert json.loads(answer) == {"flags": [flag_id], "reviewer": "ada"}
    store.close()
