"""Phone numbers that belong to nobody, and the ways people write them.

Only ranges that regulators keep for fiction are used: 555-01xx in North America, the drama numbers of Ofcom (London) and of the
Bundesnetzagentur (Berlin, Hamburg, mobile). Customers elsewhere are reached under North American numbers.
"""

from itertools import product
from random import Random

_NORTH_AMERICAN_AREAS = ("212", "312", "415", "503", "602", "614", "702", "713", "801", "813", "914", "952")
_BRITISH = tuple(f"+44207946{n:04}" for n in range(1000))
_GERMAN = tuple(f"+49{n}" for n in (*range(3023125000, 3023126000), *range(4066969000, 4066970000)))
_GERMAN_MOBILE = tuple(f"+4917139200{n:02}" for n in range(100))
_NORTH_AMERICAN = tuple(f"+1{area}55501{n:02}" for area, n in product(_NORTH_AMERICAN_AREAS, range(100)))
_REGIONS = {"1": "US", "44": "GB", "49": "DE"}


class PhoneBook:
    """Gives out numbers, each once; a company's switchboard is the same for everybody who sits behind it."""

    def __init__(self, rng: Random) -> None:
        pools = {"US": _NORTH_AMERICAN, "GB": _BRITISH, "DE": _GERMAN, "DE mobile": _GERMAN_MOBILE}
        self._free = {pool: rng.sample(numbers, len(numbers)) for pool, numbers in pools.items()}
        self._switchboards: dict[str, str] = {}

    def line(self, country: str) -> str:
        """A landline nobody has yet, E.164."""
        return self._free[country if country in self._free else "US"].pop()

    def mobile(self, country: str) -> str:
        """A mobile number nobody has yet, E.164; outside Germany it looks like any other."""
        return self._free["DE mobile"].pop() if country == "DE" else self.line(country)

    def switchboard(self, company: str, country: str) -> str:
        """The main number of a company, E.164."""
        if company not in self._switchboards:
            self._switchboards[company] = self.line(country)
        return self._switchboards[company]


def written(number: str, rng: Random, region: str) -> str:
    """A number the way someone in the region typed it: international, national when it is at home there, with or without punctuation."""
    if not number:
        return ""
    country, area, rest = _parts(number)
    half = len(rest) // 2
    styles = [number, f"+{country} {area} {rest[:half]} {rest[half:]}", f"+{country} ({area}) {rest[:half]}-{rest[half:]}"]
    if _REGIONS[country] != region:
        styles.append(f"{'011' if region == 'US' else '00'} {country} {area} {rest}")
    elif region == "US":
        styles += [f"({area}) {rest[:3]}-{rest[3:]}", f"{area}.{rest[:3]}.{rest[3:]}", f"{area}-{rest[:3]}-{rest[3:]}"]
    else:
        styles += [f"0{area}/{rest}", f"0{area} {rest}", f"0{area}-{rest}"]
    return rng.choice(styles)


def _parts(number: str) -> tuple[str, str, str]:
    """Country code, area code and subscriber's digits of one of our own numbers."""
    for country, area_digits in (("44", 2), ("49", 2), ("1", 3)):
        if number.startswith(f"+{country}"):
            national = number[1 + len(country) :]
            cut = 3 if national.startswith("171") else area_digits
            return country, national[:cut], national[cut:]
    raise ValueError("not one of the demo's numbers")
