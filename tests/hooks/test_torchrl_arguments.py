"""The hooks that torchrl has too take torchrl's arguments, and use them as it does."""

import inspect

import pytest
import torch
from tensordict import TensorDict
from tensordict.nn import InteractionType
from torchrl import trainers as torchrl
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer
from toys import make_batch, make_trainer

from hookrl import hooks

NAMES = [
    *("BatchSubSampler", "ClearCudaCache", "CountFramesLog", "LogScalar", "OptimizerHook"),
    *("LogValidationReward", "ReplayBufferTrainer", "RewardNormalizer", "SelectKeys"),
    *("TrainerHookBase", "UpdateWeights", "TargetNetUpdaterHook", "UTDRHook"),
]

REQUIRED = inspect.Parameter.empty

# Whatever is not exactly torchrl's: class, method, argument → default here, and why.
EXCEPTIONS = {
    ("CountFramesLog", "__init__", "frame_skip"): (1, "as in the trainer; nothing to ask for"),
    ("LogValidationReward", "__init__", "record_frames"): (
        None,
        "only for environments of torchrl; gymnasium's play whole episodes",
    ),
    ("LogValidationReward", "__init__", "exploration_type"): (
        InteractionType.DETERMINISTIC,
        "an evaluation that explores by default is an error of torchrl's",
    ),
    ("LogValidationReward", "register", "name"): (
        "validation",
        "the seed of its initial states comes from the name, so that it must not change",
    ),
    ("TargetNetUpdaterHook", "register", "name"): (
        "target_net_updater",
        "every hook of hookrl registers without a name",
    ),
}


def parameters(module, name, method):
    function = getattr(getattr(module, name), method)
    return list(inspect.signature(function).parameters.values())[1:]


both_methods = pytest.mark.parametrize("method", ["__init__", "register"])


@pytest.mark.parametrize("name", NAMES)
@both_methods
def test_arguments_have_torchrls_names_order_kinds_and_defaults(name, method):
    theirs = parameters(torchrl, name, method)
    ours = parameters(hooks, name, method)
    by_name = {parameter.name: parameter for parameter in ours}
    for parameter in theirs:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        mine = by_name[parameter.name]
        expected, _ = EXCEPTIONS.get((name, method, parameter.name), (parameter.default, ""))
        assert mine.default == expected, parameter.name
        assert mine.kind is parameter.kind, parameter.name
    positional = [p.name for p in theirs if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert [p.name for p in ours if p.kind is p.POSITIONAL_OR_KEYWORD] == positional


@pytest.mark.parametrize("name", NAMES)
@both_methods
def test_further_arguments_may_be_left_out_and_go_by_name(name, method):
    theirs = {parameter.name for parameter in parameters(torchrl, name, method)}
    for parameter in parameters(hooks, name, method):
        if parameter.name not in theirs:
            assert parameter.kind is parameter.KEYWORD_ONLY
            assert parameter.default is not REQUIRED


def test_every_exception_is_one():
    for (name, method, argument), (default, why) in EXCEPTIONS.items():
        (theirs,) = (p for p in parameters(torchrl, name, method) if p.name == argument)
        assert theirs.default != default, argument
        assert why


# ------------------------------------------------------------ as torchrl's examples write them


def numbered(count=10):
    batch = make_batch(2, count // 2)
    batch["number"] = torch.arange(count).view(2, count // 2)
    batch["collector", "mask"] = torch.ones(2, count // 2, dtype=torch.bool)
    return batch


def test_a_replay_buffer_trainer_whose_methods_are_registered_by_hand():
    buffer = TensorDictReplayBuffer(storage=LazyTensorStorage(50), batch_size=7)
    replay = hooks.ReplayBufferTrainer(
        buffer, batch_size=4, memmap=False, device="cpu", flatten_tensordicts=True, max_dims=None
    )
    trainer, samples = make_trainer([numbered()]), []
    trainer.register_op("batch_process", replay.extend)
    trainer.register_op("process_optim_batch", replay.sample)
    trainer.register_op("post_loss", replay.update_priority)
    trainer.register_op("post_optim_log", lambda sample: samples.append(sample.shape))
    trainer.train()
    assert len(buffer) == 10
    assert samples == [(4,)] * 2


@pytest.mark.parametrize("batch", [numbered(), make_batch()], ids=["masked", "without a mask"])
def test_a_reward_normalizer_gives_torchrls_rewards(batch):
    arguments = (0.9, 2.0, 1e-4, True, ("next", "reward"))
    ours, theirs = hooks.RewardNormalizer(*arguments), torchrl.RewardNormalizer(*arguments)
    for step in range(3):
        batch["next", "reward"] = torch.linspace(-step, 4.0, 10).view(2, 5, 1)
        for hook in (ours, theirs):
            hook.update_reward_stats(batch)
    expected = theirs.normalize_reward(batch)["next", "reward"]
    assert torch.allclose(ours.normalize_reward(batch)["next", "reward"], expected)


@pytest.mark.parametrize("reduction", ["mean", "sum", "min", "max"])
@pytest.mark.parametrize("include_std", [True, False])
def test_a_scalar_is_torchrls(reduction, include_std):
    arguments = ("number", "n", True, include_std, reduction)
    ours = hooks.LogScalar(*arguments)(numbered())
    theirs = torchrl.LogScalar(*arguments)(numbered())
    assert ours.pop("log_pbar") is theirs.pop("log_pbar")
    assert {name: float(value) for name, value in ours.items()} == pytest.approx(theirs)


def test_frames_are_counted_as_torchrl_counts_them():
    ours, theirs = (
        kind(3, log_pbar=True) for kind in (hooks.CountFramesLog, torchrl.CountFramesLog)
    )
    for _ in range(2):
        counted = ours(numbered())
        assert {**counted, "n_frames": float(counted["n_frames"])} == theirs(numbered())


def test_keys_are_selected_as_torchrl_selects_them():
    batch = make_batch()
    kept = [kind(["observation"])(batch) for kind in (hooks.SelectKeys, torchrl.SelectKeys)]
    assert set(kept[0].keys(True)) == set(kept[1].keys(True))


@pytest.mark.parametrize("arguments", [(6, 3), (10,), (4, 2, 1)])
def test_parts_have_torchrls_shape(arguments):
    ours, theirs = (kind(*arguments) for kind in (hooks.BatchSubSampler, torchrl.BatchSubSampler))
    assert ours(numbered()).shape == theirs(numbered()).shape


def test_torchrls_single_loss_is_optimized_without_being_named():
    class OneLoss(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor(1.0))

        def forward(self, tensordict):
            return TensorDict({"loss": self.weight**2, "td_error": torch.ones(3)}, [])

    trainer = make_trainer(1, loss_module=OneLoss())
    trainer.train()
    assert trainer.loss_module.weight.item() == pytest.approx(0.8**2)


@pytest.mark.parametrize("point", ["pre_optim_steps", "batch_process", "post_steps_log"])
def test_the_cuda_cache_is_cleared_at_any_point(point, monkeypatch):
    calls = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: calls.append(1))
    trainer = make_trainer(4)
    trainer.register_op(point, hooks.ClearCudaCache(2))
    trainer.train()
    assert len(calls) == 2


@pytest.mark.parametrize("point", ["post_optim", "post_loss"])
def test_a_target_updater_steps_at_any_inner_point(point):
    class Updater:
        steps = 0

        def step(self):
            self.steps += 1

    trainer, updater = make_trainer(2), Updater()
    trainer.register_op(point, hooks.TargetNetUpdaterHook(updater))
    trainer.train()
    assert updater.steps == 4
