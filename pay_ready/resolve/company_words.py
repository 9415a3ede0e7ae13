"""Words of organisations' names that tell little or nothing: legal forms, abbreviations, industries, places. Folded, without dots."""

import re
from collections.abc import Mapping


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _phrases(text: str) -> list[tuple[str, ...]]:
    return [tuple(phrase.split()) for phrase in text.split("|")]


# Legal forms by what they are: a form of one kind is another way to write any form of its kind.
_FORMS_BY_KIND: Mapping[str, str] = {
    "corporation": "inc|incorporated|corp|corporation|pbc|pc|ulc",
    "company": (
        "co|company|cie|compagnie|co ltd|company limited|kabushiki kaisha|kabushikigaisha|kabushikikaisha|kk|yk|yugen kaisha|"
        "and co|and company|limited company|co inc"
    ),
    "limited": (
        "ltd|limited|llc|ltd co|limited liability company|limited liability co|pty ltd|pty|pty limited|proprietary limited|"
        "pvt ltd|pvt|pvt limited|private limited|private limited company|pte ltd|pte|pte limited|unlimited|gmbh|ggmbh|mbh|"
        "gesellschaft mit beschrankter haftung|ug|ug haftungsbeschrankt|sarl|sarlu|eurl|societe a responsabilite limitee|srl|"
        "srls|societa a responsabilita limitata|sociedad de responsabilidad limitada|sociedad limitada|"
        "societatea cu raspundere limitata|societate cu raspundere limitata|sl|slu|bv|bvba|besloten vennootschap|scrl|sprl|"
        "sp z oo|sp zoo|spolka z oo|spolka z ograniczona odpowiedzialnoscia|sro|s r o|spol s ro|spolecnost s rucenim omezenym|"
        "doo|drustvo s ogranicenom odgovornoscu|drustvo sa ogranicenom odgovornoscu|ood|eood|kft|"
        "korlatolt felelossegu tarsasag|lda|ltda|limitada|sociedade limitada|eireli|oy|osakeyhtio|ou|osauhing|uab|sia|ab|"
        "aktiebolag|aps|anpartsselskab|as|aksjeselskap|gk|godo kaisha|yugen gaisha|bhd|sdn bhd|sendirian berhad|ooo|too|tov|"
        "obshchestvo s ogranichennoy otvetstvennostyu|obschestvo s ogranichennoi otvetstvennostyu|"
        "tovarystvo z obmezhenoyu vidpovidalnistyu|wll|fze|fzco|fz llc|fzc|ehf|epe|ike|s de rl|s de rl de cv|limited sirketi|"
        "ltd sti|youxian gongsi|you xian gong si|de rl|tnhh|cong ty tnhh"
    ),
    "stock": (
        "plc|public limited company|ag|akg|aktiengesellschaft|aktiengeselschaft|sa|sab|sau|s a b de cv|sa de cv|sab de cv|"
        "sociedad anonima|sociedad anonima de capital variable|sociedade anonima|societe anonyme|spa|societa per azioni|sapa|"
        "nv|naamloze vennootschap|se|societas europaea|oyj|asa|hf|a s|zrt|nyrt|ad|aktsionerno druzhestvo|dd|jsc|ojsc|pjsc|cjsc|"
        "zao|oao|pao|ao|pat|prat|aat|joint stock company|open joint stock company|public joint stock company|"
        "closed joint stock company|aktsionernoe obshchestvo|publichnoe aktsionernoe obshchestvo|"
        "otkrytoe aktsionernoe obshchestvo|zakrytoe aktsionernoe obshchestvo|otkrytoye aktsionernoye obshchestvo|"
        "aktsionernoye obshchestvo|joint stock co|jsco|tbk|pt|pt tbk|berhad|as|anonim sirketi|spolka akcyjna|"
        "akciova spolecnost|akcine bendrove|ae|anonymi etaireia|gu fen you xian gong si|sas|sasu|"
        "societe par actions simplifiee|sca|kgaa|company limited by shares|saoc|saog|qsc|psc|pjs"
    ),
    "partnership": (
        "llp|lp|lllp|pllc|limited partnership|limited liability partnership|kg|co kg|ohg|gbr|kommanditgesellschaft|"
        "gmbh and co kg|gmbh co kg|cv|vof|snc|sci|ans|bt|sp k|scs|partg|ev|eg|kommanditbolag|hb|kb"
    ),
    "sole": "me|sp|ip|fop",
    "association": "vzw|asbl",
}
LEGAL_FORMS: Mapping[tuple[str, ...], str] = {form: kind for kind, forms in _FORMS_BY_KIND.items() for form in _phrases(forms)}
LONGEST_LEGAL_FORM = max(map(len, LEGAL_FORMS))
FORMS_OF_ONE_WORD = frozenset(form[0] for form in LEGAL_FORMS if len(form) == 1)
# Ordinary words too: a legal form only when it is written like one ("S.p.A.", "A/S"), so that "Day Spa" keeps its name.
ORDINARY_WORDS_TOO = _words("spa as me ad pc se pt eg ev sl ans dd bt too ip sp pat ao ae ike hb kb fop tov epe aat prat psc pjs hf scs")
# Of these and of other short forms, only one at the start or the end of a name counts where its writing is not looked at.
# Removed wherever they stand: of those that are words too, these are more often a form.
LEGAL_FORMS_OF_ONE_WORD = FORMS_OF_ONE_WORD - ORDINARY_WORDS_TOO | {"spa", "as", "se", "sl"}
AMBIGUOUS_FORMS = ORDINARY_WORDS_TOO | _words("ab ou cv sa sab co gk yk ug ag sia")

