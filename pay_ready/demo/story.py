"""What happened: the year of every customer, told in episodes.

A company goes through the phases of its arc (a smooth start, a rocky one, a slow goodbye …). An episode leaves traces in several systems:
a recorded call comes with its calendar entry, a note, a follow-up mail and a word among colleagues. A `Moment` is one such trace, in the
words of those who were there; the renderers only give it the shape of its source.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Literal

from pay_ready.demo.clock import YEAR_DAYS, YEAR_END, YEAR_START, Zone, working_time, zone_of
from pay_ready.demo.companies import Company
from pay_ready.demo.people import Employee, Person
from pay_ready.demo.phrases import Exchange, Speech
from pay_ready.demo.plans import Plan

System = Literal["gong", "hubspot", "salesforce", "slack"]
Kind = Literal["call", "meeting", "note", "email", "dial", "chat", "case", "task"]

_ARCS = (
    ("pricing", "security", "onboarding", "praise", "renewal"),
    ("onboarding", "bug", "complaint", "promise", "praise"),
    ("bug", "complaint", "competitor", "pricing", "complaint"),
    ("praise", "question", "pricing", "onboarding", "praise"),
    ("question", "security", "pricing", "competitor", "question"),
    ("question", "pricing", "competitor", "security", "onboarding"),
    ("question", "bug", "praise", "question", "renewal"),
    ("onboarding", "bug", "complaint", "security", "renewal"),
)
_EVERYDAY = ("question", "promise", "praise", "bug", "pricing")  # what comes up in any phase
_EPISODES = {"call": 13, "email": 14, "dial": 15, "chat": 28, "case": 10, "task": 14, "meeting": 6}
_EPISODES_IN_TROUBLE = {"call": 11, "email": 14, "dial": 14, "chat": 28, "case": 23, "task": 10, "meeting": 0}
_TROUBLE = ("bug", "complaint")
_NOW = timedelta()
_WORTH_NOTING = 45  # characters: shorter lines are courtesy
_MOODS = {"praise": "_good", "bug": "_bad", "complaint": "_bad", "competitor": "_bad"}
_CASE_THEMES = ("pricing", "onboarding", "bug", "renewal", "security", "complaint", "question")
_END = datetime(YEAR_END.year, YEAR_END.month, YEAR_END.day, tzinfo=UTC) + timedelta(days=1)
_CHANNEL_SHARE = 0.7  # of the larger customers share a chat channel with the tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Somebody's words; `after` is the time since the moment began."""

    who: Person | Employee
    text: str
    after: timedelta = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One trace of an episode in one system. `people` are customers, `staff` the tenant's own; the first of each is the main one."""

    number: int  # in the order of telling, unique for the tenant
    system: System
    kind: Kind
    at: datetime  # UTC
    minutes: int
    theme: str
    topic: str
    subject: str
    company: Company | None  # None among colleagues
    people: tuple[Person, ...]
    staff: tuple[Employee, ...]
    said: tuple[Said, ...]
    outgoing: bool  # opened by the tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """Where an episode takes place and who is there."""

    company: Company
    at: datetime
    theme: str
    people: tuple[Person, ...]
    staff: tuple[Employee, ...]
    names: Mapping[str, str]
    topic: str

    def speaker(self, side: str, rng: Random) -> Person | Employee:
        crowd: Sequence[Person | Employee] = self.people if side == "C" else self.staff
        return crowd[0] if rng.random() < 0.7 else rng.choice(crowd)


def tell(plan: Plan, companies: Sequence[Company], people: Sequence[Person], staff: Sequence[Employee], rng: Random) -> tuple[Moment, ...]:
    """All moments of a tenant's year, in time order."""
    teller = _Teller(plan, people, [colleague for colleague in staff if not colleague.left], rng)
    moments = [moment for n, company in enumerate(companies) for moment in teller.year(company, _ARCS[n % len(_ARCS)])]
    moments += teller.team_talk(plan.team_chats, staff)
    return tuple(sorted((_until_the_end(m) for m in moments if m.at < _END), key=lambda moment: (moment.at, moment.number)))


def _until_the_end(moment: Moment) -> Moment:
    """The moment without the words that fall into the next year."""
    return replace(moment, said=tuple(line for line in moment.said if moment.at + line.after < _END))


