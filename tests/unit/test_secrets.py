"""The cipher of credentials: bound to its place, closed to any change, and its keys rotate."""

import os
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pay_ready.errors import SecretError
from pay_ready.secrets import Keyring, generate_key

KEY, OLD_KEY = generate_key(), generate_key()
RING = Keyring.from_text(KEY)
TENANT, ROW = uuid4(), uuid4()
places = st.tuples(st.uuids(), st.text(max_size=20), st.text(max_size=20))


def seal(plain: bytes, place: tuple[UUID, str, str], ring: Keyring = RING) -> bytes:
    return ring.encrypt(plain, tenant=place[0], column=place[1], row=place[2])


def unseal(envelope: bytes, place: tuple[UUID, str, str], ring: Keyring = RING) -> bytes:
    return ring.decrypt(envelope, tenant=place[0], column=place[1], row=place[2])


@settings(deadline=None)
@given(plain=st.binary(max_size=200), place=places)
def test_what_was_sealed_opens_at_its_place(plain: bytes, place: tuple[UUID, str, str]) -> None:
    """Decrypting is the inverse of encrypting, and the plain text is not in the envelope."""
    envelope = seal(plain, place)
    assert unseal(envelope, place) == plain
    assert len(plain) < 4 or plain not in envelope


@settings(deadline=None)
@given(place=places, other=places)
def test_a_secret_opens_nowhere_else(place: tuple[UUID, str, str], other: tuple[UUID, str, str]) -> None:
    """Another tenant, column or row, even one whose parts join to the same text, cannot open it."""
    envelope = seal(b"token", place)
    tenant, column, row = place
    wrong = {
        other,
        (other[0], column, row),
        (tenant, other[1], row),
        (tenant, column, other[2]),
        (tenant, column + row, ""),
        (tenant, row, column),
    }
    for elsewhere in wrong - {place}:
        with pytest.raises(SecretError):
            unseal(envelope, elsewhere)


@settings(deadline=None)
@given(data=st.data(), plain=st.binary(max_size=40))
def test_any_flipped_bit_is_noticed(data: st.DataObject, plain: bytes) -> None:
    """Version, key id, nonce, content, tag: one changed bit anywhere and nothing opens."""
    place = (TENANT, "config", str(ROW))
    envelope = bytearray(seal(plain, place))
    bit = data.draw(st.integers(0, len(envelope) * 8 - 1))
    envelope[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SecretError):
        unseal(bytes(envelope), place)


@settings(deadline=None)
@given(cut=st.integers(0, 60))
def test_a_cut_envelope_is_noticed(cut: int) -> None:
    """No prefix of an envelope opens, nor does an envelope with something after it."""
    place = (TENANT, "config", str(ROW))
    envelope = seal(b"a secret of a good length", place)
    for broken in (envelope[:cut], envelope + b"x"):
        with pytest.raises(SecretError):
            unseal(broken, place)


def test_rotation() -> None:
    """Old envelopes open while the old key stays behind the new one, need rotation, and are closed once it is gone."""
    place = (TENANT, "config", str(ROW))
    old_ring, both = Keyring.from_text(OLD_KEY), Keyring.from_text(f"{KEY},\n{OLD_KEY}")
    old = seal(b"token", place, old_ring)
    assert both.needs_rotation(old)
    assert not old_ring.needs_rotation(old)
    new = seal(unseal(old, place, both), place, both)
    assert not both.needs_rotation(new)
    assert unseal(new, place, RING) == b"token"
    with pytest.raises(SecretError, match="a key that is not here"):
        unseal(old, place, RING)


def test_equal_values_look_different() -> None:
    """The same value sealed twice gives two envelopes, so that nobody sees who shares a password."""
    place = (TENANT, "config", str(ROW))
    assert len({seal(b"same", place) for _ in range(50)}) == 50


@pytest.mark.parametrize(
    "text",
    ["", " , ", "short", "not base64!!", generate_key()[:-8], f"{KEY},{KEY}", f"{KEY},x"],
    # Keys are random: in the tests' names they would differ between xdist's workers.
    ids=["empty", "only commas", "short", "not base64", "cut", "twice", "one of two"],
)
def test_malformed_keys_are_refused(text: str) -> None:
    """A key that is none is refused when it is read, with the command that makes one or what to change."""
    with pytest.raises(SecretError) as refused:
        Keyring.from_text(text)
    assert refused.value.hint


def test_errors_and_reprs_hold_no_secret() -> None:
    """Neither keys nor plain text show in messages, causes or reprs."""
    place = (TENANT, "config", str(ROW))
    shown = [repr(RING), str(RING.keys)]
    sealed = seal(b"opensesame", place)
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for attempt in (lambda: Keyring.from_text(KEY + "?"), lambda: unseal(changed, place)):
        with pytest.raises(SecretError) as refused:
            attempt()
        shown += [str(refused.value), repr(refused.value), repr(refused.value.__cause__)]
    text = " ".join(shown)
    assert KEY not in text
    assert KEY[:16] not in text
    assert "opensesame" not in text


def test_key_file(tmp_path: Path) -> None:
    """A key file opens as text does; one that everybody may read is refused, with the command that mends it."""
    file = tmp_path / "keys"
    file.write_text(f"{KEY}\n{OLD_KEY}\n")
    file.chmod(0o600)
    assert Keyring.from_file(file) == Keyring.from_text(f"{KEY},{OLD_KEY}")
    file.chmod(0o644)
    with pytest.raises(SecretError, match="chmod o-rw"):
        Keyring.from_file(file)
    file.chmod(0o600)
    file.write_bytes(os.urandom(40) + b"\xff")
    with pytest.raises(SecretError, match="not plain text"):
        Keyring.from_file(file)
    with pytest.raises(SecretError, match="No such file"):
        Keyring.from_file(tmp_path / "absent")
