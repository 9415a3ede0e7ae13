"""The words of a question as places where names stand: which may be one, which is only a piece of a longer, unknown one."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pay_ready.agent.date_words import MONTH, WEEKDAY
from pay_ready.agent.question_words import INTERACTION_NOUNS, PREPOSITIONS, QUESTION_WORDS, SMALL, VERBS, words_in
from pay_ready.resolve.company_words import FORMS_OF_ONE_WORD, TRADE_WORDS
from pay_ready.resolve.name_words import PARTICLES_OF_FAMILY_NAMES, TITLES
from pay_ready.resolve.normalize import fold

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*|&")
_JOINS = re.compile(r"[ .]{1,2}|-|, ?(?=(?:inc|llc|ltd|corp)\b)|", re.IGNORECASE)
_ENDS = frozenset(".?!:;\n")
_TIME = re.compile(rf"(?:{MONTH}|{WEEKDAY}|spring|summer|autumn|winter|q[1-4]|h[12]|fy\d*|ytd|mtd|qtd|eod|today)", re.IGNORECASE)
_SOURCES = words_in("slack gong hubspot salesforce zendesk intercom zoom teams gmail outlook crm")
_PLAIN = QUESTION_WORDS | _SOURCES | TITLES | words_in("qbr qbrs ebr nps csat i ok")
# What stands before somebody's name: "with priya", "does alex".
_BEFORE_A_NAME = words_in(
    "with by for from of at about to is are was did does do has had have and vs versus versus compare coach "
    "ask tell meet met how between or"
    " against show summarise summarize recap call email who like hear heard rep"
)
_BESIDE_A_NAME = PREPOSITIONS | SMALL | INTERACTION_NOUNS | _SOURCES | TITLES
# Of a firm, though questions use them as well.
_FIRM_WORDS = words_in("group holdings partners communications associates bank")
_JOINING = (PREPOSITIONS | SMALL | VERBS) - _FIRM_WORDS
_TRADES = frozenset(word.removesuffix("s") for word in TRADE_WORDS) - {word.removesuffix("s") for word in QUESTION_WORDS}
_DAYS_AND_NAMES = words_in("sun")  # "Bo Sun"; people call the day Sunday
_MAY_BE_TIME = words_in("with by did does is has ask tell met and rep")


@dataclass(frozen=True, slots=True)
class Word:
    """One word and its place."""

    text: str
    begin: int
    end: int
    large: bool  # written with a capital
    opens: bool  # a sentence
    follows: bool  # only a blank or a sign of names stands between it and the word before
    hyphen: bool  # that sign alone stands between
    initial: bool  # a single letter with its full stop
    before: str  # the word before, in lower case
    possessive: bool

    def name_end(self) -> int:
        """Where the name ends: before the "'s"."""
        return self.end - 2 if self.possessive else self.end


def words_of(text: str) -> list[Word]:
    """The words of a plain text."""
    words: list[Word] = []
    for match in _WORD.finditer(text):
        before = words[-1] if words else None
        gap = text[before.end : match.start()] if before else ""
        opens = before is None or bool(_ENDS & set(gap) and not _JOINS.fullmatch(gap))
        word = match[0]
        words.append(
            Word(
                word,
                match.start(),
                match.end(),
                large=word[0].isupper() or word == "&",
                opens=opens,
                follows=before is not None and _JOINS.fullmatch(gap) is not None,
                hyphen=gap == "-",
                initial=len(word) == 1 and text[match.end() : match.end() + 1] == ".",
                before=before.text.lower() if before else "",
                possessive=word[-2:].lower() == "'s" and len(word) > 2,
            )
        )
    return words


def is_ordinary(word: str) -> bool:
    """Whether questions are made of it, or times."""
    return word in QUESTION_WORDS or word.isdigit() or _TIME.fullmatch(word) is not None


def is_named_alone(word: Word) -> bool:
    """Whether a single word stands where a first or last name stands: large inside a sentence, or after "with", "for", "does"."""
    small = _bare(word)
    if _TIME.fullmatch(small):
        return word.large and word.before in _MAY_BE_TIME
    if small in QUESTION_WORDS:
        return word.large and word.before in _BEFORE_A_NAME and not word.opens
    return word.before in _BEFORE_A_NAME or word.large


def _bare(word: Word) -> str:
    return fold(word.text).removesuffix("'s")


def is_cut_out(words: Sequence[Word], first: int, last: int, others: set[int], *, weak: bool, company: bool) -> bool:
    """Whether the words around show that it is a piece of another name: "Acme" of "Acme Foods", "Jane" of "Jane Smith".

    Args:
        words: Of the question.
        first: First word of the name.
        last: Last word of it.
        others: Words of other names that are known.
        weak: It is a single first or last name, or an acronym: nothing but ordinary words may stand beside it.
        company: It is a company's name: a word of trade behind it makes another one of it.
    """
    timid = weak and not words[first].large  # written small, it is told from other words by those beside it alone
    after = [] if words[last].possessive else list(_in_a_row(words, last + 1, over_and=weak))
    if (
        after
        and last + 1 not in others
        and (_extends(after[0], weak=weak, timid=timid, company=company) or _names_a_firm(after, weak=weak))
    ):
        return True
    if weak and _has_particle(words, first, last, others):
        return True
    before = words[first - 1] if first and words[first].follows and not words[first - 1].possessive else None
    if before is None or first - 1 in others:
        return False
    # "eastern stellar": where nothing is written large, an unknown word in front may be the name's
    alone = company and first == last and not words[first].large
    named = weak and before.large and not before.opens and _bare(before) not in _SOURCES | TITLES  # "Will Carr", "Jan Ramirez"
    return words[first].hyphen or named or _extends(before, weak=weak, timid=timid or alone, company=False)


def _has_particle(words: Sequence[Word], first: int, last: int, others: set[int]) -> bool:
    """ "Sem" of "Sem de Jong", "Jong" of "Fleur de Jong"; "de Jong" alone is a last name."""

    def joins(particle: int, other: int) -> bool:
        inside = 0 <= particle < len(words) and 0 <= other < len(words) and not {particle, other} & others
        return inside and _bare(words[particle]) in PARTICLES_OF_FAMILY_NAMES - SMALL and words[other].large and not words[other].opens

    follows = not words[last].possessive and all(word.follows for word in words[last + 1 : last + 3])
    return (follows and joins(last + 1, last + 2)) or (
        all(word.follows for word in words[first - 1 : first + 1]) and joins(first - 1, first - 2)
    )


def name_end(words: Sequence[Word], last: int) -> int:
    """Where a name ends in the text, with a legal form that the known name lacks: "Acme Corp", known as Acme Inc."""
    after = words[last + 1] if last + 1 < len(words) else None
    form = after is not None and after.follows and not words[last].possessive and _bare(after) in FORMS_OF_ONE_WORD
    return after.name_end() if after and form else words[last].name_end()


def _in_a_row(words: Sequence[Word], first: int, *, over_and: bool) -> Iterator[Word]:
    """The next few words that may belong to a name: up to one that joins or tells something."""
    for word in words[first : first + 3]:
        small = fold(word.text)
        if not word.follows or (small in _JOINING and not word.initial and not (over_and and small == "and")):
            return
        yield word


def _names_a_firm(row: Sequence[Word], *, weak: bool) -> bool:
    """Whether what follows ends as companies' names do: "Clover vital studios", "Wilson and Knight Ltd"."""
    endings = [place for place, word in enumerate(row) if _bare(word) in FORMS_OF_ONE_WORD or (place and (word.initial or _is_trade(word)))]
    return any(place > 0 or weak for place in endings) or (weak and _bare(row[0]) in _FIRM_WORDS)


