"""People and companies as one record describes them, each under the key that names it inside its source."""

from typing import cast

from pay_ready.model.staged import Side, StagedCompany, StagedPerson
from pay_ready.pipeline.mapping.kinds import LONGEST_LINE
from pay_ready.pipeline.mapping.rules import CompanyRule, PersonRule, Scalar
from pay_ready.pipeline.mapping.scope import Scope
from pay_ready.resolve.hosts import belongs_to, business_domain
from pay_ready.resolve.normalize import (
    EmailAddress,
    is_no_name,
    join_name,
    normalize_company_name,
    normalize_person_name,
    split_name,
)


def staged_company(rule: CompanyRule, scope: Scope) -> StagedCompany | None:
    """The company that the scope's element describes, keyed by the source's id, else domain, else name; None when it has none of them.

    Raises:
        BrokenContractError: A required field is missing or unusable.
    """
    fields = rule.fields
    identifier, domain = scope.line(fields.get("id")), scope.line(fields.get("domain"))
    name = _name(scope.line(fields.get("name")))
    key = _company_key(identifier, domain, name)
    if key is None:
        return None
    phone = scope.phone(fields.get("phone"))
    return StagedCompany(
        key=key,
        name=name,
        domain=domain,
        phone=phone.e164 if phone else None,
        city=scope.line(fields.get("city")),
        country=scope.line(fields.get("country")),
        industry=scope.line(fields.get("industry")),
        updated_at=scope.moment(fields.get("updated_at")),
        attributes=noted(scope.scalars(rule.attributes), scope),
    )


def staged_person(rule: PersonRule, scope: Scope, *, interaction: str | None = None, speaker: str | None = None) -> StagedPerson | None:
    """The person that the scope's element describes, keyed by the source's id, else e-mail, phone or appearance; None when nothing tells.

    Args:
        interaction: The interaction that the person appears in; None for a listed person, who has no key by appearance.
        speaker: The person's key among the interaction's speakers.

    Raises:
        BrokenContractError: A required field is missing or unusable.
    """
    fields = rule.fields
    identifier, email, phone = scope.line(fields.get("id")), scope.email(fields.get("email")), scope.phone(fields.get("phone"))
    full_name, first_name, last_name = _names(rule, scope)
    if identifier:
        key = f"id:{identifier}"
    elif email:
        key = f"email:{email.normalized}"
    elif phone:
        # Colleagues behind one switchboard stay apart: a number alone never says that two names are one person.
        key = f"phone:{phone.e164}:{_name_key(full_name)}" if full_name else f"phone:{phone.e164}"
    elif interaction is not None and (speaker or full_name):
        key = f"speaker:{interaction}:{speaker or 'name=' + _name_key(full_name)}"
    else:
        return None
    side = _side(rule, scope, email)
    company = _company_of_person(rule, scope, email) if side != "internal" else None
    attributes = scope.scalars(rule.attributes)
    if phone and phone.extension:
        attributes["phone_extension"] = phone.extension
    return StagedPerson(
        key=key,
        full_name=full_name,
        first_name=first_name,
        last_name=last_name,
        email=email.address if email else None,
        email_normalized=email.normalized if email else None,
        phone=phone.e164 if phone else None,
        title=scope.line(fields.get("title")),
        city=scope.line(fields.get("city")),
        country=scope.line(fields.get("country")),
        company=company,
        side=side,
        updated_at=scope.moment(fields.get("updated_at")),
        attributes=noted(attributes, scope),
    )


def noted(attributes: dict[str, Scalar], scope: Scope) -> dict[str, Scalar]:
    """The attributes, with the names of the fields whose values could not be used. Called last, when all fields were read."""
    if scope.unusable:
        attributes["unusable_fields"] = ", ".join(sorted(scope.unusable))
    return attributes


def _name(name: str | None) -> str | None:
    return None if name is None or is_no_name(name) else name


def _name_key(full_name: str | None) -> str:
    return normalize_person_name(full_name or "")[:LONGEST_LINE]


def _names(rule: PersonRule, scope: Scope) -> tuple[str | None, str | None, str | None]:
    """Full, first and last name, each made from the others where it is missing."""
    fields = rule.fields
    if not rule.is_named:
        return None, None, None
    full, first, last = (_name(scope.line(fields.get(key))) for key in ("full_name", "first_name", "last_name"))
    if full is None:
        return join_name(first, last), first, last
    if first is None and last is None:
        parts = split_name(full)
        return full, parts.first, parts.last
    return full, first, last


def _company_key(identifier: str | None, domain: str | None, name: str | None) -> str | None:
    if identifier:
        return f"id:{identifier}"
    if domain:
        return f"domain:{domain}"
    return f"name:{normalize_company_name(name)[:LONGEST_LINE]}" if name else None


def _side(rule: PersonRule, scope: Scope, email: EmailAddress | None) -> Side:
    """What the record says; else what the e-mail's host says, where the tenant's own domains are known; else the stream's usual side."""
    declared = scope.line(rule.fields.get("side"))
    own_domains = scope.context.internal_domains
    if declared is None and email is not None and email.host and own_domains:
        declared = "internal" if belongs_to(email.host, own_domains) else None
        if declared is None and business_domain(email.host, scope.context.free_mail):
            declared = "external"
    # The loader admits no other words in a field of this kind.
    return cast("Side", declared or rule.usual_side or "unknown")


def _company_of_person(rule: PersonRule, scope: Scope, email: EmailAddress | None) -> StagedCompany | None:
    """The company by the source's id, else by its domain or the e-mail's, else by name; the tenant is no company of its own."""
    beside = scope.beside()
    named = staged_company(rule.company, beside) if rule.company and scope.holds(rule.company.when) else None
    if beside.unusable:
        scope.note("company")
    if named is not None and (named.key.startswith("id:") or named.domain):
        return named
    domain = business_domain(email.host, scope.context.free_mail) if email and email.host else None
    if domain is None or belongs_to(domain, scope.context.internal_domains):
        return named
    return StagedCompany(
        key=f"domain:{domain}",
        domain=domain,
        name=named.name if named else None,
        phone=named.phone if named else None,
        city=named.city if named else None,
        country=named.country if named else None,
        industry=named.industry if named else None,
    )
