"""How alike two words of names are, from 0 to 1: spelling habits of languages, slips of the finger, vowels left out.

Words are those of `transliterate.latin_words`. All functions are symmetric.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from rapidfuzz import fuzz
from rapidfuzz.distance import OSA

from pay_ready.resolve.transliterate import EAST_ASIAN, MARKS, WITHOUT_VOWELS, bare

AGREES = 0.7  # words at least this alike are one word written twice
_SPELLED_ALIKE, _SHORT_SPELLED_ALIKE, _SAME_CONSONANTS, _VOWELLESS, _UNLIKE_CEILING = 0.96, 0.87, 0.78, 0.92, 0.6
_SAME_LETTERS, _SHORTEST_SHUFFLED = 0.75, 5  # typed in another order: "Eleanor" as "nleaEor"
_OTHER_VOWEL = 0.92  # Laden and Ladin
_OTHER_FIRST_LETTER, _OTHER_ENDING = 0.04, 0.1

# By edits, then by the length of the longer word: a typing error is one in a word long enough to know it by the rest.
_ALIKE_BY_EDITS: tuple[tuple[tuple[int, float], ...], ...] = (
    ((8, 0.93), (6, 0.9), (5, 0.87), (4, 0.8), (3, 0.66), (0, 0.3)),
    ((10, 0.86), (8, 0.8), (7, 0.74), (6, 0.71), (5, 0.55), (0, 0.3)),
    ((13, 0.8), (11, 0.7), (9, 0.55), (0, 0.3)),
)

# One sound, many spellings; applied in this order to words in lower case.
_SPELLINGS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), sound)
    for pattern, sound in (
        ("shch|stsch|schtsch|szcz", "shh"), ("tsch|tch|cz", "ch"), ("sch|sz", "sh"), ("dzh|dsch|dj", "j"), ("zh", "j"), ("ph", "f"),
        ("kh", "h"), ("gh", "g"), ("th", "t"), ("dh", "d"), ("wh", "w"), ("ck|cq|cc(?![eiy])|q", "k"), ("c(?![heiy])", "k"),
        ("w", "v"), ("^(?:x(?=i)|hs)", "sh"), ("x", "ks"), ("t[sz]", "z"), ("ou|oo|ue", "u"), ("oe", "o"), ("ae", "a"),
        ("^(?:iou|you|ju|yu|iu)", "iu"), ("^j(?=[aeiou])", "i"), ("^ye(?=[a-z]{2})", "e"), ("(?:ey|ei|ej|ay|ai|aj)", "e"),
        ("ie|iy|ij|yi|yj|ee|y", "i"), ("(?<=[a-z])h(?<![cs]h)(?![aeiou])", ""), ("of+$", "ov"), (r"(.)\1+", r"\1"),
    )
)  # fmt: skip
_VOWELS = re.compile("[aeiouy]+")
_HISSED = re.compile("ch|sh")
_WEAK = re.compile("[aeiouywh]+")
_SOUNDS_WITHOUT_VOWELS = str.maketrans({"p": "b", "v": "b", "f": "b", "g": "j", "q": "k", "c": "k", "z": "s", "d": "t"})
_SOUNDS_OF_EAST_ASIA = str.maketrans({"r": "l", "g": "k", "b": "p", "d": "t", "v": "p", "f": "h", "j": "z"})

# Endings that whole families of names share: only what stands before them tells.
_ENDINGS = re.compile(
    "(?:ovich|evich|ovitch|evitch|ovic|evic|ovna|evna|dottir|ss?on|shvili|ullah|uddin|eddin|enko|yants?|berg|burg|mann?|stein|"
    "rahman|zai|zadeh|poulos|opoulou|akis|escu|ski|sky|skyi?y?|ev|ov|ova|eva)$"
)


@lru_cache(maxsize=65_536)
def spelled(word: str) -> str:
    """One spelling for the spellings of many languages: Yuri, Iouri and Jurij; Schmidt and Shmidt; Philip and Filip."""
    for pattern, sound in _SPELLINGS:
        word = pattern.sub(sound, word)
    return word


def word_similarity(left: str, right: str) -> float:
    """How likely two words are one, 1 for equal ones; words of two scripts compare by what both scripts write."""
    if left == right:
        return 1.0
    if left[:1] in MARKS or right[:1] in MARKS:
        return _of_scripts(left, right)
    return _of_latin(left, right)


def edit_similarity(left: str, right: str) -> float:
    """By the number of typing errors (optimal string alignment) against the length without endings that many names share."""
    edits = OSA.distance(left, right, score_cutoff=len(_ALIKE_BY_EDITS))
    if edits == 0:
        return 1.0
    if edits > len(_ALIKE_BY_EDITS):
        return min(_UNLIKE_CEILING, fuzz.ratio(left, right) / 100)
    # One slip is judged by the whole word; another name of the family ("Petrov", "Pavlov") takes two.
    stem, other_stem = _stems(left, right) if edits > 1 else (left, right)
    length = max(len(stem), len(other_stem))
    if edits == 1 and length >= 4 and _VOWELS.sub("", left) == _VOWELS.sub("", right):
        return _OTHER_VOWEL
    alike = next(alike for shortest, alike in _ALIKE_BY_EDITS[edits - 1] if length >= shortest)
    if left[:1] != right[:1]:
        return alike - _OTHER_FIRST_LETTER
    return alike - (_OTHER_ENDING if edits > 1 and _another_ending(stem, other_stem) else 0.0)


def _another_ending(left: str, right: str) -> bool:
    """Whether the longer half is the same and the rest of another length: "Ronald" with "o" and "inho", a name derived from a name."""
    same = next((place for place, (one, other) in enumerate(zip(left, right, strict=False)) if one != other), min(len(left), len(right)))
    return len(left) != len(right) and 2 * same >= max(len(left), len(right))


def best_matching(left: Sequence[str], right: Sequence[str], similarities: dict[tuple[int, int], float]) -> list[tuple[int, int]]:
    """One-to-one pairs of positions, the most alike first; ties fall to the words, so that sides and order play no part."""
    order = sorted(
        similarities,
        key=lambda pair: (-similarities[pair], *sorted((left[pair[0]], right[pair[1]])), pair[0] + pair[1], abs(pair[0] - pair[1])),
    )
    used_left: set[int] = set()
    used_right: set[int] = set()
    pairs = []
    for one, other in order:
        if one not in used_left and other not in used_right:
            used_left.add(one)
            used_right.add(other)
            pairs.append((one, other))
    return pairs


def _of_latin(left: str, right: str) -> float:
    sound, other_sound = spelled(left), spelled(right)
    if sound == other_sound:
        return _SPELLED_ALIKE if len(sound) >= 4 else _SHORT_SPELLED_ALIKE
    found = max(edit_similarity(left, right), 0.98 * edit_similarity(sound, other_sound))
    if found < _SAME_CONSONANTS and _same_consonants(sound, other_sound):
        return _SAME_CONSONANTS
    return max(found, _SAME_LETTERS) if len(left) >= _SHORTEST_SHUFFLED and sorted(left) == sorted(right) else found


def _same_consonants(left: str, right: str) -> bool:
    consonants = _VOWELS.sub("", left)
    return len(consonants) >= 3 and left[0] == right[0] and consonants == _VOWELS.sub("", right)


def _of_scripts(left: str, right: str) -> float:
    if left[:1] == right[:1]:
        return edit_similarity(bare(left), bare(right)) if bare(left) != bare(right) else 1.0
    marks = left[:1] + right[:1]
    left, right = bare(left), bare(right)
    if left == right:
        return _SPELLED_ALIKE
    if WITHOUT_VOWELS in marks:
        return _of_skeletons(_skeleton(left), _skeleton(right))
    if EAST_ASIAN in marks:
        loose, other = (_VOWELS.sub("", spelled(word).translate(_SOUNDS_OF_EAST_ASIA)) for word in (left, right))
        alike = 0.85 if loose == other and len(loose) > 1 else 0.0
        return max(alike, _of_latin(left, right))
    return _of_latin(left, right)


def _skeleton(word: str) -> str:
    return re.sub(r"(.)\1+", r"\1", _WEAK.sub("", _HISSED.sub("s", spelled(word)).translate(_SOUNDS_WITHOUT_VOWELS))) or word[:1]


def _of_skeletons(left: str, right: str) -> float:
    if left == right:
        return _VOWELLESS if len(left) >= 2 else AGREES
    edits = OSA.distance(left, right)
    return 0.75 if edits == 1 and max(len(left), len(right)) >= 4 else min(0.5, fuzz.ratio(left, right) / 100)


def _stems(left: str, right: str) -> tuple[str, str]:
    ending, other_ending = _ENDINGS.search(left), _ENDINGS.search(right)
    if ending is None or other_ending is None or ending[0] != other_ending[0]:
        return left, right
    stem, other_stem = left[: ending.start()], right[: other_ending.start()]
    return (stem, other_stem) if min(len(stem), len(other_stem)) >= 3 else (left, right)
