"""What people are told of a replication, from what its parts say. Pure; times are Unix seconds."""

from __future__ import annotations

from collections import deque
from dataclasses import fields, replace

from dtesx.model.capture import CaptureStatus
from dtesx.model.replication import (
    MirrorState,
    ReplicationCounts,
    ReplicationPhase,
    ReplicationReport,
    ReplicationSample,
    ReplicationState,
    ReplicationStatus,
    TargetDataState,
    TargetStatus,
    TransmitMode,
)

_RATE_SECONDS = 10.0


class Pace:
    """How many events a second there were lately."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, at: float, events: int) -> None:
        """There were so many events until then."""
        self._seen.append((at, events))
        while len(self._seen) > 2 and at - self._seen[1][0] >= _RATE_SECONDS:
            self._seen.popleft()

    @property
    def rate(self) -> float:
        """Events a second; 0 while it is not known."""
        if len(self._seen) < 2:
            return 0.0
        (begin, before), (end, after) = self._seen[0], self._seen[-1]
        return round(max(0, after - before) / (end - begin), 1) if end > begin else 0.0


def report(
    status: ReplicationStatus,
    capture: CaptureStatus,
    *,
    source: str,
    target: str,
    at: float,
    started: float,
    events_per_second: float,
) -> ReplicationReport:
    """A replication that runs, as it is at ``at``."""
    return ReplicationReport(
        source=source,
        target=target,
        running=True,
        at=at,
        started=started,
        mirror_status=_mirror(status),
        replication_status=_replication(status),
        transmit_mode=_transmit(status),
        target_status=status.target,
        target_data_state=_data(status),
        epoch=status.epoch,
        current=status.current,
        recovery_point_latency=_latency(status.current, at),
        connected_since=status.connected_since,
        capture_rung=capture.rung,
        events_per_second=events_per_second,
        overflows=capture.overflows,
        changed_names=status.waiting,
        queue_bytes=status.queue.bytes,
        queue_operations=status.queue.operations,
        disk_queue_bytes=status.queue.disk_bytes,
        disk_queue_operations=status.queue.disk_operations,
        sent_files=status.stats.files_sent,
        sent_bytes=status.stats.bytes_sent,
        sent_compressed_bytes=status.stats.bytes_wire,
        orphans_removed=status.stats.orphans_removed,
        failed_paths=status.failed,
        problems_total=status.stats.problems_total,
        last_file_touched=status.last_file,
        problem=status.problem,
        consistent=status.consistent,
        fuzzy=status.fuzzy,
        unquiesced=status.unquiesced,
        freezes=status.freezes,
    )


def ended(last: ReplicationReport, now: float) -> ReplicationReport:
    """The last report of a process that does not run any more, as it is to be understood ``now``."""
    latency = last.recovery_point_latency
    return replace(
        last,
        running=False,
        mirror_status=MirrorState.IDLE,
        replication_status=ReplicationState.STOPPED,
        transmit_mode=TransmitMode.STOPPED,
        target_status=TargetStatus.AWAY,
        target_data_state=(TargetDataState.OK if last.epoch is not None else TargetDataState.MIRROR_REQUIRED),
        recovery_point_latency=None if latency is None else round(latency + max(0.0, now - last.at), 3),
        connected_since=0.0,
        events_per_second=0.0,
        queue_bytes=0,
        queue_operations=0,
        disk_queue_bytes=0,
        disk_queue_operations=0,
    )


def sample(told: ReplicationReport, events: int) -> ReplicationSample:
    """What of a report goes into the history."""
    counts = {field.name: getattr(told, field.name) for field in fields(ReplicationCounts)}
    return ReplicationSample(
        **counts,
        state=told.replication_status,
        epoch=told.epoch.number if told.epoch is not None else 0,
        latency=-1.0 if told.recovery_point_latency is None else told.recovery_point_latency,
        events=events,
    )


def _latency(current: float, at: float) -> float | None:
    return round(max(0.0, at - current), 3) if current else None


def _mirror(status: ReplicationStatus) -> MirrorState:
    mirrors = status.phase is ReplicationPhase.MIRRORING
    return MirrorState.MIRRORING if mirrors else MirrorState.IDLE


def _replication(status: ReplicationStatus) -> ReplicationState:
    if status.phase is not ReplicationPhase.REPLICATING:
        return ReplicationState.PENDING
    return ReplicationState.REPLICATING if status.busy or status.waiting else ReplicationState.READY


def _transmit(status: ReplicationStatus) -> TransmitMode:
    if status.target is TargetStatus.AWAY:
        return TransmitMode.ERROR if status.problem else TransmitMode.STOPPED
    if status.target is not TargetStatus.OK or status.phase is ReplicationPhase.PAUSED:
        return TransmitMode.PAUSED
    return TransmitMode.SCHEDULED if status.phase is ReplicationPhase.SCHEDULED else TransmitMode.STARTED


def _data(status: ReplicationStatus) -> TargetDataState:
    if status.phase is ReplicationPhase.MIRRORING:
        return TargetDataState.MIRRORING
    whole = status.epoch is not None and status.phase is not ReplicationPhase.UNMIRRORED
    return TargetDataState.OK if whole else TargetDataState.MIRROR_REQUIRED
