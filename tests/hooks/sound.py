"""A hook that keeps every promise, for tests that break one each."""

from unittest import mock

import pytest

from hookrl.hooks import TrainerHookBase
from hookrl.hooks.check import HookCheckError, check_hook
from hookrl.testing import hook_checks
from hookrl.testing.hook_checks import CHECKS


class Sound(TrainerHookBase):
    """Keeps every promise; hooks that derive from it break one each."""

    point = "pre_steps_log"
    state_fields = ("count",)

    def __init__(self):
        self.count = 0

    def register(self, trainer, name="sound"):
        trainer.register_op(self.point, self, name=name)
        trainer.register_module(name, self)

    def __call__(self, batch):
        self.count += 1
        return {"count": self.count}


def check_passes(factory, **options):
    made = []

    def watched(check):
        def run(setting):
            check(setting)
            made.append(check)

        return run

    with mock.patch.object(hook_checks, "CHECKS", [watched(check) for check in CHECKS]):
        check_hook(factory, **options)
    assert made == [*CHECKS]


def check_fails(factory, check, *parts, **options):
    with pytest.raises(HookCheckError) as caught:
        check_hook(factory, **options)
    text = str(caught.value)
    assert f"fails the check {check!r}: " in text
    assert "; expected " in text
    for part in parts:
        assert part in text
    assert text.count("\n") == 0
