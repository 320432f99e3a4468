"""What a task is: its controls, what it shows the network, and what counts as "nothing changed".

Every task's result is one formula: `plain + strength · weight · (estimate − plain)`. Strength 0 gives the plain image,
strength 1 the network's estimate, between them the correction is scaled (law 1); where the weight is 0 nothing moves.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from deconvdemo.errors import ControlError, PhotoError
from deconvdemo.image.metrics import psnr, psnr_inside
from deconvdemo.tasks.common_controls import WRAP
from deconvdemo.tasks.control import AUTO, Choice, Control, Number
from deconvdemo.tasks.declared import Axis, Baseline, Degraded, Example, Tile
from deconvdemo.tasks.harm import Harm

if TYPE_CHECKING:  # the command line reads the tasks' tables, and must not pay for torch
    from torch import Tensor

    from deconvdemo.deconvolution.splitting import Turns

# grey levels: what a network that judges by itself how much disturbs a photo is shown in place of a level
UNKNOWN_SIGMA = -25.0
PHOTO = "photo"  # the variant for what people's photos went through, where a task has one
STANDARD = "standard"  # the variant that every task has; its weights are named for the task alone


class Task:
    """One way of restoring. A new one subclasses this in a file of its own and is listed in TASKS.

    It gives the first five facts, `inputs` and `degraded`; what it leaves out of the others is as said here.
    """

    name: ClassVar[str]
    verb: ClassVar[str]  # on the button
    title: ClassVar[str]
    promise: ClassVar[str]  # one sentence under the title
    # in the order of the HTTP endpoint's parameters: a new one comes last. One is what `variants` gives
    controls: tuple[Control, ...]
    nothing: ClassVar[str] = "nothing to remove"  # of a photo that comes back as it is, though it was to be restored
    needs_mask: ClassVar[bool] = False
    by_turns: ClassVar[bool] = False  # whether `turns` estimates what is restored, of all of a photo at once
    trains: ClassVar[bool] = True  # whether it has networks of its own; else it asks another task's
    # the variants whose networks may leave alone what `inputs` shows beside the image
    blind: ClassVar[tuple[str, ...]] = ()
    # how far, in pixels, from what is known it can continue a photo, and what is said of larger masks before it runs
    limit: ClassVar[tuple[int, str] | None] = None
    # how far, in pixels, `inputs` looks around, and the grid it works on: tiles overlap and are aligned accordingly
    reach: ClassVar[int] = 0
    grid: ClassVar[int] = 1
    # automatic controls that AUTO finds out with the network; where that was chosen by hand, they are off
    found_by_auto: ClassVar[tuple[str, ...]] = ()
    # ---- where it is shown
    examples: ClassVar[tuple[Example, ...]] = ()
    tag: ClassVar[str] = "image-restoration"  # the Hub's, of its weights
    arguments: ClassVar[str] = "photo.jpg -o restored.png"  # of its command, on a model card
    tile: ClassVar[Tile] = Tile("astronaut", 20, 90, "NASA, public domain")

    # ---- how it is measured
    # variant → name → what `degraded` is given; variants that are not here are measured as the standard one
    protocols: ClassVar[Mapping[str, Mapping[str, Axis]]] = {STANDARD: {}}
    sets: ClassVar[tuple[str, ...]] = ()  # folders of images that the literature measures on
    watched: ClassVar[tuple[str, ...]] = ()  # those of them that this project looks at while it trains
    # what `degraded` is given for a photo as people's are (`wild.py`): name → values; empty: nobody says what that is
    wild: ClassVar[Mapping[str, Axis]] = {}
    # axes of what else the test bench may do to a photo
    benched: ClassVar[tuple[Mapping[str, Axis], ...]] = ()
    # of files of ready pairs, with a twin `_clean`: what such a name ends in → what is known of it; empty: none
    pairs: ClassVar[Mapping[str, Mapping[str, Any]]] = {"_degraded": {}}
    real: ClassVar[str] = "real pairs"  # as a setting
    on_luma: ClassVar[bool] = False  # whether it is judged there, without a border of as many pixels as it enlarges
    baselines: ClassVar[tuple[Baseline, ...]] = ()  # where `wild` says something, the first one restores nothing
    # a duel of the standard network with itself: the controls of the other one, and values in place of the protocol's
    altered: ClassVar[Mapping[str, Any]] = {"strength": 0.6}
    duelled: ClassVar[Mapping[str, tuple[Any, ...]]] = {}

    # ---- what new weights of it must keep, and what they learn from
    usual: ClassVar[Mapping[str, Any]] = {}  # controls with which laws are tried and time is taken
    flat: ClassVar[float] = 2.0  # grey levels, at most, by which a flat field may move
    keeps_clean: ClassVar[bool] = False  # whether a photo without any damage must come out as it is
    own_pair: ClassVar[str] = ""  # the kind of pair, of feedback's PAIRS, that a photo without a target teaches
    expert: ClassVar[str] = ""  # the variant whose weights an expert begins with; empty: the same as the base's

    # the choices for which there are weights, such as {"scale": 2, "variant": "photo"}; empty: nobody has looked yet
    served: tuple[dict[str, Any], ...] = ()

    @property
    def variant(self) -> Choice:
        """The control that says which of the task's networks restores."""
        return next(control for control in self.controls if isinstance(control, Choice))

    def offering(self, names: Collection[str], asked_for: Collection[str] = ()) -> Self:
        """This task with only the variants that there are weights for: `names` is what `Weights.names()` gives.

        The default is the variant of which the user named weights (`asked_for`), if it is one; else AUTO, where the
        photo can choose, else the standard one. Without any weights only that is left, for whoever asks to be told that
        it has none.
        """
        offered = copy.copy(self)
        offered.served = tuple(choices for choices in self.combinations() if self.weights(choices) in names)
        found = [choices["variant"] for choices in offered.served]
        named = {choices["variant"] for choices in offered.served if self.weights(choices) in asked_for}
        first = STANDARD if STANDARD in found or not found else found[0]
        offered._offer(self.variant.only(found or [STANDARD], next(iter(named)) if len(named) == 1 else first))
        if len(named) != 1 and offered.chooses:
            offered._offer(replace(offered.variant, default=AUTO))
        return offered

    def _offer(self, variant: Choice) -> None:
        self.controls = tuple(variant if control is self.variant else control for control in self.controls)

    def checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All controls with `given` values in place of defaults. Raises ControlError for unknown or wrong ones."""
        known = {control.name: control for control in self.controls}
        unknown = [name for name in given if name not in known]
        if unknown:
            raise ControlError(f"{self.name} has no control {unknown[0]!r}: it takes {', '.join(known)}")
        controls = {name: control.checked(given.get(name, control.default)) for name, control in known.items()}
        if self.served and not self.able(controls):
            there_are = ", ".join(self.weights(choices) for choices in self.served)
            missing = self.weights({**controls, "variant": self.word(controls)})
            raise ControlError(f"there are no weights for {missing}: choose what {there_are} can do")
        return controls

    def here(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """`given` by who runs the program, whose files may be opened, as `checked` takes it."""
        known = {control.name: control for control in self.controls}
        return {name: known[name].here(value) if name in known else value for name, value in given.items()}

    def able(self, controls: Mapping[str, Any]) -> list[str]:
        """The variants whose weights can do what these controls ask for: one, or for AUTO all that there are."""
        asked = list(self.variant.options) if controls["variant"] == AUTO else [controls["variant"]]
        there_are = [self.weights(choices) for choices in self.served]
        return [word for word in asked if not there_are or self.weights({**controls, "variant": word}) in there_are]

    def choosing(self, controls: dict[str, Any], harm: Harm | None = None) -> dict[str, Any]:
        """`controls` with AUTO replaced by a variant for a photo of this `harm`; None: nobody can tell.

        A task that has networks for different photos says here which is for which: of those in `able`.
        """
        return {**controls, "variant": self.word(controls)}

    def word(self, controls: Mapping[str, Any]) -> str:
        """The variant that is asked for; for AUTO the standard one, where there is one."""
        able = self.able(controls) or [controls["variant"]]
        return STANDARD if STANDARD in able or AUTO in able else able[0]

    def differs(self, controls: Mapping[str, Any]) -> bool:
        """Whether what AUTO stands for depends on the photo, for these other controls."""
        return controls["variant"] == AUTO and {STANDARD, PHOTO} <= {*self.able(controls)}

    @property
    def chooses(self) -> bool:
        """Whether there is a choice that AUTO makes by the photo."""
        return any(self.differs({**choices, "variant": AUTO}) for choices in self.combinations())

    def saw(self, controls: Mapping[str, Any], harm: Harm) -> str:
        """What AUTO saw and chose, in words: "JPEG traces, camera noise of about 9: Camera photos".

        Before the colon stands what chose, after it what was chosen, and behind a semicolon what chose nothing.
        """
        chosen = self.chosen_in_words(controls)
        if not harm.is_soft:
            return f"{harm.in_words()}: {chosen}"
        if self.goes_by_softness(controls, harm):
            return f"{harm.in_words()}, soft: {chosen}"
        return f"{harm.in_words()}: {chosen}; soft, and stays so"

    def chosen_in_words(self, controls: Mapping[str, Any]) -> str:
        return self.variant.options[controls["variant"]].label

    def goes_by_softness(self, controls: Mapping[str, Any], harm: Harm) -> bool:
        """Whether these controls, which AUTO chose, would be others for a sharp photo."""
        return False

    def weights(self, controls: Mapping[str, Any]) -> str:
        """The name, in weights/index.json, of the weights that these controls need."""
        return self._named(self.name, controls)

    def scale(self, controls: Mapping[str, Any]) -> int:
        """How many times longer each side of the result is."""
        return 1

    def settled(self, pixels: np.ndarray, controls: dict[str, Any], seen: np.ndarray | None = None) -> dict[str, Any]:
        """`controls` with every automatic one estimated from `pixels`, (H, W, C) of any of Photo's dtypes.

        `seen`, (H, W) bool, is where they are visible; None: everywhere.
        What the chosen variant judges by itself stays None.
        """
        return controls

    def found(self, asked: Mapping[str, Any], settled: Mapping[str, Any]) -> str:
        """What `settled` found out of the photo that a person should be told, in words; empty: nothing."""
        return ""

    def strength(self, controls: Mapping[str, Any]) -> float:
        """How much of the network's correction is applied, 0 to 1; at 0 the network is not asked."""
        return controls["strength"]

    def cleaning(self, controls: Mapping[str, Any]) -> float:
        """How much of what harms the photo is removed before the network is shown it, 0 to 1."""
        return 0.0

    def hole_weight(self, mask: np.ndarray | None, controls: Mapping[str, Any]) -> np.ndarray | None:
        """(H, W) float32 in [0, 1]: how much of the estimate is shown where; None: everywhere all of it.

        Wherever it is above 0 the network must not see the photo. Raises PhotoError for a mask of no use to the task.
        """
        if mask is not None:
            raise PhotoError(f"{self.name} takes no mask: leave it out, or use inpaint")
        return None

    def wraps(self, controls: Mapping[str, Any]) -> bool:
        """Whether the picture repeats at its borders."""
        return bool(controls.get(WRAP.name))

    def textures(self, controls: Mapping[str, Any]) -> bool:
        """Whether large holes may have texture that is copied from elsewhere in the photo."""
        return False

    def inputs(self, observed: Tensor, holes: Tensor | None, controls: Mapping[str, Any]) -> Tensor:
        """What the network sees of (1, 3, H, W) `observed`, with the side channels its weights were trained on."""
        return observed

    def turns(self, observed: Tensor, controls: Mapping[str, Any]) -> Turns:
        """For a task that is `by_turns`: (1, C, H, W) `observed` → what is restored of it.

        A generator: it yields what the denoiser is to look at, is sent what that makes of it, and returns the result.
        """
        raise NotImplementedError

    def plain(self, observed: Tensor, controls: Mapping[str, Any]) -> Tensor:
        """The image at strength 0."""
        return observed

    def judged(self, controls: Mapping[str, Any]) -> tuple[str, ...]:
        """The automatic controls that the chosen variant finds out by itself."""
        return self.variant.options[controls["variant"]].judges

    def _named(self, name: str, controls: Mapping[str, Any]) -> str:
        variant = controls.get("variant") or STANDARD
        return name if variant in (STANDARD, AUTO) else f"{name}-{variant}"

    def combinations(self) -> list[dict[str, Any]]:
        """Every choice of words and of a few numbers: what `weights` may depend on."""
        choosing: dict[str, Any] = {self.variant.name: self.variant.options}
        choosing |= {c.name: c.choices for c in self.controls if isinstance(c, Number) and c.choices}
        return [dict(zip(choosing, values, strict=True)) for values in itertools.product(*choosing.values())]

    def has(self, control: str) -> bool:
        """Whether there is a control of this name."""
        return any(one.name == control for one in self.controls)

    def made_for(self, scale: int, variant: str) -> dict[str, Any]:
        """The controls that ask for the weights of a header's scale and variant."""
        return {**({"scale": scale} if self.has("scale") else {}), **({"variant": variant} if variant else {})}

    def axes(self, variant: str = STANDARD) -> Mapping[str, Axis]:
        """What the protocol for networks of this variant varies."""
        return self.protocols.get(variant or STANDARD, self.protocols[STANDARD])

    def degraded(
        self, clean: np.ndarray, setting: Mapping[str, Any], seed: int, mask: np.ndarray | None = None
    ) -> Degraded:
        """(H, W, 3) uint8 as the task may be given it. `setting` has a value for each of some variant's `axes`.

        The same seed degrades in the same way. `mask` is what is to be lost, for a task that needs one; None: anything.
        """
        raise NotImplementedError

    def psnr(self, restored: np.ndarray, clean: np.ndarray, scale: int = 1, holes: np.ndarray | None = None) -> float:
        """PSNR in dB as the task is judged; inside `holes`, (H, W) bool, if there are any."""
        if holes is not None:
            return psnr_inside(restored, clean, holes)
        return psnr(restored, clean, self.border(scale), self.on_luma)

    def border(self, scale: int) -> int:
        """Pixels that are not judged at each side."""
        return scale if self.on_luma else 0

    def baseline(self, name: str) -> Baseline:
        """Raises ControlError, with the names there are, for another."""
        for one in self.baselines:
            if one.name == name:
                return one
        known = ", ".join(one.name for one in self.baselines) or "none"
        raise ControlError(f"{self.name} has no classical method {name!r}: choose {known}")

    def told(self, observed: np.ndarray, controls: Mapping[str, Any], mask: np.ndarray | None) -> tuple[Any, ...]:
        """What a classical method is told beside (H, W, 3) uint8 `observed`."""
        return () if mask is None else (mask,)
