"""The bounds on a policy's coroutine before a run."""

import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from dlm_length.common import ConfigError, SpecialTokens
from dlm_length.denoising import Canvas, FollowUp, Query, Stat, StatSpec
from dlm_length.engine import watchdog
from dlm_length.engine.watchdog import ForwardCount, StepTimer
from dlm_length.policies import Policy, build_policy

SPEC = StatSpec(Stat.TOKEN)
BUSY = """from typing import ClassVar, Literal
from dlm_length.policies import Policy
class Busy(Policy):
    \"\"\"Busy.\"\"\"
    source = "none"
    name: Literal["busy"] = "busy"
    step_seconds: ClassVar[float] = 0.2
    def denoise(self, canvas):
        self.work()
        yield
    def work(self):
        while True:
            pass
"""


def busy(folder: Path) -> Policy:
    file = folder / "busy.py"
    file.write_text(BUSY)
    return build_policy("busy", file=file)


def canvas_of(length: int) -> Canvas:
    canvas = Canvas(0, SpecialTokens(mask=0, eos=1))
    canvas.append_masks(length)
    return canvas


def asked_until_endless(count: ForwardCount, canvas: Canvas, *, changing: bool) -> tuple[int, str]:
    for asked in range(1, 10**6):
        if changing:
            canvas.ids[0] = asked % 2
        if reason := count.add(Query(canvas, canvas.all, SPEC)):
            return asked, reason
    raise AssertionError("counted without end")


def test_many_forwards_over_the_same_tokens_count_as_endless() -> None:
    asked, reason = asked_until_endless(ForwardCount(512), canvas_of(4), changing=False)
    assert asked == watchdog.MOST_UNCHANGED + 1
    assert reason == "no end after 16,384 forwards in a row over the same tokens"


def test_forwards_over_other_tokens_are_limited_by_the_models_length() -> None:
    asked, reason = asked_until_endless(ForwardCount(1024), canvas_of(4), changing=True)
    assert asked == watchdog.FORWARDS_PER_TOKEN * 1024 + 1
    assert reason == "no end after 65,536 forwards"


def test_follow_ups_count_too() -> None:
    count, canvas = ForwardCount(512), canvas_of(4)
    follow_up = FollowUp(np.arange(4), SPEC)
    reasons = [count.add(Query(canvas, canvas.all, SPEC))]
    reasons += [count.add(follow_up) for _ in range(watchdog.MOST_UNCHANGED)]
    assert [bool(reason) for reason in reasons] == [False] * watchdog.MOST_UNCHANGED + [True]


def test_a_step_that_computes_for_too_long_is_refused_by_file_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "NOTICE_SECONDS", 0.1)
    monkeypatch.setattr(watchdog, "INTERVAL", 0.05)
    policy = busy(tmp_path)
    before = signal.getsignal(signal.SIGPROF)
    place = rf"busy\.py: denoise .* at line 1[23] of {tmp_path}/busy\.py"
    with pytest.raises(ConfigError, match=place), StepTimer(policy).running():
        next(policy.denoise(canvas_of(4)))
    assert signal.getsignal(signal.SIGPROF) == before
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


def test_steps_that_are_restarted_and_waiting_are_not_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "NOTICE_SECONDS", 0.1)
    monkeypatch.setattr(watchdog, "INTERVAL", 0.02)
    timer = StepTimer(busy(tmp_path))
    with timer.running():
        for _ in range(4):
            timer.restart()
            until = time.thread_time() + 0.1
            while time.thread_time() < until:
                pass
        timer.restart()
        time.sleep(0.3)


@pytest.mark.parametrize("own", [True, False])
def test_the_packages_own_policies_and_other_threads_are_not_timed(tmp_path: Path, own: bool) -> None:
    handlers = []

    def look() -> None:
        with StepTimer(build_policy("fixed", length=4) if own else busy(tmp_path)).running():
            handlers.append(signal.getsignal(signal.SIGPROF))

    if own:
        look()
    else:
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert handlers == [signal.getsignal(signal.SIGPROF)]
