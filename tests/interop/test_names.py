"""What hooks written for torchrl expect of the trainer besides the ten points."""

import copy
import math

import pytest
import torch
import torchsnapshot
from interop.training import logged, make_trainer
from torchrl import trainers as torchrl
from torchrl.trainers.trainers import Trainer as TorchrlTrainer

from hookrl import hooks
from hookrl.errors import InvalidValue
from hookrl.hooks import POINTS
from hookrl.testing import tiny_batch

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")

DESTINATIONS = [
    *("process_loss", "pre_epoch", "post_epoch", "pre_epoch_log", "post_epoch_log"),
    *("post_optim_complete_log", "setup", "shutdown"),
]


@pytest.mark.parametrize("destination", DESTINATIONS)
def test_a_destination_beyond_the_ten_names_what_to_use(destination):
    with pytest.raises(InvalidValue, match=f"{destination!r} is not a hook point") as caught:
        make_trainer().register_op(destination, lambda *args: None)
    known = (*POINTS, "on_train_start", "teardown")
    assert any(f"{name}" in str(caught.value) for name in known)


def test_every_destination_of_torchrl_is_known():
    literal = TorchrlTrainer.register_op.__annotations__["dest"]
    assert all(f'"{name}"' in str(literal).replace("'", '"') for name in (*POINTS, *DESTINATIONS))
    assert str(literal).count(",") + 1 >= len(POINTS) + len(DESTINATIONS)


def test_hooks_register_through_the_second_name_as_well():
    trainer = make_trainer()
    trainer.register_hook("pre_steps_log", torchrl.LogScalar(logname="r"))
    trainer.train()
    assert len(logged(trainer, "r")) == 3


def test_the_names_follow_the_trainer():
    trainer = make_trainer()
    trainer._log(log_pbar=True, x=1.0)
    assert trainer._log_dict["x"] == [1.0]
    assert (trainer._optim_count, trainer._modules) == (0, trainer.modules)
    trainer.request_stop("enough")
    assert (trainer._stop_training, trainer._stop_reason) == (True, "enough")
    trainer._stop_training = False
    assert not trainer._stop_training
    assert trainer.app_state == {"trainer": trainer}
    batch = tiny_batch()
    expected = trainer.loss_module(batch)["loss_value"]
    assert trainer.compute_loss(batch)["loss_value"] == expected
    assert trainer.compute_loss(batch, "forward")["loss_value"] == expected


def test_the_log_keeps_one_value_of_each_metric():
    trainer = make_trainer(total_frames=80)
    torchrl.LogScalar(logname="r").register(trainer)
    trainer.train()
    assert {name: len(values) for name, values in trainer._log_dict.items()} == {"r": 1, "r_std": 1}


def test_a_mean_over_nothing_keeps_the_value_before():
    trainer = make_trainer()
    trainer.log({"x": hooks.Mean(0.0, 0)})
    assert math.isnan(trainer._log_dict["x"][-1])
    trainer.log({"x": hooks.Mean(6.0, 2)})
    trainer.log({"x": hooks.Mean(0.0, 0), "n": hooks.Latest(3)})
    assert trainer._log_dict["x"][-1] == 3.0
    assert trainer._log_dict["n"] == [3]


def test_a_state_of_torchrl_hooks_goes_through_a_checkpoint():
    def assembled():
        trainer = make_trainer()
        torchrl.CountFramesLog(1).register(trainer)
        torchrl.RewardNormalizer().register(trainer)
        torchrl.ClearCudaCache(2).register(trainer)
        scheduler = torch.optim.lr_scheduler.StepLR(trainer.optimizer, 2)
        torchrl.LRSchedulerHook(scheduler).register(trainer)
        return trainer

    one, two = assembled(), assembled()
    one.train()
    # torch's optimizers load tensors without copying them.
    two.load_state_dict(copy.deepcopy(one.state_dict()))
    for trainer in (one, two):
        trainer.total_frames = 48
        trainer.train()
    assert torch.equal(one.loss_module.weight, two.loss_module.weight)
    assert logged(two, "n_frames") == [32, 40, 48]


def test_torchsnapshot_takes_and_restores_the_app_state(tmp_path):
    one, two = make_trainer(), make_trainer()
    one.train()
    torchsnapshot.Snapshot.take(str(tmp_path / "snapshot"), one.app_state)
    torchsnapshot.Snapshot(str(tmp_path / "snapshot")).restore(two.app_state)
    assert two.collected_frames == 24
    assert torch.equal(one.loss_module.weight, two.loss_module.weight)
