"""What people flagged makes the next weights: from those that serve to a candidate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from deconvdemo.checkpoints.checkpoint import Checkpoint, Header
from deconvdemo.checkpoints.index import INDEX
from deconvdemo.checkpoints.serving import Weights
from deconvdemo.engine.compute import Compute
from deconvdemo.errors import ControlError
from deconvdemo.feedback.events.records import PAIRS
from deconvdemo.tasks import STANDARD, TASKS
from deconvdemo.training.data.corpus import Corpus
from deconvdemo.training.data.flagged import Flagged
from deconvdemo.training.data.processes import processes
from deconvdemo.training.recipes import RECIPES, Phase, Recipe
from deconvdemo.training.run.expert import with_expert, without_expert
from deconvdemo.training.run.fit import fit
from deconvdemo.training.run.plan import Budget, Run
from deconvdemo.training.run.router_training import learn_gate
from deconvdemo.training.run.writer import Output

if TYPE_CHECKING:
    from deconvdemo.feedback.review.pairs import Snapshot

CAUTION = 0.25  # times the learning rate of the network's own recipe: the expert begins with what it knows already


@dataclass(frozen=True)
class FinetunePlan:
    """What is asked of a run; None is whatever the network's own recipe has. ControlError for what cannot be meant."""

    task: str
    images: Sequence[str]  # places of photographs, against forgetting
    out: Path
    scale: int = 2
    variant: str = STANDARD
    share: float = 0.5  # of the batches that are flags
    steps: int = 1000
    rate: float | None = None  # None: CAUTION times the recipe's
    batch: int | None = None
    patch: int | None = None
    seed: int | None = None
    resume: Path | None = None
    data: Sequence[str] = ()  # what is said of the photographs and their licences

    def __post_init__(self) -> None:
        if self.out.suffix != ".safetensors":
            raise ControlError(f"--out is {self.out}, but weights are .safetensors files: name one")
        if (self.out.parent / INDEX).exists():
            raise ControlError(
                f"--out is in {self.out.parent}, whose weights serve: a candidate goes elsewhere until it is promoted"
            )
        if not 0 < self.share <= 1:
            raise ControlError(f"--share is {self.share:g}, but it must be above 0 and at most 1")
        if self.steps < 1:
            raise ControlError(f"--steps is {self.steps}, but it must be 1 or more")


def finetune(
    plan: FinetunePlan,
    weights: Weights,
    snapshot: Callable[[int], Snapshot],
    compute: Compute,
    cache: Path,
    repo: str = "",
    say: Callable[[str], None] = print,
    measure: Callable[[nn.Module, Header], dict[str, float]] | None = None,
) -> Path:
    """Fine-tunes what `weights` serve, with an expert beside them, and returns the candidate's file.

    `snapshot` gives the accepted flags for a scale, and `repo` is the dataset that has them, if one has. Photographs
    are decoded into `cache`. `measure` tells how good the network is while it trains. Raises CheckpointError,
    ControlError, FeedbackError and TrainingError.
    """
    parent = weights.load(TASKS[plan.task].weights({"scale": plan.scale, "variant": plan.variant}))
    start = with_expert(parent, weights.load, plan.seed or 0)
    recipe = _recipe(plan, start)
    team = processes(compute.device)
    told = say if team.is_first else lambda text: None
    with team.one_first():
        found = snapshot(recipe.scale)
        corpus = Corpus.open(plan.images, cache, told, recipe.reduced)
    for sentence in found.skipped:
        told(f"left out: {sentence}")
    counts = ", ".join(f"{number} {PAIRS[kind]}" for kind, number in found.pairs.counts.items())
    used = found.revision or found.name
    told(f"{found.name}: {counts}; {len(corpus)} images; {recipe.name} from {parent.sha256[:12]}")
    dataset = {"repo": repo} if found.revision and repo else {}
    flagged = Flagged(found.pairs, plan.share, found.name)
    flags = f"flags of visitors: {used} (CC BY 4.0)"
    gated = None if plan.resume else learn_gate(start, recipe, corpus, flagged, team, told)
    run = Run(
        recipe,
        corpus,
        Budget(steps=plan.steps),
        flagged=flagged,
        start_from=gated,
        resume=plan.resume,
        team=team,
        bf16=compute.precision == "bf16",
    )
    output = Output(
        plan.out,
        data=list(dict.fromkeys([flags, *corpus.described(plan.data), *parent.header.data])),
        about={
            "parent": parent.sha256,
            "flags": {"from": used, **dataset, **found.pairs.counts, "share": plan.share},
            "learned": found.pairs.flag_ids,
        },
        measure=(lambda network: measure(network, recipe.header)) if measure else None,
    )
    fit(run, output, told)
    team.close()
    return plan.out


def _recipe(plan: FinetunePlan, start: Checkpoint) -> Recipe:
    """The network's own recipe, gentler, for the network with its expert."""
    header, network = start.header, without_expert(start)
    known = RECIPES.get(header.name)
    if known is None or known.network != network:
        raise ControlError(f"there is no recipe for {header.name} of {network}: it cannot be fine-tuned")
    asked: dict[str, Any] = {"batch": plan.batch, "patch": plan.patch, "seed": plan.seed}
    return replace(
        known,
        network=header.network,
        config=header.config,
        rate=plan.rate or CAUTION * known.rate,
        starts_from="",
        steps=plan.steps,
        phases=(Phase(0.7), Phase(0.3, "mse")),
        **{name: value for name, value in asked.items() if value is not None},
    )
