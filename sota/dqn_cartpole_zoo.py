"""DQN on CartPole-v1 with the hyper-parameters of RL Zoo's ``dqn.yml``, 50k frames."""

from hookrl.configs import DQNConfig, PerceptronConfig, ReplayConfig
from sota.protocol import main
from sota.row import Row, SB3Settings

HOOKRL = DQNConfig(
    env="CartPole-v1",
    total_frames=50_000,
    num_envs=1,
    train_frequency=256,
    gradient_steps=128,
    replay=ReplayConfig(capacity=100_000, batch_size=64, learning_starts=1_000),
    gamma=0.99,
    loss_function="smooth_l1",
    target_interval=128,  # once per training, see the notes
    tau=1.0,
    epsilon_start=1.0,
    epsilon_end=0.04,
    exploration_fraction=0.16,
    learning_rate=2.3e-3,
    max_grad_norm=10.0,
    network=PerceptronConfig(hidden_sizes=(256, 256), activation="relu"),
)
SB3 = SB3Settings(
    algorithm="DQN",
    n_envs=1,
    arguments={
        "policy": "MlpPolicy",
        "train_freq": 256,
        "gradient_steps": 128,
        "buffer_size": 100_000,
        "batch_size": 64,
        "learning_starts": 1_000,
        "gamma": 0.99,
        "target_update_interval": 10,
        "tau": 1.0,
        "exploration_initial_eps": 1.0,
        "exploration_final_eps": 0.04,
        "exploration_fraction": 0.16,
        "learning_rate": 2.3e-3,
        "max_grad_norm": 10.0,
        "policy_kwargs": {"net_arch": [256, 256]},
    },
)
INTERVALS = (
    "Stable-Baselines3 copies the target network every 10 frames, between the trainings: what its "
    "256 frames later 128 steps see is the network as the training before left it. hookrl copies "
    "it after every 128 steps, which is the same."
)

ROW = Row(
    name="dqn_cartpole_zoo",
    title="DQN, RL Zoo's settings",
    hookrl=HOOKRL,
    peer=SB3,
    target=None,
    published="RL Zoo 500 ± 0: one run, deterministic evaluation, ± over episodes",
    notes=(
        INTERVALS,
        "Twenty seeds on every side, since returns of these settings are nearly 500 or far below, "
        "in either library.",
    ),
)

if __name__ == "__main__":
    main(ROW)
