"""How alike two names of organisations, vessels or other things are: telling words against telling words, numbers against numbers."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

from rapidfuzz.distance import OSA

from pay_ready.resolve.company_words import (
    ABBREVIATIONS,
    AMBIGUOUS_FORMS,
    ASIAN_LEGAL_FORMS,
    FORMS_OF_ONE_WORD,
    HOLLOW_WORDS,
    LEGAL_FORMS,
    LONGEST_LEGAL_FORM,
    MORE_ABBREVIATIONS,
    NUMBERS,
    PLACE_WORDS,
    SILENT_WORDS,
    TENS,
    TRADE_WORDS,
)
from pay_ready.resolve.transliterate import bare, ideograms, latin_words
from pay_ready.resolve.word_similarity import AGREES, best_matching

# How much a word tells, 1 for a word that is in no list.
_WEIGHTS = dict.fromkeys(TRADE_WORDS | PLACE_WORDS, 0.6) | dict.fromkeys(HOLLOW_WORDS, 0.25)

# Costs in points of 100.
_UNLIKE_WORD, _UNLIKE_ONLY_WORD = 60.0, 100.0
_EXTRA_WORD, _EXTRA_TRADE, _EXTRA_PLACE, _EXTRA_HOLLOW = 26.0, 22.0, 12.0, 6.0
_OTHER_NUMBER, _ONE_NUMBER, _ONE_FIRST = 45.0, 24.0, 12.0
_OTHER_FORM, _OTHER_SEAT, _OTHER_PLACE = 4.0, 6.0, 22.0
_ACRONYM, _JOINED, _NEARLY_JOINED, _LEAST_ACRONYM = 88.0, 98.0, 90.0, 3
_IN_BRACKETS = re.compile(r"\(([^()]*)\)")
_LONGEST_SEAT = 4  # words
_SHORTENED = 0.9  # "soln" for "solutions"
_SHORTEST_MISTYPED = 5  # letters of a word in which one may be wrong
_MISTYPED_SHORT = 0.45
_NOTHING_TELLING = 60.0
_MOST_LEFTOVERS = 4
_UNLIKE_SIGN = 1.3  # a Chinese or Korean sign says as much as a syllable or a word

_LONE_LETTERS = re.compile(r"(?<!\w)\w(?:[.,/\s]{1,3}\w(?!\w))+")  # "S.A.", "N V", "A/S"
_SEAT = re.compile(r"(?<=[\w.)]),\s*(?=\D+$)")
_POSSESSIVE = re.compile(r"['’]s\b", re.IGNORECASE)
_LETTERS_AND_LETTERS = re.compile(r"\b(\w{1,2})&(\w{1,2})\b")  # "AT&T"
_JOINERS = re.compile(r"\s*[&+]\s*")
_CARDINAL = re.compile(r"^0*(\d+)(?:st|nd|rd|th|er|e|er|ste|de)?$")

_SHORTEST_LONG_FORM = 14  # letters of a legal form in which one may be wrong
_LONG_FORMS = {"".join(form): kind for form, kind in LEGAL_FORMS.items() if len("".join(form)) >= _SHORTEST_LONG_FORM}

WordSimilarity = Callable[[str, str], float]


@dataclass(frozen=True, slots=True)
class OrganisationWords:
    """The words of an organisation's name, spelled out; `words` never holds a legal form unless there is nothing else."""

    words: tuple[str, ...]
    forms: frozenset[str]  # kinds of legal form
    numbers: tuple[int, ...]
    written: tuple[str, ...]  # with forms, before abbreviations are spelled out
    named: tuple[str, ...]  # without forms, before abbreviations are spelled out
    seat: frozenset[str]  # the place behind a legal form: "Acme N.V., Utrecht"
    signs: str  # Chinese and Korean signs

    @property
    def core(self) -> str:
        """The words as one, marks left out."""
        return "".join(map(bare, self.words)) + "".join(map(str, self.numbers))


