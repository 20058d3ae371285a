"""Behaviour cloning on CartPole: an algorithm that hookrl does not ship, from hooks and one loss.

An expert of one line plays; a network learns to choose what it chose, and is evaluated on
environments of its own: ``python examples/behaviour_cloning.py``.
"""

import torch
from tensordict import TensorDict, TensorDictBase

from hookrl import Trainer, VectorCollector
from hookrl.envs import make_vector_env
from hookrl.hooks import LogLosses, LogValidationReward, Minibatches
from hookrl.loggers import CSVLogger
from hookrl.models import ActorCritic


def expert(tensordict: TensorDictBase) -> TensorDictBase:
    """Push towards the side to which the pole falls."""
    _, _, angle, angular_velocity = tensordict["observation"].unbind(-1)
    return tensordict.set("action", (angle + 0.3 * angular_velocity > 0).long())


class CloningLoss(torch.nn.Module):
    """Minus the log-probability of the expert's actions."""

    def __init__(self, actor_critic: ActorCritic) -> None:
        super().__init__()
        self.actor_critic = actor_critic

    def forward(self, batch: TensorDictBase) -> TensorDict:
        """Return ``loss_cloning``."""
        log_prob, _, _ = self.actor_critic.evaluate_actions(batch["observation"], batch["action"])
        return TensorDict({"loss_cloning": -log_prob.mean()}, batch_size=[])


def make_trainer(total_frames: int = 20_000, metrics: str = "runs/cloning.csv") -> Trainer:
    """Put the trainer together."""
    env = make_vector_env("CartPole-v1", num_envs=8)
    actor_critic = ActorCritic.from_spaces(env.single_observation_space, env.single_action_space)
    trainer = Trainer(
        collector=VectorCollector(env, expert, frames_per_batch=1024),
        total_frames=total_frames,
        optim_steps_per_batch=None,  # as many as there are minibatches
        loss_module=CloningLoss(actor_critic),
        optimizer=torch.optim.Adam(actor_critic.parameters(), lr=1e-3),
        logger=CSVLogger(metrics),
        log_interval=1_000,
        seed=0,
    )
    Minibatches(minibatches=8, epochs=4, keys=["observation", "action"]).register(trainer)
    LogLosses().register(trainer)
    LogValidationReward(
        policy_exploration=actor_critic,
        environment="CartPole-v1",
        record_interval=5_000,
        log_pbar=True,
    ).register(trainer)
    return trainer


if __name__ == "__main__":
    trainer = make_trainer()
    print(trainer.describe())
    trainer.train()
    print(trainer.progress)
