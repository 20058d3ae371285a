"""PPO on Pendulum-v1 with RL Zoo's hyper-parameters (its ``ppo.yml``), 300k frames."""

from hookrl.configs import NetworkConfig, PPOConfig
from sota.protocol import main
from sota.row import Row, SB3Settings

ROW = Row(
    name="ppo_pendulum",
    title="PPO, RL Zoo's settings without gSDE",
    hookrl=PPOConfig(
        env="Pendulum-v1",
        total_frames=300_000,
        num_envs=4,
        steps_per_env=1024,
        epochs=10,
        minibatches=64,
        learning_rate=1e-3,
        anneal_learning_rate=False,
        gamma=0.9,
        gae_lambda=0.95,
        clip_epsilon=0.2,
        clip_value=None,
        entropy_coeff=0.0,
        critic_coeff=0.5,
        max_grad_norm=0.5,
        adam_eps=1e-5,
        network=NetworkConfig(hidden_sizes=(64, 64), activation="tanh", log_std_init=0.0),
    ),
    sb3=SB3Settings(
        n_envs=4,
        ppo={
            "policy": "MlpPolicy",
            "n_steps": 1024,
            "n_epochs": 10,
            "batch_size": 64,  # 4 × 1024 / 64
            "learning_rate": 1e-3,
            "gamma": 0.9,
            "gae_lambda": 0.95,
            "clip_range": 0.2,
            "clip_range_vf": None,
            "ent_coef": 0.0,
            "vf_coef": 0.5,
            "max_grad_norm": 0.5,
            "policy_kwargs": {
                "net_arch": {"pi": [64, 64], "vf": [64, 64]},
                "ortho_init": True,
                "log_std_init": 0.0,
                "optimizer_kwargs": {"eps": 1e-5},
            },
        },
    ),
    target=-200.0,
    published="RL Zoo −172.2 ± 104.2 (100k frames): one run, deterministic evaluation, ± over "
    "episodes",
    notes=(
        "RL Zoo explores with gSDE (use_sde, sde_sample_freq 4), which hookrl has not: here both "
        "sides explore with independent Gaussian noise.",
        "RL Zoo trains for 100k frames, this row for 300k.",
    ),
)

if __name__ == "__main__":
    main(ROW)
