"""When checkpoints are written: by the work between them, less often where one takes long."""

from types import SimpleNamespace

import pytest

from kollama2.train import trainer


def test_a_checkpoint_that_takes_long_is_made_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(trainer.time, "monotonic", lambda: now)
    clock = trainer._Clock(60.0)

    def asked(after: float, took: float, step: int = 1) -> bool:
        nonlocal now
        now += after
        control = SimpleNamespace(should_save=False)
        clock.on_step_end(None, SimpleNamespace(global_step=step, max_steps=9), control)
        if control.should_save:
            now += took
            clock.on_save(None, None, control)
        return bool(control.should_save)

    assert not asked(59, 0)
    assert asked(1, 0.5)
    assert asked(60, 10)
    assert not asked(199, 0)
    assert asked(1, 0)
    assert asked(1, 0, step=9)
