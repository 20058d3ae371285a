"""PPO on CartPole-v1 with the hyper-parameters of CleanRL's ``ppo.py``, 500k frames."""

from hookrl.configs import NetworkConfig, PPOConfig
from sota.protocol import main
from sota.row import Row, SB3Settings

ROW = Row(
    name="ppo_cartpole",
    title="PPO, CleanRL's settings",
    hookrl=PPOConfig(
        env="CartPole-v1",
        total_frames=500_000,
        num_envs=4,
        steps_per_env=128,
        epochs=4,
        minibatches=4,
        learning_rate=2.5e-4,
        anneal_learning_rate=True,
        gamma=0.99,
        gae_lambda=0.95,
        clip_epsilon=0.2,
        clip_value=0.2,
        entropy_coeff=0.01,
        critic_coeff=0.25,  # CleanRL's 0.5 is multiplied by another 1/2 in its loss
        max_grad_norm=0.5,
        adam_eps=1e-5,
        network=NetworkConfig(hidden_sizes=(64, 64), activation="tanh"),
    ),
    peer=SB3Settings(
        n_envs=4,
        arguments={
            "policy": "MlpPolicy",
            "n_steps": 128,
            "n_epochs": 4,
            "batch_size": 128,  # 4 × 128 / 4
            "learning_rate": "lin_2.5e-4",
            "gamma": 0.99,
            "gae_lambda": 0.95,
            "clip_range": 0.2,
            "clip_range_vf": 0.2,
            "ent_coef": 0.01,
            "vf_coef": 0.25,  # no 1/2 in its loss either
            "max_grad_norm": 0.5,
            "policy_kwargs": {
                "net_arch": {"pi": [64, 64], "vf": [64, 64]},
                "ortho_init": True,
                "optimizer_kwargs": {"eps": 1e-5},
            },
        },
    ),
    target=490.0,
    published="CleanRL 490.0 ± 6.1: mean of the last 100 training episodes, 3 seeds, ± over seeds",
    notes=(
        "Where the value is clipped, hookrl takes the greater of the two losses, as CleanRL does; "
        "Stable-Baselines3 takes the clipped one.",
        "Both sides bootstrap the value where the time limit ends an episode; CleanRL's ppo.py "
        "takes it for a terminal state.",
        "Stable-Baselines3 anneals one batch ahead: its first update already uses less than the "
        "full learning rate.",
    ),
)

if __name__ == "__main__":
    main(ROW)
