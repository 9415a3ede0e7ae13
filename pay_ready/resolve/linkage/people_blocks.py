"""Which person records are worth comparing: keys of addresses, numbers and names, and how large a block may be."""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from pay_ready.resolve.linkage.blocks import BlockRule, joined_rule
from pay_ready.resolve.linkage.caps import Caps
from pay_ready.resolve.linkage.columns import Keys, key_numbers, key_of
from pay_ready.resolve.linkage.texts import TextValues
from pay_ready.resolve.linkage.values import Category, Dates, Identifiers, Postcodes, Values

if TYPE_CHECKING:
    from pay_ready.resolve.linkage.people import People

LEAST_WEAK = 5


def person_rules(people: "People") -> list[BlockRule]:
    """Addresses, numbers, rare full names, and part of a name with an employer, a place or a date."""
    names, caps, emails = people.names, people.caps, people.emails
    given, family = names.canonical(), names.heads(names.family)
    full, phones = names.full_keys(), people.phones.keys()
    users = np.append(emails.user.distinct.keys, np.int64(-1))[people.users]
    found = [
        BlockRule(name="email", keys=emails.column.keys(), cap=caps.contact),
        BlockRule(name="email_user", keys=users, cap=caps.user),
        BlockRule(name="phone", keys=phones, cap=caps.phone),
        joined_rule("phone_and_name", [key_of(phones, family), key_of(phones, names.heads(names.given))], caps.contact),
        BlockRule(name="name", keys=full, cap=caps.name),
    ]
    sides = people.owners.key_columns()
    found.append(joined_rule("employer_and_family", [key_of(side, family) for side in sides], caps.place_and_name))
    found.append(joined_rule("employer_and_given", [key_of(side, given) for side in sides], caps.place_and_given))
    for each in people.values:
        found.extend(_value_rules(each, caps, given, family, full))
    if caps.weak >= LEAST_WEAK:
        found.extend(BlockRule(name=name, keys=keys, cap=caps.weak, extra=True) for name, keys in _weak_keys(people).items())
    return found


def _weak_keys(people: "People") -> dict[str, Keys]:
    """Keys that say little by themselves, for tenants that are small enough."""
    names, emails = people.names, people.emails
    heads = emails.user.mapped(lambda texts: pc.utf8_slice_codeunits(texts, 0, 5))
    return {
        "given": names.canonical(), "family": names.families(), "family_head": names.heads(names.family), "email_user_head": heads.keys(),
        "email_host": np.append(key_numbers(emails.hosts), np.int64(-1))[emails.own_host],
    }  # fmt: skip


def _value_rules(each: Values, caps: Caps, given: Keys, family: Keys, full: Keys) -> list[BlockRule]:
    name = each.comparison.name
    if isinstance(each, Category):
        return [BlockRule(name=f"{name}_and_full_name", keys=key_of(each.column.keys(), full), cap=caps.phone)]
    rules = []
    # Numbers that keep the keys of the two parts of a name from meeting.
    family_part, given_part = np.zeros(len(family), dtype=np.int64), np.ones(len(given), dtype=np.int64)
    for keys in each.block_keys():
        parts = [key_of(keys, family, family_part), key_of(keys, given, given_part)]
        rules.append(joined_rule(f"{name}_and_name", parts, caps.place_and_name))
        if isinstance(each, Dates | Identifiers | Postcodes | TextValues):
            rules.append(BlockRule(name=name, keys=keys, cap=caps.value))
    return rules
