"""HTML as text: the lines that a browser would show, by the parser and, for large documents, tag by tag."""

import time

import pytest

from pay_ready.pipeline.mapping.html_text import html_to_text

LARGE = "<!--" + "x" * 65_536 + "-->"  # invisible, but too much for the parser


@pytest.mark.parametrize("padding", ["", LARGE], ids=["parsed", "tag by tag"])
@pytest.mark.parametrize(
    ("document", "text"),
    [
        ("", ""),
        ("plain  text\n on lines", "plain text on lines"),
        ("<p>Hi Ada,</p><p>see <b>you</b><br>soon</p>", "Hi Ada,\nsee you\nsoon"),
        ("<div>a</div>b<div><div>c</div></div>d", "a\nb\nc\nd"),
        ("AT&amp;T &lt;3 &nbsp;caf&eacute;", "AT&T <3 café"),
        ("one<br><br><br><br>two", "one\n\ntwo"),
        ("<ul><li>one</li><li><p>two</p></li></ul>", "- one\n- two"),
        ("<head><title>t</title><style>p{}</style></head><p>x</p><script>if (a<b) {}</script>", "x"),
        ("new<blockquote>old<blockquote>older</blockquote></blockquote>end", "new\n> old\n> > older\nend"),
        ("<table><tr><th>a</th><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("<pre>a\n  b</pre>c", "a\n  b\nc"),
        ("a <!-- <p> --> b", "a b"),
        ("5 < 6 and 7 > 6", "5 < 6 and 7 > 6"),
        ("<P CLASS=x>up</P>per", "up\nper"),
        ("<p>one<p>two", "one\ntwo"),
        ("x<svg><text>drawn</text></svg>y", "xy"),
    ],
)
def test_html_reads_as_a_browser_shows_it(document: str, text: str, padding: str) -> None:
    """Blocks on lines of their own, items with a dash, quoted replies behind a sign, nothing of scripts and comments."""
    assert html_to_text(padding + document) == text


@pytest.mark.parametrize(
    "document",
    [
        "<div>" * 10_000 + "deep",
        "<blockquote>" * 400_000,
        "<a " + " ".join(f"b{number}=1" for number in range(9_000)) + ">",
        "<a " + " ".join(f"b{number}=1" for number in range(400_000)) + ">",
        "<" * 2_000_000,
        "<!--" * 500_000,
        "<script>" * 300_000,
        "</p>" * 500_000,
        "\x00\ufffd&#0;&#xd800;" * 10,
    ],
    ids=["deep", "quotes", "attributes", "many attributes", "signs", "comments", "scripts", "ends", "odd"],
)
def test_no_document_takes_long(document: str) -> None:
    """Markup that costs a parser the square of its size is read in linear time: 5 MB within seconds of the processor."""
    began = time.process_time()
    html_to_text(document)
    assert time.process_time() - began < 5
