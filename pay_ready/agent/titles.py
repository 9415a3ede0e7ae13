"""One-line titles: the subject; else the keyphrase nearest to the text by its vectors, where an embedder is given; else the first sentence.

Keyphrases are runs of 2 to 4 words of the text that neither begin nor end with a stop word. Nearest to the body by MiniLM they reach 48.6
ROUGE-1 (stemmed) against the subjects that people gave 300 mails (the first sentence: 42.0), at 160 ms of CPU a mail; so the choice is the
caller's, best when it is indexed, and a page of chat messages does without.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pay_ready.agent.safe_text import clip, plain
from pay_ready.agent.sentences import split_sentences
from pay_ready.model.memory import Embedder

Masked = Callable[[str], str]  # a plain line with personal values masked

TITLE_CHARACTERS = 80
NO_TITLE = "(no text)"
_READ = 4_000  # characters of a text
_GLANCE = 400  # of them, in which its first sentence ends but for few
_MOST_PHRASES = 200
_SIZES = (2, 3, 4)  # words of a keyphrase
_LEAST_WORDS = 12  # a shorter text is its own title
_REPLY = re.compile(r"^(?:\s*(?:re|fwd?|aw|wg|sv|tr|rv)\s*(?:\[\d+\])?\s*[:：])+", re.IGNORECASE)
_GREETING = re.compile(
    r"^(?:(?:hi|hello|hey|dear|good (?:morning|afternoon|evening)|thanks|thank you|hallo|bonjour|hola)\b[^.!?,:\n]{0,40}[,.!:\n])\s*",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"[^\W_]+(?:['’&/.-][^\W_]+)*|[.!?,;:()\n]")
_WORD = re.compile(r"[^\W_]")
_STOP = frozenset(
    """a about after all also am an and any are as at be because been before being but by can cannot could did do does doing don't
    for from further had has have having he her here hers him his how i i'd i'll i'm i've if in into is isn't it it's its just let
    let's like me more most my no nor not now of off on once only or other our ours out over own per please same she should so
    some such than that that's the their theirs them then there these they this those through to too under until up us very was we
    we'd we'll we're we've were what when where which while who whom why will with would you you'd you'll you're you've your yours
    thanks thank hi hello dear regards re fw fwd get got know see one want need may might shall must going go""".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Titled:
    """What a title is made of; both parts may be empty."""

    subject: str
    text: str


def as_it_is(text: str) -> str:
    """Masks nothing."""
    return text


def title_of(subject: str, text: str, masked: Masked = as_it_is) -> str:
    """The subject without its "Re:", else the first sentence after the greeting; one line of at most TITLE_CHARACTERS, never empty."""
    line = _named(subject) or plain(_first_sentence(text)) or _named(text[:_READ]) or NO_TITLE
    return clip(masked(line), TITLE_CHARACTERS)


def titles_of(titled: Sequence[Titled], embedder: Embedder | None = None, masked: Masked = as_it_is) -> list[str]:
    """The titles, in order; those without subject by keyphrase where the embedder knows meaning.

    Raises:
        EmbeddingError, TransientError: From the embedder.
    """
    titles = [title_of(each.subject, each.text, masked) for each in titled]
    if embedder is None or embedder.is_lexical:
        return titles
    bodies = {number: plain(each.text[:_READ]) for number, each in enumerate(titled) if not _named(each.subject)}
    phrases = {number: found for number, body in bodies.items() if (found := keyphrases(titled[number].text)) and _is_long(body)}
    if not phrases:
        return titles
    told = [*(bodies[number] for number in phrases), *(phrase for found in phrases.values() for phrase in found)]
    vectors = embedder.embed(told)
    begin = len(phrases)
    for row, (number, found) in enumerate(phrases.items()):
        near = vectors[begin : begin + len(found)] @ vectors[row]
        begin += len(found)
        titles[number] = clip(masked(_capital(found[int(near.argmax())])), TITLE_CHARACTERS)
    return titles


def keyphrases(text: str) -> list[str]:
    """Candidates in order of their first appearance, each once in any case; at most 200."""
    found: dict[str, str] = {}
    run: list[str] = []
    for token in [*_TOKEN.findall(text[:_READ]), "."]:
        if _WORD.search(token):
            run.append(token)
            continue
        for size in _SIZES:
            for first in range(len(run) - size + 1):
                words = run[first : first + size]
                if words[0].lower() not in _STOP and words[-1].lower() not in _STOP and len(words[-1]) > 1:
                    found.setdefault(" ".join(words).lower(), " ".join(words))
        run = []
    return list(found.values())[:_MOST_PHRASES]


def _named(subject: str) -> str:
    return _REPLY.sub("", plain(subject)).strip()


def _first_sentence(text: str) -> str:
    body = _GREETING.sub("", text[:_READ].strip())
    # Few first sentences are long: 2 ms a text would be 100 ms a page.
    near = split_sentences(body[:_GLANCE])
    return next(iter(near if len(near) > 1 else split_sentences(body)), "")


def _is_long(body: str) -> bool:
    return len(body.split()) >= _LEAST_WORDS


def _capital(phrase: str) -> str:
    return phrase[:1].upper() + phrase[1:]
