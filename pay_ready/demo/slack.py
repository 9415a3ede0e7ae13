"""Slack's streams: users (colleagues, guests from customers, bots), channels, channel_members, channel_messages and threads."""

import html
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random

from pay_ready.demo.clock import YEAR_START, Zone, zone_of
from pay_ready.demo.export import Export, Json, Record
from pay_ready.demo.people import Employee, Person, address_part
from pay_ready.demo.phones import written
from pay_ready.demo.spelling import epoch_s
from pay_ready.demo.story import Moment, Said, shares_channel
from pay_ready.demo.world import World

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_CHANNELS = {
    "general": "Company-wide announcements and work-based matters",
    "sales": "Deals, quotes, wins and losses",
    "support": "Tickets and escalations",
}
_SERVICE_THEMES = ("bug", "complaint", "onboarding")
_MENTION = re.compile(r"&lt;@([a-z0-9-]+-employee-\d+)&gt;")
_MENTION_SHARE = 0.3  # of the replies name whom they answer
_REACTIONS = ("+1", "eyes", "tada", "white_check_mark", "pray")
_BOT_POSTS = 12
_OPENING = datetime(YEAR_START.year, YEAR_START.month, YEAR_START.day, 8, tzinfo=UTC)  # when the shared channels were set up


@dataclass(frozen=True, slots=True, kw_only=True)
class _Account:
    """Somebody's account in the workspace."""

    user: str
    who: Person | Employee
    company: str  # key of the customer it belongs to, empty for colleagues


class _Workspace:
    """Ids and accounts; a guest has one account for each company they work for."""

    def __init__(self, world: World, rng: Random) -> None:
        self.rng = rng
        self.team = self.new_id("T")
        self.channels = {name: self.new_id("C") for name in _CHANNELS}
        self.accounts: dict[tuple[str, str], _Account] = {}
        for colleague in world.staff:
            self._join(colleague, "")
        for company in filter(shares_channel, world.companies.values()):
            self.channels[f"ext-{company.key}"] = self.new_id("C")
        for moment in world.moments:
            if moment.system == "slack" and moment.company:
                for line in moment.said:
                    if isinstance(line.who, Person):
                        self._join(line.who, moment.company.key)

    def new_id(self, prefix: str) -> str:
        """An id as Slack gives them: a letter for the kind, 0, and nine more."""
        return f"{prefix}0{''.join(self.rng.choices(_ALPHABET, k=9))}"

    def _join(self, who: Person | Employee, company: str) -> None:
        if (who.key, company) not in self.accounts:
            self.accounts[who.key, company] = _Account(user=self.new_id("U"), who=who, company=company)

    def user(self, who: Person | Employee, company: str) -> str:
        """The account that speaks: a colleague's only one, or a guest's at the company."""
        return self.accounts[who.key, "" if isinstance(who, Employee) else company].user

    def members(self, channel: str) -> Iterator[str]:
        """Who is in a channel: all colleagues in #general, most in the others; in a shared one half of them and its guests."""
        company = channel.removeprefix("ext-") if channel.startswith("ext-") else ""
        for n, account in enumerate(self.accounts.values()):
            colleague_joins = n % 2 == 0 if company else channel == "general" or n % 3 != 2
            if account.company == company if account.company else colleague_joins:
                yield account.user


def render_slack(world: World, export: Export, rng: Random) -> None:
    """Add Slack's files. Every message is in `threads` too, as the connector asks for the replies of each one."""
    workspace = _Workspace(world, rng)
    _users(world, workspace, export)
    for name, channel in workspace.channels.items():
        members = list(workspace.members(name))
        export.add("slack", "channels", _channel(name, channel, len(members), workspace))
        for member in members:
            export.add("slack", "channel_members", {"member_id": member, "channel_id": channel})
    threads = [*_arrivals(workspace), *_bot_posts(world, workspace)]
    threads += [_thread(moment, workspace) for moment in world.moments if moment.system == "slack" and moment.said]
    for thread in sorted(threads, key=lambda messages: (str(messages[0]["ts"]), str(messages[0]["channel_id"]))):
        export.add("slack", "channel_messages", thread[0])
        for message in thread:
            export.add("slack", "threads", message)


def _users(world: World, workspace: _Workspace, export: Export) -> None:
    for account in workspace.accounts.values():
        export.add("slack", "users", _user(account, world, workspace))
        export.identify("slack", "users", account.user, "person", account.who.key)
    for user, name in (("USLACKBOT", "Slackbot"), (workspace.new_id("U"), "CRM Bot")):
        export.add("slack", "users", _bot(user, name, workspace))
        export.identify("slack", "users", user, "person", f"bot-{name.lower().replace(' ', '-')}")


