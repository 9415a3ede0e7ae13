"""A tenant's people and companies by every way to write them: built once, then asked for each question. Hashes, ranks and ids in arrays."""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from pay_ready.agent.name_forms import EntityType, Form, GivenNames, NamedEntity, domain_key, name_keys, name_words
from pay_ready.agent.safe_text import plain
from pay_ready.agent.typos import TypoIndex

_NAMELESS = "(no name)"  # nothing of it can be seen
_MOST_CANDIDATES = 10  # of a tie; a plan says how many more there are


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entity that a name may mean."""

    id: UUID
    name: str
    entity_type: EntityType
    detail: str = ""  # tells it from others of its name: an e-mail address, or a domain


@dataclass(frozen=True, slots=True)
class Matches:
    """The entities that a key stands for, in its most telling form: several of them tie."""

    form: Form
    numbers: tuple[int, ...]  # in the index


class NameIndex:
    """The names of one tenant. Lookups share nothing that changes: any number of threads may ask."""

    def __init__(self, entities: Iterable[NamedEntity], given_names: GivenNames | None = None) -> None:
        self._ids, self._names, self._companies = array("B"), list[str](), bytearray()
        self._homes = array("q")  # of a person the key of the domain of the first e-mail address, hashed
        self._details, self._detail_ends = bytearray(), array("Q", (0,))  # one after the other, as UTF-8
        uses, rows = Counter[str](), list[tuple[int, int, int]]()
        for number, entity in enumerate(entities):
            self._details += plain(next(iter((*entity.emails, *entity.domains)), "")).encode()
            self._detail_ends.append(len(self._details))
            self._ids.frombytes(entity.id.bytes)
            shown = plain(entity.name) or _NAMELESS
            self._names.append(entity.name if shown == entity.name else shown)  # one text, not two
            self._companies.append(entity.entity_type == "company")
            self._homes.append(hash(domain_key(entity.emails[0].rpartition("@")[2])) if entity.emails else 0)
            uses.update({word for name in (entity.name, *entity.aliases) for word in name_words(name)})
            rows += [(hash(key), form, number) for key, form in name_keys(entity, given_names or {}).items()]
        rows.sort()
        self._hashes = array("q", (each for each, _, _ in rows))
        self._forms = array("B", (form for _, form, _ in rows))
        self._numbers = array("I", (number for _, _, number in rows))
        self._uses: Counter[str] | None = uses
        self._typos: TypoIndex | None = None

    @property
    def typos(self) -> TypoIndex:
        """What a mistyped word may be; built when the first one is looked up."""
        if (typos := self._typos) is None:
            typos = self._typos = TypoIndex(self._uses or {})
            self._uses = None
        return typos

    def __len__(self) -> int:
        return len(self._names)

    def find(self, key: str, together: Form = Form.WHOLE) -> Matches | None:
        """What a key stands for, in its most telling form; forms up to `together` tell no more than each other."""
        places = self._run(hash(key))
        if not places:
            return None
        best = self._forms[places[0]]
        most = max(best, together)
        return Matches(Form(best), tuple(sorted({self._numbers[place] for place in places if self._forms[place] <= most})))

    def _run(self, wanted: int) -> range:
        first = last = bisect_left(self._hashes, wanted)
        while last < len(self._hashes) and self._hashes[last] == wanted:
            last += 1
        return range(first, last)

    def candidates(self, numbers: Sequence[int]) -> tuple[Candidate, ...]:
        """The first few, by name and id."""
        return tuple(sorted(map(self._candidate, numbers), key=lambda each: (each.name.lower(), each.id))[:_MOST_CANDIDATES])

    def is_company(self, number: int) -> bool:
        """Whether it is a company and no person."""
        return bool(self._companies[number])

    def employed_by(self, people: Sequence[int], companies: Sequence[int]) -> tuple[int, ...]:
        """Those of the people whose e-mail address lies in a domain of one of the companies."""
        wanted = set(companies)
        return tuple(
            person
            for person in people
            if self._homes[person] and any(self._numbers[place] in wanted for place in self._run(self._homes[person]))
        )

    def _candidate(self, number: int) -> Candidate:
        kind: EntityType = "company" if self._companies[number] else "person"
        detail = self._details[self._detail_ends[number] : self._detail_ends[number + 1]].decode()
        return Candidate(self._id(number), self._names[number], kind, detail)

    def _id(self, number: int) -> UUID:
        return UUID(bytes=self._ids[16 * number : 16 * number + 16].tobytes())
