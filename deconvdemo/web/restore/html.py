"""The page's small pieces of HTML. Everything that came from outside is escaped here, and only here."""

from __future__ import annotations

from html import escape

from deconvdemo.engine.restoration import Progress, Restoration
from deconvdemo.redaction import without_places
from deconvdemo.tasks import in_words
from deconvdemo.web.restore.results import Kept


def trouble(sentence: object) -> str:
    """A refusal or failure, read out at once by screen readers."""
    return f'<p class="dd-status dd-trouble" role="alert">{_sentence(without_places(str(sentence)))}</p>'


def notice(sentence: object) -> str:
    """Something that went well, or is under way."""
    return f'<p class="dd-status" role="status">{_sentence(sentence)}</p>'


def thanks(sentence: object) -> str:
    """What the visitor gave is safe."""
    return f'<p class="dd-status dd-thanks" role="status">{_sentence(sentence)}</p>'


def saved(flag_id: str, erase_link: str) -> str:
    """A flag is safe; the page's script goes on to say what becomes of it."""
    erase = (
        " Keep this private link, nobody else has it: "
        f'<a href="{escape(erase_link)}" target="_blank" rel="noopener noreferrer">see what becomes of it, or erase it'
        "</a>"
    )
    return (
        f'<p class="dd-status dd-thanks" role="status">Saved, thank you. This is flag {escape(flag_id)}. '
        f'<span data-flag="{escape(flag_id)}"></span>{erase if erase_link else ""}</p>'
    )


def waiting(sentence: str) -> str:
    """What is shown from the click until the server answers; after a while it says why that takes long."""
    late = "Others are ahead: yours begins by itself when a place is free."
    return (
        f'<div class="dd-status" role="status"><div class="dd-bar dd-endless"><span></span></div>{escape(sentence)} '
        f'<span class="dd-late">{late}</span></div>'
    )


def broken() -> str:
    """For a failure that nobody foresaw; the log has the rest."""
    return trouble("something went wrong on this server: try again, or with another photo")


def progress(step: Progress) -> str:
    """A bar, and the time that is left once it can be told."""
    if step.seconds_left is None:
        words = "Reading the photo…" if step.total == 0 else f"Working on {_tiles(step.total)}…"
    elif step.done == step.total:
        words = "Saving the result…"
    else:
        left = max(1, round(step.seconds_left))
        words = f"Tile {step.done} of {step.total}, about {left // 60} min {left % 60} s left"
        if left < 60:
            words = f"Tile {step.done} of {step.total}, about {left} s left"
    share = 100 * step.done / max(step.total, 1)
    return (
        f'<div class="dd-status" role="status"><div class="dd-bar" role="progressbar" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{share:.0f}"><span style="width:{share:.1f}%"></span></div>'
        f"{escape(words)}</div>"
    )


def report(restoration: Restoration, kept: Kept) -> str:
    """How the result was made, what should be known of it, and the download."""
    observed, photo = restoration.observed, restoration.photo
    size = f"{observed.width}×{observed.height}"
    if (photo.width, photo.height) != (observed.width, observed.height):
        size += f" → {photo.width}×{photo.height}"
    weights = f"{restoration.checkpoint['name']} {restoration.checkpoint['sha256'][:8]}"
    facts = [
        size,
        *in_words(restoration.controls),
        f"{restoration.seconds:.1f} s",
        _tiles(restoration.tiles),
        f"{restoration.device} {restoration.precision}",
        f"weights {weights} ({kept.checkpoint['source']})",
    ]
    notes = "".join(f'<p class="dd-note">Note: {_sentence(note)}</p>' for note in restoration.notes)
    depth = f", {photo.bit_depth} bit" if photo.bit_depth != 8 else ""
    label = f"Download ({kept.download.rpartition('.')[2].upper()}{depth})"
    return (
        f'<div class="dd-report"><p>{" · ".join(escape(fact) for fact in facts)}</p>{notes}'
        f'<a class="dd-download" href="{escape(kept.url(kept.download))}" download="{escape(kept.download)}">'
        f"{escape(label)}</a></div>"
    )


def _tiles(count: int) -> str:
    return "1 tile" if count == 1 else f"{count} tiles"


def _sentence(text: object) -> str:
    words = str(text).strip()
    if "." not in words.partition(" ")[0]:  # a file's name stays as it is
        words = words[:1].upper() + words[1:]
    return escape(words if words.endswith((".", "!", "?", "…")) else f"{words}.")