@lru_cache(maxsize=65_536)
def organisation_words(text: str) -> OrganisationWords:
    """A name's words, the kinds of its legal forms and its numbers."""
    plain = _LONE_LETTERS.sub(lambda dotted: re.sub(r"[\s./,]", "", dotted[0]), _POSSESSIVE.sub("s", ASIAN_LEGAL_FORMS.sub(" ", text)))
    plain = _LETTERS_AND_LETTERS.sub(r"\1\2", plain)
    plain, seat = _without_seat(_JOINERS.sub(" and ", plain))
    written = list(latin_words(plain))
    named, forms = _without_forms(written)
    unabbreviated = tuple(named)
    named = [spelled for word in named if (spelled := MORE_ABBREVIATIONS.get(word) or ABBREVIATIONS.get(word, word))] or named
    words, numbers = _without_numbers(named)
    telling = [word for word in words if word not in SILENT_WORDS] or words
    return OrganisationWords(
        tuple(telling), forms, numbers, tuple(written), unabbreviated, seat, ideograms(ASIAN_LEGAL_FORMS.sub("", text))
    )


def organisation_similarity(left: OrganisationWords, right: OrganisationWords, similarity: WordSimilarity) -> float:
    """From 0 to 100; `similarity` compares two words.

    100 less what differs: each word by how much it tells, numbers as numbers; initials and other ways to part words are recognised.
    """
    if left.signs and right.signs:
        return _of_signs(left.signs, right.signs)
    if not (left.words or left.numbers) or not (right.words or right.numbers):
        return 100.0 if left == right else 0.0
    first, second = sorted((left, right), key=lambda name: (len(name.words), sorted(name.words), name.numbers, name.written))
    apart = _number_cost(first.numbers, second.numbers) + _form_cost(first.forms, second.forms) + _seat_cost(first.seat, second.seat)
    found = max(100.0 - _word_cost(first.words, second.words, similarity), _joined(first, second))
    if found < _ACRONYM and (first.named != first.words or second.named != second.words) and not (first.numbers or second.numbers):
        # An abbreviation may be a name, and a mistyped word is none.
        one, other = ([word for word in name.named if word not in SILENT_WORDS] for name in (first, second))
        found = max(found, 100.0 - _word_cost(one, other, similarity))
    if found < _ACRONYM and apart < _ONE_NUMBER and (_is_acronym(first, second) or _is_acronym(second, first)):
        found = max(found, _ACRONYM)
    return max(0.0, found - apart)


def _of_signs(left: str, right: str) -> float:
    other_numbers = sorted(re.findall(r"\d+", left)) != sorted(re.findall(r"\d+", right))
    unlike = OSA.distance(left, right) / max(len(left), len(right))
    return max(0.0, 100.0 * (1 - _UNLIKE_SIGN * unlike) - (_OTHER_NUMBER if other_numbers else 0.0))


def weight(word: str) -> float:
    """How much a word tells, from 0 to 1."""
    return _WEIGHTS.get(word, 1.0)


def _word_cost(left: Sequence[str], right: Sequence[str], similarity: WordSimilarity) -> float:
    words, other_words = sorted(left), sorted(right)
    if words == other_words:
        return 0.0
    common = Counter(words) & Counter(other_words)
    rest, other_rest = list((Counter(words) - common).elements()), list((Counter(other_words) - common).elements())
    rest, other_rest, glued = _take_joined(rest, other_rest)
    alike = {
        (one, other): _strict(similarity, word, other_word) for one, word in enumerate(rest) for other, other_word in enumerate(other_rest)
    }
    taken = best_matching(rest, other_rest, alike)
    telling = sum(weight(word) for word in common.elements()) + glued
    telling += sum(max(weight(rest[one]), weight(other_rest[other])) for one, other in taken if alike[one, other] >= AGREES)
    most = max(sum(map(weight, words)), sum(map(weight, other_words)))
    unlike = _UNLIKE_ONLY_WORD if most <= 1.0 else _UNLIKE_WORD
    cost = sum((1 - alike[one, other]) * unlike * max(0.6, weight(rest[one]), weight(other_rest[other])) for one, other in taken)
    used, other_used = {one for one, _ in taken}, {other for _, other in taken}
    cost += sum(_extra_cost(word) for place, word in enumerate(rest) if place not in used)
    cost += sum(_extra_cost(word) for place, word in enumerate(other_rest) if place not in other_used)
    # Words of a trade alone are no name that something may be added to.
    if (rest or other_rest) and telling < 1.0:
        cost = max(cost, 100 - _NOTHING_TELLING)
    return cost


