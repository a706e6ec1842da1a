"""All addresses that one owner has for the asking count as one machine."""

from __future__ import annotations

import pytest

from connector.ports.asker import asker


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:0:1::7", "2001:db8:0:1::/64"),
        ("2001:db8:0:1:ffff::1", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix:/run/kontor", "unix:/run/kontor"),
    ],
)
def test_an_address_is_counted_under_the_name_of_its_owner(address: str, name: str) -> None:
    assert asker(address) == name
