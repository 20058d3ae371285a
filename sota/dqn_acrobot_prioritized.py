"""DQN on Acrobot-v1 with prioritized replay beside uniform replay, 100k frames."""

import dataclasses
from typing import cast

from hookrl.configs import DQNConfig
from sota.dqn_acrobot import ROW as UNIFORM
from sota.protocol import main
from sota.row import Row, Variant

SETTINGS = cast(DQNConfig, UNIFORM.hookrl)

ROW = Row(
    name="dqn_acrobot_prioritized",
    title="DQN, prioritized replay (α = 0.6, β = 0.4)",
    hookrl=dataclasses.replace(
        SETTINGS, replay=dataclasses.replace(SETTINGS.replay, prioritized=True)
    ),
    peer=Variant(name="hookrl, uniform replay", config=SETTINGS),
    target=None,
    published="none for this environment",
    notes=("The peer is the row dqn-acrobot; nothing but the replay differs.",),
)

if __name__ == "__main__":
    main(ROW)
