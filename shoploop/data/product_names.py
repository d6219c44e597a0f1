"""Readable product names from the clipped capitals of the Complete Journey's product table.

The dataset names no product: it has a category, a type cut off after 30 letters, a package size and whether the brand
is private. ``SFT DRNK 2 LITER BTL CARB INCL`` becomes ``Soft drink, 2 liter bottle``.
"""

import re
import string
from collections import Counter
from collections.abc import Iterable

CUT_OFF_LENGTH = 29
"""Types this long or longer were cut after 30 letters (trailing blanks are gone)."""

# What a shopper calls the best-selling types, where spelling out the abbreviations would not say it.
_NAMES = {
    "BEERALEMALT LIQUORS": "Beer",
    "CANDY BARS (SINGLES)(INCLUDING": "Candy bar",
    "CANISTER POTATO/TORT CHIPS": "Potato chips in a canister",
    "CHEESE CRACKERS (CHEEZ-ITS/GOL": "Cheese crackers",
    "DAIRY CASE 100% PURE JUICE - O": "Orange juice",
    "DAIRY CASE 100% PURE JUICE OTH": "Chilled fruit juice",
    "DAIRY CASE CITRUS PNCH/OJ SUBS": "Chilled citrus punch",
    "DAIRY CASE FRUIT DRINKS (NO JU": "Chilled fruit drink",
    "DAIRY CASE JUICE DRNK UNDER 10": "Chilled juice drink",
    "DAIRY CASE TEA WITH SUGAR OR S": "Chilled sweet tea",
    "FLUID MILK WHITE ONLY": "White milk",
    "FRZN BREADED PREPARED CHICK": "Frozen breaded chicken",
    "FRZN MULTI SERVE ENTREES ALL": "Frozen family meal",
    "FRZN SS PREMIUM ENTREES/DNRS/N": "Frozen meal, premium",
    "FRZN SS PREMIUM ENTREES/DNRS/T": "Frozen meal, premium",
    "GASOLINE-REG UNLEADED": "Gasoline, regular unleaded",
    "IWS SINGLE CHEESE": "Wrapped cheese slices",
    "MAINSTREAM WHEAT/MULTIGRAIN BR": "Wheat or multigrain bread",
    "MAINSTREAM WHITE BREAD": "White bread",
    "MEXICAN SAUCESSALSAPICANTEE": "Mexican salsa",
    "MISCELLANEOUS CANDY (INCLUDING": "Candy, miscellaneous",
    "NATURAL CHEESE EXACT WT CHUNKS": "Natural cheese, block",
    "NATURAL CHEESE EXACT WT SLICES": "Natural cheese, sliced",
    "NON-CARB FLVRD DRNKNG/MNRL WAT": "Flavored still water",
    "NON-CRBNTD DRNKING/MNERAL WATE": "Still water",
    "PLSTC CTLRYTBLCLTHSTTHPKSST": "Plastic cutlery and tableware",
    "SEMI-SOLID SALAD DRESSING MAY": "Mayonnaise",
    "SFT DRNK 2 LITER BTL CARB INCL": "Soft drink, 2 liter bottle",
    "SFT DRNK MLT-PK BTL CARB (EXCP": "Soft drink, bottles, multi-pack",
    "SFT DRNK SNGL SRV BTL CARB (EX": "Soft drink, single bottle",
    "SGL SV/VEND MACH SNACKS CHIP/P": "Snack bag, single serve",
    "SOFT DRINK BOTTLE NON-CARB (EX": "Still soft drink, bottle",
    "SOFT DRINKS 12/18&15PK CAN CAR": "Soft drink, cans, 12 to 18 pack",
    "SOFT DRINKS 20PK&24PK CAN CARB": "Soft drink, cans, 20 to 24 pack",
    "SOFT DRINKS 6PK/4PK CAN CARB (": "Soft drink, cans, 4 to 6 pack",
    "SOFT DRINKS CAN NON-CARB (EXCE": "Still soft drink, cans",
    "SS ECONOMY ENTREES/DINNERS ALL": "Frozen meal, economy",
    "SW GDS: SW ROLLS/DAN": "Sweet rolls and Danish",
    "SW GDS:DONUTS": "Donuts",
    "VAC PAC NUTS(CANS)": "Nuts in a can",
    "VARIETY BEANS - KIDNEY PINTO": "Kidney or pinto beans",
    "YOGURT NOT MULTI-PACKS": "Yogurt, single",
}

