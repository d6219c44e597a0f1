"""Dates with words, as ``1 mars 2024 à 03:08``, written as English programs write them: ``1 Mar 2024 03:08``.

Both texts and the strptime patterns that are to read them lose what lies between day, month, year and clock. It must not
know how a pattern is read: what is no date afterwards, is none.
"""

import re
import unicodedata

import polars as pl

_MONTHS = {
    "Jan": "january januar jan jän jänner jenner janvier janv enero ene gennaio gen janeiro januari stycznia styczeń sty "
    "ocak oca января янв tammikuuta tammikuu",
    "Feb": "february februar feb feber février févr fév febrero febbraio fevereiro fev februari lutego luty lut şubat şub "
    "февраля февр фев helmikuuta helmikuu",
    "Mar": "march mar märz mär maerz mrz mars marzo março maart mrt marts marca marzec mart марта март мар maaliskuuta",
    "Apr": "april apr avril avr abril abr aprile kwietnia kwiecień kwi nisan nis апреля апр huhtikuuta huhtikuu",
    "May": "may mai mayo maggio mag maio mei maj maja mayıs мая май toukokuuta toukokuu",
    "Jun": "june juni jun juin junio giugno giu junho juin czerwca czerwiec cze haziran haz июня июн kesäkuuta kesäkuu",
    "Jul": "july juli jul juillet juil julio luglio lug julho lipca lipiec lip temmuz tem июля июл heinäkuuta heinäkuu",
    "Aug": "august aug août aou agosto ago augustus augusti sierpnia sierpień sie ağustos ağu августа авг elokuuta elokuu",
    "Sep": "september sep sept septembre septiembre setiembre settembre setembro set września wrzesień wrz eylül eyl "
    "сентября сент сен syyskuuta syyskuu",
    "Oct": "october oct oktober okt octobre octubre ottobre ott outubro out października październik paź ekim eki "
    "октября окт lokakuuta lokakuu",
    "Nov": "november nov novembre noviembre novembro listopada listopad lis kasım kas ноября нояб ноя marraskuuta",
    "Dec": "december dec dezember dez décembre déc diciembre dic dicembre dezembro desember des grudnia grudzień gru aralık "
    "ara декабря дек joulukuuta joulukuu",
}
"""By their English abbreviations: German, French, Spanish, Italian, Portuguese, Dutch, and what is cheap to know beside."""

_WEEKDAYS = (
    "monday mon tuesday tues tue wednesday wed thursday thurs thu friday fri saturday sat sunday sun "
    "montag mo dienstag di die mittwoch mi mit donnerstag do don freitag fr fre samstag sonnabend sa sam sonntag so son "
    "lundi lun mardi mercredi mer jeudi jeu vendredi ven samedi dimanche dim "
    "lunes martes miércoles mié mie jueves jue viernes vie sábado sáb sab domingo dom "
    "lunedì martedì mercoledì giovedì gio venerdì sabato domenica "
    "segunda-feira segunda seg terça-feira terça ter quarta-feira quarta qua quinta-feira quinta qui sexta-feira sexta sex "
    "maandag ma dinsdag woensdag wo donderdag vrijdag vr zaterdag za zondag zo"
)
_BETWEEN = "the of at on de del a à las às alle ore le il el um den uhr om uur kl klo o godz r в г года"
"""Words around day, month, year and clock that say nothing of their own."""


def _bare(text: str) -> str:
    """Without accents; the Turkish ı has its point, as its large letter becomes an i elsewhere."""
    plain = unicodedata.normalize("NFKD", text).replace("ı", "i")
    return "".join(sign for sign in plain if not unicodedata.combining(sign))


def _any_of(words: str) -> str:
    different = sorted(set(_bare(words).split()), key=lambda word: (-len(word), word))
    return f"(?:{'|'.join(map(re.escape, different))})"


_NOISE = (
    (rf"(?i)\b{_any_of(_BETWEEN)}\b\.?", " "),
    (r"[.,]+(\s|$)", "${1}"),
    (r"(^|\s)[-–—|·](\s|$)", " "),
    (r"\s+", " "),
    (r"^ | $", ""),
)
"""What is left out of texts and patterns alike."""

_OF_TEXTS = (
    (r"\p{M}", ""),
    ("ı", "i"),
    (r"(?i)(\d)\s*([ap])\.?\s?m\b\.?", "${1} ${2}m"),
    *((rf"(?i)\b{_any_of(words)}\b\.?", month) for month, words in _MONTHS.items()),
    (rf"(?i)^\s*{_any_of(_WEEKDAYS)}\b[.,]*\s*", ""),
    # mar. is also mardi and martes
    (rf"^\s*Mar[.,]*\s+(.*\b{_any_of(' '.join(_MONTHS))}\b.*)$", "${1}"),
    (r"(?i)(\d)(?:st|nd|rd|th|er|o)\b", "${1}"),
    *_NOISE,
    (r"\s(\d{1,2})\s?[.h]\s?(\d{2})(?:\s?min)?\b", " ${1}:${2}"),
    (r"(\s\d{1,2}:\d{2})(?:\s?[.m]\s?)(\d{2})(?:\s?s)?\b", "${1}:${2}"),
)
_OF_PATTERNS = (
    (r"%[-_0]?[aA]\b[.,]*\s*", ""),
    (r"%[-_0]?[bBh]\b\.?", "%b"),
    (r"\s*%p", " %p"),
    *_NOISE,
    (r"(%[-_0]?[HI])\s?[.h]\s?%M(?:\s?min)?", "${1}:%M"),
    (r":%M\s?[.m]\s?%S(?:\s?s\b)?", ":%M:%S"),
)
_DATED = rf"(?i)^(?:[^\p{{L}}]|{_any_of(' '.join(_MONTHS))}|am|pm|utc|gmt|z|t)*$"
"""What is left of a date."""


def in_english(values: pl.Series) -> pl.Series:
    """Dates with words as an English program writes them; null where a text has no letter, or other words."""
    text = values.set(~values.str.contains(r"\p{L}").fill_null(False), None)
    if text.null_count() == len(text):
        return text
    text = text.str.normalize("NFKD")
    for written, plain in _OF_TEXTS:
        text = text.str.replace_all(written, plain)
    return text.set(~text.str.contains(_DATED).fill_null(False), None)


def pattern_in_english(pattern: str) -> str:
    """What reads a text of :func:`in_english` where ``pattern`` says how it was written."""
    pattern = _bare(pattern)
    for written, plain in _OF_PATTERNS:
        pattern = re.sub(written, plain.replace("${1}", r"\1"), pattern)
    return pattern
