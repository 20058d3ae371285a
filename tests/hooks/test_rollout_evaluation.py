"""Evaluation on an environment of torchrl, as torchrl's own hook does it."""

import copy

import pytest
import torch
from states import assert_same
from tensordict.nn import InteractionType, TensorDictModule
from torchrl import trainers as torchrl
from torchrl.envs import Compose, GymEnv, RewardSum, StepCounter, TransformedEnv
from torchrl.envs.batched_envs import SerialEnv
from torchrl.envs.transforms import VecNorm
from torchrl.envs.utils import ExplorationType, exploration_type
from toys import make_trainer

from hookrl.checkpoints import decode, encode
from hookrl.errors import InvalidType, InvalidValue, MissingKey
from hookrl.hooks import LogValidationReward
from hookrl.models import QNetwork
from hookrl.state import generators_state

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


def cartpole():
    return TransformedEnv(GymEnv("CartPole-v1"), StepCounter())


def always_left(env):
    return TensorDictModule(
        lambda observation: torch.eye(2, dtype=torch.long)[0].expand(*observation.shape[:-1], 2),
        in_keys=["observation"],
        out_keys=["action"],
    )


def validation(environment=None, policy=always_left, **options):
    environment = cartpole() if environment is None else environment
    return LogValidationReward(
        **{
            "record_interval": 20,
            "record_frames": 25,
            "policy_exploration": policy(environment),
            "environment": environment,
            **options,
        }
    )


def numbers(metrics):
    return {name: float(value) for name, value in metrics.items()}


@pytest.mark.parametrize(
    "make",
    [
        cartpole,
        lambda: TransformedEnv(SerialEnv(2, cartpole), RewardSum()),
        # Episodes of five steps: the last of 25 ends one.
        lambda: TransformedEnv(GymEnv("CartPole-v1"), StepCounter(max_steps=5)),
    ],
    ids=["one", "two side by side", "an end at the end"],
)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"frame_skip": 2},
        {"out_keys": {("next", "reward"): "r"}, "log_keys": [("next", "reward")]},
    ],
)
def test_it_reports_what_torchrls_hook_reports(make, options):
    environment = make()
    ours = validation(environment, **options)
    ours._seed = 5
    theirs = torchrl.LogValidationReward(
        record_interval=1,
        record_frames=25,
        policy_exploration=always_left(environment),
        environment=environment,
        **options,
    )
    found = numbers(ours.evaluate())
    environment.set_seed(5)
    assert found == pytest.approx(numbers(theirs(None)))


def test_other_entries_are_reported_as_means_over_the_steps():
    report = validation(
        log_keys=[("next", "step_count"), "observation"],
        out_keys={("next", "step_count"): "count"},
        record_frames=3,
    ).evaluate()
    assert set(report) == {"count", "observation", "log_pbar"}
    assert float(report["count"]) == 2.0


def test_an_entry_that_is_not_there_is_named_with_the_nearest_that_is():
    with pytest.raises(MissingKey, match="is to log 'observatoin' .did you mean 'observation'"):
        validation(log_keys=["observatoin"]).evaluate()


def test_two_evaluations_start_alike_and_leave_the_generators_alone():
    hook = validation(
        policy=lambda env: None,  # random actions
        log_keys=["observation"],
    )
    before = generators_state()
    first = numbers(hook.evaluate())
    assert_same(generators_state(), before)
    torch.rand(1)
    assert numbers(hook.evaluate()) == first


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, InteractionType.DETERMINISTIC),
        ({"exploration_type": ExplorationType.RANDOM}, InteractionType.RANDOM),
        ({"exploration_type": ExplorationType.MEAN}, InteractionType.MEAN),
    ],
)
def test_the_policy_acts_as_it_is_told(options, kind):
    seen = []

    def policy(env):
        def act(observation):
            seen.append(exploration_type())
            return torch.tensor([1, 0])

        return TensorDictModule(act, in_keys=["observation"], out_keys=["action"])

    validation(policy=policy, **options).evaluate()
    assert set(seen) == {kind}


def test_policy_and_environment_come_back_in_the_mode_they_were_in():
    environment = cartpole()
    policy = always_left(environment)
    modes = []
    policy.module.forward = lambda observation: (
        modes.append(policy.training) or torch.tensor([1, 0])
    )
    hook = validation(environment, lambda env: policy)
    for mode in (False, True):
        policy.train(mode)
        environment.train(mode)
        hook.evaluate()
        assert (policy.training, environment.transform.training) == (mode, mode)
    assert not any(modes)


