"""The messages that frames carry, and their codec. Whatever does not decode raises ProtocolError."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

import msgspec

from dtesx.base.described import described
from dtesx.model.epoch import Epoch, InsertedTask
from dtesx.model.roots import ReplicaRoot, SourceRoot
from dtesx.model.tasks import TaskResult
from dtesx.wire.errors import ProtocolError
from dtesx.wire.frames import Frame, FrameType
from dtesx.wire.items import Item
from dtesx.wire.operations import Operations
from dtesx.wire.sums import Sums, SumsRequest


class Hello(msgspec.Struct, frozen=True):
    """Asks to be let in; the first frame of a TLS connection. A map: it must be readable across versions.

    ``stream`` names the stream (16 random bytes) that the connection belongs to, as its number
    ``slot``; ``resume`` when the stream has begun, so that it makes no sense to a target that does not
    know it. ``received`` is the source's position in what the target sends. With ``existing`` nothing
    is to be made or bound: the source looks at, or tidies up, what is there. ``proof`` answers the
    target's Challenge, without TLS only.
    """

    protocol: int
    job: str
    roots: tuple[str, ...]
    software: str = ""
    stream: bytes = bytes(16)
    slot: int = 0
    resume: bool = False
    received: int = 0
    existing: bool = False
    proof: str = ""


class Welcome(msgspec.Struct, frozen=True):
    """The target lets the source in; ``received`` is its position in what the source sends."""

    protocol: int
    software: str = ""
    received: int = 0


class Knock(msgspec.Struct, frozen=True):
    """First frame of a source that proves who it is by a secret instead of TLS. A map, like Hello.

    ``source`` is the fingerprint of its certificate, ``nonce`` wire.pairing's, as in Challenge.
    """

    protocol: int
    source: str
    nonce: str


class Challenge(msgspec.Struct, frozen=True):
    """The target's answer to Knock: Hello or Pair must follow, with a proof over both nonces.

    ``certificate`` (PEM) is the target's. ``proof`` shows that the target shares a secret with the
    source; empty when it does not know the source.
    """

    certificate: str
    nonce: str
    proof: str = ""


class Pair(msgspec.Struct, frozen=True):
    """A source makes itself known by the target's token; ``certificate`` (PEM) is its own."""

    certificate: str
    hostname: str
    proof: str


class Paired(msgspec.Struct, frozen=True):
    """The target knows the source from now on; ``proof`` shows that it knows the token, too."""

    proof: str


class Refusal(msgspec.Struct, frozen=True):
    """The target does not let the source in; ``code`` is one of base.errors."""

    code: str
    message: str
    hint: str = ""
    protocol: int = 0


class List(msgspec.Struct, frozen=True, array_like=True):
    """Ask for everything below a root; ``credit`` listing frames may be sent without asking again.

    With ``sums``, small files are to be listed with the sum of their content.
    """

    root: int
    credit: int
    sums: bool = False


class Credit(msgspec.Struct, frozen=True, array_like=True):
    """Room for so many more listing frames."""

    frames: int


class Replicas(msgspec.Struct, frozen=True, array_like=True):
    """The roots of the Hello as they are on the target; the first that it says in a stream.

    ``epoch`` is the last one that was applied to them; None when they never were whole. ``kept`` is the last
    one that will be applied, or was.
    """

    roots: tuple[ReplicaRoot, ...]
    epoch: Epoch | None = None
    kept: Epoch | None = None


class Bind(msgspec.Struct, frozen=True, array_like=True):
    """A root will be mirrored now, as the source sees it: the target is to remember that."""

    root: int
    seen: SourceRoot


