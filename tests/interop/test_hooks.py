"""Every hook class of torchrl 0.14.1, unchanged, in hookrl's trainer: one test each."""

import copy

import pytest
import torch
import torchsnapshot
from interop.training import logged, make_trainer, watch
from tensordict.nn import TensorDictModule
from torchrl import trainers as torchrl
from torchrl._utils import timeit
from torchrl.data import (
    LazyTensorStorage,
    OfflineToOnlineReplayBuffer,
    TensorDictReplayBuffer,
)
from torchrl.envs import GymEnv, StepCounter, TransformedEnv
from torchrl.modules import ValueOperator
from torchrl.objectives import SoftUpdate
from torchrl.objectives.value import GAE
from torchrl.trainers.algorithms.offline_to_online import (
    OfflineToOnlineAnnealHook,
    OfflineToOnlineReplayBufferHook,
)
from torchrl.trainers.trainers import Trainer as TorchrlTrainer

from hookrl import hooks
from hookrl.errors import InvalidType, InvalidValue
from hookrl.hooks import POINTS
from hookrl.testing import TinyCollector, TinyLoss, tiny_batch

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


def masked_batch():
    batch = tiny_batch()
    batch["collector", "mask"] = torch.tensor([[True, True, False, True], [True] * 4])
    return batch


def test_no_hook_class_of_torchrl_is_left_out():
    kinds = {
        name
        for name in torchrl.__all__
        if isinstance(getattr(torchrl, name), type)
        and issubclass(getattr(torchrl, name), torchrl.TrainerHookBase)
    }
    assert kinds == {
        *("BatchSubSampler", "ClearCudaCache", "CountFramesLog", "EarlyStopping", "LogScalar"),
        *("LogTiming", "LogValidationReward", "LRSchedulerHook", "OptimizerHook"),
        *("ReplayBufferTrainer", "RewardNormalizer", "SelectKeys", "TargetNetUpdaterHook"),
        *("UpdateWeights", "UTDRHook", "ValueEstimatorHook", "TrainerHookBase"),
        *("DefaultOptimizationStepper", "MixedPrecisionOptimizationStepper"),
        "OptimizationStepper",
    }


def test_select_keys():
    trainer = make_trainer()
    torchrl.SelectKeys(["observation", ("next", "reward")]).register(trainer)
    seen = watch(trainer, "post_steps_log")
    trainer.train()
    assert set(seen[0].keys(True, True)) == {"observation", ("next", "reward")}


def test_replay_buffer_trainer():
    trainer = make_trainer()
    buffer = TensorDictReplayBuffer(storage=LazyTensorStorage(20), batch_size=5)
    torchrl.ReplayBufferTrainer(buffer, flatten_tensordicts=True).register(trainer)
    seen = watch(trainer, "post_optim_log")
    trainer.train()
    assert len(buffer) == 20
    assert {sample.batch_size for sample in seen} == {torch.Size([5])}


def test_replay_buffer_trainer_that_iterates_ends_the_inner_loop():
    trainer = make_trainer(optim_steps_per_batch=None, total_frames=8)
    buffer = TensorDictReplayBuffer(storage=LazyTensorStorage(8), batch_size=2)
    hook = torchrl.ReplayBufferTrainer(buffer, flatten_tensordicts=True)
    hook.register(trainer)
    # torchrl asks for the iterator of an empty buffer when it is built with iterate=True.
    hook.iterate, hook.replay_buffer_iter = True, (buffer.sample() for _ in range(3))
    trainer.train()
    assert trainer.optim_steps == 3


def test_optimizer_hook():
    losses = [TinyLoss(), TinyLoss()]
    for kind, loss in zip([hooks.OptimizerHook, torchrl.OptimizerHook], losses, strict=True):
        trainer = make_trainer(loss_module=loss, optimizer=None, clip_norm=0.1)
        kind(torch.optim.SGD(loss.parameters(), lr=0.1)).register(trainer)
        trainer.train()
    assert losses[0].weight != 0.5
    assert torch.equal(losses[0].weight, losses[1].weight)


def test_clear_cuda_cache(monkeypatch):
    calls = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: calls.append(1))
    trainer = make_trainer(total_frames=40)
    torchrl.ClearCudaCache(2).register(trainer)
    trainer.train()
    assert len(calls) == 2


