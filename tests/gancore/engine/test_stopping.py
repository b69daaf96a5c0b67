"""Signals become a wish, and what was there before comes back."""

from __future__ import annotations

import signal

import pytest

from gancore.engine.stopping import StopSignals


@pytest.mark.parametrize(("number", "name"), [("SIGINT", "Ctrl-C"), ("SIGTERM", "SIGTERM"), ("SIGHUP", "SIGHUP")])
def test_signal_becomes_a_wish_and_its_handler_comes_back(number, name):
    before = signal.getsignal(getattr(signal, number))
    stop = StopSignals()
    with stop.listening():
        signal.raise_signal(getattr(signal, number))
        assert stop.received == name
    assert signal.getsignal(getattr(signal, number)) == before


def test_hangup_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        stop = StopSignals()
        with stop.listening():
            signal.raise_signal(signal.SIGHUP)
            assert stop.received == ""
    finally:
        signal.signal(signal.SIGHUP, before)


def test_second_ctrl_c_ends_at_once():
    stop = StopSignals()
    with stop.listening():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_what_will_happen_is_told_at_once_and_once(capfd):
    stop = StopSignals()
    with stop.listening():
        for _ in range(2):
            signal.raise_signal(signal.SIGTERM)
    assert capfd.readouterr().err == "SIGTERM: finishing this step, then saving; press Ctrl-C again to stop at once\n"


def test_whoever_draws_the_screen_is_told_instead(capfd):
    told = []
    stop = StopSignals(told.append)
    with stop.listening():
        signal.raise_signal(signal.SIGINT)
    assert told == ["Ctrl-C: finishing this step, then saving; press Ctrl-C again to stop at once"]
    assert capfd.readouterr().err == ""
