"""Amounts between pico-units, as facts have them, and decimals in main units, as the API has them. Exact both ways."""

import re

from errors import FeedError

PICO_DIGITS = 12


def decimal_from_pico(pico: int) -> str:
    digits = str(abs(pico)).rjust(PICO_DIGITS + 1, "0")
    fraction = digits[-PICO_DIGITS:].rstrip("0")
    return ("-" if pico < 0 else "") + digits[:-PICO_DIGITS] + (f".{fraction}" if fraction else "")


def pico_from_decimal(text: object) -> int:
    match = re.fullmatch(r"(-?)([0-9]+)(?:\.([0-9]{1,12}))?", str(text))
    if match is None:
        raise FeedError(f"{text!r} is not an amount")
    sign, whole, fraction = match.groups()
    return int(sign + whole + (fraction or "").ljust(PICO_DIGITS, "0"))