def test_log_timing():
    trainer = make_trainer()
    torchrl.LogTiming().register(trainer)

    def work(batch):
        with timeit("interop"):
            return batch

    trainer.register_op("batch_process", work)
    trainer.train()
    timeit.erase()
    assert len(logged(trainer, "time/interop")) == 3


def test_log_scalar():
    trainer = make_trainer()
    torchrl.LogScalar(("next", "reward"), "r_training").register(trainer)
    trainer.train()
    expected = [tiny_batch(index)["next", "reward"].mean().item() for index in range(3)]
    assert logged(trainer, "r_training") == pytest.approx(expected)
    assert len(logged(trainer, "r_training_std")) == 3


def test_reward_normalizer():
    trainer = make_trainer()
    torchrl.RewardNormalizer(decay=1.0).register(trainer)
    batches, samples = watch(trainer, "post_steps_log"), watch(trainer, "post_optim_log")
    trainer.train()
    first = samples[0]["next", "reward"]
    assert first.mean().item() == pytest.approx(0.0, abs=1e-6)
    assert first.std().item() == pytest.approx(1.0)
    assert torch.equal(batches[0]["next", "reward"], tiny_batch()["next", "reward"])


def test_mask_batch():
    trainer = make_trainer(collector=TinyCollector(masked_batch()), total_frames=7)
    trainer.register_op("batch_process", torchrl.mask_batch)
    seen = watch(trainer, "post_steps_log")
    trainer.train()
    assert seen[0].batch_size == (7,)
    assert trainer.collected_frames == 7


def test_batch_sub_sampler():
    trainer = make_trainer()
    torchrl.BatchSubSampler(batch_size=6, sub_traj_len=3).register(trainer)
    seen = watch(trainer, "post_optim_log")
    trainer.train()
    assert {sample.batch_size for sample in seen} == {torch.Size([2, 3])}


def test_log_validation_reward():
    trainer = make_trainer(total_frames=32)
    environment = TransformedEnv(GymEnv("CartPole-v1"), StepCounter())
    policy = TensorDictModule(
        lambda observation: environment.action_spec.zero(),
        in_keys=["observation"],
        out_keys=["action"],
    )
    torchrl.LogValidationReward(
        record_interval=2, record_frames=4, policy_exploration=policy, environment=environment
    ).register(trainer)
    trainer.train()
    assert logged(trainer, "r_evaluation") == [1.0, 1.0]
    assert logged(trainer, "total_r_evaluation") == [4.0, 4.0]


class Weights:
    """A collector that counts how often it was sent weights."""

    def __init__(self):
        self.sent = []

    def update_policy_weights_(self, *weights, **options):
        self.sent.append((weights, options))


def test_update_weights():
    trainer, target = make_trainer(total_frames=32), Weights()
    torchrl.UpdateWeights(target, 2, policy_weights_getter=lambda: 7).register(trainer)
    trainer.train()
    assert target.sent == [((7,), {})] * 2


def test_update_weights_by_a_map_from_the_trainer():
    trainer, target = make_trainer(total_frames=8), Weights()
    hook = torchrl.UpdateWeights(
        target, weight_update_map={"policy": "loss_module"}, trainer=trainer
    )
    hook.register(trainer)
    trainer.train()
    ((_, options),) = target.sent
    assert options["weights_dict"]["policy"]["weight"] is trainer.loss_module.weight


def test_update_weights_that_counts_optimization_steps():
    trainer, target = make_trainer(), Weights()
    torchrl.UpdateWeights(target, 3, trainer=trainer, interval_unit="optim_steps").register(trainer)
    trainer.train()
    assert trainer.optim_steps == 6
    assert len(target.sent) == 2


def test_count_frames_log():
    trainer = make_trainer()
    torchrl.CountFramesLog(frame_skip=4).register(trainer)
    trainer.train()
    assert logged(trainer, "n_frames") == [32, 64, 96]


def test_target_net_updater_hook():
    updater = object.__new__(SoftUpdate)
    steps = []
    updater.step = lambda: steps.append(trainer.optim_steps)
    trainer = make_trainer()
    torchrl.TargetNetUpdaterHook(updater).register(trainer, "target")
    trainer.train()
    assert steps == [2, 4, 6]


