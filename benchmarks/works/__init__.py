"""The works that are measured, by name and in the order of the report."""

from benchmarks.work import Work, with_threads
from benchmarks.works.dqn_cartpole import DQN_CARTPOLE
from benchmarks.works.ppo_cartpole import PPO_CARTPOLE, PPO_CARTPOLE_VECTOR
from benchmarks.works.ppo_halfcheetah import PPO_HALFCHEETAH
from benchmarks.works.ppo_tensor_cartpole import PPO_TENSOR_CARTPOLE, PPO_TENSOR_CARTPOLE_8
from benchmarks.works.sac_halfcheetah import SAC_HALFCHEETAH

WORKS: dict[str, Work] = {
    work.name: work
    for work in (
        PPO_CARTPOLE,
        PPO_CARTPOLE_VECTOR,
        PPO_HALFCHEETAH,
        DQN_CARTPOLE,
        SAC_HALFCHEETAH,
        with_threads(SAC_HALFCHEETAH, 2),
        PPO_TENSOR_CARTPOLE,
        with_threads(PPO_TENSOR_CARTPOLE, 2),
        PPO_TENSOR_CARTPOLE_8,
    )
}
