from __future__ import annotations

from pathlib import Path

import pytest

from dtesx.base.errors import DtesxError, Refused
from dtesx.management.pairings import Pairings
from dtesx.model.api import PairReply, PairRequest
from dtesx.wire import pairing
from dtesx.wire.identity import Identity, create

SOURCE = create("source")
APPLIANCE = create("appliance")


def request(token: str, client: Identity = APPLIANCE, seen: Identity = SOURCE) -> PairRequest:
    nonce = pairing.new_nonce()
    proof = pairing.client_proof(token, nonce, client.fingerprint, seen.fingerprint)
    return PairRequest(client.certificate, nonce, proof)


def token(state: Path) -> str:
    return (state / "token").read_text().strip()


def paired(state: Path, pairings: Pairings) -> PairReply:
    return pairings.pair(request(token(state)))


def test_pairing_gives_a_bearer_that_survives_a_restart(tmp_path: Path) -> None:
    pairings = Pairings(tmp_path, SOURCE, "alpha")
    assert not pairings.paired
    reply = paired(tmp_path, pairings)
    assert reply.hostname == "alpha"
    again = Pairings(tmp_path, SOURCE, "alpha")
    assert again.paired
    assert again.authorised(reply.bearer)
    assert not again.authorised(reply.bearer + "x")
    assert not again.authorised("")


def test_a_wrong_token_is_refused_with_the_way_to_the_right_one(tmp_path: Path) -> None:
    pairings = Pairings(tmp_path, SOURCE, "alpha")
    with pytest.raises(Refused) as caught:
        pairings.pair(request("abcd-efgh"))
    assert str(tmp_path / "token") in caught.value.hint
    assert not pairings.paired
    paired(tmp_path, pairings)  # and it did not spend the token


def test_a_token_works_once(tmp_path: Path) -> None:
    pairings = Pairings(tmp_path, SOURCE, "alpha")
    used = request(token(tmp_path))
    pairings.pair(used)
    with pytest.raises(Refused):
        pairings.pair(used)
    with pytest.raises(Refused):
        Pairings(tmp_path, SOURCE, "alpha").pair(used)


def test_a_proof_for_another_certificate_is_refused(tmp_path: Path) -> None:
    pairings = Pairings(tmp_path, SOURCE, "alpha")
    middle = create("someone in the middle")
    seen_by_caller = request(token(tmp_path), seen=middle)
    with pytest.raises(Refused):
        pairings.pair(seen_by_caller)
    swapped = request(token(tmp_path))
    with pytest.raises(Refused):
        pairings.pair(PairRequest(middle.certificate, swapped.nonce, swapped.proof))


def test_pairing_again_replaces_the_bearer(tmp_path: Path) -> None:
    pairings = Pairings(tmp_path, SOURCE, "alpha")
    first = paired(tmp_path, pairings)
    second = paired(tmp_path, pairings)
    assert pairings.authorised(second.bearer)
    assert not pairings.authorised(first.bearer)


def test_nothing_on_disk_gives_access(tmp_path: Path) -> None:
    reply = paired(tmp_path, Pairings(tmp_path, SOURCE, "alpha"))
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o077 == 0
        assert reply.bearer not in path.read_text()


def test_a_damaged_file_is_explained(tmp_path: Path) -> None:
    (tmp_path / "pairings.json").write_text("{")
    with pytest.raises(DtesxError, match="damaged"):
        Pairings(tmp_path, SOURCE, "alpha")