@pytest.mark.parametrize(("interval", "rates"), [("batch", 3), ("optim", 6)])
def test_lr_scheduler_hook(interval, rates):
    loss = TinyLoss()
    optimizer = torch.optim.SGD(loss.parameters(), lr=1.0)
    trainer = make_trainer(loss_module=loss, optimizer=optimizer)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    torchrl.LRSchedulerHook(scheduler, interval).register(trainer)
    trainer.train()
    assert optimizer.param_groups[0]["lr"] == 0.5**rates


def test_lr_scheduler_hook_waits_for_the_first_step():
    loss = TinyLoss()
    optimizer = torch.optim.SGD(loss.parameters(), lr=1.0)
    trainer = make_trainer(loss_module=loss, optimizer=optimizer)
    torchrl.LRSchedulerHook(torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)).register(
        trainer
    )
    hooks.WarmUp(17).register(trainer)
    trainer.train()
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_utdr_hook():
    trainer = make_trainer()
    buffer = TensorDictReplayBuffer(storage=LazyTensorStorage(100), batch_size=4)
    torchrl.ReplayBufferTrainer(buffer, flatten_tensordicts=True).register(trainer)
    trainer.replay_buffer = buffer
    torchrl.UTDRHook(trainer).register(trainer)
    trainer.train()
    assert logged(trainer, "utd_ratio") == [0.0, 4 * 2 / 16, 4 * 4 / 24]


def test_early_stopping():
    trainer = make_trainer(total_frames=10**6)
    trainer.register_op("pre_steps_log", lambda batch: {"r_training": 1.0})
    torchrl.EarlyStopping(monitor="r_training", patience=16, wait_for=0).register(trainer)
    trainer.train()
    assert trainer.collected_frames == 24
    assert "did not improve for 16 frames" in trainer.stop_reason


def test_early_stopping_on_a_mean_over_episodes():
    trainer = make_trainer(total_frames=10**6)
    hooks.EpisodeStatistics().register(trainer)
    torchrl.EarlyStopping(monitor="episode/mean_length", patience=16, wait_for=0).register(trainer)
    trainer.train()
    assert "did not improve" in trainer.stop_reason


def test_value_estimator_hook_names_the_point_to_use():
    with pytest.raises(InvalidValue, match="'pre_epoch' is not a hook point.* use the point"):
        torchrl.ValueEstimatorHook(lambda batch: batch).register(make_trainer())


def test_value_estimator_hook_runs_at_batch_process():
    trainer = make_trainer()
    network = ValueOperator(torch.nn.Linear(3, 1), in_keys=["observation"])
    hook = torchrl.ValueEstimatorHook(GAE(gamma=0.9, lmbda=0.9, value_network=network))
    trainer.register_op("batch_process", hook, name="value_estimator")
    seen = watch(trainer, "post_optim_log")
    trainer.train()
    assert all("advantage" in sample for sample in seen)


def offline_to_online():
    return OfflineToOnlineReplayBuffer(
        TensorDictReplayBuffer(storage=LazyTensorStorage(9), batch_size=4), online_capacity=9
    )


def test_offline_to_online_replay_buffer_hook_names_the_point_to_use():
    with pytest.raises(InvalidValue, match="'pre_epoch' is not a hook point.* use the point"):
        OfflineToOnlineReplayBufferHook(offline_to_online()).register(make_trainer())


def test_offline_to_online_anneal_hook():
    trainer, buffer = make_trainer(), offline_to_online()
    OfflineToOnlineAnnealHook(trainer, buffer, anneal_frames=48).register(trainer)
    trainer.train()
    assert buffer._offline_fraction == pytest.approx(0.25)


@pytest.mark.parametrize(
    "stepper",
    [
        torchrl.DefaultOptimizationStepper,
        lambda: torchrl.MixedPrecisionOptimizationStepper(
            torch.optim.SGD(TinyLoss().parameters(), lr=0.1)
        ),
    ],
)
def test_optimization_steppers_name_the_point_to_use(stepper):
    with pytest.raises(InvalidType, match="on the point 'optimizer' with an OptimizerHook"):
        stepper().register(make_trainer())


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
    assert trainer._log_dict["x"][-1].isnan()
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