def shares_channel(company: Company) -> bool:
    """Whether the customer has a chat channel together with the tenant."""
    return company.weight > 1 and sum(map(ord, company.key)) % 10 < _CHANNEL_SHARE * 10


class _Teller:
    def __init__(self, plan: Plan, people: Sequence[Person], staff: Sequence[Employee], rng: Random) -> None:
        self._plan = plan
        self._people = people
        self._staff = staff
        self._rng = rng
        self._speech = Speech(rng, plan.lexicon)
        self._count = 0

    def year(self, company: Company, arc: Sequence[str]) -> Iterator[Moment]:
        """The episodes of one customer, phase after phase."""
        zone = zone_of(company.country, company.state)
        team = self._rng.sample(self._staff, min(3, len(self._staff)))
        count = self._plan.episodes[company.weight - 1] + self._rng.randint(-3, 3)
        for number in range(count):
            start = YEAR_DAYS * number // count
            phase = arc[min(len(arc) - 1, start * len(arc) // YEAR_DAYS)]
            theme = phase if self._rng.random() < 0.68 else self._rng.choice(_EVERYDAY)
            yield from self._episode(company, zone, theme, YEAR_START + timedelta(days=start), team)

    def team_talk(self, count: int, staff: Sequence[Employee]) -> Iterator[Moment]:
        """Chat among colleagues that is about no customer; the colleague who leaves falls silent in spring."""
        for _ in range(count):
            at = working_time(YEAR_START, YEAR_END, self._plan.zone, self._rng)
            present = [colleague for colleague in staff if not colleague.left or at.date() < date(2026, 4, 1)]
            author, other = self._rng.sample(present, 2)
            text = self._speech.line("team_chat", {"who": other.key})
            yield self._among_colleagues(at, "question", "", [Said(who=author, text=text)], (author, other))

    def _episode(self, company: Company, zone: Zone, theme: str, day: date, team: Sequence[Employee]) -> Iterator[Moment]:
        weights = _EPISODES_IN_TROUBLE if theme in _TROUBLE else _EPISODES
        kind = self._rng.choices(tuple(weights), tuple(weights.values()))[0]
        planned = kind in ("call", "meeting")
        at = working_time(day, min(YEAR_END, day + timedelta(days=9)), zone, self._rng, 5 if planned else 1)
        at += timedelta() if planned else timedelta(seconds=self._rng.randrange(60), milliseconds=self._rng.randrange(1000))
        scene = self._scene(company, at, theme, team, crowd=planned)
        tellers = {
            "call": self._call,
            "email": self._mail,
            "dial": self._dial,
            "chat": self._chat,
            "case": self._case,
            "task": self._task,
            "meeting": self._meeting,
        }
        yield from tellers[kind](scene)

    def _scene(self, company: Company, at: datetime, theme: str, team: Sequence[Employee], *, crowd: bool) -> _Scene:
        rng = self._rng
        known = [person for person in self._people if person.job_on(at.date()).company == company.key]
        main = known[min(int(rng.expovariate(0.7)), len(known) - 1)]
        others = [person for person in known if person is not main]
        guests = rng.sample(others, min(len(others), rng.choice((0, 1, 1, 2)))) if crowd or rng.random() < 0.15 else []
        lead = team[0] if rng.random() < 0.6 else rng.choice(team)
        second = rng.choice([colleague for colleague in team if colleague is not lead])
        names = {
            "c1": main.nick,
            "s1": lead.nick,
            "eng": second.nick,
            "boss": rng.choice(others).nick if others else rng.choice(("Dana", "Robin", "Toni")),
            "company": company.short,
            "who": second.key,
        }
        topic = self._speech.subject(theme, "topic", names)
        staff = (lead, second) if crowd and rng.random() < 0.6 else (lead,)
        names["topic"] = topic
        return _Scene(company=company, at=at, theme=theme, people=(main, *guests), staff=staff, names=names, topic=topic)

    def _trace(
        self, system: System, kind: Kind, scene: _Scene, subject: str, said: Sequence[Said], *, later: timedelta = _NOW, minutes: int = 0
    ) -> Moment:
        self._count += 1
        return Moment(
            number=self._count,
            system=system,
            kind=kind,
            at=scene.at + later,
            minutes=minutes,
            theme=scene.theme,
            topic=scene.topic,
            subject=subject,
            company=scene.company,
            people=scene.people,
            staff=scene.staff,
            said=tuple(said),
            outgoing=not said or isinstance(said[0].who, Employee),
        )

    def _among_colleagues(self, at: datetime, theme: str, topic: str, said: Sequence[Said], staff: tuple[Employee, ...]) -> Moment:
        self._count += 1
        return Moment(
            number=self._count,
            system="slack",
            kind="chat",
            at=at,
            minutes=0,
            theme=theme,
            topic=topic,
            subject="",
            company=None,
            people=(),
            staff=staff,
            said=tuple(said),
            outgoing=True,
        )

    def _spoken(self, scene: _Scene, exchange: Exchange) -> list[Said]:
        """An exchange in the mouths of those present; each side keeps its speaker."""
        speakers = {side: scene.speaker(side, self._rng) for side in ("C", "S")}
        return [Said(who=speakers[line.side], text=line.text) for line in exchange]

    def _dialogue(self, scene: _Scene) -> list[Said]:
        rng, say = self._rng, self._speech.exchange
        said = self._spoken(scene, say("call_open", scene.names)) + self._spoken(scene, say("call_agenda", scene.names))
        for _ in range(rng.randint(3, 6)):
            said += self._spoken(scene, say(scene.theme, scene.names))
            if rng.random() < 0.25:
                said.append(Said(who=scene.speaker(rng.choice("CS"), rng), text=self._speech.line("listen", scene.names)))
        said += self._spoken(scene, say(rng.choice(_EVERYDAY), scene.names))
        said += self._spoken(scene, say("promise", scene.names, "S"))
        return said + self._spoken(scene, say("call_close", scene.names))

    def _call(self, scene: _Scene) -> Iterator[Moment]:
        rng = self._rng
        said = self._dialogue(scene)
        subject = f"{scene.company.short}: {self._speech.subject(scene.theme, 'event', scene.names)}"
        planned = rng.choice((30, 30, 45, 60))
        yield self._trace("gong", "call", scene, subject, said, minutes=planned)
        calendar: System = rng.choice(("salesforce", "hubspot"))
        yield self._trace(calendar, "meeting", scene, subject, [], minutes=planned)
        if rng.random() < 0.55:
            heard = [line.text for line in said[4:] if isinstance(line.who, Person) and len(line.text) > _WORTH_NOTING]
            yield self._note(scene, heard, timedelta(minutes=planned + rng.randint(3, 90)))
        if rng.random() < 0.35:
            yield from self._follow_up(scene, timedelta(hours=rng.randint(2, 26)))
        if rng.random() < 0.35:
            yield self._team_word(scene, timedelta(minutes=planned + rng.randint(1, 30)))

    def _note(self, scene: _Scene, heard: Sequence[str], later: timedelta) -> Moment:
        opening = self._speech.line("note_open", scene.names)
        promise = next(line.text for line in self._speech.exchange("promise", scene.names, "S"))
        quotes = self._rng.sample(heard, min(len(heard), self._rng.randint(1, 3)))
        body = "\n".join((opening, *(f"- {quote}" for quote in quotes), f"Next: {promise}"))
        return self._trace("hubspot", "note", scene, "", [Said(who=scene.staff[0], text=body)], later=later)

    def _follow_up(self, scene: _Scene, later: timedelta) -> Iterator[Moment]:
        promise = self._speech.exchange("promise", scene.names, "S")
        yield self._trace("hubspot", "email", scene, f"Follow-up: {scene.topic}", self._mails(scene, promise), later=later)

    def _team_word(self, scene: _Scene, later: timedelta = _NOW) -> Moment:
        author, other = scene.staff[0], self._rng.choice([colleague for colleague in self._staff if colleague is not scene.staff[0]])
        mood = _MOODS.get(scene.theme, "") if self._rng.random() < 0.6 else ""
        said = [Said(who=author, text=self._speech.line(f"internal{mood}", scene.names))]
        for n in range(self._rng.choice((0, 1, 1, 2))):
            text = self._speech.line(f"internal_reply{mood if n == 0 else ''}", scene.names)
            said.append(Said(who=other if n == 0 else author, text=text, after=timedelta(minutes=self._rng.randint(2, 50) * (n + 1))))
        return self._among_colleagues(scene.at + later, scene.theme, scene.topic, said, (author, other))

    def _mail(self, scene: _Scene) -> Iterator[Moment]:
        exchange = self._speech.exchange(scene.theme, scene.names)
        said = self._mails(scene, exchange)
        subject = self._speech.subject(scene.theme, "email", scene.names)
        yield self._trace("hubspot", "email", scene, subject, said)
        if self._rng.random() < 0.12:  # copied into the other system too, as a mail add-in does
            yield self._trace("salesforce", "email", scene, subject, said[:1])

    def _mails(self, scene: _Scene, exchange: Exchange) -> list[Said]:
        """A thread: the exchange, sometimes a second one, sometimes a word of thanks; hours lie between the mails."""
        rng = self._rng
        lines = list(exchange)
        if rng.random() < 0.2:
            lines += self._speech.exchange(scene.theme, scene.names, "S" if lines[-1].side == "C" else "C")
        speakers: Mapping[str, Person | Employee] = {"C": scene.people[0], "S": scene.staff[0]}
        said: list[Said] = []
        after = timedelta()
        for line in lines:
            filler = self._speech.line("mail_fill", scene.names) if rng.random() < 0.55 else ""
            said.append(Said(who=speakers[line.side], text=f"{line.text} {filler}".strip(), after=after))
            after += timedelta(minutes=rng.randint(25, 60 * 20), seconds=rng.randrange(60))
        if rng.random() < 0.3:
            thanks = self._speech.line("thanks", scene.names)
            said.append(Said(who=speakers["S" if lines[-1].side == "C" else "C"], text=thanks, after=after))
        return said

    def _dial(self, scene: _Scene) -> Iterator[Moment]:
        answered = self._rng.random() < 0.75
        said = self._spoken(scene, self._speech.exchange(scene.theme, scene.names)) if answered else []
        system: System = "hubspot" if self._rng.random() < 0.7 else "salesforce"
        minutes = self._rng.randint(2, 14) if answered else 0
        yield self._trace(system, "dial", scene, f"Call with {scene.people[0].name}", said, minutes=minutes)

    def _chat(self, scene: _Scene) -> Iterator[Moment]:
        if not shares_channel(scene.company) or self._rng.random() < 0.25:
            yield self._team_word(scene)
            return
        lines = list(self._spoken(scene, self._speech.exchange(scene.theme, scene.names)))
        if self._rng.random() < 0.35:
            lines += self._spoken(scene, self._speech.exchange(scene.theme, scene.names, "C"))
        if self._rng.random() < 0.3:
            lines.append(Said(who=lines[0].who, text=self._speech.line("thanks", scene.names)))
        said, after = [], timedelta()
        for line in lines:
            said.append(replace(line, after=after))
            after += timedelta(minutes=self._rng.randint(1, 45))
        yield self._trace("slack", "chat", scene, "", said)

    def _case(self, scene: _Scene) -> Iterator[Moment]:
        if scene.theme not in _CASE_THEMES:
            scene = replace(scene, theme="question", topic=self._speech.subject("question", "topic", scene.names))
        exchange = self._speech.exchange(scene.theme, scene.names, "C")
        said = [Said(who=scene.people[0], text=exchange[0].text), Said(who=scene.staff[0], text=exchange[1].text, after=timedelta(hours=3))]
        yield self._trace("salesforce", "case", scene, self._speech.subject(scene.theme, "case", scene.names), said)
        if self._rng.random() < 0.4:
            subject = self._speech.subject(scene.theme, "task", scene.names)
            yield self._trace("salesforce", "task", scene, subject, said[1:], later=timedelta(hours=2))
        if self._rng.random() < 0.35:
            yield self._team_word(scene, timedelta(minutes=self._rng.randint(5, 120)))

    def _task(self, scene: _Scene) -> Iterator[Moment]:
        concern = next(line.text for line in self._speech.exchange(scene.theme, scene.names) if line.side == "C")
        said = [Said(who=scene.staff[0], text=f"{scene.names['c1']} about {scene.topic}: {concern}")]
        yield self._trace("salesforce", "task", scene, self._speech.subject(scene.theme, "task", scene.names), said)

    def _meeting(self, scene: _Scene) -> Iterator[Moment]:
        system: System = self._rng.choice(("salesforce", "hubspot"))
        subject = self._speech.subject(scene.theme, "event", scene.names)
        agenda = self._spoken(scene, self._speech.exchange("call_agenda", scene.names))
        yield self._trace(system, "meeting", scene, subject, agenda, minutes=self._rng.choice((30, 60, 90, 240)))
