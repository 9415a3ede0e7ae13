"""What tells a person in a document, what masking leaves, and the keyed digests of what must not come back."""

from collections.abc import Mapping
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pay_ready.db.erasure import StateLine, rebased
from pay_ready.errors import UsageError
from pay_ready.model.ids import SourceId
from pay_ready.pipeline.erase.rows import names_pattern
from pay_ready.pipeline.land.suppress import ERASED, Theirs, digest_of, id_text, key_text, masked, plain_key
from pay_ready.pipeline.subject import Subject, read_subject
from pay_ready.secrets import Keyring, generate_key

KNOWN: Mapping[str, frozenset[str]] = {
    "email": frozenset({"ann@x.example"}), "phone": frozenset({"+12065550142"}), "record": frozenset({"UANN00001"}),
}  # fmt: skip
ANN = Theirs(knows=lambda kind, text: text in KNOWN[kind], region="US")
NAMED = Theirs(knows=ANN.knows, region="US", names=names_pattern(["Ann Lee"], ["Ann"]))
_LEAVES = st.none() | st.booleans() | st.integers(0, 999) | st.sampled_from(["bob", "text", "bob@x.example", "+12065550199", "U0", ""])
_DOCUMENTS = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4), max_leaves=20
)


@pytest.mark.parametrize(
    ("document", "clean"),
    [
        ("ann@x.example", None),
        ("ANN@X.Example ", None),
        ("ask ann@x.example or (206) 555-0142 today", f"ask {ERASED} or {ERASED} today"),
        ({"to": "ann@x.example", "body": "stays"}, {"to": None, "body": "stays"}),
        ({"phone": 12065550142, "amount": 12}, {"phone": None, "amount": 12}),
        (["UANN00001", "UBOB00001"], ["UBOB00001"]),
        ([{"email": "ann@x.example", "name": "Ann", "age": 5}, {"name": "Bob"}],
         [{"email": None, "name": None, "age": 5}, {"name": "Bob"}]),
        ([{"speaker": "UANN00001", "said": [{"at": 1, "text": "hm"}]}], [{"speaker": None, "said": [{"at": 1, "text": None}]}]),
        ([{"fields": [{"name": "Email", "value": "ann@x.example"}, {"name": "Name", "value": "Ann"}]}],
         [{"fields": [{"name": None, "value": None}, {"name": None, "value": None}]}]),
        ([{"profile": {"email": "ann@x.example"}, "name": "Ann"}], [{"profile": {"email": None}, "name": None}]),
        ("hi <@UANN00001>", f"hi <@{ERASED}>"),
    ],
)  # fmt: skip
def test_what_masking_leaves(document: object, clean: object) -> None:
    """A value as a whole goes, in a text it is struck out, an element of a list that holds one loses its texts."""
    assert masked(document, ANN) == clean


def test_names_are_struck_as_words_and_as_they_are_written() -> None:
    """Full names in any case and order; a given name alone only as names are written."""
    assert NAMED.strike("ann lee, Lee, Ann and LEE ANN; Ann, ANN but ann and Anna") == (
        f"{ERASED}, {ERASED} and {ERASED}; {ERASED}, {ERASED} but ann and Anna"
    )


@given(document=_DOCUMENTS)
def test_what_is_others_stays_as_it_is(document: object) -> None:
    """A document without a value of theirs is the very same object: nothing is written."""
    assert masked(document, ANN) is document


@given(document=_DOCUMENTS, value=st.sampled_from(["ann@x.example", "+1 206 555 0142", "UANN00001"]), key=st.sampled_from("abcd"))
def test_nothing_is_left_of_them_and_masking_twice_is_as_once(document: object, value: str, key: str) -> None:
    """Wherever a value stands, it does not stand there afterwards."""
    clean = masked({"in": document, key: [value, {"x": value, "y": [document, f"say {value}."]}], "z": value}, ANN)
    assert value not in str(clean)
    assert masked(clean, ANN) == clean


def test_digests_depend_on_key_tenant_kind_and_source() -> None:
    """The same address has another digest in every tenant and under every key; keys are looked for, newest first."""
    ring, other = Keyring.from_text(generate_key()), Keyring.from_text(generate_key())
    tenants = [uuid4(), uuid4()]
    keys = [key for each in (ring, other) for tenant in tenants for key in each.digest_keys(tenant)]
    digests = {digest_of(key, kind, "same") for key in keys for kind in ("email", "phone", "record")}
    assert len(digests) == 12
    assert all(len(each) == 32 for each in digests)
    source = SourceId(UUID(int=1))
    assert len({key_text(source, "a", "b"), key_text(source, "a", "c"), id_text(source, "b")}) == 3
    both = Keyring((*other.keys, *ring.keys))
    assert both.digest_keys(tenants[0])[1] == ring.digest_keys(tenants[0])[0]
    assert "digest_key" not in repr(ring)


def test_a_key_that_is_a_digest_is_suppressed_without_its_ordinal() -> None:
    """Landing numbers records without a key after it looked."""
    assert plain_key("ab" * 32 + ".3") == "ab" * 32
    assert plain_key("12.3") == "12.3"


@given(
    lines=st.lists(st.tuples(st.integers(1, 5), st.none() | st.integers(2, 6), st.integers(0, 2**256 - 1)), max_size=8),
    run_no=st.integers(1, 6),
    digest=st.binary(min_size=32, max_size=32),
)
def test_rebasing_is_undone_by_its_opposite(lines: list[tuple[int, int | None, int]], run_no: int, digest: bytes) -> None:
    """Lines taken and put back give the digest that was; lines of other runs do not matter."""
    rows = [StateLine(opened=opened, closed=closed, number=number) for opened, closed, number in lines]
    without = rebased(digest, run_no, rows, [])
    assert rebased(without, run_no, [], rows) == digest
    assert without == rebased(digest, run_no, [row for row in rows if row.holds_in(run_no)], [])


@pytest.mark.parametrize("text", ["ann@x.example", "email:", "email:nothing", "phone:88", "record:7", "entity:ann", "name:Ann"])
def test_what_names_no_subject_is_refused_without_repeating_it(text: str) -> None:
    """One line with the way to write it, and no value in it."""
    with pytest.raises(UsageError) as refused:
        read_subject(text, "US")
    assert text.partition(":")[2] not in str(refused.value) or not text.partition(":")[2]


def test_a_subject_keeps_its_value_out_of_its_repr() -> None:
    """Whatever prints it prints its kind alone."""
    assert "ann" not in repr(Subject(kind="email", value="ann@x.example"))
