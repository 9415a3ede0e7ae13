"""The guard of webhooks, and their secret: which addresses are harmless, whatever name or form they come in."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pay_ready.errors import ConfigError, DeniedError, SecretError
from pay_ready.pipeline.alerts.webhook import Message, Webhook, is_inner, secret_of, send, signature, written_secret
from tests.watch_support import SECRET, receiving

MESSAGE = Message(message_id="msg_1", body=b"{}")
INNER = ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "0.0.0.0/8", "224.0.0.0/4",
         "255.255.255.255/32", "::1/128", "fc00::/7", "fe80::/10", "ff00::/8", "64:ff9b::/96", "2002::/16")  # fmt: skip


@given(st.sampled_from(INNER), st.integers(min_value=0))
def test_every_address_of_an_inner_network_is_refused(network: str, number: int) -> None:
    """Also as an IPv6 that holds an IPv4."""
    found = ipaddress.ip_network(network)
    address = found[number % found.num_addresses]
    assert is_inner(str(address))
    if isinstance(address, ipaddress.IPv4Address):
        assert is_inner(f"::ffff:{address}")


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_pass(address: str) -> None:
    """Public ones, in either form."""
    assert not is_inner(address)


def hook(url: str, *, allow_private: bool = False) -> Webhook:
    """A webhook."""
    return Webhook(url=url, secret=lambda: SECRET, allow_private=allow_private)


@pytest.mark.parametrize("found", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["::ffff:169.254.169.254"]])
def test_a_name_that_leads_inside_is_refused(found: list[str]) -> None:
    """One address of several is enough."""
    with pytest.raises(DeniedError, match="inner network"):
        send(hook("https://hooks.example/x"), MESSAGE, resolve=lambda *_: found)


def test_plain_http_and_addresses_that_are_none() -> None:
    """http is for inner receivers alone; no names or passwords in an address."""
    with pytest.raises(DeniedError, match="https alone"):
        send(hook("http://hooks.example/x"), MESSAGE)
    for url in (
        "ftp://hooks.example",
        "https://user:pw@hooks.example",  # pragma: allowlist secret
        "https://",
        "nonsense",
        "https://hooks.example:99999",
    ):
        with pytest.raises(ConfigError, match="not the address of a webhook"):
            send(hook(url, allow_private=True), MESSAGE)


def test_the_address_that_was_judged_is_the_one_that_is_called() -> None:
    """The name is looked up once, and nowhere else again: what it leads to by then does not matter."""
    asked = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    with receiving() as receiver:
        send(hook(f"http://no-such-host.invalid:{receiver.port}/hook", allow_private=True), MESSAGE, resolve=resolve)
    assert asked == ["no-such-host.invalid"]
    assert receiver.got[0][0]["host"] == f"no-such-host.invalid:{receiver.port}"


@given(st.binary(min_size=24, max_size=64))
def test_a_secret_is_read_as_it_is_written(key: bytes) -> None:
    """As receivers know it, with or without its prefix."""
    assert secret_of(written_secret(key)) == key
    assert secret_of(written_secret(key).removeprefix("whsec_")) == key


def test_other_secrets_are_refused() -> None:
    """Too short, too long, no base64; the error does not quote it."""
    for text in ("whsec_c2hvcnQ=", written_secret(b"x" * 65), "whsec_?"):
        with pytest.raises(SecretError) as refused:
            secret_of(text)
        assert text not in str(refused.value)


def test_the_example_of_the_specification() -> None:
    """The signature that the reference implementations agree on."""
    key = secret_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")  # pragma: allowlist secret
    body = b'{"test": 2432232314}'
    wanted = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="  # pragma: allowlist secret
    message_id = "msg_p5jXN8AQM9LWM0D4loKWxJek"  # pragma: allowlist secret
    assert signature(key, message_id, 1614265330, body) == wanted
