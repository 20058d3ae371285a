"""PPO on CartPole-v1: hookrl beside Stable-Baselines3, the same hyper-parameters.

The environment is gymnasium's CartPole on both sides, eight of them, stepped one after the other by
what each library uses: gymnasium's SyncVectorEnv, and Stable-Baselines3's DummyVecEnv.
"""

from benchmarks.compare import main
from hookrl.configs import NetworkConfig, PPOConfig
from sota.row import Comparison, SB3Settings

COMPARISON = Comparison(
    name="ppo_cartpole",
    title="PPO on CartPole-v1: 8 environments × 128 steps, 4 epochs × 4 minibatches, 64×64 tanh",
    hookrl=PPOConfig(
        env="CartPole-v1",
        total_frames=200_000,
        num_envs=8,
        steps_per_env=128,
        epochs=4,
        minibatches=4,
        learning_rate=2.5e-4,
        anneal_learning_rate=True,
        gamma=0.99,
        gae_lambda=0.95,
        clip_epsilon=0.2,
        clip_value=None,  # the two libraries clip values differently
        entropy_coeff=0.01,
        critic_coeff=0.5,
        max_grad_norm=0.5,
        adam_eps=1e-5,
        network=NetworkConfig(hidden_sizes=(64, 64), activation="tanh"),
    ),
    peer=SB3Settings(
        n_envs=8,
        arguments={
            "policy": "MlpPolicy",
            "n_steps": 128,
            "n_epochs": 4,
            "batch_size": 256,  # 8 × 128 / 4
            "learning_rate": "lin_2.5e-4",
            "gamma": 0.99,
            "gae_lambda": 0.95,
            "clip_range": 0.2,
            "clip_range_vf": None,
            "ent_coef": 0.01,
            "vf_coef": 0.5,
            "max_grad_norm": 0.5,
            "policy_kwargs": {
                "net_arch": {"pi": [64, 64], "vf": [64, 64]},
                "ortho_init": True,
                "optimizer_kwargs": {"eps": 1e-5},
            },
        },
    ),
    notes=(
        "gymnasium's passive checker is off on both sides; Stable-Baselines3 has its Monitor on, "
        "which keeps its episode statistics.",
    ),
)

if __name__ == "__main__":
    main(COMPARISON)
