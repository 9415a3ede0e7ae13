"""What a question asks, by its words. Rules say which intent and how sure; where none speaks, a classifier is asked."""

import re
from dataclasses import dataclass

from pay_ready.agent.plan import Intent

_I = re.IGNORECASE
# Stand in for names and for nothing where times stood, so that no name or date decides (see `reading`).
COMPANY, PERSON = "Acme", "Jane"

_AT_HOME_ALWAYS = ("similar", "promises", "coaching", "search")  # where a rule of `_FIRST` says so
_THING = r"(?:calls?|meetings?|e-?mails?|mails?|tickets?|cases?|chats?|messages?|conversations?|interactions?"
_THING += r"|deals?|demos?|notes?|threads?|one|ones)"

# These win wherever they stand.
_FIRST: tuple[tuple[Intent, str], ...] = (
    (
        "similar",
        (
            rf"(?:more|{_THING}|anything|something|just|exactly|looks?|went) (?:like|similar to|close to"
            rf"|comparable to) (?:this|that|it|these|those)\b"
            rf"|similar (?:{_THING}|to (?:this|that|it))|(?:resembl\w+|related to|same kind as|comparable to"
            rf"|close to) (?:this|that|it|these)\b|more like this"
            r"|like (?:call|meeting|interaction|ticket|case)? ?[0-9a-f]{8}-"
            r"|\b(?:in the (?:same )?vein (?:of|as)|along the (?:same )?lines (?:of|as)|reminiscent of|akin to|such as)"
            r" (?:this|that|these|those)\b"
        ),
    ),
    ("search", r"\bdid (?:anyone|anybody|someone|somebody|they) (?:ever )?promise"),
    (
        "coaching",
        (
            r"\bcoach\w*|score ?cards?\b|talk(?:ing)?[- ](?:to[- ]listen|ratio|time|share)|monologu\w+"
            r"|\binteractivity\b|(?<!lose )(?<!lost )(?<!losing )(?<!out of )\bpatience\b|question rate"
            r"|\bask(?:s|ing)? (?:enough|too few|many|good|open|better)(?: \w+)? questions|talk(?:s|ing)? too much"
            r"|how many questions does\b|interrupt(?:s|ing)?\b"
            r"|feedback (?:to|for|on) (?:the |my |our |a )?(?:rep|reps|seller|jane|bob)\b|\bhow (?:is|are|was"
            r"|did) (?:\w+ ){1,3}(?:doing|perform\w*|do) on (?:his|her|their|the)? ?(?:\w+ )?calls"
            r"|\b(?:lets?|letting) (?:customers?|clients?|people|them|others|buyers?|the other side) (?:finish|talk|speak)"
            r"|\b(?:cut|cuts|cutting) .{1,20} off\b|\btalk(?:s|ing)? over\b|(?:talk|speak)(?:s|ing) (?:him|her|them)sel(?:f|ves)\b"
            r"|\b(?:do|be|get|become) better (?:on|in|at|with) (?:the phone|(?:his|her|their) )"
            r"|\b(?:strengths?|weakness(?:es)?|blind spots?) (?:of|on|in)\b|'s (?:strengths?|weakness(?:es)?|blind spots?)\b"
            r"|\bopen(?:-ended)? questions\b"
            r"|objection handling|call technique|how (?:can|should|could) (?:\w+ ){1,2}improve\b|(?:rep|reps|seller"
            r"|sellers)(?:'s?)? performance"
        ),
    ),
    (
        "promises",
        (
            r"\bpromis(?:e|es|ed|ing)\b|\bcommit(?:s|ted|ments?)?\b|action items?|next[- ]steps?|\bto-?dos?\b"
            r"|\bdeliverables\b|agree[ds]? to (?:do|send|deliver|provide|give|share)"
            r"|follow[- ]?ups? (?:do|that|we|are|owed)|\bow(?:e|es|ed)\b|\bsa(?:id|ys|y) (?:that )?(?:he|she|they|it|we"
            r"|i)(?: (?:would|will)"
            r"|'d|'ll)\b|\bagree[ds]? to\W*$|still waiting (?:for|on)\b"
        ),
    ),
    (
        "compare",
        (
            r"^(?:please |can you |could you )?(?:compare|contrast)\b|\bcomparison\b|differences? between"
            r"|^differences? (?:at|in|with|for|from)\b|\bhow (?:does|do|did) .{1,60} differ\b"
            r"|\b(?:next to|beside|against) (?:each other|one another)\b|different between|side[- ]by[- ]side|stack up against"
            r"|\bhow (?:does|do|did) .{1,60} compare (?:to|with)\b"
        ),
    ),
)
# Of these the first in the text.
_EARLIEST: tuple[tuple[Intent, str], ...] = (
    (
        "summary",
        (
            r"\bsummar\w+|\brecap\w*|\bbrief(?:ing)? (?:me|us|on|of|about)|\btl;?dr\b|\boverview\b"
            r"|\bwhat happened\b(?! first)|catch (?:me|us) up|(?:me|us) up to speed"
            r"|\bgist\b|\bhighlights?\b|key (?:points|takeaways)|\btakeaways\b|what(?:'s| is| has been| was) (?:new"
            r"|going on|happening|the latest|the story|up)\b|\bupdate (?:me )?on\b"
            r"|\bcondense\b|fill (?:me|us) in\b|\bin a nutshell\b|\bmain points\b|\b(?:prepare|prep) (?:me|us)\b|(?:me|us) ready for\b"
            r"|^what (?:should|do|must|ought) (?:i|we) (?:need to |to )?know\b|\bwhat came out of\b"
            r"|\bstatus of\b|\bsum up\b|\bdigest\b|run ?down of|\bwhere do we stand\b|\bhow did (?:the|our|my"
            r"|that) \w+ .{0,30}go\b|short version"
        ),
    ),
    (
        "timeline",
        (
            r"\btime ?lines?\b|\bchronolog\w+|\bhistory\b|\bsequence of\b|\bin (?:\w+ )?order\b|\btouch ?points?\b"
            r"|\b(?:activity|event) (?:log|feed)\b|^when (?:did|was|were|have|has)\b"
            r"|\bwalk (?:me|us) through\b|^(?:contact |call |activity )?logs? (?:of|for|with)\b|\b(?:old|new|late"
            r"|earli)est first\b|\bin which order\b"
            rf"|^(?:which|what) (?:{_THING}|exchanges?) (?:did|do|have|had) (?:we|they)\b"
            r"(?!.*\b(?:about|mention\w*|regarding|discuss\w*)\b)"
            r"|^what have we exchanged\b|\blast in touch\b|what happened first|\boldest to newest\b|\bnewest to oldest\b"
            r"|\bcourse of events\b|\bone after (?:the )?(?:other|another)\b"
        ),
    ),
    (
        "sentiment",
        (
            r"\bsentiments?\b|\bmood\b|\btone\b|\bfeel(?:s|ing|ings)?\b|\b(?:un)?happ(?:y|ier|iest)\b|\bfrustrat\w+"
            r"|\bangry\b|\bangrier\b|\bupset\b|\b(?:dis)?satisf\w+"
            r"|\b(?:more |less |most |least )?(?:positive|negative)\b|\bpleased\b|\bannoyed\b|\bmorale\b|\battitude\b"
            r"|\bemotion\w*|\bfed up\b|\bgoodwill\b|\bvibe\b|\bwarm(?:s|ed|ing|er)? (?:up )?to\b|\bcool(?:s|ed|ing)? (?:off|towards?)\b"
            r"|\bsour(?:s|ed|ing)\b|\blo(?:se|ses|st|sing) (?:patience|trust|faith|confidence)\b|\b(?:trusts?|likes?|loves?|hates?) us\b"
            r"|\benjoy(?:s|ed|ing)? (?:working|talking|us|our)\b|\bthink(?:s|ing)? (?:highly )?of\b(?! (?:a|any|another)\b)"
            r"|^how (?:did|does|do|has|have) .{1,40} (?:take|taken|react|reacted|respond|responded)\b|\breact(?:ions?|ed) to\b"
        ),
    ),
    (
        "topics",
        (
            r"\btopics?\b|\bthemes?\b|\bsubjects?\b|\bkeywords?\b|talk(?:ing|ed)? about(?= (?:most|the most)|\W*$)"
            r"|(?:ask(?:ing)?|complain(?:ing)?) about(?= (?:most|the most)|\W*$)"
            r"|\b(?:most|more) (?:common|frequent|frequently|often) (?:\w+ )?(?:objections?|issues?|complaints?"
            r"|questions?|problems?|requests?|concerns?|mentioned)|\bcom(?:e|es|ing|ings) up\b|\bcame up\b"
            r"|\b(?:top|main|biggest|recurring|common|hot|trending)(?: (?:\d+|five|three|ten))? (?:issues?|objections?"
            r"|complaints?|concerns?|questions?|problems?|requests?|pain points?)\b"
            r"|^(?:which|what) (?:issues?|problems?|questions?|concerns?|requests?|complaints?|worries|things"
            r"|points) (?:does|do|did|are|is|keep|keeps)\b"
            r"|\b(?:again and again|over and over|time and again)\b|\bkeeps? .{1,30} (?:busy|awake)\b"
            r"|^what (?:do|does|are|is) .{1,40} (?:complain|grumbl|worr|car|moan)\w* about\b|\bwhich (?:\w+ ){1,3}(?:are"
            r"|is|get|gets|were|was) (?:\w+ )?(?:mentioned|brought up|discussed|raised)"
            r"|what are (?:customers|clients|people|they|prospects) (?:talking|asking)"
        ),
    ),
    (
        "count",
        (
            r"\bhow many\b|\bnumber of\b|^(?:please |can you )?count\b|\bcounts? (?:of|by|per)\b|\bhow (?:often"
            r"|frequently)\b|\btotal (?:number|calls|meetings|e?mails|messages|tickets|of|interactions)\b"
            r"|\baverage number\b|\bvolume of\b|\bfrequency of\b|\btally\b|\bhow much contact\b|\b(?:call|meeting"
            r"|e?mail|ticket|message|interaction) counts?\b"
        ),
    ),
    (
        "who",
        (
            r"^(?:and )?who(?:m)?\b(?!(?: (?:at|from|in|of) .{1,40})? (?:mentioned|said|asked|talked about|talks about"
            r"|brought|raised|complained"
            r"|is (?:un)?happ|is angry|is upset|discussed))|\bcontact (?:details|info\w*|data)\b"
            r"|\b(?:e-?mail|e-?mail address|phone|phone number|title|job title|role|position) of\b|^which (?:company"
            r"|account|people|contacts|colleagues)\b(?!.{0,40}\b(?:mention|discuss))"
            r"|^(?:with )?whom\b|\b(?:main|key|primary) contacts?\b|\bmost (?:involved|active)\b"
            r"|(?:^|\b(?:list|which|what|show|the|all|our|many) )(?:contacts|people|colleagues) (?:do we (?:have"
            r"|know) )?(?:at|from|in)\b|^where does \w+ work"
            r"|decision[- ]makers?|point of contact|^what(?:'s| is) \w+(?:'s)? (?:role|title|job|e-?mail|phone)"
        ),
    ),
    (
        "search",
        (
            r"\b(?:find|search|look (?:for|up)|looking for|pull up)\b|\bmention(?:s|ed|ing)?\b|^(?:in )?which (?:calls?"
            r"|e?-?mails?|meetings?|messages?|tickets?|conversations?)\b|^where (?:did|was|were|do|has|have)\b"
            r"|\b(?:did|has|have|do|does) (?:\w+ ){1,3}(?:ever )?(?:say|said|ask|asked|raise|raised|bring|brought"
            r"|discuss|discussed|tell|told|talk|talked)\b|\bwhat (?:did|does|has|have) (?:\w+ ){1,3}(?:say|said|tell"
            r"|told)\b"
            r"|\bwhat was said\b|^who (?:(?:at|from|in|of) .{1,40} )?(?:mentioned|said|asked|raised|brought|discussed"
            r"|complained)\b|\bquotes?\b"
        ),
    ),
)
# Whatever it is that shall be searched, here is where it is searched.
_SEARCHES_HERE = re.compile(
    r"^(?:please )?search\b|\bmentions? of\b|^where (?:was|were|did|is|has) .*\b(?:mention\w*|discuss\w*|brought up|talk\w*|rais\w+)\b",
    re.IGNORECASE,
)
# Asks to do something, where all that is done here is to answer.
_ACTS = re.compile(
    r"^(?:(?:please|can you|could you|would you|kindly) )*(?:write|draft|compose|translate|convert|delete|remove|erase|book|remind|reply"
    r"|respond|forward|schedule|create|make|build|change|edit|rename|order|buy|pay|install|sing|tell .{0,20}joke|send"
    r"|sign|cancel|call (?:me|her|him))\b",
    re.IGNORECASE,
)
# Less telling: only where nothing else speaks.
_LAST: tuple[tuple[Intent, str], ...] = (
    ("compare", r"\bvs\.?(?!\w)|\bversus\b"),
    ("search", rf"\b{_THING}\b.{{0,40}}\b(?:about|regarding|concerning|on the|touch\w* on)\b"),
    ("timeline", rf"^(?:please )?(?:show|list|give me|display|get)(?: me)?(?: all| the| our| my| every)? ?{_THING}\b"),
)
# Shows that the question is about customers and what was said with them; "who is the king of Spain" has none of it.
_AT_HOME = re.compile(
    rf"\b(?:{COMPANY}|{PERSON}|we|us|our|ours|accounts?|customers?|clients?|prospects?|reps?|sellers?|sales"
    rf"|{_THING}|pipeline|renewals?|contract|support|onboarding"
    r"|sentiment|coaching|timeline|topics|themes|talk ratio|monologues?|objections?|touch ?points?|slack|gong"
    r"|hubspot|salesforce|zendesk|crm|transcripts?|passages?|quotes?|pricing|competitors?|buyers?|vendors?)\b",
    _I,
)


