"""What a user does wrong while training gets one sentence: what, where, what was expected."""

import re

import pytest
import torch
from tensordict import TensorDict
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer
from toys import make_batch, make_trainer

from hookrl import hooks
from hookrl.errors import UserError
from hookrl.hooks import ReplayBufferTrainer
from hookrl.replay import PrioritizedSampler, ReplayBuffer


class Loss(torch.nn.Module):
    """One loss that is as given, one that is well, and an error under some name."""

    def __init__(self, value=1.0, error="td_error"):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(1.0))
        self.value, self.error = value, error

    def forward(self, sample):
        sample[self.error] = torch.ones(sample.batch_size)
        losses = {"loss_value": self.weight * self.value, "loss_good": self.weight * 1.0}
        return TensorDict(losses, batch_size=[])


def replaying(buffer, loss=None, **entries):
    batch = make_batch()
    batch["action"] = torch.zeros(2, 5, dtype=torch.long)
    batch.update(entries)
    trainer = make_trainer([batch], loss_module=loss or Loss())
    ReplayBufferTrainer(buffer).register(trainer)
    return trainer


def too_early():
    return replaying(ReplayBuffer(100, batch_size=32))


def too_early_for_torchrl():
    return replaying(TensorDictReplayBuffer(storage=LazyTensorStorage(100), batch_size=32))


def without_an_action():
    trainer = replaying(ReplayBuffer(100, batch_size=4))
    trainer.collector.batches[0].rename_key_("action", "acton")
    return trainer


def an_error_of_another_name():
    sampler = PrioritizedSampler()
    return replaying(ReplayBuffer(100, batch_size=4, sampler=sampler), Loss(error="td_eror"))


def priorities_for_a_uniform_buffer():
    buffer = ReplayBuffer(100, batch_size=4)
    trainer = replaying(buffer)
    trainer.register_op(
        "post_loss", lambda sample: buffer.update_priority(sample["index"], sample["td_error"])
    )
    return trainer


def a_key_that_is_not_there():
    trainer = make_trainer(1)
    trainer.register_op("pre_steps_log", hooks.LogScalar(("next", "rewards")))
    return trainer


def a_component_that_is_not_there():
    loss = Loss()
    trainer = make_trainer(1, loss_module=loss, with_optimizer=False)
    optimizer = torch.optim.SGD(loss.parameters(), 0.1)
    hooks.OptimizerHook(optimizer, ["loss_vlaue"]).register(trainer)
    return trainer


def a_loss_that_is_no_number():
    trainer = make_trainer(1, loss_module=Loss(float("nan")))
    trainer.register_op("optimizer", hooks.NaNGuard())
    return trainer


# How the trainer is made, what the error is as well, and what its sentence says.
MISTAKES = {
    "a batch larger than the buffer before warm-up": (
        too_early,
        ValueError,
        r"a sample of 32 .* holds 10: expected at least as many, .* WarmUp\(learning_starts=32\)",
    ),
    "the same with a buffer of torchrl": (
        too_early_for_torchrl,
        ValueError,
        r"a sample of 32 .* holds 10: expected at least as many, .* WarmUp\(learning_starts=32\)",
    ),
    "a misspelled entry of a transition": (
        without_an_action,
        KeyError,
        r"the batch lacks 'action' \(did you mean 'acton'\?\); it has ",
    ),
    "a misspelled error": (
        an_error_of_another_name,
        KeyError,
        r"no 'td_error' to update priorities with \(did you mean 'td_eror'\?\): the sample holds",
    ),
    "priorities without a prioritized buffer": (
        priorities_for_a_uniform_buffer,
        TypeError,
        r"update_priority .* UniformSampler: expected sampler=PrioritizedSampler\(\)",
    ),
    "a missing key": (
        a_key_that_is_not_there,
        KeyError,
        r"hook 'log_scalar' at 'pre_steps_log' reads the key \('next', 'rewards'\) "
        r"\(did you mean .*'next', 'reward'.*\): batch holds ",
    ),
    "a misspelled loss": (
        a_component_that_is_not_there,
        KeyError,
        r"the loss 'loss_vlaue' .* \(did you mean 'loss_value'\?\): the loss module gives ",
    ),
    "a loss that is no number": (
        a_loss_that_is_no_number,
        FloatingPointError,
        r"^loss_value is nan after 0 optimizer steps and 10 frames: expected finite losses; "
        "the optimizer was not stepped",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_gets_one_sentence_and_nothing_is_learned(mistake):
    make, kind, sentence = mistake
    trainer = make()
    with pytest.raises(UserError) as caught:
        trainer.train()
    text = str(caught.value)
    assert isinstance(caught.value, kind)
    assert re.search(sentence, text), text
    assert "\n" not in text
    assert text.endswith(".")
    assert trainer.loss_module.weight.item() == 1.0
