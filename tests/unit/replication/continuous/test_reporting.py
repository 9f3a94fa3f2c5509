from __future__ import annotations

from dataclasses import replace

import pytest

from dtesx.model.capture import CaptureStatus, Rung
from dtesx.model.epoch import Epoch, EpochKind
from dtesx.model.queue import QueueStatus
from dtesx.model.replication import (
    MirrorState,
    ReplicationPhase,
    ReplicationReport,
    ReplicationState,
    ReplicationStatus,
    TargetDataState,
    TargetStatus,
    TransmitMode,
)
from dtesx.model.stats import MirrorStats
from dtesx.replication.continuous.reporting import Pace, ended, report, sample

MIRROR, DATA, TRANSMIT, STATE = MirrorState, TargetDataState, TransmitMode, ReplicationState
EPOCH = Epoch(7, EpochKind.CRASH, 90.0)
MIRRORING = ReplicationStatus(ReplicationPhase.MIRRORING, target=TargetStatus.OK, connected_since=80.0)
REPLICATING = ReplicationStatus(
    ReplicationPhase.REPLICATING,
    EPOCH,
    current=98.5,
    stats=MirrorStats(files_sent=3, bytes_sent=200, bytes_wire=150, problems_total=2),
    target=TargetStatus.OK,
    connected_since=80.0,
    queue=QueueStatus(10, 1, 20, 2),
    failed=1,
    last_file="/srv/a",
)


def told(status: ReplicationStatus) -> ReplicationReport:
    capture = CaptureStatus(Rung.RANGES, events=50, overflows=4)
    return report(status, capture, source="/srv", target="url", at=100.0, started=60.0, events_per_second=2.5)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (ReplicationStatus(), (MIRROR.IDLE, STATE.PENDING, TRANSMIT.STOPPED, DATA.MIRROR_REQUIRED)),
        (
            ReplicationStatus(problem="no route"),
            (MIRROR.IDLE, STATE.PENDING, TRANSMIT.ERROR, DATA.MIRROR_REQUIRED),
        ),
        (MIRRORING, (MIRROR.MIRRORING, STATE.PENDING, TRANSMIT.STARTED, DATA.MIRRORING)),
        (REPLICATING, (MIRROR.IDLE, STATE.READY, TRANSMIT.STARTED, DATA.OK)),
        (
            replace(REPLICATING, phase=ReplicationPhase.SCHEDULED),
            (MIRROR.IDLE, STATE.PENDING, TRANSMIT.SCHEDULED, DATA.OK),
        ),
        (
            replace(REPLICATING, phase=ReplicationPhase.PAUSED),
            (MIRROR.IDLE, STATE.PENDING, TRANSMIT.PAUSED, DATA.OK),
        ),
        (
            replace(REPLICATING, phase=ReplicationPhase.UNMIRRORED),
            (MIRROR.IDLE, STATE.PENDING, TRANSMIT.STARTED, DATA.MIRROR_REQUIRED),
        ),
        (
            replace(REPLICATING, phase=ReplicationPhase.MIRRORING),
            (MIRROR.MIRRORING, STATE.PENDING, TRANSMIT.STARTED, DATA.MIRRORING),
        ),
        (replace(REPLICATING, busy=True), (MIRROR.IDLE, STATE.REPLICATING, TRANSMIT.STARTED, DATA.OK)),
        (
            replace(REPLICATING, waiting=3, target=TargetStatus.PAUSED),
            (MIRROR.IDLE, STATE.REPLICATING, TRANSMIT.PAUSED, DATA.OK),
        ),
        (
            replace(REPLICATING, phase=ReplicationPhase.CONNECTING, target=TargetStatus.AWAY, problem="gone"),
            (MIRROR.IDLE, STATE.PENDING, TRANSMIT.ERROR, DATA.OK),
        ),
    ],
)
def test_states(status: ReplicationStatus, expected: tuple[object, ...]) -> None:
    found = told(status)
    states = found.mirror_status, found.replication_status, found.transmit_mode, found.target_data_state
    assert states == expected


def test_a_replica_that_never_was_whole_has_no_latency() -> None:
    assert told(MIRRORING).recovery_point_latency is None
    assert told(REPLICATING).recovery_point_latency == 1.5


def test_what_has_ended_falls_behind_and_has_nothing_in_its_queue() -> None:
    last = ended(told(REPLICATING), 160.0)
    assert (last.running, last.recovery_point_latency, last.at) == (False, 61.5, 100.0)
    assert (last.replication_status, last.transmit_mode) == (STATE.STOPPED, TRANSMIT.STOPPED)
    assert (last.queue_bytes, last.disk_queue_operations, last.connected_since) == (0, 0, 0.0)
    assert (last.epoch, last.sent_bytes, last.target_data_state) == (EPOCH, 200, DATA.OK)
    assert ended(told(MIRRORING), 160.0).target_data_state is DATA.MIRROR_REQUIRED


def test_a_sample_has_the_reports_numbers() -> None:
    taken = sample(told(REPLICATING), 50)
    assert (taken.at, taken.epoch, taken.latency, taken.events) == (100.0, 7, 1.5, 50)
    assert (taken.queue_bytes, taken.disk_queue_operations, taken.sent_compressed_bytes) == (10, 2, 150)
    assert sample(told(MIRRORING), 0).latency == -1.0


def test_the_pace_is_that_of_the_last_seconds() -> None:
    pace = Pace()
    assert pace.rate == 0.0
    for second in range(100):
        pace.note(float(second), 1000 if second < 50 else 1000 + 20 * (second - 50))
    assert pace.rate == 20.0
