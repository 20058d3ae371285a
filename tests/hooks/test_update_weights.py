import pytest
import torch
from tensordict import TensorDict
from toys import make_trainer

from hookrl.errors import InvalidType, InvalidValue, MissingKey
from hookrl.hooks import UpdateWeights


class Receiver:
    """A collector's half, which remembers when it was asked and with what."""

    def __init__(self, trainer):
        self.trainer = trainer
        self.calls = []

    def update_policy_weights_(self, weights=None, *, weights_dict=None):
        self.calls.append((self.trainer.optim_steps, weights or weights_dict))

    def update_weights(self):
        self.calls.append((self.trainer.optim_steps, "sent"))


def run(batches=4, *arguments, sender=False, **options):
    trainer = make_trainer(batches)
    receiver = Receiver(trainer)
    collector = None if sender else receiver
    if sender:
        options["sender"] = receiver
    UpdateWeights(collector, *arguments, **options).register(trainer)
    trainer.train()
    return receiver.calls


def test_the_collector_is_asked_after_every_so_many_batches():
    assert run(5, 2) == [(4, None), (8, None)]


def test_optimization_steps_can_be_counted_instead():
    calls = run(3, 3, interval_unit="optim_steps")
    assert [steps for steps, _ in calls] == [3, 6]


def test_the_steps_since_the_last_update_survive_a_checkpoint():
    def assembled():
        trainer = make_trainer(1)
        receiver = Receiver(trainer)
        UpdateWeights(receiver, 3, interval_unit="optim_steps").register(trainer)
        return trainer, receiver

    (one, _), (other, receiver) = assembled(), assembled()
    one.collector.batches *= 2
    one.train()  # four steps, an update after the third
    other.load_state_dict(one.state_dict())
    other.train()
    assert [steps for steps, _ in receiver.calls] == [6]


def test_a_getter_gives_the_weights():
    assert run(1, policy_weights_getter=lambda: "weights") == [(2, "weights")]


def test_a_sender_is_asked_instead_of_the_collector():
    assert run(2, sender=True) == [(2, "sent"), (4, "sent")]


def test_a_map_leads_from_destinations_to_modules_of_the_trainer():
    ((_, weights),) = run(1, weight_update_map={"policy": "loss_module"})
    assert isinstance(weights["policy"], TensorDict)
    assert isinstance(weights["policy"]["weight"], torch.Tensor)


def test_a_path_that_leads_nowhere_is_named():
    with pytest.raises(MissingKey, match="'loss_module.actor' .* leads nowhere"):
        run(1, weight_update_map={"policy": "loss_module.actor"})


@pytest.mark.parametrize("target", [{}, {"collector": object()}, {"sender": object()}])
def test_something_that_cannot_be_asked_is_refused(target):
    with pytest.raises(InvalidType, match="expected an object with a method update_"):
        UpdateWeights(**target)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"update_weights_interval": 0}, "update_weights_interval=0"),
        ({"interval_unit": "batch"}, "did you mean 'batches'"),
        ({"sender": object(), "policy_weights_getter": print}, "one way to send weights"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(InvalidValue, match=message):
        UpdateWeights(Receiver(None), **arguments)