class Directory(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a directory holds, sorted by name. Large ones come in several parts with equal path.

    In an Answer ``more`` says that a further part follows.
    ``own`` is the directory itself; set for the root only (others are in their parent's list).
    """

    path: bytes
    items: list[Item]
    own: Item | None = None
    more: bool = False


class Listing(msgspec.Struct, frozen=True, array_like=True):
    """Directories in walking order (parents first, sorted by components); ``last`` ends the root."""

    root: int
    directories: list[Directory]
    last: bool = False


Question = tuple[bytes, bytes, list[bytes] | None]
"""About one directory: its path, the digest of its content on the source, and the names it is about.

The digest is empty where the target's names are wanted in any case; None stands for all names.
"""


class Ask(msgspec.Struct, frozen=True, array_like=True):
    """What does the target have in these directories of a root? Parents come first.

    ``last``: there are no more questions about this root. ``sums``: small files are to be read for
    the sum of their content. ``whole``: all directories of the root are asked about.
    """

    root: int
    directories: list[Question]
    last: bool = False
    sums: bool = False
    whole: bool = True


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """What the target has, in the order of asking.

    A number stands for so many directories that have the same digest (above 0) or that the target
    does not have (below 0).
    """

    root: int
    directories: list[int | Directory]


class Acknowledgement(msgspec.Struct, frozen=True, array_like=True):
    """The stream's frames up to number ``applied`` were carried out, up to ``durable`` are on disk."""

    applied: int
    durable: int


class Report(msgspec.Struct, frozen=True, array_like=True):
    """What came of operations since the last report.

    ``problems`` are paths that failed, with the reason, ``removed`` counts the names that went,
    ``removed_bytes`` what they held.
    """

    problems: list[tuple[bytes, str]] = []
    removed: int = 0
    removed_bytes: int = 0


class Hold(StrEnum):
    """Why a target does not go on: its user's wish, want of space, another passing reason."""

    PAUSED = "paused"
    FULL = "full"
    BUSY = "busy"


class Paused(msgspec.Struct, frozen=True):
    """Nothing is applied on the target for the time being; Resumed ends that.

    Unless it is paused by its user, it tries again by itself, and says so each time. With ``stop`` it
    has no memory for more: nothing is to be sent until it says otherwise.
    """

    why: Hold
    reason: str
    stop: bool = False


class Resumed(msgspec.Struct, frozen=True, array_like=True):
    """The target goes on."""


class Commit(msgspec.Struct, frozen=True, array_like=True):
    """The root is complete: make everything of it durable."""

    root: int


class Committed(msgspec.Struct, frozen=True, array_like=True):
    """Everything of the root is on disk."""

    root: int


class EpochBegin(msgspec.Struct, frozen=True, array_like=True):
    """The operations up to the next EpochEnd, about any root, are to be applied whole or not at all."""


class EpochEnd(msgspec.Struct, frozen=True, array_like=True):
    """The epoch is complete; ``tasks`` run when it is applied. Numbers rise, with or without gaps."""

    epoch: Epoch
    tasks: tuple[InsertedTask, ...] = ()


class EpochApplied(msgspec.Struct, frozen=True, array_like=True):
    """The replica is what the epoch says; the target will not lose that."""

    number: int


class EpochKept(msgspec.Struct, frozen=True, array_like=True):
    """The target has the epoch on disk. It waits there to be applied, or to be discarded."""

    number: int


class TaskEnded(msgspec.Struct, frozen=True, array_like=True):
    """A task of an epoch has ended, now or when it was asked for the first time."""

    result: TaskResult


class Goodbye(msgspec.Struct, frozen=True, array_like=True):
    """The source needs nothing more; the target may forget the stream, and closes."""


class Failure(msgspec.Struct, frozen=True):
    """The session cannot go on; ``code`` is one of base.errors. The sender then closes."""

    code: str
    message: str
    hint: str = ""


Message = (
    Hello
    | Knock
    | Challenge
    | Pair
    | Paired
    | Welcome
    | Refusal
    | Replicas
    | Bind
    | List
    | Credit
    | Listing
    | Ask
    | Answer
    | Operations
    | Acknowledgement
    | Report
    | Paused
    | Resumed
    | Commit
    | Committed
    | EpochBegin
    | EpochEnd
    | EpochApplied
    | EpochKept
    | TaskEnded
    | Goodbye
    | Failure
    | SumsRequest
    | Sums
)

_CLASSES: dict[FrameType, type[Message]] = {
    FrameType.HELLO: Hello,
    FrameType.KNOCK: Knock,
    FrameType.CHALLENGE: Challenge,
    FrameType.PAIR: Pair,
    FrameType.PAIRED: Paired,
    FrameType.WELCOME: Welcome,
    FrameType.REFUSAL: Refusal,
    FrameType.REPLICAS: Replicas,
    FrameType.BIND: Bind,
    FrameType.LIST: List,
    FrameType.CREDIT: Credit,
    FrameType.LISTING: Listing,
    FrameType.ASK: Ask,
    FrameType.ANSWER: Answer,
    FrameType.OPERATIONS: Operations,
    FrameType.ACKNOWLEDGEMENT: Acknowledgement,
    FrameType.REPORT: Report,
    FrameType.PAUSED: Paused,
    FrameType.RESUMED: Resumed,
    FrameType.COMMIT: Commit,
    FrameType.COMMITTED: Committed,
    FrameType.EPOCH_BEGIN: EpochBegin,
    FrameType.EPOCH_END: EpochEnd,
    FrameType.EPOCH_APPLIED: EpochApplied,
    FrameType.EPOCH_KEPT: EpochKept,
    FrameType.TASK_ENDED: TaskEnded,
    FrameType.GOODBYE: Goodbye,
    FrameType.FAILURE: Failure,
    FrameType.SUMS_REQUEST: SumsRequest,
    FrameType.SUMS: Sums,
}
_TYPES = {cls: kind for kind, cls in _CLASSES.items()}
_DECODERS = {kind: msgspec.msgpack.Decoder(described(cls)) for kind, cls in _CLASSES.items()}
_ENCODER = msgspec.msgpack.Encoder()

M = TypeVar("M")


def encode(message: Message) -> tuple[FrameType, bytes]:
    """The frame type and table of a message."""
    return _TYPES[type(message)], _ENCODER.encode(message)


def decode(frame: Frame) -> Message:
    """The message of a frame; only operations may carry a blob. Raises ProtocolError."""
    if frame.blob and frame.type is not FrameType.OPERATIONS:
        raise ProtocolError(f"{frame.type.name} frame with a blob")
    try:
        return _DECODERS[frame.type].decode(frame.table)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ProtocolError(f"malformed {frame.type.name} frame: {error}") from error


def expect(message: Message, cls: type[M]) -> M:
    """The message as ``cls``; raises ProtocolError when it is another one."""
    if not isinstance(message, cls):
        raise ProtocolError(f"{type(message).__name__} arrived where {cls.__name__} was due")
    return message
