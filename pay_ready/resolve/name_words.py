"""Words of persons' names that are no names: titles, suffixes, particles. Folded, without dots."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TITLES = _words("dr dott dra frau herr ing mag miss mister mr mrs ms mx prof professor sir dame rev fr hon sr sra mme mlle")
SUFFIXES = _words("jr sr ii iii iv phd md mba cpa esq dds jd pe cfa msc bsc")
# Words that belong to the last name when they stand before it.
PARTICLES_OF_FAMILY_NAMES = _words(
    "af al ap ben bin da de del della den der di do dos du el ibn la le san st ten ter van vom von y zu zum zur"
)

MORE_TITLES = _words(
    "monsieur madame senor senora signor signora dona dipl doktor president prasident presidente lord lady sheikh shaikh shaykh sheik haji"
    " hajji mullah maulana mawlawi qari sayyid general gen colonel col captain capt major maj lieutenant lt sergeant sgt judge father"
    " brother sister pastor bishop"
)
ALL_TITLES = TITLES | MORE_TITLES
# Rank and place in a noble name; a person is often written without them.
NOBLE_WORDS = _words(
    "baron baroness baronet bart bt duke duchess earl count countess viscount viscountess marquess marquis lord lady sir dame knight king"
    " queen prince princess saint 1st 2nd 3rd 4th 5th 6th 7th 8th 9th 10th of the"
)
GENERATIONS = _words("jr junior sr senior ii iii iv")
PARTICLES = PARTICLES_OF_FAMILY_NAMES | _words(
    "abu abou bint ould wa na ur ul ud a as ash az an ad ed es delle dello dei das und vander te"
)
PATRONYMIC_MARKS = _words("bin ben ibn bint")
SERVANTS = _words("abd abdul abdel abdal abdol abdur abder")  # "servant of", before a name of God
# Legal forms that strays of company names leave behind a person's.
FORMS_AFTER_PERSONS = _words("llc ltd inc gmbh sa sarl plc corp")