def test_it_comes_when_the_frames_are_reached():
    trainer = make_trainer(5)
    validation(record_interval=25).register(trainer)
    trainer.train()
    frames = [frames for frames, row in trainer.logger.rows if "total_r_evaluation" in row]
    assert frames == [30, 50]


def test_what_transforms_write_is_dumped_under_the_suffix():
    class Records(StepCounter):
        dumped = []  # noqa: RUF012

        def dump(self, suffix=None):
            self.dumped.append(suffix)

    validation(TransformedEnv(GymEnv("CartPole-v1"), Compose(Records())), suffix="x").evaluate()
    assert Records.dumped == ["x"]


def test_an_environment_without_transforms_will_do():
    assert "r_evaluation" in validation(GymEnv("CartPole-v1")).evaluate()


def test_its_environment_is_closed_when_training_ends():
    environment = cartpole()
    trainer = make_trainer(1)
    validation(environment).register(trainer)
    trainer.train()
    assert environment.is_closed


def test_the_state_of_the_environment_survives_a_checkpoint():
    def normalised():
        return TransformedEnv(GymEnv("CartPole-v1"), VecNorm(in_keys=["observation"]))

    one, other = validation(normalised()), validation(normalised())
    one.evaluate()
    with torch.no_grad():
        one._evaluation.environment.train()
        one._evaluation.environment.rollout(20)
    state = one.state_dict()
    other.load_state_dict(decode(*encode(copy.deepcopy(state))))
    assert_same(other.state_dict(), state)
    with pytest.raises(MissingKey, match="the environment"):
        other.load_state_dict({**state, "environment": {}})


# --------------------------------------------------------------- each kind has its own arguments


def test_an_environment_of_torchrl_needs_a_number_of_steps():
    with pytest.raises(InvalidValue, match="expected record_frames=."):
        validation(record_frames=None)


@pytest.mark.parametrize(
    ("argument", "instead"),
    [
        ({"episodes": 3}, "record_frames"),
        ({"num_envs": 3}, "SerialEnv"),
        ({"env_kwargs": {}}, "made with them"),
        ({"view": abs}, "with a transform"),
    ],
)
def test_what_is_for_gymnasium_is_refused(argument, instead):
    (name,) = argument
    with pytest.raises(InvalidValue, match=f"^{name}=.* environment of torchrl: .*{instead}"):
        validation(**argument)


@pytest.mark.parametrize(
    ("argument", "instead"),
    [
        ({"record_frames": 3}, "episodes"),
        ({"frame_skip": 2}, "returns of whole episodes"),
        ({"log_keys": ["x"]}, "eval/mean_reward"),
        ({"out_keys": {"x": "y"}}, "eval/mean_reward"),
        ({"suffix": "x"}, "records itself"),
    ],
)
def test_what_is_for_torchrl_is_refused(argument, instead):
    (name,) = argument
    with pytest.raises(InvalidValue, match=f"^{name}=.* of gymnasium: expected .*{instead}"):
        validation("CartPole-v1", **{"record_frames": None, **argument})


@pytest.mark.parametrize("arguments", [{"recorder": cartpole()}, {"environment": None}])
def test_the_old_name_of_the_environment_is_refused(arguments):
    with pytest.raises(InvalidValue, match="expected environment=, whose old name was recorder"):
        LogValidationReward(
            **{
                "record_interval": 1,
                "record_frames": 1,
                "policy_exploration": None,
                **arguments,
            }
        )


@pytest.mark.parametrize("name", ["record_frames", "frame_skip"])
def test_counts_below_one_are_refused(name):
    with pytest.raises(InvalidValue, match=f"{name}=0.*expected at least 1 each"):
        validation(**{name: 0})


def test_a_network_of_hookrl_is_refused():
    environment = cartpole()
    space = GymEnv("CartPole-v1")._env
    network = QNetwork.from_spaces(space.observation_space, space.action_space)
    with pytest.raises(InvalidType, match="is a QNetwork, which cannot act .* torchrl: expected"):
        validation(environment, lambda env: network)
