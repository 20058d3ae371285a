import math
from types import SimpleNamespace

import pytest
import torch
from tensordict import TensorDict
from toys import QuadraticLoss, make_trainer

from hookrl.errors import InvalidValue, MissingKey
from hookrl.hooks import KLEarlyStop


class ScriptedKL(QuadraticLoss):
    """Reports the divergences it was given, one for each step."""

    def __init__(self, divergences):
        super().__init__()
        self.divergences = iter(divergences)

    def forward(self, tensordict):
        losses = super().forward(tensordict)
        return losses.set("kl_approx", torch.tensor(float(next(self.divergences))))


def watched(divergences, *, batches=1, steps=6, steps_per_epoch=2):
    """A trainer that stops above a divergence of 0.1."""
    trainer = make_trainer(
        batches, loss_module=ScriptedKL(divergences), optim_steps_per_batch=steps
    )
    KLEarlyStop(0.1, steps_per_epoch).register(trainer)
    return trainer


def test_an_epoch_whose_mean_exceeds_the_target_is_the_last():
    trainer = watched([0.0, 0.0, 0.0, 0.3, 0.0, 0.0])
    trainer.train()
    assert trainer.optim_steps == 4


def test_a_single_minibatch_above_the_target_does_not_stop_if_the_mean_is_below():
    trainer = watched([0.3, -0.2, 0.3, -0.2, 0.3, -0.2])
    trainer.train()
    assert trainer.optim_steps == 6


def test_an_epoch_is_judged_by_its_own_minibatches_alone():
    trainer = watched([0.09, 0.09, 0.0, 0.18, 0.18, 0.0])
    trainer.train()
    assert trainer.optim_steps == 6


def test_the_first_minibatch_of_an_epoch_never_stops():
    trainer = watched([9.0, 9.0])
    trainer.train()
    assert trainer.optim_steps == 2


def test_the_step_that_stops_is_still_logged():
    trainer, logged = watched([1.0, 1.0]), []
    trainer.register_op("post_optim_log", lambda sub_batch: logged.append(trainer.optim_steps))
    trainer.train()
    assert logged == [1, 2]


def test_the_next_batch_is_learned_from_again():
    trainer = watched([1.0] * 4, batches=2)
    trainer.train()
    assert trainer.optim_steps == 4


def test_an_unfinished_epoch_of_one_batch_is_not_counted_to_the_next():
    trainer = watched([0.0, 0.0, 9.0, 0.0, 0.0, 0.0], batches=2, steps=3)
    trainer.train()
    assert trainer.optim_steps == 6


def test_the_divergence_is_read_once_per_epoch(monkeypatch):
    reads = []
    item = torch.Tensor.item
    monkeypatch.setattr(torch.Tensor, "item", lambda tensor: reads.append(1) or item(tensor))
    hook, losses = KLEarlyStop(0.1, 4), TensorDict({"kl_approx": torch.zeros(())}, [])
    hook._trainer = SimpleNamespace(losses=losses)
    for _ in range(8):
        hook()
    assert len(reads) == 2


def test_the_share_of_batches_that_were_stopped_is_logged():
    trainer = watched([1.0] * 2 + [0.0] * 6, batches=2)
    trainer.train()
    assert [row["train/stopped_early"] for _, row in trainer.logger.rows] == [1.0, 0.0]


def test_losses_without_a_divergence_are_refused():
    trainer = make_trainer(1)
    KLEarlyStop(0.1, 1).register(trainer)
    with pytest.raises(MissingKey, match="'kl_approx' among the losses"):
        trainer.train()


@pytest.mark.parametrize("arguments", [(0.0, 1), (-1.0, 1), (math.nan, 1), (0.1, 0)])
def test_numbers_that_are_not_positive_are_refused(arguments):
    with pytest.raises(InvalidValue, match="expected positive numbers"):
        KLEarlyStop(*arguments)
