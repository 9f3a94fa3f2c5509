"""The link between a source and its target, as users write it: in a job file, or for one mirror."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import time, timedelta
from typing import TypeVar

from dtesx.model.mirror import Compression, LinkOptions
from dtesx.model.quantities import parse_duration, parse_moment, parse_rate, parse_size
from dtesx.model.queue import QueueLimits
from dtesx.model.transmission import Rate, Transmission, Window

Text = int | str
"""A quantity: YAML and JSON make a number of one without a unit."""

T = TypeVar("T")


@dataclass(frozen=True)
class RateSpec:
    """A bandwidth limit that holds in a window of the day, such as 08:00-18:00."""

    window: str
    bandwidth: Text

    def __post_init__(self) -> None:
        self.rate()

    def rate(self) -> Rate:
        """What the text says; raises ValueError that names the field."""
        return Rate(_field("window", _window, self.window), _field("bandwidth", parse_rate, self.bandwidth))


@dataclass(frozen=True)
class QueueSpec:
    """Where data wait on the source: in memory, then in files in ``folder``. See QueueLimits."""

    memory: Text = "128MiB"
    folder: str = ""
    disk: Text = ""
    minimum_free: Text = "50MiB"
    alert: Text = "50%"
    pending: int = 1000

    def __post_init__(self) -> None:
        self.limits()

    def limits(self) -> QueueLimits:
        """What the text says; raises ValueError that names the field."""
        return QueueLimits(
            memory=_field("memory", parse_size, self.memory),
            folder=self.folder,
            disk=_field("disk", parse_size, self.disk) if self.disk != "" else None,
            minimum_free=_field("minimum_free", parse_size, self.minimum_free),
            alert=_field("alert", _percent, self.alert),
            pending=self.pending,
        )


@dataclass(frozen=True)
class TransmissionSpec:
    """When and how fast data travel, and where they wait; everything may be left out.

    Times are the source's local ones. See Transmission for what the fields mean together.
    """

    bandwidth: Text = ""
    window: str = ""
    start: str = ""
    interval: str = ""
    threshold: Text = 0
    time_limit: str = ""
    byte_limit: Text = 0
    rates: tuple[RateSpec, ...] = ()
    queue: QueueSpec | None = None

    def __post_init__(self) -> None:
        self.plan()

    def plan(self) -> Transmission:
        """What the text says; raises ValueError that names the field."""
        return Transmission(
            window=_given("window", _window, self.window),
            start=_given("start", parse_moment, self.start),
            interval=_given("interval", _span, self.interval),
            threshold=_field("threshold", _percent, self.threshold),
            time_limit=_given("time_limit", _span, self.time_limit),
            byte_limit=_field("byte_limit", parse_size, self.byte_limit),
            bandwidth=_field("bandwidth", parse_rate, self.bandwidth) if self.bandwidth != "" else 0,
            rates=tuple(spec.rate() for spec in self.rates),
        )


@dataclass(frozen=True)
class LinkSpec(TransmissionSpec):
    """How the source of a job and its target are joined: TransmissionSpec, and how data are sent."""

    compress: Text = "off"
    streams: int = 1

    def __post_init__(self) -> None:
        self.options()

    def options(self) -> LinkOptions:
        """What the text says; raises ValueError that names the field."""
        plan = self.plan()
        at_any_time = plan == Transmission(bandwidth=plan.bandwidth)
        return LinkOptions(
            compress=_field("compress", Compression.parse, self.compress),
            bandwidth=plan.bandwidth if at_any_time else 0,
            streams=self.streams,
            ahead=self.queue.limits() if self.queue is not None else None,
            plan=None if at_any_time else plan,
        )


def _field(name: str, parse: Callable[[str], T], text: Text) -> T:
    try:
        return parse(str(text))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _given(name: str, parse: Callable[[str], T], text: str) -> T | None:
    return _field(name, parse, text) if text else None


def _window(text: str) -> Window:
    opens, dash, closes = text.partition("-")
    if not dash:
        raise ValueError(f"{text!r} is no window; write 21:00-04:00")
    return Window(_time(opens), _time(closes))


def _time(text: str) -> time:
    try:
        return time.fromisoformat(text.strip())
    except ValueError as error:
        raise ValueError(f"{text!r} is no time of day; write 21:00") from error


def _span(text: str) -> timedelta:
    return timedelta(seconds=parse_duration(text))


def _percent(text: str) -> int:
    try:
        return int(text.strip().removesuffix("%"))
    except ValueError as error:
        raise ValueError(f"{text!r} is no percentage; write 40%") from error
