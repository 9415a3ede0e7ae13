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
_LATIN = re.compile("[a-z\u00c0-\u024f\u1e00-\u1eff]", re.IGNORECASE)
_INVISIBLE = re.compile("[\u200b-\u200f\u00ad]")
_ARABIC_ARTICLE = "ال"
_SHORTEST_WITH_ARTICLE = 4
# Korean as the state writes it, brought nearer to how families write it; the common family names have spellings of their own.
_KOREAN_FAMILY_NAMES = {"gim": "kim", "bag": "park", "i": "lee", "choe": "choi", "gang": "kang", "jo": "cho", "im": "lim", "no": "roh"}


@lru_cache(maxsize=65_536)
def latin_words(text: str) -> tuple[str, ...]:
    """The words of a text, folded, in ASCII letters and digits; apostrophes vanish, other signs part words.

    A word of an Arabic, Hebrew or East Asian script carries its mark in front. A Chinese or Korean word that stands alone, of two to
    four signs, is read as a person's name: the first sign is the family name.
    """
    if text.isascii():
        return tuple(_SEPARATORS.sub(" ", text.lower().replace("'", "").replace("`", "")).split())
    composed = _composed(_APOSTROPHES.sub("", _INVISIBLE.sub("", text)))
    # A vowel sign of an Indian script is a mark, not a letter, yet part of its word.
    parts = "".join(sign if sign.isalnum() or unicodedata.category(sign)[0] == "M" else " " for sign in composed).split()
    return tuple(word for part in parts for word in _in_latin_letters(part, alone=len(parts) == 1))


def ideograms(text: str) -> str:
    """The letters and digits of a text that has Chinese or Korean signs; else nothing. Two such texts compare sign by sign."""
    if text.isascii():
        return ""
    composed = _composed(text)
    return "".join(sign for sign in composed.casefold() if sign.isalnum()) if _IDEOGRAMS.search(composed) else ""


def bare(word: str) -> str:
    """The word without its mark."""
    return word[1:] if word[:1] in (WITHOUT_VOWELS, EAST_ASIAN) else word


def _composed(text: str) -> str:
    # Compatibility forms (full width, ligatures) become ordinary ones; taken apart, Hangul and kana would lose their sounds.
    return unicodedata.normalize("NFKC", text)


def _in_latin_letters(part: str, *, alone: bool) -> list[str]:
    if part.isascii():
        return [part.lower()]
    if _ABJAD.search(part):
        bare_part = part.removeprefix(_ARABIC_ARTICLE) if len(part) > _SHORTEST_WITH_ARTICLE else part
        return [WITHOUT_VOWELS + letters for letters in _letters(bare_part)]
    if _HANGUL.search(part):
        return [EAST_ASIAN + word for word in _korean(part, alone=alone)]
    if _HAN.search(part):
        signs = [letters for sign in part for letters in _letters(sign)]
        return [EAST_ASIAN + word for word in (_family_first(signs) if alone and len(part) <= 4 else ["".join(signs)])]
    if _KANA.search(part):
        return [EAST_ASIAN + letters for letters in _letters(part)]
    part = part.replace("ου", "ou").replace("ού", "ou").replace("Ου", "Ou")
    return _letters(fold(part) if _LATIN.search(part) else part)


def _korean(part: str, *, alone: bool) -> list[str]:
    syllables = [letters.replace("eo", "o").replace("eu", "u") for sign in part for letters in _letters(sign)]
    if syllables:
        syllables[0] = _KOREAN_FAMILY_NAMES.get(syllables[0], syllables[0])
    return _family_first(syllables) if alone and len(part) <= 4 else ["".join(syllables)]


def _family_first(signs: list[str]) -> list[str]:
    return [word for word in (signs[0], "".join(signs[1:])) if word] if signs else []


def _letters(part: str) -> list[str]:
    written = re.sub(r"['`]", "", anyascii(part)).lower()
    return re.sub(r"[^a-z0-9]+", " ", written).split()
