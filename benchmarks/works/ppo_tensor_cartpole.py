"""PPO on CartPole as tensors: many environments, where updates take the time, and few."""

import dataclasses

from benchmarks.work import Work
from benchmarks.works.ppo_cartpole import CONFIG
from benchmarks.works.sides import CAPTURED, HOOKRL, JAX, RSL_RL, SB3, with_changes

_WAYS = (
    "Where the time limit ends an episode, hookrl and Stable-Baselines3 bootstrap the value of the "
    "last observation, rsl_rl that of the one before; the JAX loop takes it for a terminal state.",
)

PPO_TENSOR_CARTPOLE = Work(
    name="ppo_tensor_cartpole",
    title="PPO on CartPole as tensors: 1,024 environments × 32 steps, 4 epochs × 4 minibatches, "
    "64×64 tanh",
    config=dataclasses.replace(
        CONFIG,
        vectorization_mode="tensor",
        total_frames=3_000_000,
        num_envs=1024,
        steps_per_env=32,
        learning_rate=1e-3,  # for minibatches of 8,192
        anneal_learning_rate=False,  # rsl_rl does not
    ),
    warm_up=200_000,
    sides=(
        HOOKRL,
        CAPTURED,
        with_changes(SB3, SB3.name, vectorization_mode="vector_entry_point"),
        RSL_RL,
        JAX,
    ),
    notes=(
        "Stable-Baselines3 steps gymnasium's vectorised CartPole, without its Monitor; rsl_rl "
        "hookrl's tensor CartPole, with a categorical policy added from outside; the JAX loop its "
        "own.",
        *_WAYS,
        "rsl_rl clips the gradients of actor and critic each, the others those of both together.",
    ),
)
PPO_TENSOR_CARTPOLE_8 = Work(
    name="ppo_tensor_cartpole_8",
    title="PPO on few CartPoles as tensors: 8 environments × 128 steps, 4 epochs × 4 minibatches, "
    "64×64 tanh",
    config=dataclasses.replace(CONFIG, vectorization_mode="tensor", total_frames=500_000),
    warm_up=20_000,
    sides=(
        CAPTURED,
        with_changes(CAPTURED, "hookrl-captured-gymnasium", vectorization_mode="sync"),
        with_changes(
            CAPTURED, "hookrl-captured-vectorized", vectorization_mode="vector_entry_point"
        ),
        JAX,
    ),
    notes=_WAYS,
)
