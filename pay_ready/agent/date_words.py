"""How people write times: the vocabulary as patterns, and the numbers in it. Patterns look at ASCII letters of either case."""

import re

MONTH = (
    r"jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?"
    r"|dec(?:ember)?"
)
WEEKDAY = r"mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday|s)?|thu(?:r(?:s(?:day)?)?)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?"
DAY_NO = r"(?:0?[1-9]|[12]\d|3[01])"
YEAR = r"(?:19|20)\d\d"
NUMBER = (
    r"\d{1,5}|an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen"
    r"|nineteen|twenty|twenty-four|thirty|thirty-six|forty|forty-five|fifty|sixty|ninety|(?:a |one )?hundred|dozen"
    r"|(?:a |an )?(?:couple(?: of)?|few|half|half a)|several"
)
UNIT = r"(?:calendar |full |whole |complete |completed )?(?:day|night|week|weekend|month|quarter|year|fortnight|hour|minute|half|half-year)"
# What a part is of: "the last week of October", not "the last week of calls".
PERIOD = rf"(?:the |this |last )*(?:{MONTH}|[qh][1-4]|weeks?|month|quarter|year|fiscal|fy|{YEAR}|spring|summer|autumn|fall|winter)\b"
ORDINAL = r"first|1st|second|2nd|third|3rd|fourth|4th|fifth|5th|last|final"
THIS = r"this|the current|current|the present|present|the ongoing"
LAST = (
    r"last|the previous|previous|the prior|prior|the preceding|preceding|the last|the past|past|this past|this last|trailing|the trailing"
)
NEXT = r"next|the next|the coming|coming|the upcoming|upcoming|the following|following|this coming|this next"

_MONTH_LETTERS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAY_LETTERS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NUMBERS = {
    **dict.fromkeys(("a", "an", "one"), 1),
    **dict.fromkeys(("couple", "couple of", "a couple", "a couple of", "two"), 2),
    **dict.fromkeys(("few", "a few", "several", "three"), 3),
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
    "dozen": 12,
    **{word: number for number, word in enumerate(("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"), 13)},
    **dict.fromkeys(("hundred", "a hundred", "one hundred"), 100),
    "twenty-four": 24,
    "thirty-six": 36,
    "forty": 40,
    "fifty": 50,
    "twenty": 20,
    "thirty": 30,
    "forty-five": 45,
    "sixty": 60,
    "ninety": 90,
}
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5}
_CENTURY, _LATEST_SHORT_YEAR = 2000, 79
# Same length as what they replace: places in the text stay true.
_SET_OR_BLANK = re.compile(r"\[[^\]]*\]| \?| ")
_PLAIN = str.maketrans({"’": "'", "‘": "'", "–": "-", "—": "-", "‑": "-", "−": "-", "\u00a0": " ", "\t": " ", "\n": " ", "\r": " "})
# Months and days that are names of people or ordinary words as well.
NAMES_TOO = frozenset({"jan", "mar", "march", "april", "may", "june", "august", "dec", "sat", "sun", "wed", "fri", "mon", "spring", "fall"})


def plain(text: str) -> str:
    """The text with plain quotes, dashes and blanks, each letter in its place."""
    return text.translate(_PLAIN)


def month_no(word: str) -> int:
    """1 to 12."""
    return _MONTH_LETTERS.index(word[:3].lower()) + 1


def weekday_no(word: str) -> int:
    """0 (Monday) to 6."""
    return _WEEKDAY_LETTERS.index(word[:3].lower())


def number_of(word: str) -> int:
    """A whole number that is written in digits or as a word."""
    word = " ".join(word.lower().split())
    return int(word) if word.isdigit() else _NUMBERS[word]


def ordinal_of(word: str) -> int:
    """1 to 5; -1 for the last one."""
    word = word.lower()
    if word in ("last", "final"):
        return -1
    return int(word[0]) if word[0].isdigit() else _ORDINALS[word]


def year_of(digits: str) -> int:
    """A year of four digits, or of two: 00 to 79 are 2000 to 2079."""
    number = int(digits.lstrip("'"))
    if len(digits.lstrip("'")) == 4:
        return number
    return _CENTURY + number if number <= _LATEST_SHORT_YEAR else _CENTURY - 100 + number


def pattern(text: str) -> re.Pattern[str]:
    """A pattern over the vocabulary: `{month}`, `{day}` and so on stand for the groups above, a blank for any number of them."""
    for name, words in (
        ("month", MONTH),
        ("weekday", WEEKDAY),
        ("day", DAY_NO),
        ("year", YEAR),
        ("number", NUMBER),
        ("unit", UNIT),
        ("ordinal", ORDINAL),
        ("period", PERIOD),
        ("this", THIS),
        ("last", LAST),
        ("next", NEXT),
    ):
        text = text.replace("{" + name + "}", f"(?:{words})")
    text = _SET_OR_BLANK.sub(lambda match: {" ": " +", " ?": " *"}.get(match[0], match[0]), text)
    return re.compile(rf"(?<![\w@#$€£])(?:{text})(?![\w@]|\.[a-z])", re.IGNORECASE | re.ASCII)