_WORDS = {
    "&": "and",
    "ACC": "accessories",
    "BEV": "beverage",
    "BG": "bag",
    "BN": "beans",
    "BRD": "bread",
    "BRKFST": "breakfast",
    "BTL": "bottle",
    "BTR": "butter",
    "CARB": "carbonated",
    "CATFD": "cat food",
    "CHIX": "chicken",
    "CHOC": "chocolate",
    "CHOCOCLATE": "chocolate",
    "CLEANG": "cleaning",
    "CND": "canned",
    "CNTRL": "control",
    "COFF": "coffee",
    "CONC": "concentrate",
    "CRAN": "cranberry",
    "CRYSTL": "crystal",
    "DAN": "Danish",
    "DECAF": "decaffeinated",
    "DNR": "dinner",
    "DNRS": "dinners",
    "DOGFD": "dog food",
    "DPS": "dips",
    "DRIN": "drink",
    "DRINKS": "drinks",
    "DRNK": "drink",
    "DRNKS": "drinks",
    "DRSNG": "dressing",
    "EXCP": "except",
    "FD": "food",
    "FEM": "feminine",
    "FLVR": "flavor",
    "FLVRD": "flavored",
    "FRD": "fried",
    "FRZ": "frozen",
    "FRZN": "frozen",
    "GDS": "goods",
    "GRND": "ground",
    "HBC": "care",
    "HYGN": "hygiene",
    "IQF": "frozen pieces",
    "JCE": "juice",
    "JUI": "juice",
    "LBS": "lb",
    "LIQ": "liquid",
    "MISC": "miscellaneous",
    "MIXS": "mixes",
    "MLK": "milk",
    "MNRL": "mineral",
    "MW": "microwave",
    "MX": "mix",
    "MXS": "mixes",
    "PKG": "package",
    "PKLD": "pickled",
    "PNT": "peanut",
    "PREM": "premium",
    "PREP": "prepared",
    "PRPCK": "prepacked",
    "PWDR": "powder",
    "REFRGRATD": "chilled",
    "REFRIG": "chilled",
    "REFRIGERATED": "chilled",
    "REG": "regular",
    "RTS": "ready-to-serve",
    "SAL": "salad",
    "SALD": "salad",
    "SAUS": "sausage",
    "SFT": "soft",
    "SGL": "single",
    "SHLDR": "shoulder",
    "SNDWCH": "sandwich",
    "SNGL": "single",
    "SPECILATY": "specialty",
    "SPLY": "supplies",
    "SPRD": "spread",
    "SRV": "serve",
    "STK": "stick",
    "SUPP": "supplements",
    "SV": "serve",
    "SW": "sweet",
    "SWEETNERS": "sweeteners",
    "SYRP": "syrup",
    "TISS": "tissue",
    "TODD": "toddler",
    "TORT": "tortilla",
    "TRSH": "trash",
    "VEG": "vegetable",
    "W": "with",
    "WHL": "whole",
    "WHLSM": "wholesome",
    "WTR": "water",
}

_CAPITALISED = {
    *("AMERICAN", "ANGUS", "ANJOU", "ASIAN", "BARTLETT", "CALIFORNIA", "CHINESE", "CHRISTMAS", "DANISH", "EASTER"),
    *("ENGLISH", "FLORIDA", "FRENCH", "FUJI", "GALA", "GRANNY", "GREEK", "HALLOWEEN", "HASS", "HISPANIC", "INDIAN"),
    *("ITALIAN", "JAPANESE", "KOSHER", "MEXICAN", "POLISH", "SMITH", "SWISS", "TEXAS", "THANKSGIVING", "VALENTINE"),
}
_ACRONYMS = {"BBQ", "TV", "DVD", "DVDS", "CD", "UHT", "PC"}
_QUALITIES = {
    *("ALL", "ANGUS", "BETTER", "BLENDS", "BONE", "BONELESS", "BREAST", "CHOICE", "COOKED", "CUPS", "DIPS", "DRY"),
    *("ECONOMY", "ENHANCED", "ENROBED", "ENTREES", "FOR", "FRESH", "FROZEN", "GARDEN", "GRND", "HOT", "IN", "IQF"),
    *("LEAN", "LINKS", "MAINSTREAM", "MEAT", "MEDIUM", "MICROWAVABLE", "MISC", "MISCELLANEOUS", "NATURAL", "OTHER"),
    *("PATTIES", "PATTY", "PINTS", "PLUS", "POPULAR", "PORK", "POULTRY", "PREMIUM", "PRIMAL", "RAW", "REGULAR", "RIBS"),
    *("ROLLS", "SEASONAL", "SELECT", "SMOKED", "SOUP", "SPECIALTY", "STEW", "STICKS", "SUPER", "TRADITIONAL", "VALUE"),
    *("WINGS", "YOU"),
}
"""Types of only such words say nothing without their category: ``PREMIUM`` of what?"""

