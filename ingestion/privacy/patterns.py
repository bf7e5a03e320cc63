"""Recognizes personal data by its form: e-mail and IP addresses, phone, card and account numbers, access tokens.

Reads a text, returns what it found. Precise rather than complete: ids, times, hashes and versions, of which a warehouse
has many, are not reported.
"""

import ipaddress
import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote

from ingestion.collector.personal_rules import RULES
from ingestion.collector.personal_text import is_id

E_MAIL, PHONE, CARD, ACCOUNT, TOKEN, IP = "e-mail", "phone", "card", "account", "token", "ip"
KINDS = (E_MAIL, PHONE, CARD, ACCOUNT, TOKEN, IP)

_AROUND = 30  # characters before a number that may say what it is
_E_MAIL = re.compile(
    r"(?<![\w.%+'-])(?<!//)[\w.%+'-]{1,64}@(?!\d(?:\.\d)?x[._-])[^\W_](?:[\w-]*[^\W_])?(?:\.[\w-]+)*\.[^\W\d_]{2,24}(?![\w-])"
)
_E_MAIL_REACH = 64, 255
_TOKEN = re.compile(
    r"(?<![\w-])(?:eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|shp(?:at|ca|pa|ss|tka|ua)_[0-9a-f]{16,}|[sr]k_(?:live|test)_\w{8,})"
    r"|[?&;](?!checkout_token=)(?:key|\w{0,40}token)=(?!\[removed\])[^\s&#;\"'<>\\]{6,}",
    re.IGNORECASE,
)
_TOKEN_HINTS = ("eyJ", "shp", "k_live", "k_test", "key=", "oken=")
_NUMBER = re.compile(r"[+(]{0,2}\d(?:[ .\-/()\u00a0\u2010-\u2015]{0,3}\d){6,18}")
_SEPARATORS = re.compile(r"[ \-]")
_CARD = re.compile(r"(?:4\d{3}|5[1-5]\d\d|2[2-7]\d\d|35\d\d|6(?:011|4[4-9]\d|5\d\d))\d{12}|3[47]\d{13}")
_CARD_GROUPS = re.compile(r"\d{4}([ -])\d{4}\1\d{4}\1\d{4}|3\d{3}([ -])\d{6}\2\d{5}|\d{15,16}")
# What may not precede the next three is checked separately: a pattern that starts with it takes three times as long.
_ACCOUNT = re.compile(r"[A-Z]{2}\d{2}(?:[A-Z]{4}\d{10,26}|\d{11,26}|(?: [A-Z0-9]{4}){3,7}(?: [A-Z0-9]{1,3})?)(?![\w-])")
_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}(?![\w-]|\.\d)")
_IPV6 = re.compile(
    r"[0-9A-Fa-f]{1,4}:(?:(?:[0-9A-Fa-f]{1,4}:){6}|(?:[0-9A-Fa-f]{1,4}:)*(?::[0-9A-Fa-f]{1,4})*:)[0-9A-Fa-f]{1,4}(?![\w:.])"
)
_WORD = re.compile(r"[\w-]")
_BEFORE, _AFTER = re.compile(r"[\w.-]"), re.compile(r"[\w-]|\.\d")
_PHONES = [re.compile(rule["find"], re.IGNORECASE) for rule in RULES["texts"] if rule["put"] == "[phone]"]
_ESCAPED_AT = re.compile(r"\\u0040|%2540|%40", re.IGNORECASE)
_ENCODED_PLUS = re.compile(r"%2B\d", re.IGNORECASE)


class Found(NamedTuple):
    """Personal data in a text."""

    kind: str
    value: str

    @property
    def masked(self) -> str:
        """The value as it may be shown: its first and last two characters."""
        return f"{self.value[:2]}…{self.value[-2:]}"


