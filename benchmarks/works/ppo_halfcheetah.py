"""PPO on HalfCheetah-v5 with the sizes of CleanRL's ``ppo_continuous_action.py``."""

from benchmarks.work import Work
from benchmarks.works.sides import CAPTURED, CLEANRL_PPO, HOOKRL, SB3, with_mujoco
from hookrl.configs import NetworkConfig, PPOConfig

PPO_HALFCHEETAH = Work(
    name="ppo_halfcheetah",
    title="PPO on HalfCheetah-v5: 1 environment × 2,048 steps, 10 epochs × 32 minibatches, "
    "normalised observations and rewards, 64×64 tanh",
    config=PPOConfig(
        env="HalfCheetah-v5",
        total_frames=60_000,
        num_envs=1,
        steps_per_env=2048,
        epochs=10,
        minibatches=32,
        learning_rate=3e-4,
        anneal_learning_rate=True,
        gamma=0.99,
        gae_lambda=0.95,
        clip_epsilon=0.2,
        clip_value=None,  # libraries clip values differently
        entropy_coeff=0.0,
        critic_coeff=0.25,  # CleanRL's vf_coef 0.5, whose loss has a factor 1/2
        max_grad_norm=0.5,
        adam_eps=1e-5,
        normalize_observation=True,
        normalize_reward=True,
        network=NetworkConfig(hidden_sizes=(64, 64), activation="tanh", log_std_init=0.0),
    ),
    warm_up=6_000,
    sides=with_mujoco(HOOKRL, CAPTURED, SB3, CLEANRL_PPO),
)
