"""DQN on CartPole-v1 with the hyper-parameters of CleanRL's ``dqn.py``, 500k frames."""

from hookrl.configs import DQNConfig, PerceptronConfig, ReplayConfig
from sota.protocol import main
from sota.row import Row, SB3Settings

ROW = Row(
    name="dqn_cartpole",
    title="DQN, CleanRL's settings",
    hookrl=DQNConfig(
        env="CartPole-v1",
        total_frames=500_000,
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
    peer=SB3Settings(
        algorithm="DQN",
        n_envs=1,
        arguments={
            "policy": "MlpPolicy",
            "train_freq": 10,
            "gradient_steps": 1,
            "buffer_size": 10_000,
            "batch_size": 128,
            "learning_starts": 10_000,
            "gamma": 0.99,
            "target_update_interval": 500,
            "tau": 1.0,
            "exploration_initial_eps": 1.0,
            "exploration_final_eps": 0.05,
            "exploration_fraction": 0.5,
            "learning_rate": 2.5e-4,
            "max_grad_norm": 1e9,
            "policy_kwargs": {"net_arch": [120, 84]},
        },
        squared_error=True,
    ),
    target=475.0,
    published="CleanRL 488.7 ± 16.1: mean of the last 100 training episodes, 3 seeds, ± over seeds",
    notes=(
        "Both sides minimise the squared error, as CleanRL does; Stable-Baselines3 has no setting "
        "for it, so its Huber loss is replaced from outside.",
        "With the Huber loss values diverge on these settings, in either library: "
        "Stable-Baselines3's seeds 0 and 1 ended at 9.5 and 9.2, hookrl's seed 100 at 9.2. Why was "
        "not examined; one reason may be that the few terminal transitions in the buffer, whose "
        "errors are the largest, then pull too little against the bootstrapped values.",
    ),
)

if __name__ == "__main__":
    main(ROW)