def find(text: str, numbers: bool = True) -> Iterator[Found]:
    """Everything personal in a text.

    Args:
        numbers: whether to look for phone numbers and IP addresses (in a user agent, these are versions).
    """
    if is_id(text):
        if len(text) in (15, 16) and _CARD.fullmatch(text) and is_luhn(text):
            yield Found(CARD, text)
        return
    plain = _ESCAPED_AT.sub("@", text) if "40" in text else text
    if "@" in plain:
        yield from _e_mails(plain)
    if any(hint in text for hint in _TOKEN_HINTS):
        yield from (Found(TOKEN, match[0].lstrip("?&;")) for match in _TOKEN.finditer(text))
    if numbers:
        if _ENCODED_PLUS.search(plain):  # in forms, + is a space
            plain = unquote(plain.replace("+", " "))
        for found in _accounts(plain):
            yield found
            plain = plain.replace(found.value, "[account]")
        yield from _numbers(plain)
        yield from _addresses(text)


def _e_mails(text: str) -> Iterator[Found]:
    at, end = text.find("@"), 0
    while at >= 0:
        match = _E_MAIL.search(text, max(at - _E_MAIL_REACH[0], end), at + _E_MAIL_REACH[1])
        if match:
            yield Found(E_MAIL, match[0])
            end = match.end()
        at = text.find("@", max(at + 1, end))


def _accounts(text: str) -> Iterator[Found]:
    for match in _ACCOUNT.finditer(text):
        if not _WORD.match(text[max(match.start() - 1, 0) : match.start()]) and is_account(match[0]):
            yield Found(ACCOUNT, match[0])


def _numbers(text: str) -> Iterator[Found]:
    for match in _NUMBER.finditer(text):
        number, begin, end = match[0], match.start(), match.end()
        digits = _SEPARATORS.sub("", number)
        if len(digits) in (15, 16) and _CARD.fullmatch(digits) and _is_card(text, number, begin, end, digits):
            yield Found(CARD, digits)
        elif number != digits or not digits.isdigit() or text[max(begin - 1, 0) : begin].strip(":= .-/") == "":
            yield from _phone(text, number, begin, end)


def _is_card(text: str, number: str, begin: int, end: int, digits: str) -> bool:
    is_separate = not _AFTER.match(text[end : end + 2]) and not _BEFORE.match(text[max(begin - 1, 0) : begin])
    return is_separate and _CARD_GROUPS.fullmatch(number) is not None and is_luhn(digits)


def _phone(text: str, number: str, begin: int, end: int) -> Iterator[Found]:
    """The number, if one of the collector's rules recognizes it as a phone number in this context."""
    start = max(begin - _AROUND, 0)
    around = ("x" if start else "") + text[start : end + 2]  # a window's edge is not the beginning of a word
    for rule in _PHONES:
        match = rule.search(around)
        if match and len(re.sub(r"\D", "", match[0])) >= 7 and number[-2:] in match[0]:
            yield Found(PHONE, number)
            return


def _addresses(text: str) -> Iterator[Found]:
    if "." in text:
        for match in _IPV4.finditer(text):
            before = text[max(match.start() - 3, 0) : match.start()]
            if (
                before[-1:] not in ("/", ".")
                and before != "rv:"
                and not _WORD.match(before[-1:])
                and _is_of_somebody(match[0])
            ):
                yield Found(IP, match[0])
    if text.count(":") > 2:
        for match in _IPV6.finditer(text):
            before, groups = (
                text[max(match.start() - 1, 0) : match.start()],
                [group for group in match[0].split(":") if group],
            )
            if len(groups) > 2 and before not in (":", ".") and not _WORD.match(before) and _is_of_somebody(match[0]):
                yield Found(IP, match[0])


def is_luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of a card number (ISO/IEC 7812)."""
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


def is_account(text: str) -> bool:
    """Whether the check digits of an IBAN are right (ISO 13616)."""
    plain = text.replace(" ", "").upper()
    return int("".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])) % 97 == 1


def _is_of_somebody(text: str) -> bool:
    """Whether an IP address can be a visitor's: not loopback, local or multicast."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    local = address.is_loopback or address.is_unspecified or address.is_link_local or address.is_multicast
    return not (local or any(address in network for network in _LOCAL if network.version == address.version))


_LOCAL = [
    ipaddress.ip_network(name)
    for name in ("0.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "240.0.0.0/4", "fc00::/7")
]
