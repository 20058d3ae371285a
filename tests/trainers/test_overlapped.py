"""Training while the next batch is collected: the ratio, saving, signals, and that it learns."""

import math
import os
import signal
import threading
import time

import pytest
import torch

from hookrl.collectors import OverlappedCollector, VectorCollector
from hookrl.configs import DQNConfig, PPOConfig, SACConfig, from_overrides
from hookrl.envs import make_vector_env
from hookrl.errors import InvalidType, InvalidValue
from hookrl.models import ActorCritic
from hookrl.objectives import ClipPPOLoss
from hookrl.trainers import PPOTrainer

SMALL = {"num_envs": 2, "steps_per_env": 8, "progress_bar": False, "overlap_collection": True}


def indifferent():
    """A policy that does either with probability 1/2, whatever it sees."""
    env = make_vector_env("CartPole-v1", 1)
    policy = ActorCritic.from_spaces(env.single_observation_space, env.single_action_space)
    with torch.no_grad():
        policy.policy_net[-1].weight.zero_()
        policy.policy_net[-1].bias.zero_()
    env.close()
    return policy


class Judgeless:
    """Acts as a policy does, and cannot say how likely its actions were."""

    def __init__(self, policy):
        self.actor = policy.actor


def test_ppo_asks_for_a_policy_that_judges_its_actions():
    policy = indifferent()
    collector = VectorCollector("CartPole-v1", Judgeless(policy), frames_per_batch=40, num_envs=2)
    with pytest.raises(InvalidType, match="a Judgeless without 'evaluate_actions'"):
        PPOTrainer(
            collector=OverlappedCollector(collector),
            total_frames=160,
            loss_module=ClipPPOLoss(policy),
            optimizer=torch.optim.SGD(policy.parameters(), lr=0.0),
        )
    collector.shutdown()


def test_the_ratio_is_that_of_the_policy_that_acted():
    policy = indifferent()
    collector = VectorCollector("CartPole-v1", policy, frames_per_batch=40, num_envs=2)
    loss = ClipPPOLoss(policy, clip_epsilon=0.2, normalize_advantage=False)
    trainer = PPOTrainer(
        collector=OverlappedCollector(collector),
        total_frames=160,
        loss_module=loss,
        optimizer=torch.optim.SGD(policy.parameters(), lr=0.0),
        epochs=1,
        minibatches=1,
        progress_bar=False,
        seed=0,
    )
    seen = []

    def learn():  # once, by hand: action 0 becomes three times as likely as action 1
        policy.policy_net[-1].bias.data.copy_(torch.tensor([math.log(3), 0.0]))

    def look(sub_batch):
        seen.append((sub_batch.clone(), trainer.losses.clone()))

    trainer.register_op("post_steps", learn)
    trainer.register_op("post_optim_log", look)
    trainer.train()
    assert len(seen) == 4
    for number, (batch, losses) in enumerate(seen):
        then, now = (0.5, 0.5), (0.5, 0.5)
        if number:  # the policy has learned, but acted in batch 1 as it was before
            then, now = (0.5, 0.5) if number == 1 else (0.75, 0.25), (0.75, 0.25)
        log_prob = torch.tensor(then).log()[batch["action"]]
        ratio = (torch.tensor(now) / torch.tensor(then))[batch["action"]]
        advantage = batch["advantage"].squeeze(-1)
        gain = torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage)
        torch.testing.assert_close(batch["action_log_prob"], log_prob)
        torch.testing.assert_close(losses["loss_objective"], -gain.mean())
        assert losses["clip_fraction"] == (1 if number == 1 else 0)
        assert batch["action"].unique().tolist() == [0, 1]


def test_it_is_declared_in_the_description():
    trainer = PPOTrainer.from_config(PPOConfig(**SMALL))
    assert trainer.describe().splitlines()[0] == (
        "for batch in OverlappedCollector:  # until 500,000 frames, exact resume: exact, policy "
        "lag: 1 batch"
    )
    trainer.collector.shutdown()


@pytest.mark.parametrize("config_type", [PPOConfig, DQNConfig, SACConfig])
def test_the_command_line_can_ask_for_it(config_type):
    assert from_overrides(config_type, ["overlap_collection=true"]).overlap_collection


def test_tensor_environments_refuse_it():
    with pytest.raises(InvalidValue) as caught:
        PPOConfig(vectorization_mode="tensor", overlap_collection=True)
    assert str(caught.value) == (
        "overlap_collection=True in PPOConfig with vectorization_mode='tensor': expected False, "
        "since such environments are as fast as learning and share its device."
    )


def test_anything_but_yes_and_no_is_refused():
    with pytest.raises(InvalidType, match="overlap_collection=1 in PPOConfig: expected true or"):
        PPOConfig(overlap_collection=1)


def test_two_runs_are_equal_to_the_bit():
    def weights():
        trainer = PPOTrainer.from_config(PPOConfig(**SMALL, total_frames=200, seed=4))
        trainer.train()
        return torch.nn.utils.parameters_to_vector(trainer.loss_module.parameters())

    assert torch.equal(weights(), weights())


@pytest.mark.usefixtures("interpreted")
def test_captured_steps_learn_the_same():
    def weights(compile_):
        config = PPOConfig(**SMALL, total_frames=200, seed=4, compile=compile_)
        trainer = PPOTrainer.from_config(config)
        trainer.train()
        return torch.nn.utils.parameters_to_vector(trainer.loss_module.parameters())

    torch.testing.assert_close(weights(True), weights(False))


def test_an_exception_of_the_thread_ends_training_in_the_trainer(monkeypatch):
    trainer = PPOTrainer.from_config(PPOConfig(**SMALL))
    env = trainer.collector.collector.env
    step, steps = env.envs[0].step, []

    def failing(action):
        steps.append(threading.current_thread())
        if len(steps) == 20:
            raise ZeroDivisionError("the robot fell over")
        return step(action)

    monkeypatch.setattr(env.envs[0], "step", failing)
    with pytest.raises(ZeroDivisionError, match="the robot fell over"):
        trainer.train()
    assert trainer.collected_frames == 32  # the third batch failed
    assert threading.main_thread() not in steps
    assert env.closed


def test_a_signal_while_a_batch_is_waited_for_ends_training_in_good_order(tmp_path, monkeypatch):
    trainer = PPOTrainer.from_config(PPOConfig(**SMALL))
    trainer.save_trainer_file = tmp_path / "run.pt"
    env = trainer.collector.collector.env
    step, steps = env.envs[0].step, []

    def interrupted(action):
        steps.append(None)
        if len(steps) == 20:  # of the third batch, by when the trainer waits
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.1)
        return step(action)

    monkeypatch.setattr(env.envs[0], "step", interrupted)
    with pytest.raises(SystemExit) as caught:
        trainer.train()
    assert caught.value.code == 143
    assert trainer.stop_reason == "SIGTERM was received"
    resumed = PPOTrainer.from_config(PPOConfig(**SMALL))
    resumed.load_from_file(tmp_path / "run.pt")
    assert resumed.collected_frames == trainer.collected_frames == 48
    resumed.collector.shutdown()


def test_ppo_learns_cart_pole_with_it():
    config = PPOConfig(
        overlap_collection=True, total_frames=80_000, seed=1, progress_bar=False, log_interval=8_000
    )
    trainer = PPOTrainer.from_config(config)
    trainer.train()
    assert trainer.metrics.latest["episode/mean_reward"] > 150  # random actions: 22
