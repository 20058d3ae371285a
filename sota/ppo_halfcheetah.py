"""PPO on HalfCheetah-v5 with the hyper-parameters of CleanRL's ``ppo_continuous_action.py``."""

from hookrl.configs import EvaluationConfig, NetworkConfig, PPOConfig
from sota.curves import Curve, main

CURVE = Curve(
    name="ppo_halfcheetah",
    title="PPO, CleanRL's settings",
    hookrl=PPOConfig(
        env="HalfCheetah-v5",
        total_frames=1_000_000,
        num_envs=1,
        steps_per_env=2048,
        epochs=10,
        minibatches=32,
        learning_rate=3e-4,
        anneal_learning_rate=True,
        gamma=0.99,
        gae_lambda=0.95,
        clip_epsilon=0.2,
        clip_value=0.2,
        entropy_coeff=0.0,
        critic_coeff=0.25,  # CleanRL's vf_coef 0.5, whose loss has a factor 1/2
        max_grad_norm=0.5,
        adam_eps=1e-5,
        normalize_observation=True,
        normalize_reward=True,
        compile=True,
        network=NetworkConfig(hidden_sizes=(64, 64), activation="tanh", log_std_init=0.0),
        evaluation=EvaluationConfig(interval=50_000, episodes=10),
    ),
    seeds=tuple(range(10)),
    published={
        "CleanRL": (1443, 46, 1_000_000),
        "Tianshou": (5784, 1244, 1_000_000),
        "RL Zoo": (5819, 664, 1_000_000),
        "Spinning Up": (1670, 0, 1_000_000),
    },
    notes=(
        "Steps are captured (`compile=true`).",
        "CleanRL's figure is of the training episodes, with exploration; the curve is of "
        "deterministic ones.",
        "Tianshou and RL Zoo have other hyper-parameters.",
    ),
)

if __name__ == "__main__":
    main(CURVE)