ASIAN_LEGAL_FORMS = re.compile("株式会社|有限会社|合同会社|股份有限公司|有限责任公司|有限公司|주식회사|유한회사|㈱|㈜")

ABBREVIATIONS: Mapping[str, str] = {
    "mfg": "manufacturing", "intl": "international", "internatl": "international", "int": "international", "tech": "technologies",
    "techs": "technologies", "technology": "technologies", "svcs": "services", "svc": "services", "service": "services",
    "mgmt": "management", "mgt": "management", "grp": "group", "sys": "systems", "system": "systems", "solution": "solutions",
    "assoc": "associates", "assocs": "associates", "bros": "brothers", "univ": "university", "natl": "national", "and": "", "the": "",
}  # fmt: skip
MORE_ABBREVIATIONS: Mapping[str, str] = {
    "soln": "solutions", "solns": "solutions", "engg": "engineering", "europa": "europe",
    "deutschland": "germany", "nederland": "netherlands", "holland": "netherlands", "osterreich": "austria", "schweiz": "switzerland",
    "suisse": "switzerland", "svizzera": "switzerland", "italia": "italy", "espana": "spain", "belgie": "belgium", "belgique": "belgium",
    "danmark": "denmark", "sverige": "sweden", "norge": "norway", "polska": "poland", "rossiya": "russia", "rus": "russia", "ca": "canada",
    "brasil": "brazil", "nippon": "japan", "internationale": "international",
    "internacional": "international", "internazionale": "international", "gebr": "brothers",
    "gebruder": "brothers", "freres": "brothers", "hermanos": "brothers", "hnos": "brothers", "fratelli": "brothers",
    "brother": "brothers", "dept": "department", "govt": "government", "inst": "institute",
    "institut": "institute", "instituto": "institute", "istituto": "institute", "universitat": "university", "universite": "university",
    "universidad": "university", "universita": "university", "universiteit": "university", "lab": "laboratories",
    "labs": "laboratories", "laboratory": "laboratories", "eng": "engineering", "engrg": "engineering", "ind": "industries",
    "inds": "industries", "industry": "industries", "industrie": "industries", "industrial": "industries", "dev": "development",
    "devt": "development", "dist": "distribution", "distr": "distribution", "elec": "electric", "electrical": "electric",
    "electronic": "electronics", "fin": "financial", "gen": "general", "hosp": "hospital", "ins": "insurance", "invest": "investments",
    "investment": "investments", "mkt": "marketing", "mktg": "marketing", "mtn": "mountain", "pharm": "pharmaceuticals",
    "pharma": "pharmaceuticals", "pharmaceutical": "pharmaceuticals", "prod": "products", "prods": "products", "product": "products",
    "props": "properties", "property": "properties", "res": "research", "sci": "sciences", "science": "sciences",
    "scientific": "sciences", "st": "saint", "ste": "saint", "mt": "mount", "ft": "fort", "telecom": "telecommunications",
    "telecomm": "telecommunications", "comm": "communications", "communication": "communications", "trans": "transport",
    "transportation": "transport", "amer": "american", "corps": "corporation", "ctr": "center", "centre": "center", "cent": "center",
    "cntr": "center", "zentrum": "center", "ent": "enterprises", "enterprise": "enterprises", "entp": "enterprises",
    "holdings": "holding", "hldg": "holding", "hldgs": "holding", "gruppe": "group", "groupe": "group", "grupo": "group",
    "gruppo": "group", "groep": "group", "gruppa": "group", "hq": "headquarters", "acad": "academy", "sch": "school", "soc": "society",
    "fdn": "foundation", "found": "foundation", "stiftung": "foundation", "fondation": "foundation", "chem": "chemical",
    "chemicals": "chemical", "chemie": "chemical", "mach": "machinery", "equip": "equipment", "const": "construction",
    "constr": "construction", "bldg": "building", "bldrs": "builders", "consult": "consulting", "cons": "consulting",
    "consultants": "consulting", "consultancy": "consulting", "mus": "museum", "rest": "restaurant", "ristorante": "restaurant",
    "trdg": "trading", "logistic": "logistics", "ship": "shipping", "sw": "software",
    "adv": "advertising", "agcy": "agency", "auto": "automotive", "avn": "aviation", "bk": "bank", "banque": "bank", "banco": "bank",
    "banca": "bank", "uk": "britain", "us": "america", "usa": "america",
}  # fmt: skip

