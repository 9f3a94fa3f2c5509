import pytest

from dtesx.lab.sniff import Station, arp_request, mac_bytes, sender_address, sweep

MAC = "00:50:56:00:00:11"
OTHER = "52:54:00:77:00:0a"


def reply(mac: str, address: str) -> bytes:
    return arp_request(Station(mac, address), "10.77.0.1")


def ipv4(mac: str, source: bytes) -> bytes:
    return b"\xff" * 6 + mac_bytes(mac) + b"\x08\x00" + bytes(12) + source + bytes(20)


def test_an_arp_frame_of_the_guest_shows_its_address() -> None:
    assert sender_address(reply(MAC, "10.77.0.11"), MAC) == "10.77.0.11"


def test_an_ip_packet_of_the_guest_shows_its_address() -> None:
    assert sender_address(ipv4(MAC, bytes([10, 77, 0, 11])), MAC) == "10.77.0.11"


@pytest.mark.parametrize(
    "frame",
    [
        reply(OTHER, "10.77.0.10"),
        reply(MAC, "0.0.0.0"),  # an ARP probe, before the address is taken
        ipv4(MAC, bytes(4)),  # DHCP discover
        ipv4(MAC, bytes([169, 254, 1, 1])),
        b"\xff" * 6 + mac_bytes(MAC) + b"\x86\xdd" + bytes(60),  # IPv6
        reply(MAC, "10.77.0.11")[:30],
        b"",
    ],
)
def test_other_frames_show_nothing(frame: bytes) -> None:
    assert sender_address(frame, MAC) == ""


def test_a_forwarded_arp_reply_for_another_station_is_not_the_guests() -> None:
    frame = bytearray(reply(MAC, "10.77.0.99"))
    frame[22:28] = mac_bytes(OTHER)
    assert sender_address(bytes(frame), MAC) == ""


def test_a_sweep_asks_for_each_host_but_the_asker() -> None:
    frames = list(sweep("10.77.0.0/29", Station(OTHER, "10.77.0.1")))
    assert [frame[38:42] for frame in frames] == [bytes([10, 77, 0, n]) for n in range(2, 7)]
    assert all(len(frame) == 60 and frame[12:14] == b"\x08\x06" for frame in frames)
