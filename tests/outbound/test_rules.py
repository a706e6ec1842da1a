"""What may be reached, judged by the text of a URL and by IP addresses."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from connector.errors import AddressRefused, ConfigurationError
from connector.outbound.client import OutboundClient
from connector.outbound.rules import Judge, OutboundRules, shown, vet

STRICT = OutboundRules()
HTTP = OutboundRules(allow_http=True)
OPEN = OutboundRules(allow_http=True, allow_loopback=True, allow_private=True)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://data.example.org/p/dsp", "data.example.org", 443),
        ("HTTPS://Data.Example.ORG.:8443?x=1", "data.example.org", 8443),
        ("https://93.184.215.14/", "93.184.215.14", 443),
        ("https://[2606:4700::1111]:444/a", "2606:4700::1111", 444),
        ("https://xn--bcher-kva.example", "xn--bcher-kva.example", 443),
    ],
)
def test_lawful_addresses_pass_the_strict_rules(url, host, port):
    target = vet(url, STRICT)
    assert (target.host, target.port) == (host, port)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "ftp://example.org/",
        "file:///etc/passwd",
        "gopher://example.org",
        "javascript:alert(1)",
        "//example.org/x",
        "example.org",
        "",
        "https://",
        "https:///x",
        "https://user:secret@example.org/",
        "https://example.org@169.254.169.254/",
        "https://example.org\\@127.0.0.1/",
        "https://example.org:0/",
        "https://example.org:65536/",
        "https://example.org:99999999/",
        "https://exa mple.org/",
        "https://example.org/\r\nHost: x",
        "https://example.org/ü",
        "https://bücher.example/",
        "https://ex%61mple.org/",
        "https://[fe80::1%25eth0]/",
        "https://[::1",
        "https://[zz::]/",
        "https://localhost/",
        "https://a.localhost./",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://017700000001/",
        "https://127.0.0.1./",
        "https://0/",
        "https://[::]/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[::127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://[2002:7f00:1::]/",
        "https://[2001:0:1::1]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fd00:ec2::254]/",
        "https://168.63.129.16/",
        "https://10.0.0.1/",
        "https://172.16.0.1/",
        "https://192.168.1.1/",
        "https://100.64.0.1/",
        "https://[fd12::1]/",
        "https://[fe80::1]/",
        "https://224.0.0.1/",
        "https://[ff02::1]/",
        "https://255.255.255.255/",
        "https://" + "a" * 5000,
    ],
)
def test_everything_else_is_refused_with_a_reason_and_a_mend(url):
    with pytest.raises(AddressRefused) as caught:
        vet(url, STRICT)
    assert caught.value.what
    assert caught.value.mend
    assert "secret" not in str(caught.value)


def test_spellings_that_hide_an_address_are_refused_even_where_the_address_is_allowed():
    for url in ("http://2130706433/", "http://127.1/", "http://0177.0.0.1/", "http://0x7f000001/", "http://[::127.0.0.1]/"):
        with pytest.raises(AddressRefused):
            vet(url, OPEN)


def test_each_permission_opens_only_what_its_name_says():
    loopback = OutboundRules(allow_http=True, allow_loopback=True)
    private = OutboundRules(allow_private=True)
    assert vet("http://127.0.0.1:8080/", loopback).port == 8080
    assert vet("http://localhost:8080/", loopback).host == "localhost"
    assert vet("http://[::ffff:127.0.0.1]/", loopback)
    with pytest.raises(AddressRefused):
        vet("http://10.0.0.1/", loopback)
    assert vet("https://10.0.0.1/", private)
    assert vet("https://100.64.0.1/", private)
    with pytest.raises(AddressRefused):
        vet("https://127.0.0.1/", private)
    with pytest.raises(AddressRefused):
        vet("http://10.0.0.1/", private)


def test_metadata_link_local_and_this_machine_stay_closed_under_the_widest_rules():
    judge = Judge(OPEN)
    for text in ("169.254.169.254", "169.254.1.1", "fe80::1", "fd00:ec2::254", "100.100.100.200", "0.0.0.0", "::", "ff02::1"):
        assert judge.refusal(ip_address(text)) is not None, text


def test_ports_hosts_and_networks_can_be_listed():
    rules = OutboundRules(allowed_ports=(443,), allowed_hosts=("*.example.org",), denied=("bad.example.org", "203.0.113.0/24"))
    assert vet("https://a.example.org/", rules)
    for url in ("https://a.example.org:8443/", "https://example.com/", "https://BAD.example.org/"):
        with pytest.raises(AddressRefused):
            vet(url, rules)
    denied = OutboundRules(denied=("93.184.0.0/16", "2606:4700::1111"))
    for url in ("https://93.184.215.14/", "https://[2606:4700::1111]/", "https://[::ffff:93.184.215.14]/"):
        with pytest.raises(AddressRefused, match="deny list"):
            vet(url, denied)


async def test_a_network_on_the_deny_list_that_is_none_stops_the_start():
    with pytest.raises(ConfigurationError, match=r"300\.0\.0\.0/8"):
        async with OutboundClient(OutboundRules(denied=("300.0.0.0/8",))):
            pass


def test_what_is_shown_of_a_url_holds_no_secrets():
    assert shown("https://u:p@h.example/x?token=secret#f") == "https://h.example/x"
