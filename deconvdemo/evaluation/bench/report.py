"""Several photos on the bench, as one HTML page that needs nothing beside itself."""

from __future__ import annotations

import base64
from html import escape

import numpy as np

from deconvdemo.engine.restorer import Restorer
from deconvdemo.evaluation import cost
from deconvdemo.evaluation.bench import html
from deconvdemo.evaluation.bench.run import SIDE
from deconvdemo.evaluation.bench.several import PSNR, Measured, Report, Section
from deconvdemo.evaluation.wild import Tally
from deconvdemo.image.lossless import lossless, lossless_suffix
from deconvdemo.image.photo import Photo
from deconvdemo.version import __version__

MORE = "There were more photos, which were not looked at: --first says how many are."


def page(report: Report, restorer: Restorer) -> str:
    """The whole page."""
    machine = cost.Machine.this(restorer.compute_on.device)
    about = (
        f"{_photos(report.images)}, of at most {SIDE} pixels a side (larger ones were made smaller first), harmed on "
        f"purpose and restored by every method that applies. Each method is told what is known of the damage. Measured "
        f"by deconvdemo {__version__} on {machine.processor}, {machine.cores} cores, in "
        f"{restorer.compute_on.precision}."
    )
    body = [f"<h1>Test bench</h1><p>{escape(about)}</p>"]
    if report.more:
        body.append(f"<p>{MORE}</p>")
    body += [_section(section) for section in report.sections if section.photos]
    if report.problems:
        items = "".join(f"<li>{escape(one)}</li>" for one in report.problems)
        body.append(f"<h2>Left out</h2><ul>{items}</ul>")
    body.append(f'<p class="dd-bench-note">{escape(html.MEANINGS)}</p>')
    own = html.STYLE.with_name("report.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>Test bench · deconvdemo</title>\n'
        f"<style>\n{own}{html.STYLE.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(body)
        + "\n</main>\n</body>\n</html>\n"
    )


def _section(section: Section) -> str:
    rows: list[tuple[str, dict[str, float | None]]] = []
    losses = []
    for label in section.labels:
        tally = Tally()
        for photo in (photo for photo in section.photos if label in photo.scores):
            tally.add(photo.image, photo.scores[label], photo.scores[section.plain], "")
        row, seconds = tally.row(), [one.seconds[label] for one in section.photos if label in one.seconds]
        rows.append((label, {**row["measured"], html.PER_MEGAPIXEL: float(np.mean(seconds)) if seconds else None}))
        if label != section.plain:
            lost = row["worst"][PSNR]
            worst_photo = f"{lost['gain']:+.2f} dB ({escape(lost['image'])})"
            losses.append((escape(label), f"{row['gain'][PSNR]:+.2f} dB", worst_photo, f"{row['below']:.0%}"))
    measures = list(dict.fromkeys(measure for _, values in rows for measure in values if measure != html.PER_MEGAPIXEL))
    plots = [html.plot(measure, [_values(section, label, measure) for label in section.labels]) for measure in measures]
    worst, mean = section.worst(), section.mean()
    told = [
        f"<h2>{escape(section.damage.label)}</h2>",
        html.table(rows, f"Means of {_photos(len(section.photos))}"),
        f'<div class="dd-bench-plots">{"".join(plots)}</div>',
        html.tabled(
            f"PSNR beside “{section.plain}”", ("Method", "Mean gain", "Worst photo", "Photos that lost"), losses
        ),
        _crops(worst, f"The worst photo for {section.first}"),
        _crops(mean, f"A photo near the mean for {section.first}") if mean is not worst else "",
    ]
    told += [f'<p class="dd-bench-note">Left out: {escape(sentence)}</p>' for sentence in section.left_out]
    return "\n".join(filter(None, told))


def _photos(count: int) -> str:
    return "1 photo" if count == 1 else f"{count} photos"


def _values(section: Section, label: str, measure: str) -> tuple[str, list[float]]:
    scores = [photo.scores[label] for photo in section.photos if label in photo.scores]
    return label, [one[measure] for one in scores if measure in one]


def _crops(photo: Measured, title: str) -> str:
    shown = []
    for label, crop in photo.crops.items():
        scores = photo.scores.get(label)
        below = " · ".join(f"{name} {html.figure_of(name, value)}" for name, value in (scores or {}).items())
        shown.append(html.picture(_inlined(crop), label, f"{label}: part of {photo.image}", below))
    heading = f"{title}: {photo.image} ({photo.gain:+.2f} dB)"
    return f'<h3>{escape(heading)}</h3><div class="dd-bench-pictures">{"".join(shown)}</div>'


def _inlined(pixels: np.ndarray) -> str:
    photo = Photo(np.ascontiguousarray(pixels))
    kind = lossless_suffix(photo).removeprefix(".")
    return f"data:image/{kind};base64,{base64.b64encode(lossless(photo)).decode()}"