@dataclass(frozen=True, slots=True)
class ReadIntent:
    """An intent, how sure, and whether the question is about customers at all."""

    intent: Intent | None
    confidence: float  # in [0, 1]
    at_home: bool


def asks_to_act(masked: str) -> bool:
    """Whether something shall be done, and nothing answered: "write an apology to Acme". Where no rule speaks, it is declined."""
    return _ACTS.match(masked.strip()) is not None


def _compiled(rules: tuple[tuple[Intent, str], ...]) -> list[tuple[Intent, re.Pattern[str]]]:
    return [(intent, re.compile(text, _I)) for intent, text in rules]


_FIRST_RULES, _EARLIEST_RULES, _LAST_RULES = _compiled(_FIRST), _compiled(_EARLIEST), _compiled(_LAST)


def intent_by_rules(masked: str, *, timed: bool = False) -> ReadIntent:
    """The intent that a question's words tell.

    Args:
        masked: The question with known names as `COMPANY` or `PERSON`, without times.
        timed: It names a time.
    """
    masked = " ".join(masked.split()).strip(" ?.!,")
    at_home = _AT_HOME.search(masked) is not None
    for intent, pattern in _FIRST_RULES:
        if pattern.search(masked):
            return ReadIntent(intent, 0.95, at_home or intent in _AT_HOME_ALWAYS or (timed and intent == "compare"))
    found = [(match.start(), place, intent) for place, (intent, pattern) in enumerate(_EARLIEST_RULES) if (match := pattern.search(masked))]
    if found:
        intent = min(found)[2]
        explicit = intent == "search" and _SEARCHES_HERE.search(masked) is not None
        return ReadIntent(intent, 0.9 if len(found) == 1 else 0.8, at_home or explicit or (timed and intent in ("topics", "count")))
    for intent, pattern in _LAST_RULES:
        if pattern.search(masked):
            return ReadIntent(intent, 0.6, at_home)
    return ReadIntent(None, 0.0, at_home)
