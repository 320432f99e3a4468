"""The controls that several tasks have."""

from __future__ import annotations

from deconvdemo.tasks.control import AUTO, Choice, Number, Switch, Variant

STRENGTH = Number(
    "strength",
    "Strength",
    "How much of the network's correction is applied: 0 leaves the photo as it is, 1 applies all of it.",
    default=1.0,
)

WRAP = Switch(
    "wrap",
    "Seamless texture",
    "For a picture that repeats: beyond a border it goes on at the opposite one, so that the result joins there, too.",
    default=False,
)


def noise_level(meaning: str, most: float) -> Number:
    """The control of the noise's standard deviation in grey levels, estimated where it is left open."""
    return Number(
        "sigma", "Noise level (sigma)", meaning, default=None, minimum=0, maximum=most, step=0.5, automatic=True
    )


def variants(label: str = "Network made for", **options: Variant) -> Choice:
    """The control by which the user chooses among a task's networks, or leaves that to what the photo is."""
    return Choice("variant", label, "Which of the task's networks restores.", AUTO, options)
