"""DQN on Acrobot-v1 with prioritized replay beside uniform replay, 100k frames."""

import dataclasses

from sota.dqn_acrobot import ROW as UNIFORM
from sota.protocol import main
from sota.row import Row, Variant

ROW = Row(
    name="dqn_acrobot_prioritized",
    title="DQN, prioritized replay (α = 0.6, β = 0.4)",
    hookrl=dataclasses.replace(
        UNIFORM.hookrl, replay=dataclasses.replace(UNIFORM.hookrl.replay, prioritized=True)
    ),
    peer=Variant(name="hookrl, uniform replay", config=UNIFORM.hookrl),
    target=None,
    published="none for this environment",
    notes=("The peer is the row dqn-acrobot; nothing but the replay differs.",),
)

if __name__ == "__main__":
    main(ROW)