def _user(account: _Account, world: World, workspace: _Workspace) -> Record:
    who, rng = account.who, workspace.rng
    company = world.companies.get(account.company)
    zone = zone_of(company.country, company.state) if company else world.plan.zone
    if isinstance(who, Employee):
        deleted, email, title, phone = who.left, who.email, who.title, who.phone if rng.random() < 0.5 else ""
    else:
        job = next(job for job in who.jobs if job.company == account.company)
        deleted = job is not who.jobs[-1]  # the guest who moved on was deactivated
        email, title, phone = job.email, job.title if rng.random() < 0.5 else "", written(who.mobile, rng, world.plan.country)
    handle = f"{address_part(who.given)}.{address_part(who.family)}"
    real_name = who.name if rng.random() < 0.7 else f"{who.nick} {who.family}"
    row: Record = {
        "id": account.user,
        "team_id": workspace.team,
        "name": handle,
        "deleted": deleted,
        "profile": {
            "title": title,
            "phone": phone,
            "skype": "",
            "real_name": real_name,
            "real_name_normalized": real_name,
            "display_name": rng.choice((who.nick, who.nick.lower(), "", f"{who.nick} ({company.short})" if company else who.nick)),
            "fields": None if deleted else {},
            "status_text": "",
            "status_emoji": "",
            "first_name": real_name.split(" ", 1)[0],
            "last_name": real_name.split(" ", 1)[-1],
            "email": email,
            "team": workspace.team,
        },
        "is_bot": False,
        "is_app_user": False,
        "updated": epoch_s(zone.utc(date(2026, 4, 1) if deleted else date(2025, 10, 1), rng.randrange(480, 1020))),
    }
    return row if deleted else {**row, **_alive(account, real_name, zone)}


def _alive(account: _Account, real_name: str, zone: Zone) -> Record:
    """What only active users have."""
    return {
        "color": "9f69e7",
        "real_name": real_name,
        "tz": zone.name,
        "tz_label": zone.label,
        "tz_offset": round(zone.offset(date(2026, 10, 30)).total_seconds()),
        "is_admin": False,
        "is_owner": False,
        "is_primary_owner": False,
        "is_restricted": bool(account.company),
        "is_ultra_restricted": bool(account.company),
        "is_email_confirmed": True,
        "who_can_share_contact_card": "EVERYONE",
    }


def _bot(user: str, name: str, workspace: _Workspace) -> Record:
    return {
        "id": user,
        "team_id": workspace.team,
        "name": name.lower().replace(" ", ""),
        "deleted": False,
        "color": "757575",
        "real_name": name,
        "tz": "America/Los_Angeles",
        "tz_label": "Pacific Time",
        "tz_offset": -25200,
        "profile": {"title": "", "phone": "", "real_name": name, "display_name": name, "fields": {}, "team": workspace.team},
        "is_admin": False,
        "is_restricted": False,
        "is_bot": user != "USLACKBOT",  # Slack does not call its own bot one
        "is_app_user": False,
        "updated": 0,
    }


def _channel(name: str, channel: str, members: int, workspace: _Workspace) -> Record:
    created = epoch_s(datetime(2025, 9, 1, 9, tzinfo=UTC)) + workspace.rng.randrange(86400)
    creator = next(iter(workspace.accounts.values())).user
    shared = name.startswith("ext-")
    purpose = _CHANNELS.get(name, f"Shared channel with {name.removeprefix('ext-')}")
    return {
        "id": channel,
        "name": name,
        "is_channel": True,
        "is_group": False,
        "is_im": False,
        "is_mpim": False,
        "is_private": False,
        "created": created,
        "is_archived": False,
        "is_general": name == "general",
        "unlinked": 0,
        "name_normalized": name,
        "is_shared": False,
        "is_org_shared": False,
        "is_ext_shared": shared,
        "is_pending_ext_shared": False,
        "pending_shared": [],
        "context_team_id": workspace.team,
        "updated": created * 1000 + workspace.rng.randrange(1000),
        "creator": creator,
        "shared_team_ids": [workspace.team],
        "is_member": True,
        "topic": {"value": "", "creator": "", "last_set": 0},
        "purpose": {"value": purpose, "creator": creator, "last_set": created},
        "previous_names": [],
        "num_members": members,
    }


