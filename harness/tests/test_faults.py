"""Teeth: faults of real stacks, put in front of the C library, must be caught by the scenarios that are about them, by name.

On the build that users run, through the launcher that they would use.
"""

import subprocess
from pathlib import Path

import pytest
from sockproof import build

# Fault -> scenarios that must fail with it. The same ones, without a fault, must not.
FAULTS = {
    "accept-emfile-loses-the-connection": ["Accept.DescriptorLimit/inet", "Accept.DescriptorLimit/unix"],
    "accept-empty-is-aborted": ["Accept.NonBlockingAndEmpty/inet"],
    "accept-forgets-the-user-timeout": ["Inherit.DocumentedOptions/inet"],
    "accept-inherits-nonblocking": ["Inherit.Flags/inet", "Inherit.ChildOfANonBlockingListenerWaits/unix"],
    "accept-names-the-wrong-port": ["Accept.TellsWhoIsThere/inet"],
    "accept-newest-first": ["Accept.FirstInFirstOut/inet", "Accept.FirstInFirstOut/unix"],
    "accept-reports-no-length": ["Accept.ShortAddress/inet"],
    "accept4-forgets-cloexec": ["Accept.FlagsOfAccept4/inet"],
    "accept4-forgets-nonblock": ["Accept.FlagsOfAccept4/unix"],
    "bind-takes-another-port": ["Bind.InUse/inet"],
    "close-leaks-a-descriptor": ["Contract.ClosedSocketsLeaveNoHandles/inet"],
    "connect-blocks-though-nonblocking": ["Progress.SaysThatItIsUnderWay/inet"],
    "connect-pending-is-in-progress": ["Progress.SaysThatItIsUnderWay/inet"],
    "connect-refused-is-timed-out": ["Refused.BlockingConnectSaysSo/inet", "Refused.BlockingConnectSaysSo/unix"],
    "connect-twice-succeeds": ["Connect.OnlyOnce/inet"],
    "dont-wait-waits": ["Message.DontWaitIsForOneCall/inet"],
    "epoll-edge-is-level": ["Notify.AnEdgeIsReportedOnce/inet"],
    "epoll-oneshot-fires-again": ["Notify.AOneShotEntryIsReportedOnce/inet"],
    "linger-zero-sends-fin": ["Close.AbortResets/inet"],
    "listen-clamps-to-fifty": ["Backlog.CapacityOfMany/inet"],
    "listen-clamps-to-one": ["Backlog.Capacity/inet", "Backlog.Capacity/unix"],
    "listen-ignores-second-call": ["Backlog.GrowWhileFull/inet"],
    "listener-denies-listening": ["Accept.AcceptConn/inet"],
    "local-name-overruns": ["Contract.EveryBufferKeepsItsEnd/inet"],
    "peek-takes-the-data": ["Message.PeekLeavesTheData/inet"],
    "peer-name-has-port-zero": ["Options.NamesOfBothEnds/inet"],
    "pending-error-is-lost": ["Refused.SoErrorSaysSoOnce/inet"],
    "pending-error-is-sticky": ["Refused.SoErrorSaysSoOnce/inet"],
    "poll-misses-error": ["Notify.APendingErrorIsReady/inet"],
    "poll-misses-hangup": ["Notify.AResetIsAHangUp/inet"],
    "poll-says-writable-when-full": ["Data.ACountIsWhatWasTaken/inet"],
    "recv-loses-a-byte": ["Data.EverySizeArrivesIntact/inet"],
    "recv-swallows-signals": ["Message.ASignalEndsAWaitingRecv/inet"],
    "recv-swaps-two-bytes": ["Data.EverySizeArrivesIntact/inet"],
    "recv-timeout-ignored": ["Accept.TimeoutEndsIt/inet"],
    "recv-timeout-quarter": ["Message.RecvTimesOut/inet", "Accept.TimeoutEndsIt/unix"],
    "recv-writes-too-far": ["Data.ABlockedRecvWaitsForData/inet"],
    "reset-looks-like-the-end": ["Close.AbortResets/inet"],
    "send-after-end-succeeds": ["Close.SendingToAClosedEnd/inet"],
    "send-counts-one-too-many": ["Data.ACountIsWhatWasTaken/inet"],
    "send-timeout-quarter": ["Message.SendTimesOut/inet"],
    "shutdown-write-does-nothing": ["Shutdown.AfterBothEnds/inet"],
    "shutdown-write-ends-reading": ["Shutdown.WriteLeavesAWaitingReceive/inet"],
    "the-end-looks-like-a-reset": ["Data.DataComesBeforeTheEnd/inet"],
    "urgent-byte-is-ordinary": ["Message.UrgentDataTravelsApart/inet"],
    "wait-all-does-not-wait": ["Message.WaitAllWaitsForAll/inet"],
}


@pytest.fixture(name="faulty", scope="session")
def the_library_of_faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("faults") / "faults.so"
    source = Path(__file__).parent / "faults" / "faults.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-o", library, source, "-ldl"], check=True)
    return library


def failing(built: build.Build, library: Path, fault: str, scenarios: list[str], output: Path) -> tuple[list[str], str]:
    """The scenarios that fail unexpectedly with this fault, as users would hear of them; and what was said beside."""
    run = subprocess.run(
        [built.runner, "--battery", built.battery, "--provider", "posix", "--profile", "linux", "--filter", ":".join(scenarios),
         "--launcher", f"env LD_PRELOAD={library} SOCKPROOF_FAULT={fault}", "--format", "failures", "--output", output / "out"],
        capture_output=True, text=True, timeout=120, check=False)
    names = run.stdout.split()
    assert run.returncode == (1 if names else 0), run.stderr
    return names, run.stderr


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_caught_by_name(built: build.Build, faulty: Path, tmp_path: Path, fault: str) -> None:
    names, said = failing(built, faulty, fault, FAULTS[fault], tmp_path)
    assert sorted(names) == sorted(FAULTS[fault]), said


def test_without_a_fault_nothing_fails(built: build.Build, faulty: Path, tmp_path: Path) -> None:
    every = sorted({scenario for scenarios in FAULTS.values() for scenario in scenarios})
    names, said = failing(built, faulty, "none", every, tmp_path)
    assert not names, said


def test_every_fault_is_in_the_library(faulty: Path) -> None:
    text = faulty.read_bytes()
    assert not [fault for fault in FAULTS if fault.encode() + b"\0" not in text]
