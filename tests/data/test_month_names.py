"""Dates with words as shops of other languages write them: the same day whichever the language."""

import datetime

import polars as pl
import pytest
import yaml

from shoploop.cli.init import init_recommender
from shoploop.data import time_patterns, times
from shoploop.data.guessing import guess_events

AT = datetime.datetime(2024, 3, 5, 15, 8, tzinfo=datetime.UTC)
DAY = AT.replace(hour=0, minute=0)

MONTHS = {
    "German": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "German, short": "Jan. Feb. Mär. Apr. Mai Jun. Jul. Aug. Sept. Okt. Nov. Dez.",
    "Austrian": "Jänner Feber März April Mai Juni Juli August September Oktober November Dezember",
    "French": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "French, short": "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
    "Spanish": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "Spanish, short": "ene feb mar abr may jun jul ago sept oct nov dic",
    "Italian": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "Italian, short": "gen feb mar apr mag giu lug ago set ott nov dic",
    "Portuguese": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "Portuguese, short": "jan. fev. mar. abr. mai. jun. jul. ago. set. out. nov. dez.",
    "Dutch": "januari februari maart april mei juni juli augustus september oktober november december",
    "Dutch, short": "jan feb mrt apr mei jun jul aug sep okt nov dec",
    "Swedish": "januari februari mars april maj juni juli augusti september oktober november december",
    "Polish": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
    "Turkish": "Ocak Şubat Mart Nisan Mayıs Haziran Temmuz Ağustos Eylül Ekim Kasım Aralık",
    "Russian": "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    "Finnish": "tammikuuta helmikuuta maaliskuuta huhtikuuta toukokuuta kesäkuuta heinäkuuta elokuuta syyskuuta lokakuuta "
    "marraskuuta joulukuuta",
}


def read(*texts, pattern="%d %B %Y"):
    return times.parse(pl.Series("when", texts), time_format=pattern, zone="UTC", where="here").times.to_list()


def read_by_sight(text):
    """All that the patterns which init tries take it for."""
    column = pl.Series("when", [text])
    return [found[0] for found in time_patterns.readings(column, time_patterns.fitting(column)).values()]


@pytest.mark.parametrize("language", MONTHS)
@pytest.mark.parametrize("written", [str, str.upper, str.lower, str.title], ids=["", "LARGE", "small", "Title"])
def test_the_months_of_every_language_are_the_twelve_in_order(language, written):
    days = read(*(f"5 {written(month)} 2024" for month in MONTHS[language].split()))
    assert [day and day.month for day in days] == list(range(1, 13))


def test_months_without_their_accents_are_the_same():
    assert [day.month for day in read("1 fevrier 2024", "1 marco 2024", "1 aout 2024", "1 decembre 2024")] == [
        2,
        3,
        8,
        12,
    ]


@pytest.mark.parametrize(
    "text",
    [
        "5 mars 2024 à 15:08",
        "5 mars 2024 à 15h08",
        "mardi 5 mars 2024 15:08",
        "mar. 5 mars 2024, 15:08",
        "5. März 2024 um 15:08 Uhr",
        "Dienstag, den 5. März 2024, 15:08",
        "5 de marzo de 2024 a las 15:08",
        "martes, 5 de marzo de 2024, 15:08",
        "5 mar 2024, 3:08 p. m.",
        "5 marzo 2024 alle 15:08",
        "martedì 5 marzo 2024 ore 15.08",
        "terça-feira, 5 de março de 2024 às 15:08",
        "5 de mar. de 2024 15:08",
        "5 maart 2024 om 15:08",
        "5. mars 2024 kl. 15.08",
        "March 5th, 2024 at 3:08 PM",
    ],
)
def test_words_between_day_and_clock_are_passed_over(text):
    assert read_by_sight(text) == [AT]


def test_mar_is_march_where_it_is_the_only_month_and_a_tuesday_before_another():
    assert read("mar. 2 janv. 2024", "2 mar 2024", "mar 5 mar 2024") == [
        DAY.replace(month=1, day=2),
        DAY.replace(day=2),
        DAY,
    ]


@pytest.mark.parametrize("pattern", ["%d %B %Y", "%d. %b %Y", "%A, %d. %B %Y", "%d de %B de %Y"])
def test_a_pattern_with_a_month_reads_it_in_any_language(pattern):
    assert read("5 mars 2024", "5. März 2024", "martes, 5 de marzo de 2024", "5 Mar 2024", pattern=pattern) == [DAY] * 4


def test_the_words_of_the_language_may_stand_in_the_pattern():
    assert read("5 mars 2024 à 15:08", pattern="%d %B %Y à %H:%M") == [AT]


def test_a_date_that_one_of_several_patterns_reads_as_it_is_has_no_other_reading():
    texts = "4/3/2024 3:08 PM", "3/4/2024, 3:08 PM", "4 mars 2024"
    days = read(*texts, pattern=["%d/%m/%Y %I:%M %p", "%m/%d/%Y, %I:%M %p", "%d %B %Y"])
    assert [(day.month, day.day) for day in days] == [(3, 4)] * 3


@pytest.mark.parametrize(
    "text", ["5 Marsch 2024", "mars 2024", "32 mars 2024", "5 mars", "Taille 5 mars 2024", "1 de 5 de 2024", "so 12"]
)
def test_what_is_no_date_stays_none(text):
    assert read_by_sight(text) == [] and read(text) == [None]


@pytest.mark.parametrize("pattern", time_patterns.COMMON)
def test_an_english_date_is_read_as_its_own_pattern_says(pattern):
    moments = [
        datetime.datetime(2024, month, day, 15, 8, 30, tzinfo=datetime.UTC) for month in (3, 5, 9) for day in (5, 26)
    ]
    text = pl.Series("when", [f"{moment:{pattern}}" for moment in moments])
    assert pattern in time_patterns.fitting(text)
    assert [day.date() for day in time_patterns.readings(text, [pattern])[pattern]] == [
        moment.date() for moment in moments
    ]


def log(tables, written):
    months = "janvier février mars avril mai juin juillet".split()
    rows = "".join(f"Client {n % 5};Fauteuil {n % 7};{written(n, months[n % 7])}\n" for n in range(60))
    return tables.csv("commandes.csv", "Client;Produit;Date de commande\n" + rows)


def test_a_french_shops_dates_are_read_alike_by_init_and_by_a_run(tables):
    uri = log(tables, lambda n, month: f"{1 + n % 28} {month} 2024 à 03:{n:02}")
    guess = guess_events(uri)
    assert guess.found["time"].columns == ("Date de commande",)
    names = {"user": "Client", "item": "Produit", "time": "Date de commande"}
    events = tables.events(uri, columns=names, timeFormat=guess.time_format)
    assert events.height == 60 and events["time"].dt.month().unique().sort().to_list() == [1, 2, 3, 4, 5, 6, 7]


def test_a_named_column_that_nobody_can_read_is_told(tables, capsys):
    out = tables.folder / "r.yaml"
    uri = log(tables, lambda n, month: f"le {n}e de {month}")
    init_recommender(uri, items=None, out=out, columns=("time=Date de commande",), yes=True, force=True)
    assert "cannot be read yet" in capsys.readouterr().out
    assert "# timeFormat: Give their pattern" in out.read_text()
    assert yaml.safe_load(out.read_text())["kind"] == "Recommender"