_UNITS = {
    **{"CT": "ct", "EA": "each", "FL OZ": "fl oz", "FT": "ft", "GA": "gal", "GAL": "gal", "GM": "g", "IN": "in"},
    **{
        "L": "l",
        "LB": "lb",
        "LBS": "lb",
        "LT": "l",
        "LTR": "l",
        "ML": "ml",
        "OZ": "oz",
        "PK": "pack",
        "PT": "pt",
        "QT": "qt",
    },
    **{"ROLL": "rolls", "SQ FT": "sq ft", "YD": "yd", "LITER": "l", "DOZ": "dozen", "DZ": "dozen", "LDS": "loads"},
}
_SIZE = re.compile(r"(?:\d{5,}\s+)?((?:\d{1,2}/)?\d{0,3}(?:\.\d+|\d))\s*([A-Z]+(?: [A-Z]{2})?)")
_OPEN_OR_CLOSED_BRACKET = re.compile(r"\([^)]*\)?")


def spell_out(pairs: Iterable[tuple[str | None, str | None]]) -> dict[tuple[str | None, str | None], str | None]:
    """The readable name of each (category, type); None where both are unknown.

    All pairs are needed at once: words of the types that were not cut complete those that were.
    """
    pairs = list(pairs)
    known = Counter(
        word
        for text in sorted({text for pair in pairs for text in pair if text})
        if len(text) < CUT_OFF_LENGTH
        for word in re.findall(r"[A-Z]+", text)
    )
    return {pair: _name(*pair, known) for pair in pairs}


def package_size(text: str | None) -> str | None:
    """``159608 7 OZ`` becomes ``7 oz``; None for what is no size, such as an order number."""
    match = _SIZE.fullmatch((text or "").strip())
    if not match or match[2] not in _UNITS:
        return None
    amount = match[1].removesuffix(".0")
    return f"{'0' if amount.startswith('.') else ''}{amount} {_UNITS[match[2]]}"


def _name(category: str | None, kind: str | None, known: Counter[str]) -> str | None:
    if kind is None:
        return _sentence(category, known) if category else None
    if kind in _NAMES:
        return _NAMES[kind]
    name = _sentence(kind, known)
    words = set(re.findall(r"[A-Z]+", kind))
    if category and words <= _QUALITIES:
        return f"{_sentence(category, known)}, {name[:1].lower()}{name[1:]}"
    return name


def _sentence(text: str, known: Counter[str]) -> str:
    text = _completed(text, known) if len(text) >= CUT_OFF_LENGTH else text
    text = _OPEN_OR_CLOSED_BRACKET.sub(" ", text)
    text = re.sub(r"\bW/O\b", "without ", text)
    text = re.sub(r"\bW/", "with ", text)
    text = re.sub(r"\s*-\s+|\s+-\s*", ", ", text)
    text = re.sub(r"\s*:\s*", ": ", text)
    text = re.sub(r"\s*&\s*", " and ", text).replace("FEM.", "FEM").replace("MISC.", "MISC").replace("HYGN.", "HYGN ")
    text = re.sub(r"[A-Z]+", lambda match: _word(match[0]), text)
    text = re.sub(r"\s+", " ", text).replace(" ,", ",").strip(" ,:;-/.")
    return text[:1].upper() + text[1:]


def _completed(text: str, known: Counter[str]) -> str:
    """The cut-off text with its last word completed to the commonest known one, or without it."""
    head = text.rstrip(string.ascii_uppercase)
    last = text[len(head) :]
    if not last or last in known or last in _WORDS:
        return text
    longer = [word for word in known if word.startswith(last)]
    if len(last) >= 3 and longer:
        return head + max(sorted(longer), key=lambda word: known[word])
    return re.sub(r"\b(AND|OR|OF|WITH|IN|W)\s*$", "", head.rstrip(" -&/(,")).rstrip(" -&/(,")


def _word(word: str) -> str:
    if word in _ACRONYMS:
        return word
    if word in _CAPITALISED:
        return word.capitalize()
    return _WORDS.get(word, word.lower())
