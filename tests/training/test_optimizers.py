"""Rates, clipping and patience, against torch's own schedulers and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from tests.support.repositories import ROOT
from tests.training.test_training import FEATURES, PLACES, go_on, head, start
from vpr.network.head import Head
from vpr.places.radius import find_training_positives
from vpr.runtime.parameters import load_params, read_yaml
from vpr.training.data import TrainingData, Validation
from vpr.training.epochs import take_step
from vpr.training.loop import Schedule
from vpr.training.params import FinetuneParams
from vpr.training.state import TrainingState

__all__ = ["head"]  # fixtures


def test_the_cosine_is_that_of_torch() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    theirs = torch.optim.SGD([weight], lr=0.3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(theirs, T_max=7)
    ours = Schedule(7, lr=0.3, cosine=True)
    for epoch in range(7):
        assert ours.rate(epoch) == pytest.approx(schedule.get_last_lr()[0])
        theirs.step()
        schedule.step()


def test_warm_up_rises_in_equal_steps_and_the_cosine_begins_after_it() -> None:
    constant, cosine = (Schedule(7, lr=1, warmup_epochs=3, cosine=c) for c in (False, True))
    factors = [constant.rate(epoch) for epoch in range(7)]
    assert factors == [0.25, 0.5, 0.75, 1, 1, 1, 1]
    factors = [cosine.rate(epoch) for epoch in range(3, 7)]
    assert factors == pytest.approx(0.5 + 0.5 * np.cos(np.pi * np.arange(4) / 4))


def test_a_gradient_that_is_too_long_is_scaled_and_its_own_norm_is_told(head: Head) -> None:
    before = [p.detach().clone() for p in head.parameters()]
    loss = sum((p * 3).sum() for p in head.parameters())
    count = sum(p.numel() for p in head.parameters())
    norm = take_step(head, torch.optim.SGD(head.parameters(), lr=1.0), loss, clip_norm=0.5)
    assert norm.item() == pytest.approx(3 * count**0.5)
    moved = torch.cat([(p - b).flatten() for p, b in zip(head.parameters(), before, strict=True)])
    assert moved.norm().item() == pytest.approx(0.5, rel=1e-4)


def test_adamw_is_torch_s(head: Head) -> None:
    made = TrainingState.start(
        head, seed=0, momentum=0.9, weight_decay=0.2, optimizer="adamw"
    ).optimizer
    assert isinstance(made, torch.optim.AdamW)
    assert made.defaults["weight_decay"] == 0.2


def test_training_ends_early_where_validation_brings_nothing_better(
    head: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    recalls = iter([0.5, 0.6, 0.6, 0.4, 0.9])
    monkeypatch.setattr(Validation, "recall", lambda *_: next(recalls))
    near = find_training_positives(PLACES, radius_m=10)
    validation = Validation(TrainingData(FEATURES, near, PLACES), num_held_out=3)
    state = start(head, seed=0)
    records = go_on(state, near, epochs=9, validation=validation, patience=2)
    assert len(list(records)) == 3
    assert state.recalls == [0.5, 0.6, 0.6, 0.4]
    assert len(list(go_on(state, near, epochs=9, validation=validation, patience=2))) == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"loss": "contrastive"}, "set batch to places"),
        ({"patience": 3}, "needs a validation_fraction above 0"),
        ({"warmup": 2, "epochs": 2}, "leave none at the full rate"),
        ({"aggregator": "gem", "clusters": "refit"}, "gem has no clusters: set clusters to keep"),
        ({"clusters": "best"}, "clusters\n.*'keep' or 'refit'"),
        ({"aggregator": "gem", "descriptor_dim": 1}, "descriptor_dim\n.*than or equal to 2"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(
    changes: dict[str, object], words: str
) -> None:
    given = read_yaml(ROOT / "params.yaml")["finetune"] | changes
    with pytest.raises(ValueError, match=words):
        TypeAdapter(FinetuneParams).validate_python(given)
    assert load_params("finetune", FinetuneParams, path=ROOT / "params.yaml").batch == "triplets"