def _arrivals(workspace: _Workspace) -> Iterator[list[Record]]:
    """The messages that say that a guest has joined."""
    for account in workspace.accounts.values():
        if account.company:
            at = _OPENING + timedelta(seconds=workspace.rng.randrange(43_200))
            text = f"<@{account.user}> has joined the channel"
            message: Record = {"type": "message", "subtype": "channel_join", **_sent(at, workspace), "user": account.user, "text": text}
            yield [{**message, "channel_id": workspace.channels[f"ext-{account.company}"]}]


def _bot_posts(world: World, workspace: _Workspace) -> Iterator[list[Record]]:
    bot = workspace.new_id("B")
    companies = tuple(world.companies.values())
    for _ in range(_BOT_POSTS):
        company = workspace.rng.choice(companies)
        at = world.plan.zone.utc(YEAR_START + timedelta(days=workspace.rng.randrange(360)), workspace.rng.randrange(480, 1080))
        text = f":bell: Deal *{company.short}* moved to *{workspace.rng.choice(('Closed Won', 'Negotiation', 'Proposal'))}*"
        message: Record = {"type": "message", "subtype": "bot_message", **_sent(at, workspace), "text": text, "username": "CRM Bot"}
        yield [{**message, "bot_id": bot, "team": workspace.team, "channel_id": workspace.channels["sales"]}]


def _sent(at: datetime, workspace: _Workspace) -> Record:
    """The time of a message, which is its key too: seconds with six digits, as text and as number."""
    stamp = f"{epoch_s(at) + workspace.rng.randrange(50)}.{workspace.rng.randrange(10**6):06}"
    return {"ts": stamp, "float_ts": float(stamp)}


def _thread(moment: Moment, workspace: _Workspace) -> list[Record]:
    """A message with its replies; the parent counts them."""
    channel = workspace.channels[_channel_name(moment)]
    messages = [_message(line, moment, channel, workspace, n) for n, line in enumerate(moment.said)]
    parent, replies = messages[0], messages[1:]
    if not replies:
        return messages
    replies = [{**reply, "thread_ts": parent["ts"], "parent_user_id": parent["user"]} for reply in replies]
    users = list(dict.fromkeys(str(reply["user"]) for reply in replies))
    counts: Record = {
        "thread_ts": parent["ts"],
        "reply_count": len(replies),
        "reply_users_count": len(users),
        "latest_reply": replies[-1]["ts"],
        "reply_users": users,
        "is_locked": False,
        "subscribed": False,
    }
    return [{**parent, **counts}, *replies]


def _channel_name(moment: Moment) -> str:
    if moment.company:
        return f"ext-{moment.company.key}"
    if not moment.subject and not moment.topic:
        return "general"
    return "support" if moment.theme in _SERVICE_THEMES else "sales"


def _message(line: Said, moment: Moment, channel: str, workspace: _Workspace, position: int) -> Record:
    rng = workspace.rng
    company = moment.company.key if moment.company else ""
    text = _MENTION.sub(lambda found: f"<@{workspace.accounts[found[1], ''].user}>", html.escape(line.text, quote=False))
    if position and company and rng.random() < _MENTION_SHARE:
        answered = moment.said[position - 1].who
        if answered.key != line.who.key:
            text = f"<@{workspace.user(answered, company)}> {text}"
    row: Record = {
        "client_msg_id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        "type": "message",
        "text": text,
        "user": workspace.user(line.who, company),
        **_sent(moment.at + line.after, workspace),
        "blocks": [{"type": "rich_text", "block_id": f"b{rng.randrange(10**5)}", "elements": _elements(text)}],
        "team": workspace.team,
        "channel_id": channel,
    }
    return {**row, **_reaction(workspace, rng)} if rng.random() < 0.12 else row


def _elements(text: str) -> Json:
    """The same text as rich text: pieces of text and mentions."""
    pieces = [_element(piece) for piece in re.split(r"(<@U[A-Z0-9]+>)", text) if piece]
    return [{"type": "rich_text_section", "elements": pieces}]


def _element(piece: str) -> Record:
    return {"type": "user", "user_id": piece[2:-1]} if piece.startswith("<@") else {"type": "text", "text": html.unescape(piece)}


def _reaction(workspace: _Workspace, rng: Random) -> Record:
    colleagues: Sequence[str] = [account.user for account in workspace.accounts.values() if not account.company]
    users = rng.sample(colleagues, rng.randint(1, 2))
    return {"reactions": [{"name": rng.choice(_REACTIONS), "users": users, "count": len(users)}]}
