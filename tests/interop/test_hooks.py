"""Every hook class of torchrl 0.14.1, unchanged, in hookrl's trainer: one test each."""

import ast
from pathlib import Path

import pytest
import torch
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
from torchrl.trainers.algorithms.dreamer_v3 import DreamerV3OptimizationStepper
from torchrl.trainers.algorithms.offline_to_online import (
    OfflineToOnlineAnnealHook,
    OfflineToOnlineReplayBufferHook,
)
from torchrl.trainers.algorithms.td3 import TD3OptimizationStepper

from hookrl import hooks
from hookrl.errors import InvalidType, InvalidValue
from hookrl.hooks.registration import snake_case
from hookrl.testing import TinyCollector, TinyLoss, tiny_batch

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


def masked_batch():
    batch = tiny_batch()
    batch["collector", "mask"] = torch.tensor([[True, True, False, True], [True] * 4])
    return batch


def classes_of_torchrl():
    """Every class in torchrl.trainers, also of modules that cannot be imported here: its bases."""
    sources = Path(torchrl.__file__).parent.rglob("*.py")
    return {
        node.name: [base.id for base in node.bases if isinstance(base, ast.Name)]
        for source in sources
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.ClassDef)
    }


def hook_classes_of_torchrl():
    """The classes derived from torchrl's TrainerHookBase."""
    classes, found = classes_of_torchrl(), {"TrainerHookBase"}
    while new := {name for name, bases in classes.items() if found & set(bases)} - found:
        found |= new
    return found - {"TrainerHookBase"}


def test_every_hook_class_of_torchrl_has_its_test():
    tests = [name for name in globals() if name.startswith("test_")]
    untested = [
        name
        for name in hook_classes_of_torchrl() - set(STEPPERS)
        if not any(test.startswith(f"test_{snake_case(name)}") for test in tests)
    ]
    assert untested == []
    assert {"LRSchedulerHook", "OfflineToOnlineAnnealHook"} <= hook_classes_of_torchrl()


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


STEPPERS = {
    kind.__name__: kind
    for kind in (
        torchrl.OptimizationStepper,
        torchrl.DefaultOptimizationStepper,
        torchrl.MixedPrecisionOptimizationStepper,
        TD3OptimizationStepper,
        DreamerV3OptimizationStepper,
    )
}


@pytest.mark.parametrize("kind", STEPPERS.values(), ids=STEPPERS)
def test_optimization_steppers_name_the_point_to_use(kind):
    stepper = object.__new__(kind)  # whatever it would be made of
    with pytest.raises(InvalidType, match="on the point 'optimizer' with an OptimizerHook"):
        stepper.register(make_trainer())
