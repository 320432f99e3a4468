"""Who sends something, as far as rate limits need to know: an address, which is hashed at once and never kept."""

from __future__ import annotations

from typing import Any

from deconvdemo.feedback.store.addresses import parsed


def address_of(request: Any, behind_proxy: bool) -> str:
    """The visitor's address; behind a proxy, the last public one that proxies wrote down. "" if it cannot be told.

    `request` is Gradio's or Starlette's, or None.
    """
    client = getattr(request, "client", None)
    direct = client.host if client else ""
    if not behind_proxy or request is None:
        return direct
    named = [part.strip() for part in request.headers.get("x-forwarded-for", "").split(",")]
    # from the end: what stands before was sent by whoever sent it, and may be invented
    return next((address for address in reversed(named) if _is_public(address)), direct)


def _is_public(address: str) -> bool:
    found = parsed(address)
    return found is not None and found.is_global
