"""What a known name may be shortened to in a text, for masking: "Grace" and "Velasquez" of Grace Velasquez, "Acme" of Acme Inc."""

import re
from collections.abc import Iterator
from enum import IntEnum

from pay_ready.agent.date_words import MONTH, WEEKDAY
from pay_ready.agent.question_words import QUESTION_WORDS, words_in
from pay_ready.agent.stopwords import STOP_WORDS
from pay_ready.resolve.company_words import FORMS_OF_ONE_WORD, TRADE_WORDS
from pay_ready.resolve.name_words import ALL_TITLES, PARTICLES, SUFFIXES

_TIME = re.compile(rf"(?:{MONTH}|{WEEKDAY})", re.IGNORECASE)
# Names that are words as well; as a whole name they need a capital.
NAMES_AND_WORDS = words_in(
    "art bill chase crown dale dawn dean drew faith frank gene grace grant hope iris jack june lance mark may pat ray rich rob rose skip"
    " sky sue target visa wade ward"
)
# Of these nobody can tell at the beginning of a sentence: "Price is too high".
_WORDS = STOP_WORDS | (QUESTION_WORDS - NAMES_AND_WORDS) | TRADE_WORDS | words_in(
    "able archer baker banks barber bell berry best bird black blue bond bow bowl branch bridge bright brook brown burn bush cable"
    " camp cannon carpenter case cash castle center central charity church clay close coach coin cook cross day deal dear deep dell"
    " diamond driver early east english ever fair farmer field fields flood flower foot ford forest fox free french frost gardener"
    " gate general gentle gift glass gold golden gray green grey hall hand hardy harvest head heard hill hills holiday holly home"
    " honor house hunt jewel joy judge justice keen key king kings lake lamb land lane large law lawn lemon lily lion little long love"
    " low lucky major marsh mercy miles mill minor misty moon moss noble north oak olive page park parks patience peace pearl penny"
    " pepper piper place pole pond pool poor poppy power powers price pride prince prior purple queen rain ranger reader rice rich"
    " river rivers road rock rocks rodeo roman root rush sage sailor sales sand sands savage school sea security self sergeant service"
    " services shade sharp shepherd ship shore silver singer skinner small smart snow south speed spice spring star stark steel stern"
    " steward still stone street strong sugar summer sunny swan sweet swift table tailor temple thorn tower town tree trip true truth"
    " valley victory wall way welcome well west white wild winter wise wolf wood wool worth yellow york young"
)  # fmt: skip
_LONGEST = 4  # words of a name that is taken apart: a longer one is no person's
_SHORTEST = 3  # letters of a part that is known for a name wherever it has a capital
_PART = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_LAST_WORD = re.compile(r"[\s,]+([^\s,]+)$")
_BEFORE = " \t\"'“”‘’«»()[]<>*_|-–—"  # may stand between the end of a sentence and the next one
_ENDS = ".!?:;…•\n\r"
_SPEAKS = re.compile(
    r"(?:'s|’s)?\s+(?:said|says|asked|asks|wrote|writes|told|tells|mentioned|thinks|wants|agreed|promised|replied|called)\b"
)
_NO_PARTS = ALL_TITLES | SUFFIXES | PARTICLES
_TITLE = re.compile(rf"\b(?:{'|'.join(sorted(ALL_TITLES))})\.?\s+$", re.IGNORECASE)
_CAPITAL_BEHIND = re.compile(r"\s+[^\W\d_]")


class Rule(IntEnum):
    """Where a text is taken for a known name."""

    ANYWHERE = 0  # in any case
    CAPITAL = 1  # where it begins with a capital letter, or with one of a script that has none
    INSIDE = 2  # so within a sentence, no other large word behind it; or behind a title, or before "said": it is a word as well


def rule_of_name(folded: str) -> Rule:
    """For a whole name: one that is a word as well ("Will"; "May Day" is not) counts only with its capital."""
    return Rule.CAPITAL if folded in STOP_WORDS or folded in NAMES_AND_WORDS else Rule.ANYWHERE


def parts_of(folded: str) -> Iterator[str]:
    """The words of a person's name that name them alone, folded; titles, particles, months and days do not."""
    words = _PART.findall(folded)
    if not 1 < len(words) <= _LONGEST or any(letter.isdigit() or letter == "@" for letter in folded):
        return
    for word in words:
        if len(word) > (2 if word in STOP_WORDS else 1) and word not in _NO_PARTS and not _TIME.fullmatch(word):
            yield word


def rule_of_part(word: str) -> Rule:
    """For a single first or last name, folded."""
    return Rule.INSIDE if word in _WORDS or len(word) < _SHORTEST else Rule.CAPITAL


def without_legal_form(folded: str) -> str:
    """A company's name as people say it: "summit grocers" of "summit grocers, inc."; "" where nothing is cut off."""
    short = folded
    while (last := _LAST_WORD.search(short)) and last[1].replace(".", "") in FORMS_OF_ONE_WORD:
        short = short[: last.start()]
    return short if short != folded else ""


def is_named(text: str, start: int, end: int, rule: Rule) -> bool:
    """Whether `text[start:end]`, which is a known name but for its case, is taken for it."""
    if rule is Rule.ANYWHERE:
        return True
    if text[start].islower():
        return False
    if rule is Rule.CAPITAL or _TITLE.search(text[max(0, start - 20) : start]) or _SPEAKS.match(text, end):
        return True
    behind = _CAPITAL_BEHIND.match(text, end)
    return not _opens_sentence(text, start) and not (behind and behind[0][-1].isupper())


def _opens_sentence(text: str, start: int) -> bool:
    before = text[:start].rstrip(_BEFORE)
    return not before or before[-1] in _ENDS
