"""Whoever runs the inner loop does the same to the weights; else their times mean nothing."""

import copy

import pytest
import torch

from benchmarks.inner_loops import InnerLoop


def weights_after(loop, run, weights):
    loss_module, optimizer = loop.trainer.loss_module, loop.trainer.optimizer
    loss_module.load_state_dict(copy.deepcopy(weights[0]))
    optimizer.load_state_dict(copy.deepcopy(weights[1]))
    loop.minibatches._generator.manual_seed(5)
    loop.begin()
    run()
    return torch.cat([parameter.detach().flatten() for parameter in loss_module.parameters()])


def state(loop):
    parts = loop.trainer.loss_module, loop.trainer.optimizer
    return tuple(copy.deepcopy(part.state_dict()) for part in parts)


def test_by_hand_learns_what_the_trainer_learns():
    loop = InnerLoop()
    start = state(loop)
    by_trainer = weights_after(loop, loop.by_trainer, start)
    by_hand = weights_after(loop, loop.by_hand, start)
    torch.testing.assert_close(by_trainer, by_hand, rtol=0, atol=0)
    assert not torch.equal(by_trainer, weights_after(loop, lambda: None, start))


@pytest.mark.usefixtures("interpreted")
def test_around_the_graph_it_is_the_same():
    loop = InnerLoop(compile=True, no_operations=3)
    generator = loop.minibatches._generator
    optimizer, weights = loop.trainer.optimizer, [*loop.trainer.loss_module.parameters()]
    tensors = [*weights, *(t for one in optimizer.state.values() for t in one.values())]
    by_hand, bare = loop.graph_by_hand(), loop.bare_graph()
    start = [tensor.detach().clone() for tensor in tensors]
    found = []
    for run in (loop.by_trainer, by_hand, bare):
        with torch.no_grad():
            for tensor, value in zip(tensors, start, strict=True):
                tensor.copy_(value)
        generator.manual_seed(5)
        loop.begin()
        run()
        found.append(torch.cat([weight.detach().flatten() for weight in weights]))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)
    assert not torch.equal(found[0], found[2])  # on minibatches of before


def test_a_step_that_is_not_captured_has_no_graph():
    with pytest.raises(RuntimeError, match="the step is eager"):
        InnerLoop().bare_graph()
