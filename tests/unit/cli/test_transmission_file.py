from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, time, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtesx.base.errors import UsageError
from dtesx.cli import yaml_file
from dtesx.cli.transmission_file import load
from dtesx.model.link import TransmissionSpec
from dtesx.model.quantities import parse_duration, parse_rate, parse_size
from dtesx.model.queue import QueueLimits
from dtesx.model.transmission import Rate, Transmission, Window

Read = Callable[[str], tuple[Transmission, QueueLimits]]

_DOC = Path(__file__).parents[3] / "docs" / "transmission.md"


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", _DOC.read_text(), re.DOTALL)
    path = tmp_path / "transmit.yaml"
    path.write_text(block.replace("/var/spool/dtesx", str(tmp_path)))
    plan, queue = load(path)
    assert queue == QueueLimits(128 << 20, str(tmp_path), 20 * 10**9)
    assert plan == Transmission(
        window=Window(time(21), time(4)),
        start=datetime(2026, 11, 21, 22),
        interval=timedelta(days=1),
        time_limit=timedelta(hours=2),
        byte_limit=50 * 10**9,
        bandwidth=20 * 10**6,
        rates=(Rate(Window(time(8), time(18)), 2 * 10**6),),
    )


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def parsed(text: str) -> tuple[Transmission, QueueLimits]:
        path = tmp_path / "transmit.yaml"
        path.write_text(text)
        return load(path)

    return parsed


def test_a_threshold(read: Read) -> None:
    assert read("threshold: 40%") == read("threshold: 40") == (Transmission(threshold=40), QueueLimits())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a transmission file is a list of fields"),
        ("[1]", "a transmission file is a list of fields"),
        ("a: [", "not valid YAML"),
        ("windows: 1", ":1: unknown field windows; did you mean window?"),
        ("window: 21:00", "'21:00' is no window; write 21:00-04:00"),
        ("window: [1]", ":1: window must be text, not a list"),
        ("window: 25:00-04:00", "no time of day"),
        ("window: 4:00-4:00", "no time of day"),
        ("start: tomorrow", "no date and time"),
        ("start: 2026-11-21T22:00+01:00", "local time"),
        ("interval: 1d", "needs a start"),
        ("bandwidth: fast", "such as 10MB/s"),
        ("bandwidth: 5 apples", "10MB/s"),
        ("rates: 5", ":1: rates must be a list, not a whole number"),
        ("rates: [{window: 01:00-02:00}]", ":1: rates[0].bandwidth is missing"),
        (
            "rates:\n  - {window: 01:00-02:00, bandwidth: fast}",
            " rates[0].bandwidth: 'fast' is not a rate",
        ),
        ("bandwidth: 100", "at least 4096"),
        ("byte_limit: 5GB", "needs sessions"),
        ("window: 21:00-04:00\nqueue:\n  memory: much", ":3: queue.memory: 'much' is not a size"),
        ("queue: {memory: 1MiB}", "at least 32 MiB"),
        ("queue: {alert: full}", "queue.alert: 'full' is no percentage"),
    ],
)
def test_mistakes_are_named(read: Read, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)) as raised:
        read(text)
    assert "transmit.yaml:" in raised.value.message


@given(st.text(max_size=40))
def test_nothing_else_comes_out_of_garbage(text: str) -> None:
    with suppress(UsageError):
        yaml_file.parse(text, "t", TransmissionSpec, "it", hint="-")


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("500", 500), ("64k", 65536), ("10MB", 10**7), ("1.5 MiB", 1536 << 10), ("2GiB", 2 << 30)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "rate"), [("10MB/s", 10**7), ("80Mbit/s", 10**7), ("512k", 512 << 10), ("8kbit", 1000)]
)
def test_rates(text: str, rate: int) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("7d", 604800), ("1.5h", 5400)])
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "-5", "5 5", "10MB/s/s", "٣MB", "1e9"])
def test_no_quantities(text: str) -> None:
    for read in (parse_size, parse_rate, parse_duration):
        with pytest.raises(ValueError, match=r"\w"):
            read(text)
