from __future__ import annotations

import ipaddress

import pytest

from acav_spark.errors import MediaError
from acav_spark.media.sources_address import checked_addresses, is_public


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0",  # noqa: S104 - refused here
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::808:808",
        "2002:7f00:1::",
        "2001:db8::1",
        "fc00::1",
        "fe80::1",
        "ff02::1",
    ],
)
def test_special_addresses_are_not_public(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "text", ["8.8.8.8", "93.184.216.34", "2606:2800:220:1::1", "64:ff9b::808:808"]
)
def test_addresses_of_the_internet_are_public(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "host", ["127.1", "2130706433", "0x7f000001", "localhost", "fe80::1%lo", "::1"]
)
def test_private_hosts_are_refused_in_any_notation(host: str) -> None:
    with pytest.raises(MediaError, match="address_not_allowed"):
        checked_addresses(host, 80, allow_private=False, name="x")


def test_private_hosts_can_be_allowed() -> None:
    found = checked_addresses("127.1", 80, allow_private=True, name="x")
    assert found == ["127.0.0.1"]
