"""PPO on CartPole-v1 with captured steps: hookrl's ``compile=true`` beside Stable-Baselines3.

Settings are those of `benchmarks.ppo_cartpole`; more frames, since making the graph takes seconds.
They are timed too. The compiled code itself is there from the short training before.
"""

import dataclasses

from benchmarks import ppo_cartpole
from benchmarks.compare import main

COMPARISON = dataclasses.replace(
    ppo_cartpole.COMPARISON,
    name="ppo_cartpole_captured",
    title=f"{ppo_cartpole.COMPARISON.title}; hookrl with captured steps",
    hookrl=dataclasses.replace(ppo_cartpole.COMPARISON.hookrl, compile=True, total_frames=500_000),
)

if __name__ == "__main__":
    main(COMPARISON)
