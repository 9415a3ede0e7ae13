"""Text of others, made harmless for each output."""

import pytest

from pay_ready.agent.safe_text import clip, for_csv, for_html, for_markdown, plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31;1mred\x1b[0m b", "ared b"),
        ("a\x1b]8;;http://evil.example\x07link\x1b]8;;\x1b\\ b", "alink b"),
        ("a\x1b]0;title\x1b\\b", "ab"),
        ("a\x9b2Jb", "ab"),
        ("a\x1bcb", "ab"),
        ("unfinished \x1b]8;;http://e", "unfinished 8;;http://e"),
        ("zero\u200bwidth\u2060\ufeff", "zerowidth"),
        ("\u202eevil\u2066 \u061cx", "evil x"),
        ("tag\U000e0041\U000e007f s\U000e0101\ufe0f", "tag s"),
        ("filler\u3164\u115f\u2800.", "filler."),
        ("two\r\nlines\u2028and\ttabs\x00", "two lines and tabs"),
        ("\ud800lone", "lone"),
        ("Zoë naïve 你好 😀", "Zoë naïve 你好 😀"),
    ],
)
def test_plain(text: str, shown: str) -> None:
    """Nothing steers a terminal, nothing is hidden, and what people write stays."""
    assert plain(text) == shown


def test_html() -> None:
    """Neither an element nor the end of an attribute."""
    assert for_html("<b onclick='x'>\"&") == "&lt;b onclick=&#x27;x&#x27;&gt;&quot;&amp;"


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "'-1"), ("@SUM(A1)", "'@SUM(A1)"), ("\t=1", "'=1"), ("\u200b=1", "'=1"), ("＝1", "'＝1"),
        ("'quoted", "''quoted"), ("1=1", "1=1"), ("", ""),
    ],
)  # fmt: skip
def test_csv(text: str, cell: str) -> None:
    """What a spreadsheet would run is text; hidden marks before it do not help."""
    assert for_csv(text) == cell


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("[a](http://b)", r"\[a\](http\://b)"),
        ("![x](y)", r"!\[x\](y)"),
        ("<img src=x>", "&lt;img src=x&gt;"),
        ("# a", r"\# a"), ("- a", r"\- a"), ("1. a", r"1\. a"), ("12) a", r"12\) a"), ("2.5 is", "2.5 is"),
        ("www.a.example", r"www\.a.example"),
        ("a | b", r"a \| b"),
        ("don't (really)", "don't (really)"),
    ],
)  # fmt: skip
def test_markdown(text: str, written: str) -> None:
    """Only what could be markup is escaped, so that the source stays readable."""
    assert for_markdown(text) == written


@pytest.mark.parametrize(
    ("text", "most", "cut"),
    [
        ("short", 10, "short"),
        ("exactly ten", 11, "exactly ten"),
        ("cut between words", 10, "cut betwe…"),
        ("cut between words", 13, "cut between…"),
        ("a" * 20, 10, "a" * 9 + "…"),
        ("a " + "b" * 20, 10, "a bbbbbbb…"),
    ],
)
def test_clip(text: str, most: int, cut: str) -> None:
    """Between words where that loses less than half."""
    assert clip(text, most) == cut