def _strict(similarity: WordSimilarity, left: str, right: str) -> float:
    """Words in a list are spelled as they are; of short words and acronyms each letter counts."""
    found = similarity(left, right)
    if _shortens(left, right) or _shortens(right, left):
        return _SHORTENED
    if len(left) == len(right) == 4 and sorted(left) == sorted(right):
        return found
    if max(len(left), len(right)) < _SHORTEST_MISTYPED:
        return min(found, _MISTYPED_SHORT)
    return min(found, 0.3) if weight(left) < 1.0 and weight(right) < 1.0 else found


def _shortens(short: str, long: str) -> bool:
    """Whether a word is short for a word of a trade: its letters stand in the other in order, the first in front."""
    if not _LEAST_ACRONYM <= len(short) < len(long) or short[0] != long[0] or weight(long) == 1.0 or weight(short) < 1.0:
        return False
    letters = iter(long)
    return all(letter in letters for letter in short)


def _extra_cost(word: str) -> float:
    if word in HOLLOW_WORDS:
        return _EXTRA_HOLLOW
    if word in PLACE_WORDS:
        return _EXTRA_PLACE
    return _EXTRA_TRADE if word in TRADE_WORDS else _EXTRA_WORD


def _number_cost(left: Sequence[int], right: Sequence[int]) -> float:
    if sorted(left) == sorted(right):
        return 0.0
    if left and right:
        return _OTHER_NUMBER
    return _ONE_FIRST if [*left, *right] == [1] else _ONE_NUMBER


def _form_cost(left: frozenset[str], right: frozenset[str]) -> float:
    # "Corporation" and "company" go with any other form.
    one, other = left - {"corporation", "company"}, right - {"corporation", "company"}
    return _OTHER_FORM if one and other and not one & other else 0.0


def _seat_cost(left: frozenset[str], right: frozenset[str]) -> float:
    if not left or not right or left & right:
        return 0.0
    return _OTHER_PLACE if left & PLACE_WORDS and right & PLACE_WORDS else _OTHER_SEAT


def _joined(left: OrganisationWords, right: OrganisationWords) -> float:
    """Names that part their words elsewhere: equal, or one slip apart where the words are differently many."""
    core, other = left.core, right.core
    if core == other or "".join(left.written) == "".join(right.written):
        return 100.0 if sorted(left.words) == sorted(right.words) else _JOINED
    longest = max(len(core), len(other))
    if longest >= 10 and len(left.words) != len(right.words) and OSA.distance(core, other, score_cutoff=1) <= 1:
        return _NEARLY_JOINED
    whole, other_whole = "".join(left.named), "".join(right.named)
    if (
        min(len(whole), len(other_whole)) >= 10
        and len(left.named) != len(right.named)
        and OSA.distance(whole, other_whole, score_cutoff=1) <= 1
    ):
        return _NEARLY_JOINED
    whole, other_whole = "".join(left.written), "".join(right.written)
    return _JOINED if core == other_whole or whole == other else 0.0


def _take_joined(left: list[str], right: list[str]) -> tuple[list[str], list[str], float]:
    for parts, wholes, swapped in ((left, right, False), (right, left, True)):
        if not wholes or not 1 < len(parts) <= _MOST_LEFTOVERS:
            continue
        lengths = set(map(len, wholes))
        for chosen in (*permutations(parts, 2), *permutations(parts, 3)):
            if sum(map(len, chosen)) not in lengths:
                continue
            whole = "".join(chosen)
            if whole in wholes:
                rest, other = [word for word in parts if word not in chosen], [word for word in wholes if word != whole]
                return (other, rest, 1.0) if swapped else (rest, other, 1.0)
    return left, right, 0.0


