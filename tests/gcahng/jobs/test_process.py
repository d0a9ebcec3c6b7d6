"""Signals that ask to stop: one exception, one exit status each."""

import os
import signal

import pytest

from gcahng.jobs.process import Stopped, heed_signals, was_stopped

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 75), (signal.SIGUSR1, 75)]


@pytest.mark.parametrize(("number", "status"), SIGNALS)
def test_a_signal_stops_at_once(number: signal.Signals, status: int) -> None:
    before = signal.signal(number, signal.SIG_DFL)
    try:
        with pytest.raises(Stopped) as info, heed_signals():
            os.kill(os.getpid(), number)
        assert info.value.status == status
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_a_repeated_signal_does_not_disturb_the_end() -> None:
    with heed_signals():
        with pytest.raises(Stopped):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        with heed_signals():
            os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("status", [75, 130, -signal.SIGTERM, -signal.SIGINT, -signal.SIGUSR1])
def test_a_stopped_process_has_not_failed(status: int) -> None:
    assert was_stopped(status)


@pytest.mark.parametrize("status", [None, 0, 1, -signal.SIGKILL, -signal.SIGSEGV])
def test_others_have(status: int | None) -> None:
    assert not was_stopped(status)
