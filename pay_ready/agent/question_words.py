"""Words that questions are made of: what stands beside a name or a date without belonging to it. Lower case, closed on purpose."""


def words_in(text: str) -> frozenset[str]:
    """The words of a list that is written as one text."""
    return frozenset(text.split())


PREPOSITIONS = words_in(
    "about across after against along among amid around as at before behind below beneath beside besides between beyond by despite down"
    " during except for from in inside into like near of off on onto out outside over past per regarding since than through throughout"
    " till to toward towards under until unto up upon versus via vs with within without concerning re"
)
SMALL = words_in(
    "a an and any are aren't be been being but can can't could couldn't did didn't do does doesn't done "
    "don't either else ever every had has"
    " have having he her hers him his how however i i'd i'll i'm i've if is isn't it it's its just let let's lets may me might mine must my"
    " neither never no nor not now of oh ok okay one ones or other others our ours please pls shall she should so some somebody someone"
    " something such than thanks thank that that's the their theirs them themselves then there there's these they they're this those though"
    " thus too us very was wasn't we we're we've were what what's whats when when's where where's whether which while who who's whom whose"
    " why will with won't would wouldn't yes yet you you've your yours also all both each few many more most "
    "much several lot lots same only"
    " own still again already always often sometimes anybody anyone anything everyone everybody everything nobody none nothing hi hey hello"
    " dear here"
)
VERBS = words_in(
    "sound sounds sounded perform performs performed performing doing behave react reacted explained answered cancel cancelled canceled"
    " renew renewed sign signed buy bought pay paid prefer prefers expect expects plan plans planned runs drive stand became become"
    " add agree agreed ask asked asking asks assess brief briefed bring bringing brings brought call called "
    "calling came check chronicle coach"
    " coached coaching comment commented commit committed compare compared comparing complain complained "
    "complaining contact contacted count"
    " create cover covered describe detail develop discuss discussed discusses discussing display dominate draw email emailed end ended"
    " escalate escalated evaluate examine explain export fetch feel feeling feels felt filter find finding "
    "follow gave get gets getting give"
    " given go goes going got graph grade group grouped happen happened happening hear heard help identify include including interact"
    " interacted involve involved involving join joined keep know last left list listed listen look looked looking made mail mailed make"
    " making measure meet meeting meets mention mentioned mentioning mentions message messaged met move moved moving need needed note noted"
    " offer offered open opened outline own owns owe owed owes pick plot present print produce promise promised promises promising provide"
    " pull put raise raised rank rate read recap receive received report reported request requested respond "
    "responded review review run said"
    " say saying says schedule scheduled score search see seem seems send sent share show showed showing shown sort speak speaking speaks"
    " spoke spoken start started stand stands summarise summarised summarize summarized sum talk talked talking talks tell think thinking"
    " thinks thought told took trace track trend trending trends turn turned update use used visualise visualize want wanted wants"
    " went win won work worked working works write wrote written change changed changing come coming drop dropped fall grow improve"
    " improved improving decline declined respond reach reached love like liked likes hate complain handled handle handling close closed"
)
NOUNS = words_in(
    "account accounts action actions activities activity agenda agreement agreements amount analysis answer answers area areas attendee"
    " attendees average averages background ball best better breakdown briefing budget business buyer buyers "
    "calendar calls case cases change"
    " changes channel channels chart chat chats chronology client clients colleague colleagues comments "
    "commitment commitments communication"
    " communications company companies comparison complaint complaints concern concerns contract contracts "
    "contacts conversation conversations"
    " correspondence customer customers dashboard data date dates deal deals decision decisions demo demos "
    "detail details difference discount"
    " discounts discovery discussion discussions duration emails emotion engagement engagements entries "
    "entry episode events event everything"
    " evidence example examples exchange exchanges executive exec expansion feature features feedback feelings fewest figure figures file"
    " files first follow-up follow-ups followup followups frequency gist graph happy highlights highlight history hour hours inbound"
    " incident incidents info information insight insights interaction interactions internal interview intro "
    "issue issues item items keyword"
    " keywords kickoff kick-off lead leads least less letter letters limit line lines links link log logs "
    "longest mails main manager meetings"
    " members member messages minute minutes monologue monologues mood morale negative neutral news next notes number numbers objection"
    " objections onboarding one-on-one opinion opportunities opportunity order outbound outcome outcomes "
    "outreach overview owner participants"
    " participant partner partners people percentage performance period person persons phone pipeline points point positive post posts"
    " presentation pricing problem problems product products progress promise prospect prospects qbr question questions quote quotes rating"
    " ratio recent recently recording recordings records record relationship renewal renewals rep reps replies reply requests responses"
    " response results result risk risks role sales salesperson scorecard scores sentiment session sessions side situation slack snippets"
    " snippet source sources spike stats statistics status steps step story stuff subject subjects summaries "
    "summary support survey talks task"
    " tasks team teams texts text theme themes thing things thread threads ticket tickets time timeline "
    "times tl;dr tldr together tone top topic"
    " topics total totals touch touchpoint touchpoints training transcript transcripts trending trend trends "
    "update updates upset usage user"
    " users view views visits visit voice web webinar webinars week word words worst zoom day month quarter year weeks days months quarters"
    " years daily weekly monthly quarterly yearly annual annually ago today yesterday tomorrow tonight "
    "morning afternoon evening night weekend"
)
ADJECTIVES = words_in(
    "active angry annoyed bad big biggest brief common complete critical current currently different "
    "dissatisfied early earlier entire external"
    " final frequent frustrated full good great happier happiest hard high higher highest important joint "
    "key large largest late lately later"
    " latest long low lower lowest major negative new newest notable old older oldest open overall particular possible previous prior quick"
    " quickly raw real recent relevant sad satisfied short shortest similar single small specific unhappy unhappiest upcoming urgent useful"
    " well whole wrong exactly mostly roughly approximately approx usually generally ever directly actually really maybe perhaps"
)
LANGUAGES_AND_TOOLS = words_in(
    "english german french spanish italian dutch portuguese polish swedish danish norwegian finnish czech japanese"
)
QUESTION_WORDS = PREPOSITIONS | SMALL | VERBS | NOUNS | ADJECTIVES | LANGUAGES_AND_TOOLS

# What a customer relationship leaves behind: "June calls" is a time and its calls.
INTERACTION_NOUNS = words_in(
    "activity calls call chats chat complaints complaint conversations correspondence emails email events "
    "feedback interactions issues mails"
    " meetings meeting messages notes numbers objections promises questions recap report sentiment summary threads tickets timeline topics"
    " touchpoints transcripts demos commitments cases tasks visits renewals"
)
