"""Files of other encodings than UTF-8."""

import pytest

from shoploop.data.encodings import Recoding, encoding_of, in_utf8
from shoploop.errors import DataUnreadable, SpecInvalid

WORDS = {
    "cp1252": "Käse Brötchen Äpfel Öl Müsli Kürbis Gemüse Früchte Nüsse Süßes Würze Größe Crème Café Pâté Jamón Piñata",
    "cp1251": "Молоко Хлеб Сыр Масло Яблоко Чай Колбаса Огурец Сахар Соль",
    "cp1253": "Γάλα Ψωμί Τυρί Μήλο Τσάι Ζάχαρη Αλάτι Ελιές Λάδι Αυγό",
    "cp1256": "حليب خبز جبن تفاح شاي سكر ملح زيتون أرز لحم سمك دجاج",
    "cp874": "นม ขนมปัง ชีส แอปเปิล ชา น้ำตาล เกลือ ข้าว ไก่ ปลา",
    "cp932": "牛乳 パン チーズ りんご お茶 醤油 味噌 砂糖 緑茶 海苔 うどん",
    "gb18030": "牛奶 面包 奶酪 苹果 绿茶 酱油 白糖 食盐 方便面 可口可乐 衬衫",
    "big5": "牛奶 麵包 起司 蘋果 綠茶 醬油 白糖 食鹽 泡麵 可口可樂 襯衫",
    "cp949": "우유 치즈 사과 녹차 간장 설탕 소금 라면 김치 셔츠 바지",
}


@pytest.mark.parametrize("encoding", WORDS)
def test_a_file_of_one_encoding_is_read_as_it(encoding):
    text = "item,price\n" + "".join(f"{word},{len(word)}\n" for word in WORDS[encoding].split())
    recoding = Recoding()
    assert recoding.text(text.encode(encoding)) == text
    assert (recoding.encoding, recoding.lines) == (encoding, len(WORDS[encoding].split()))


def test_what_was_found_at_first_holds_for_the_lines_that_follow():
    recoding = Recoding()
    recoding.text("\n".join(WORDS["cp932"].split()).encode("cp932"))
    assert recoding.text("茶\n".encode("cp932")) == "茶\n"


def test_of_a_few_signs_nothing_is_told_and_windows_1252_is_taken():
    assert encoding_of(["Молоко".encode("cp1251")]) == "cp1252"


def test_lines_of_utf8_beside_others_stay_what_they_are():
    recoding = Recoding()
    raw = "Käse\n".encode() + "\n".join(WORDS["cp1251"].split()).encode("cp1251") + "\nХлеб".encode()
    assert recoding.text(raw) == "Käse\n" + "\n".join(WORDS["cp1251"].split()) + "\nХлеб"


def test_two_bytes_that_are_a_sign_of_utf8_by_chance_are_read_as_the_other_lines_are():
    word = "拢"
    assert word.encode("gb18030").decode() == "£"
    recoding = Recoding()
    text = "\n".join([*WORDS["gb18030"].split(), word])
    assert recoding.text(text.encode("gb18030")) == text


def test_an_encoding_that_was_named_is_taken():
    text = "Łódź,Żurek\n"
    assert in_utf8(text.encode("cp1250"), "cp1250", shown="x.csv") == text.encode()
    assert in_utf8(text.encode("utf-8-sig"), "utf-8", shown="x.csv") == text.encode()


@pytest.mark.parametrize("encoding", ["klingon", "base64"])
def test_what_is_no_encoding_of_text_is_refused_by_name(encoding):
    with pytest.raises(SpecInvalid, match=f"encoding '{encoding}' is not known"):
        in_utf8(b"a", encoding, shown="x.csv")


def test_a_file_of_another_encoding_than_named_is_refused_with_the_place():
    with pytest.raises(DataUnreadable, match=r"x\.csv cannot be read as utf-8 at byte 1"):
        in_utf8(b"a\xff", "utf-8", shown="x.csv")
