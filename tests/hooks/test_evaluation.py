import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from states import assert_same
from tensordict import TensorDict
from tensordict.nn import InteractionType
from tensordict.nn.probabilistic import interaction_type
from toys import QuadraticLoss, make_trainer

from hookrl.checkpoints import encode
from hookrl.collectors import ObservationNormalizer, VectorCollector
from hookrl.envs import make_vector_env
from hookrl.errors import InvalidType, InvalidValue
from hookrl.hooks import LogValidationReward
from hookrl.models import ActorCritic
from hookrl.state import generators_state


class Guess(gym.Env):
    """Two steps; rewards the action by its product with the first observation of the episode."""

    observation_space = spaces.Box(-1.0, 1.0, (2,))
    action_space = spaces.Box(-10.0, 10.0, (1,))

    def __init__(self, starts, closed):
        self.starts, self.closed = starts, closed

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.first, self.steps = self.np_random.uniform(-1, 1, 2).astype(np.float32), 0
        self.starts.append(tuple(self.first.tolist()))
        return self.first, {}

    def step(self, action):
        self.steps += 1
        return self.first, float(action[0] * self.first[0]), self.steps == 2, False, {}

    def close(self):
        self.closed.append(self)


class Records:
    """Makes environments and keeps what happened in them."""

    def __init__(self):
        self.starts, self.closed = [], []

    def __call__(self):
        return Guess(self.starts, self.closed)


def policy():
    return ActorCritic.from_spaces(
        Guess.observation_space, Guess.action_space, hidden_sizes=(4,), log_std_init=1.0
    )


def validation(environment=None, network=None, **options):
    arguments = {"record_interval": 10, "episodes": 4, "num_envs": 2, **options}
    return LogValidationReward(
        policy_exploration=network or policy(),
        environment=environment or Records(),
        **arguments,
    )


def metrics(hook):
    report = hook.evaluate()
    report.pop("log_pbar")
    return report


def test_two_evaluations_of_one_policy_are_identical():
    hook = validation()
    assert metrics(hook) == metrics(hook)


def test_the_policy_acts_without_exploring():
    network = policy()
    calm = metrics(hook := validation(network=network))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "log_std" in name:
                parameter.fill_(5.0)
    assert metrics(hook) == calm


def test_an_evaluation_sees_the_parameters_as_they_are_now():
    hook = validation(network=(network := policy()))
    before = metrics(hook)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1.0)
    assert metrics(hook)["eval/mean_reward"] != before["eval/mean_reward"]


def test_mean_deviation_and_length_are_those_of_the_episodes():
    class AlwaysTwo:
        def refresh(self): ...

        def actor(self):
            return self

        def __call__(self, observation, noise=None):
            return np.full((len(observation), 1), 2.0, dtype=np.float32)

    hook = validation(records := Records(), AlwaysTwo())
    report = metrics(hook)
    returns = [2 * 2.0 * first for first, _ in records.starts[:4]]
    assert report["eval/mean_reward"] == pytest.approx(np.mean(returns))
    assert report["eval/std_reward"] == pytest.approx(np.std(returns))
    assert report["eval/mean_length"] == 2.0


@pytest.mark.parametrize("num_envs", [1, 3, 4, 10])
def test_every_evaluation_starts_from_the_same_states_however_many_play_side_by_side(num_envs):
    one, other = Records(), Records()
    first = validation(one, num_envs=2)
    second = validation(other, num_envs=num_envs)
    second.load_state_dict(first.state_dict())
    first.evaluate()
    second.evaluate()
    assert set(one.starts) == set(other.starts)


def test_the_seed_of_the_trainer_chooses_the_initial_states():
    def starts(seed):
        trainer = make_trainer(1, seed=seed)
        validation(records := Records()).register(trainer)
        trainer.train()
        return records.starts

    assert starts(0) == starts(0)
    assert not set(starts(0)) & set(starts(1))


def test_the_initial_states_survive_a_resume_even_without_a_seed():
    hook, resumed = validation(one := Records()), validation(other := Records())
    hook.evaluate()
    resumed.load_state_dict(hook.state_dict())
    resumed.evaluate()
    assert one.starts == other.starts


def train_on(records, *hooks, seed=0):
    """Train on environments for 40 frames; returns what was observed."""
    collector = VectorCollector(records, policy(), frames_per_batch=10, num_envs=2)
    trainer = make_trainer(collector=collector, total_frames=40, seed=seed)
    seen = []
    trainer.register_op("batch_process", lambda batch: seen.append(batch.clone()))
    for hook in hooks:
        hook.register(trainer)
    trainer.train()
    return torch.stack([batch["observation"] for batch in seen])