def _is_acronym(short: OrganisationWords, long: OrganisationWords) -> bool:
    """One word is the initials of all the other's, with or without joiners, legal form and places."""
    letters = [word for word in short.words if weight(word) == 1.0] or list(short.words)
    if len(letters) != 1 or len(letters[0]) < _LEAST_ACRONYM:
        return False
    initials = letters[0]
    spoken = [word for word in long.written if word not in ("and", "the")]
    return any(
        len(words) >= _LEAST_ACRONYM and "".join(bare(word)[0] for word in words) == initials
        for words in (long.words, long.written, spoken, [word for word in spoken if word not in SILENT_WORDS])
    )


def _without_forms(words: list[str]) -> tuple[list[str], frozenset[str]]:
    kept: list[str] = []
    kinds = set()
    place = 0
    while place < len(words):
        sizes = range(min(LONGEST_LEGAL_FORM, len(words) - place), 0, -1)
        length, kind = next(((size, kind) for size in sizes if (kind := _kind(words, place, size))), (0, ""))
        if length:
            kinds.add(kind)
        else:
            kept.append(words[place])
        place += length or 1
    if not [word for word in kept if word not in SILENT_WORDS]:
        return words, frozenset()
    return kept, frozenset(kinds)


def _without_seat(text: str) -> tuple[str, frozenset[str]]:
    """The name, and the place that stands in brackets, or behind its legal form and a comma."""
    bracketed = _IN_BRACKETS.search(text)
    if bracketed:
        inside, outside = _places(bracketed[1]), _IN_BRACKETS.sub(" ", text, count=1)
        telling = [word for word in latin_words(outside) if word not in SILENT_WORDS and word not in FORMS_OF_ONE_WORD]
        if telling and len(inside) <= _LONGEST_SEAT and inside & PLACE_WORDS:
            return outside, inside
    for comma in _SEAT.finditer(text):
        before = latin_words(text[: comma.start()])
        behind = _places(text[comma.end() :])
        if (
            len(before) > 1
            and not FORMS_OF_ONE_WORD.isdisjoint((before[0], before[-1]))
            and 0 < len(behind) <= _LONGEST_SEAT
            and not behind & FORMS_OF_ONE_WORD - AMBIGUOUS_FORMS
        ):
            return text[: comma.start()], behind
    return text, frozenset()


def _places(text: str) -> frozenset[str]:
    return frozenset(MORE_ABBREVIATIONS.get(word, word) for word in latin_words(text))


def _kind(words: list[str], place: int, size: int) -> str:
    """The kind of legal form that these words are; empty for none."""
    form = tuple(words[place : place + size])
    kind = LEGAL_FORMS.get(form)
    if kind is None:
        return _mistyped_kind("".join(form)) if size > 1 or len(form[0]) >= _SHORTEST_LONG_FORM else ""
    at_an_end = place == 0 or all(word in FORMS_OF_ONE_WORD for word in words[place + size :])
    return kind if size > 1 or form[0] not in AMBIGUOUS_FORMS or at_an_end else ""


def _mistyped_kind(letters: str) -> str:
    if len(letters) < _SHORTEST_LONG_FORM - 1:
        return ""
    return next((kind for form, kind in _LONG_FORMS.items() if OSA.distance(form, letters, score_cutoff=1) <= 1), "")


def _without_numbers(words: list[str]) -> tuple[list[str], tuple[int, ...]]:
    """Numbers in digits, words and Roman numerals as integers; a Roman or spelled number only behind or before other words."""
    kept: list[str] = []
    numbers: list[int] = []
    tens = 0
    for place, word in enumerate(words):
        number = _number(word, place)
        if word in TENS:
            tens += TENS[word]
        elif number is None:
            kept.append(word)
        else:
            numbers.append(tens + number)
            tens = 0
    if tens:
        numbers.append(tens)
    return kept, tuple(numbers)


def _number(word: str, place: int) -> int | None:
    cardinal = _CARDINAL.match(word)
    if cardinal:
        return int(cardinal[1][:18])
    roman = len(word) < 5 and set(word) <= set("ivx")
    return NUMBERS.get(word) if not roman or place > 0 else None
