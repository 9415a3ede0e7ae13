"""Whether a stream is likely to bring new keys alone."""

from pay_ready.db.novelty import Novelty


def test_a_flush_of_new_keys_is_followed_by_another() -> None:
    """Nothing is believed of a stream before its first flush, nor after one that brought a key again."""
    novelty = Novelty()
    assert not novelty.is_likely(["people"])
    novelty.found("people", only_new=True)
    assert novelty.is_likely(["people"])
    assert not novelty.is_likely(["people", "companies"])
    novelty.found("people", only_new=False)
    assert not novelty.is_likely(["people"])


def test_a_wrong_belief_makes_wary() -> None:
    """Each one doubles how many flushes in a row it takes to come back."""
    novelty = Novelty()
    novelty.found("people", only_new=True)
    for asked in (2, 4, 8):
        novelty.was_wrong(["people"])
        for _ in range(asked):
            assert not novelty.is_likely(["people"])
            novelty.found("people", only_new=True)
        assert novelty.is_likely(["people"])