@pytest.mark.parametrize("seed", range(5))
def test_no_initial_state_of_training_is_evaluated_on(seed):
    training, evaluation = Records(), Records()
    train_on(training, validation(evaluation, episodes=20), seed=seed)
    assert len(set(evaluation.starts)) >= 20
    assert not set(training.starts) & set(evaluation.starts)


def test_evaluating_leaves_the_training_data_as_it_was():
    without = train_on(Records())
    evaluated = train_on(Records(), validation(Records()))
    assert torch.equal(without, evaluated)


def test_evaluating_leaves_the_generators_of_the_process_alone():
    hook = validation()
    before = generators_state()
    hook.evaluate()
    after = generators_state()
    assert torch.equal(before["torch"], after["torch"])
    assert torch.equal(before["numpy"]["keys"], after["numpy"]["keys"])
    assert before["numpy"]["position"] == after["numpy"]["position"]
    assert torch.equal(before["python"]["words"], after["python"]["words"])


def test_evaluations_happen_whenever_another_multiple_of_the_interval_was_reached():
    trainer = make_trainer(6)
    validation(record_interval=25).register(trainer)
    trainer.train()
    assert [step for step, row in trainer.logger.rows if "eval/mean_reward" in row] == [30, 50]


def test_the_statistics_of_a_normaliser_stay_as_they_are():
    normalizer = ObservationNormalizer(Guess.observation_space)
    normalizer(np.ones((3, 2), dtype=np.float32))
    skeleton, tensors = encode(normalizer.state_dict())
    validation(view=normalizer.frozen).evaluate()
    skeleton_after, tensors_after = encode(normalizer.state_dict())
    assert skeleton_after == skeleton
    assert all(torch.equal(tensors_after[name], tensor) for name, tensor in tensors.items())


def test_the_policy_sees_observations_through_the_view():
    seen = []

    def record(tensordict):
        seen.append(tensordict["observation"].clone())
        return tensordict.set("action", torch.zeros(*tensordict.batch_size, 1))

    validation(network=record, view=lambda raw: np.full_like(raw, 7.0)).evaluate()
    assert all((observation == 7.0).all() for observation in seen)


def test_its_environments_are_closed_when_training_ends():
    trainer = make_trainer(1)
    validation(records := Records(), num_envs=2).register(trainer)
    trainer.train()
    assert len(records.closed) == 2


def test_its_environments_are_closed_when_training_fails():
    class Broken(QuadraticLoss):
        def forward(self, tensordict: TensorDict):
            raise RuntimeError("broken")

    trainer = make_trainer(1, loss_module=Broken())
    validation(records := Records(), num_envs=2).register(trainer)
    with pytest.raises(RuntimeError, match="broken"):
        trainer.train()
    assert len(records.closed) == 2


@pytest.mark.parametrize("wrong", [{"record_interval": 0}, {"episodes": 0}])
def test_counts_below_one_are_refused(wrong):
    with pytest.raises(InvalidValue, match="=0 of LogValidationReward: expected at least 1"):
        validation(**wrong)


def test_a_ready_vector_environment_is_refused():
    with pytest.raises(InvalidType, match="expected an id or functions"):
        validation(make_vector_env(Records()))


# ---------------------------------------------------------------- a policy that explores


def exploring(**options):
    hook = validation(exploration_type=InteractionType.RANDOM, **options)
    hook.set_seed(np.random.SeedSequence(0))
    return hook


def test_a_policy_may_explore_and_does_so_alike_every_time():
    calm = validation(network=(network := policy()))
    calm.set_seed(np.random.SeedSequence(0))
    hook = exploring(network=network)
    assert metrics(hook) == metrics(hook)
    assert metrics(hook) != metrics(calm)


def test_random_actions_can_be_evaluated():
    hook = LogValidationReward(
        policy_exploration=None,
        environment=Records(),
        record_interval=1,
        exploration_type=InteractionType.RANDOM,
    )
    assert metrics(hook)["eval/std_reward"] > 0


def test_a_foreign_policy_explores_without_touching_the_generators_of_the_process():
    kinds = []

    def act(tensordict):
        kinds.append(interaction_type())
        return tensordict.set("action", torch.rand(*tensordict.batch_size, 1))

    hook = exploring(network=act)
    before = generators_state()
    first = metrics(hook)
    assert_same(generators_state(), before)
    torch.rand(1)
    assert metrics(hook) == first
    assert set(kinds) == {InteractionType.RANDOM}


def test_another_way_to_act_is_refused():
    with pytest.raises(InvalidValue, match="exploration_type=.* expected .*deterministic"):
        validation(exploration_type=InteractionType.MEDIAN)


def test_without_a_number_ten_episodes_are_played_side_by_side():
    hook = LogValidationReward(
        policy_exploration=policy(), environment=(records := Records()), record_interval=1
    )
    hook.evaluate()
    assert len(records.starts) == 10
