"""A target's sources, and the challenge between the two ends."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from dtesx.base.errors import DtesxError, Refused
from dtesx.replication.knocking import proof
from dtesx.replication.sources import Sources, Visit
from dtesx.wire import messages, pairing
from dtesx.wire.channel import Channel
from dtesx.wire.errors import ProtocolError
from dtesx.wire.identity import Identity, create
from dtesx.wire.messages import Challenge, Knock, Pair
from dtesx.wire.pairing import Shared
from dtesx.wire.protocol import PROTOCOL

TOKEN = "abcd-efgh"
SOURCE, TARGET, OTHER = create("source"), create("target"), create("other")


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return opened(tmp_path)


def opened(where: Path) -> Sources:
    (where / "token").write_text(f"{TOKEN}\n")
    return Sources(where / "sources", TARGET, where / "token", plain=True)


def knock(identity: Identity = SOURCE) -> Knock:
    return Knock(PROTOCOL, identity.fingerprint, pairing.new_nonce())


def request(visit: Visit, identity: Identity = SOURCE, token: str = TOKEN) -> Pair:
    told = pairing.client_proof(token, visit.nonce, identity.fingerprint, TARGET.fingerprint)
    return Pair(identity.certificate, "host", told)


def paired(sources: Sources, identity: Identity = SOURCE, token: str = TOKEN) -> Shared:
    visit = sources.visit(knock(identity))
    visit.pair(request(visit, identity, token))
    return pairing.shared(token, identity.fingerprint, TARGET.fingerprint)


def der(identity: Identity) -> bytes:
    return ssl.PEM_cert_to_DER_cert(identity.certificate)


def test_a_source_that_paired_is_known_after_a_restart_and_needs_no_token(
    sources: Sources, tmp_path: Path
) -> None:
    shared = paired(sources)
    (tmp_path / "token").unlink()
    for known in (sources, Sources(tmp_path / "sources", TARGET, tmp_path / "token", plain=True)):
        assert known.knows(der(SOURCE))
        visit = known.visit(knock())
        assert visit.challenge.proof == shared.server_proof(visit.nonce)
        assert visit.recognise(shared.client_proof(visit.nonce)) == der(SOURCE)


def test_both_files_are_private_and_make_a_source_known(sources: Sources, tmp_path: Path) -> None:
    paired(sources)
    files = sorted((tmp_path / "sources").iterdir())
    assert [path.suffix for path in files] == [".crt", ".secret"]
    assert [path.stat().st_mode & 0o777 for path in files] == [0o600, 0o600]
    for path in files:
        content = path.read_text()
        path.unlink()
        assert not opened(tmp_path).knows(der(SOURCE))
        path.write_text(content)
    assert opened(tmp_path).knows(der(SOURCE))


def test_pairing_by_a_new_token_changes_the_secret(sources: Sources, tmp_path: Path) -> None:
    old = paired(sources)
    assert paired(sources) == old
    (tmp_path / "token").write_text("ijkl-mnop\n")
    new = paired(sources, token="ijkl-mnop")
    assert new != old
    for known in (sources, opened(tmp_path)):
        visit = known.visit(knock())
        visit.recognise(new.client_proof(visit.nonce))
        with pytest.raises(Refused):
            visit.recognise(old.client_proof(visit.nonce))


def test_a_wrong_token_changes_nothing(sources: Sources, tmp_path: Path) -> None:
    visit = sources.visit(knock())
    with pytest.raises(Refused, match="token"):
        visit.pair(request(visit, token="abcd-efgi"))
    assert not sources.knows(der(SOURCE))
    assert not list((tmp_path / "sources").iterdir())


def test_a_proof_is_good_for_one_visit_of_one_source(sources: Sources) -> None:
    shared, others = paired(sources), paired(sources, OTHER)
    visit = sources.visit(knock())
    wrong = [
        "",
        shared.server_proof(visit.nonce),
        visit.challenge.proof,
        others.client_proof(visit.nonce),
        shared.client_proof(sources.visit(knock()).nonce),
        pairing.client_proof(TOKEN, visit.nonce, SOURCE.fingerprint, TARGET.fingerprint),
    ]
    for answer in wrong:
        with pytest.raises(Refused, match="does not know"):
            visit.recognise(answer)
    old = request(visit)
    with pytest.raises(Refused, match="token"):
        sources.visit(knock()).pair(old)


def test_a_stranger_gets_no_proof_and_gives_none(sources: Sources) -> None:
    visit = sources.visit(knock(OTHER))
    assert visit.challenge.proof == ""
    empty = Shared("", OTHER.fingerprint, TARGET.fingerprint)
    with pytest.raises(Refused):
        visit.recognise(empty.client_proof(visit.nonce))


@pytest.mark.parametrize("nonce", ["", "a", "a" * 1000])
def test_nonces_are_whole(sources: Sources, nonce: str) -> None:
    with pytest.raises(ProtocolError, match="nonce"):
        sources.visit(msgspec.structs.replace(knock(), nonce=nonce))


def test_a_certificate_that_is_none(sources: Sources) -> None:
    visit = sources.visit(knock())
    with pytest.raises(ProtocolError):
        visit.pair(msgspec.structs.replace(request(visit), certificate="nonsense"))


Reply = Callable[[Knock], Challenge]


def told(shared: Shared, reply: Reply) -> str:
    """The proof that a source with ``shared`` sends to a target that replies so."""
    here, there = socket.socketpair()
    ours, theirs = Channel(here), Channel(there)

    def answer() -> None:
        message = messages.decode(theirs.receive())
        assert isinstance(message, Knock)
        theirs.send(reply(message))

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        return proof(ours, shared, "there:1500")
    finally:
        thread.join(10)
        ours.close()
        theirs.close()


def test_a_source_proves_itself_to_the_target_that_it_knows(sources: Sources) -> None:
    shared = paired(sources)
    visits = []

    def reply(message: Knock) -> Challenge:
        visits.append(sources.visit(message))
        return visits[0].challenge

    answer = told(shared, reply)
    assert visits[0].recognise(answer) == der(SOURCE)


def test_a_source_proves_nothing_to_others(sources: Sources) -> None:
    shared = paired(sources)

    def fails(reply: Reply, message: str, error: type[DtesxError] = Refused) -> None:
        with pytest.raises(error, match=message) as caught:
            told(shared, reply)
        assert caught.value.hint

    old = sources.visit(knock()).challenge
    fails(lambda _: old, "does not know this source")
    fails(lambda _: Challenge(TARGET.certificate, pairing.new_nonce()), "does not know this source")
    fails(lambda _: Challenge(OTHER.certificate, pairing.new_nonce(), "x"), "another certificate")
    fails(lambda _: Challenge("nonsense", pairing.new_nonce(), "x"), "certificate", ProtocolError)
    fails(lambda _: Challenge(TARGET.certificate, "", "x"), "nonce", ProtocolError)
    mirrored = replace(shared, client_fp=shared.server_fp, server_fp=shared.client_fp)
    fails(
        lambda seen: Challenge(
            TARGET.certificate, nonce := pairing.new_nonce(), mirrored.client_proof(seen.nonce + nonce)
        ),
        "does not know this source",
    )
