"""Words of English that name no subject: they label no topic and count for nothing in a summary. Filler of speech is among them."""

_WORDS = """
a about above actually after again ago ah all almost already alright also although always am an and another any anybody anyone
anything anyway are aren't around as ask asked asking at away back basically be because been before being below best better between
bit both but by bye can can't cannot cheers could couldn't day days dear did didn't do does doesn't doing don't done down during
each either else en enough er etc even ever every everybody everyone everything exactly few first for from further get gets getting
give given go goes going gonna good got great guess guys had hadn't happen has hasn't have haven't having he he'd he'll he's hello
her here here's hers herself hey hi him himself his hmm how how's however i i'd i'll i'm i've idea if in instead into is isn't it
it'd it'll it's its itself just kind know last least let let's like little look looking lot lots made make makes making many matter
may maybe me mean might mine mm more most much must my myself need needs never new next no nobody none nor not nothing now of off
often oh ok okay on once one ones only or other others our ours ourselves out over own part people perhaps please point possible
pretty probably put quite rather re really regards right said same saw say saying says see seem seems seen several shall she she'd
she'll she's should shouldn't since sincerely so some somebody someone something sometimes somewhere soon sort still stuff such sure
take taking talk talking tell than thank thanks that that'd that'll that's the their theirs them themselves then there there's these
they they'd they'll they're they've thing things think thinking this those though thought through thus time times to today together
told tomorrow too took trying two uh uh-huh um under until up upon us use used using usually very via wanna want wanted wants was
wasn't way ways we we'd we'll we're we've week weeks well went were weren't what what's whatever when where whether which while who
who's whole whom whose why will with within without won't wondering work would wouldn't yeah year years yep yes yesterday yet you
you'd you'll you're you've your yours yourself
"""

STOP_WORDS = frozenset(_WORDS.split())
