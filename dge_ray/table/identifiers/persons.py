"""Values that name a person: e-mail addresses, telephones, cards, accounts, names. A look at few tells most columns."""

import re
from collections.abc import Sequence

import numpy as np

from dge_ray.phrases import words_of
from dge_ray.table.identifiers.first_names import FIRST_NAMES

_ENOUGH = 0.9  # of the values that are looked at
_NAMED = 0.3  # of names of several words, those with a usual first name
_SAMPLE = 400
_HALF = 0.5
_FEWEST_NAMES = 5

_EMAIL = re.compile(r"[^@\s,;]+@[^@\s,;]+\.[A-Za-z]{2,}|[^@\s,;]+@[^@\s,;.]+\.[^@\s,;]+")
_UUID = re.compile(r"\{?[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}\}?")
_IBAN = re.compile(r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?")
_PHONE = re.compile(r"(?:\+|00)?\s*\(?\d{1,5}\)?(?:[\s./-]*\(?\d{1,5}\)?){1,6}(?:\s*(?:x|ext\.?)\s*\d{1,5})?")
_NETWORK = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}|(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}")
_CARD = re.compile(r"\d(?:[ -]?\d){12,18}")
_TITLE = r"(?:(?:Dr|Prof|Mr|Mrs|Ms|Miss|Herr|Frau|Mme|Sr|Sra|Sir)\.?\s+)?"
_WORD = r"[^\W\d_a-z](?:[^\W\d_]|['’-](?=[^\W\d_]))+"
_PARTICLE = r"(?:van|von|de|der|den|del|della|la|le|da|di|dos|el|al|bin|ten|ter|zu|[^\W\d_a-z]\.?)"
_NAME = re.compile(rf"{_TITLE}{_WORD}(?:(?:\s+{_PARTICLE})*\s+{_WORD}){{1,2}}(?:,?\s+(?:Jr|Sr|II|III|IV|PhD|MD)\.?)?")
_LAST_FIRST = re.compile(rf"(?:{_PARTICLE}\s+)*{_WORD}(?:\s+{_WORD})?,\s*{_WORD}(?:\s+(?:{_WORD}|[^\W\d_a-z]\.?))?")
_ONE_WORD = re.compile(_WORD)

_FULL = frozenset(
    {"name", "names", "fullname", "patient", "employee", "customer", "client", "person", "author", "doctor"}
)
_FULL |= frozenset({"physician", "teacher", "student", "contact", "owner", "applicant", "member", "user"})
_FULL |= frozenset({"nombre", "nom", "nome", "naam", "navn", "namn", "kunde", "kundin", "mitarbeiter", "patientin"})
_PART = frozenset(
    {"firstname", "lastname", "surname", "forename", "vorname", "nachname", "prenom", "givenname", "familyname"}
    | {"apellido", "apellidos", "cognome", "prénom", "achternaam", "efternamn", "nazwisko", "sobrenome"}
    | {"имя", "фамилия", "отчество", "фио", "姓名", "氏名", "姓", "이름", "성명"}
)
PHONES = frozenset({"phone", "telephone", "tel", "mobile", "cell", "fax", "ssn", "iban", "passport", "handy"})
PHONES |= frozenset({"telefon", "telefono", "teléfono", "telefone", "téléphone", "rufnummer", "mobil", "móvil", "gsm"})
PHONES |= frozenset({"телефон", "电话", "手机", "電話", "전화"})
_OF_THINGS = frozenset(
    {"product", "company", "city", "country", "file", "column", "brand", "model", "street", "state", "species", "drug"}
    | {"course", "team", "school", "bank", "item", "category", "class", "region", "county", "station", "event", "song"}
    | {"movie", "game", "genre", "store", "shop", "dish", "food", "car", "make", "place", "district", "type", "group"}
)


def names_persons(texts: Sequence[str], name: str, present: int) -> str | None:
    """What a column's different texts name persons by, as `e-mail addresses`; None for others.

    `name`: the column's. `present`: its values, of which the texts are the different ones.
    """
    step = max(1, len(texts) // _SAMPLE)
    looked = [text.strip() for text in texts[::step] if text.strip()][:_SAMPLE]
    if not looked:
        return None
    share = len(texts) / max(present, 1)
    if _most(looked, _EMAIL):
        return "e-mail addresses"
    if _most(looked, _UUID) and share >= _HALF:
        return "UUIDs"
    if _most(looked, _CARD) and luhn([re.sub(r"[ -]", "", text) for text in looked if _CARD.fullmatch(text)]):
        return "card numbers"
    if _most(looked, _IBAN) and share >= _HALF:
        return "account numbers"
    words = words_of(name)
    if _most(looked, _NETWORK) and (share >= _HALF or "ip" in words):
        return "network addresses"
    if _most(looked, _PHONE) and _phones(looked, share, named=bool(PHONES & set(words))):
        return "telephone or personal numbers"
    return "names of persons" if _names(looked, words, share) else None


def luhn(numbers: Sequence[str]) -> bool:
    """Whether nearly all of the numbers, digits alone, have 13 to 19 digits and the check digit of cards: of random
    ones a tenth has.

    >>> luhn(["4111111111111111", "378282246310005"]), luhn(["4111111111111112"])
    (True, False)
    """
    good = 0
    for number in numbers:
        digits = np.frombuffer(number[::-1].encode(), dtype=np.uint8).astype(np.int64) - ord("0")
        doubled = digits[1::2] * 2
        good += 13 <= len(digits) <= 19 and (digits[::2].sum() + (doubled - 9 * (doubled > 9)).sum()) % 10 == 0
    return bool(numbers) and bool(good >= _ENOUGH * len(numbers))


def _most(texts: Sequence[str], pattern: re.Pattern[str]) -> bool:
    return sum(pattern.fullmatch(text) is not None for text in texts) >= _ENOUGH * len(texts)


def _phones(texts: Sequence[str], share: float, *, named: bool) -> bool:
    """Whether digits are personal numbers: 7 to 15 of them, behind + or brackets, or rarely repeated and in groups or
    under a name that says so."""
    digits = [sum(letter.isdigit() for letter in text) for text in texts]
    long = sum(7 <= count <= 15 for count in digits) >= _ENOUGH * len(texts)
    grouped = sum(not text.isdigit() for text in texts) >= _HALF * len(texts)
    marked = sum(text.startswith(("+", "(", "00")) for text in texts) >= _HALF * len(texts)
    return long and (marked or ((grouped or named) and share >= _HALF))


def _names(texts: Sequence[str], words: list[str], share: float) -> bool:
    if len(texts) < _FEWEST_NAMES or _OF_THINGS & set(words):
        return False
    part = "".join(words) in _PART or {"first", "name"} <= set(words) or {"last", "name"} <= set(words)
    full = bool(_FULL & set(words))
    if (part or full) and all(text == text.lower() for text in texts):
        texts = [text.title() for text in texts]
    several = sum(bool(_NAME.fullmatch(text) or _LAST_FIRST.fullmatch(text)) for text in texts)
    known = sum(bool(FIRST_NAMES & set(re.findall(r"[^\W\d_]+", text.lower()))) for text in texts) / len(texts)
    if several >= _ENOUGH * len(texts):
        return known >= _NAMED or part or (full and (known >= _NAMED / 3 or share >= _HALF))
    if _most(texts, _ONE_WORD):
        return part or (full and known >= _HALF)
    return False