# Joiners and articles; they weigh nothing beside other words.
SILENT_WORDS = _words(
    "the of and und et y e and for a an de la le les du des der die das del di da do dos das los las el il lo von van zu in "
    "at by for to on fur pour per para i s und og och ja ir aan te en no nr"
)
# Words that an owner adds or leaves out without meaning another company.
HOLLOW_WORDS = _words(
    "group holding company corporation co international worldwide global enterprises official incorporated limited main "
    "head office headquarters branch filiale niederlassung succursale koninklijke royal societe firma firm home mv ss fv "
    "hms uss"
)
# Words of a trade, shared by thousands of companies.
TRADE_WORDS = _words(
    "systems solutions technologies services management industries manufacturing consulting partners associates capital "
    "ventures financial finance insurance bank banking trust fund funds investments asset assets energy power oil gas "
    "electric electronics engineering construction building builders development properties realty estate homes logistics "
    "transport shipping freight marine maritime aviation airlines airways trading imports exports import export marketing "
    "media entertainment communications telecommunications software data digital network networks cloud analytics security "
    "design studio studios medical health healthcare care hospital clinic pharmaceuticals biotech laboratories research "
    "sciences institute university college school academy learning education foundation association society council center "
    "department agency ministry food foods beverages restaurant hotels hotel travel tours automotive motors machinery tools "
    "equipment products supply supplies chemical chemicals plastics steel metal metals mining paper textiles fashion retail "
    "stores store shop market distribution distributors packaging agriculture farms water environmental recycling robotics "
    "aerospace defense brothers sons bros fils cafe grill bar house club church library museum theatre theater law legal "
    "attorneys accounting recruitment staffing catering cleaning printing press publishing records music film films "
    "productions interactive games sports fitness wellness beauty cosmetics jewelry advisors advisory commerce business "
    "general national offshore"
)
# Places: a branch or a market. One-sided they are weak, two different ones tell companies apart.
PLACE_WORDS = _words(
    "europe european eu asia africa america american americas north south east west northern southern eastern western emea "
    "apac latam britain british england scotland ireland irish germany german deutschland schweiz switzerland suisse "
    "svizzera austria osterreich france francaise italy italia italiana spain espana iberia portugal netherlands nederland "
    "holland belgium belgie belgique luxembourg denmark danmark sweden sverige norway norge finland suomi nordic poland "
    "polska czech hungary romania bulgaria greece hellas turkey turkiye russia rus rossiya ukraine israel egypt india "
    "indian china chinese hong kong japan nippon korea taiwan singapore malaysia indonesia thailand vietnam philippines "
    "australia australian zealand canada canadian mexico brasil brazil argentina chile colombia peru dubai emirates uae "
    "saudi arabia qatar kuwait london paris berlin munich vienna amsterdam rotterdam den haag eindhoven zurich geneva "
    "madrid barcelona milan rome york boston chicago angeles francisco tokyo osaka seoul beijing shanghai shenzhen mumbai "
    "delhi bangalore sydney melbourne toronto vancouver moscow middle far pacific atlantic nl de fr it es"
)
NUMBERS: Mapping[str, int] = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11,
    "twelve": 12, "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9,
    "tenth": 10, "i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5, "vi": 6, "vii": 7, "viii": 8, "ix": 9, "xi": 11, "xii": 12,
}  # fmt: skip
TENS: Mapping[str, int] = {
    "twenty": 20, "thirty": 30, "forty": 40, "fourty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