def _is_trade(word: Word) -> bool:
    small = _bare(word)
    return small in _FIRM_WORDS or (word.large and small in TRADE_WORDS) or small.removesuffix("s") in _TRADES


def _extends(word: Word, *, weak: bool, timid: bool, company: bool) -> bool:
    small = _bare(word)
    if word.hyphen or word.initial or (len(small) == 1 and small.isalpha() and small not in ("a", "i")):
        return True
    if weak and word.large and small in _DAYS_AND_NAMES:
        return True
    if (company and small in FORMS_OF_ONE_WORD) or small.isdigit() or _TIME.fullmatch(small):
        return False
    if word.large and small in TRADE_WORDS:
        return True
    if small in (_BESIDE_A_NAME if weak and word.large and not word.opens else _PLAIN):
        return False
    return word.large or timid or (company and small.removesuffix("s") in _TRADES)


def unknown_names(words: Sequence[Word], known: set[int]) -> Iterator[tuple[int, int]]:
    """Where large words in a row stand that no known name covers: "with Wayne Enterprises"."""
    at = 0
    while at < len(words):
        last = at
        if _is_unknown(words, at, known) and not words[at].opens:
            while last + 1 < len(words) and words[last + 1].follows and _is_unknown(words, last + 1, known) and not words[last].possessive:
                last += 1
            if last > at or not words[at].text.isupper():  # "SSO" is more often a thing than a name
                yield words[at].begin, words[last].name_end()
        at = last + 1


def _is_unknown(words: Sequence[Word], at: int, known: set[int]) -> bool:
    small = _bare(words[at])
    if small in FORMS_OF_ONE_WORD and at - 1 in known:
        return False  # "Acme Corp", known as Acme Inc.
    return at not in known and words[at].large and not is_ordinary(small) and small not in _PLAIN
