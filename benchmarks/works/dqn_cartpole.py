"""DQN on CartPole-v1 with the hyper-parameters of CleanRL's ``dqn.py``."""

from benchmarks.work import Work
from benchmarks.works.sides import CAPTURED, CLEANRL_DQN, HOOKRL, SB3, TORCHRL_DQN
from hookrl.configs import DQNConfig, PerceptronConfig, ReplayConfig

DQN_CARTPOLE = Work(
    name="dqn_cartpole",
    title="DQN on CartPole-v1: batch 128, one update per 10 frames, 120×84 relu",
    config=DQNConfig(
        env="CartPole-v1",
        total_frames=150_000,
        num_envs=1,
        train_frequency=10,
        gradient_steps=1,
        replay=ReplayConfig(capacity=10_000, batch_size=128, learning_starts=10_000),
        gamma=0.99,
        loss_function="l2",
        target_interval=50,  # 500 frames, at one step per 10 frames
        tau=1.0,
        epsilon_start=1.0,
        epsilon_end=0.05,
        exploration_fraction=0.5,
        learning_rate=2.5e-4,
        max_grad_norm=None,
        network=PerceptronConfig(hidden_sizes=(120, 84), activation="relu"),
    ),
    warm_up=13_000,
    sides=(HOOKRL, CAPTURED, SB3, CLEANRL_DQN, TORCHRL_DQN),
    notes=(
        "All sides minimise the squared error; Stable-Baselines3 has no setting for it, so its "
        "Huber loss is replaced from outside.",
    ),
)
