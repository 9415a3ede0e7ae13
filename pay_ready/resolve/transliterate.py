"""Names of any script in Latin letters, with a mark on words whose script leaves vowels out or knows other sounds."""

import re
import unicodedata
from functools import lru_cache

from anyascii import anyascii

from pay_ready.resolve.normalize import fold

WITHOUT_VOWELS = "~"  # before a word that was written in Arabic or Hebrew letters: "~mhmd"
EAST_ASIAN = "^"  # before a word from Chinese, Japanese or Korean: "^baraku"
MARKS = WITHOUT_VOWELS + EAST_ASIAN

_APOSTROPHES = re.compile(r"['’‘`´ʻʼʾʿ]")
_SEPARATORS = re.compile(r"[\W_]+")
_ABJAD = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff]")
_HANGUL = re.compile("[\uac00-\ud7af]")
_KANA = re.compile("[\u3040-\u30ff]")
_IDEOGRAMS = re.compile("[\u3400-\u9fff\uf900-\ufaff\uac00-\ud7af]")
_MIDDLE_DOTS = re.compile("[·・‧•]")
_ZERO_WIDTH = re.compile("[\u200b-\u200f\u00ad]")
_ARABIC_ARTICLE = "ال"
_SHORTEST_WITH_ARTICLE = 4
# Korean as the state writes it, brought nearer to how families write it; the common family names have spellings of their own.
_KOREAN_FAMILY_NAMES = {"gim": "kim", "bag": "park", "i": "lee", "choe": "choi", "gang": "kang", "jo": "cho", "im": "lim", "no": "roh"}


@lru_cache(maxsize=65_536)
def latin_words(text: str) -> tuple[str, ...]:
    """The words of a text, folded, in ASCII letters and digits; apostrophes vanish, other signs part words.

    A word of an Arabic, Hebrew or East Asian script carries its mark in front. A Chinese or Korean word of two to four signs is read
    as a person's name: the first sign is the family name.
    """
    if text.isascii():
        return tuple(_SEPARATORS.sub(" ", text.lower().replace("'", "").replace("`", "")).split())
    parts = _SEPARATORS.sub(" ", _APOSTROPHES.sub("", _MIDDLE_DOTS.sub(" ", _ZERO_WIDTH.sub("", fold(text))))).split()
    return tuple(word for part in parts for word in _in_latin_letters(part))


def ideograms(text: str) -> str:
    """The Chinese and Korean signs of a text, in order: two texts that have them compare sign by sign."""
    return "" if text.isascii() else "".join(_IDEOGRAMS.findall(_composed(text)))


def bare(word: str) -> str:
    """The word without its mark."""
    return word[1:] if word[:1] in (WITHOUT_VOWELS, EAST_ASIAN) else word


def _composed(text: str) -> str:
    # Folding takes Hangul syllables apart into letters.
    return unicodedata.normalize("NFC", text)


def _in_latin_letters(part: str) -> list[str]:
    if part.isascii():
        return [part]
    part = _composed(part)
    if _ABJAD.search(part):
        bare_part = part.removeprefix(_ARABIC_ARTICLE) if len(part) > _SHORTEST_WITH_ARTICLE else part
        return [WITHOUT_VOWELS + letters for letters in _letters(bare_part)]
    if _HANGUL.search(part):
        return [EAST_ASIAN + word for word in _korean(part)]
    if _HAN.search(part):
        signs = [letters for sign in part for letters in _letters(sign)]
        return [EAST_ASIAN + word for word in (_family_first(signs) if len(part) <= 4 else ["".join(signs)])]
    if _KANA.search(part):
        return [EAST_ASIAN + letters for letters in _letters(part)]
    return _letters(part)


def _korean(part: str) -> list[str]:
    syllables = [letters.replace("eo", "o").replace("eu", "u") for sign in part for letters in _letters(sign)]
    if syllables:
        syllables[0] = _KOREAN_FAMILY_NAMES.get(syllables[0], syllables[0])
    return _family_first(syllables) if len(part) <= 4 else ["".join(syllables)]


def _family_first(signs: list[str]) -> list[str]:
    return [word for word in (signs[0], "".join(signs[1:])) if word] if signs else []


def _letters(part: str) -> list[str]:
    written = re.sub(r"['`]", "", anyascii(part)).lower()
    return re.sub(r"[^a-z0-9]+", " ", written).split()
