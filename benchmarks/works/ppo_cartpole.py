"""PPO on CartPole-v1 in eight environments: stepped one by one, and vectorised."""

import dataclasses

from benchmarks.work import Work
from benchmarks.works.sides import CAPTURED, CLEANRL_PPO, HOOKRL, SB3, TIANSHOU_PPO, TORCHRL_PPO
from hookrl.configs import NetworkConfig, PPOConfig

_SIZES = "8 environments × 128 steps, 4 epochs × 4 minibatches, 64×64 tanh"

CONFIG = PPOConfig(
    env="CartPole-v1",
    total_frames=300_000,
    num_envs=8,
    steps_per_env=128,
    epochs=4,
    minibatches=4,
    learning_rate=2.5e-4,
    anneal_learning_rate=True,
    gamma=0.99,
    gae_lambda=0.95,
    clip_epsilon=0.2,
    clip_value=None,  # libraries clip values differently
    entropy_coeff=0.01,
    critic_coeff=0.5,
    max_grad_norm=0.5,
    adam_eps=1e-5,
    network=NetworkConfig(hidden_sizes=(64, 64), activation="tanh"),
)

PPO_CARTPOLE = Work(
    name="ppo_cartpole",
    title=f"PPO on CartPole-v1: {_SIZES}",
    config=CONFIG,
    warm_up=20_000,
    sides=(HOOKRL, CAPTURED, SB3, CLEANRL_PPO, TIANSHOU_PPO, TORCHRL_PPO),
    notes=(
        "gymnasium's passive checker is off on all sides.",
        "Where the time limit ends an episode, hookrl, Stable-Baselines3, Tianshou and torchrl "
        "bootstrap the value; CleanRL's way takes it for a terminal state.",
    ),
)
PPO_CARTPOLE_VECTOR = Work(
    name="ppo_cartpole_vector",
    title=f"PPO on gymnasium's vectorised CartPole-v1: {_SIZES}",
    config=dataclasses.replace(CONFIG, vectorization_mode="vector_entry_point"),
    warm_up=20_000,
    sides=(HOOKRL, CAPTURED, SB3, CLEANRL_PPO),
    notes=(
        "The environment as it comes spends a frame on each reset: hookrl neither counts nor "
        "learns from these. For the peers it resets in the step that ends an episode.",
        "Stable-Baselines3 goes without the Monitor that keeps its episode statistics.",
    ),
)
