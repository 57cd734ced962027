"""Holds the balances of one tenant against `GET /v1/billing/ledger`."""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass

from amount import decimal_from_pico, pico_from_decimal
from balances import Balance
from errors import FeedError


@dataclass(frozen=True)
class Ledger:
    url: str
    token: str
    tenant_id: str
    period: str | None
    wait_seconds_max: int
    ca_file: str | None


@dataclass(frozen=True)
class Difference:
    period: str
    what: str
    feed: str
    ledger: str


@dataclass(frozen=True)
class Comparison:
    tenant_id: str
    periods: list[str]
    differences: list[Difference]


def compare_with_ledger(balances: list[Balance], ledger: Ledger) -> Comparison:
    """
    Compares every period that the feed has for the tenant, or the one given. The ledger is a view that follows the log,
    so what differs is asked for again until it is the same or `wait_seconds_max` have passed.
    """
    periods = [ledger.period] if ledger.period else sorted({balance.period for balance in balances})
    if not periods:
        raise FeedError(
            f"The feed has nothing about {ledger.tenant_id}: there is nothing to compare. Give a period"
        )
    until = time.monotonic() + ledger.wait_seconds_max
    differences: list[Difference] = []
    for period in periods:
        from_feed = _figures_of_feed([balance for balance in balances if balance.period == period])
        found = _compare(period, from_feed, _figures_of_ledger(ledger, period))
        while found and time.monotonic() < until:
            time.sleep(1)
            found = _compare(period, from_feed, _figures_of_ledger(ledger, period))
        differences += found
    return Comparison(ledger.tenant_id, periods, differences)


Figures = dict[str, str]
"""What a balance comes to, as text by what it is."""


def _figures(jobs: int, amount_pico: int, by_kind: Iterable[tuple[str, str, int, int]]) -> Figures:
    figures = {"jobs": str(jobs), "amount": decimal_from_pico(amount_pico)}
    for currency, kind, lines, kind_amount_pico in by_kind:
        figures[f"lines of {kind} in {currency}"] = str(lines)
        figures[f"amount of {kind} in {currency}"] = decimal_from_pico(kind_amount_pico)
    return figures


def _figures_of_feed(balances: list[Balance]) -> Figures:
    return _figures(
        sum(balance.jobs for balance in balances),
        sum(balance.amount_pico for balance in balances),
        [(one.currency, kind.kind, kind.lines, kind.amount_pico) for one in balances for kind in one.by_kind],
    )


def _compare(period: str, feed: Figures, ledger: Figures) -> list[Difference]:
    return [
        Difference(period, what, feed.get(what, "0"), ledger.get(what, "0"))
        for what in sorted({*feed, *ledger})
        if feed.get(what, "0") != ledger.get(what, "0")
    ]


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Nobody else is to get the token."""

    def redirect_request(self, *_):
        return None


def _opener_of(ledger: Ledger) -> urllib.request.OpenerDirector:
    tls = ssl.create_default_context(cafile=ledger.ca_file)
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    return urllib.request.build_opener(_NoRedirect(), urllib.request.HTTPSHandler(context=tls))


def _figures_of_ledger(ledger: Ledger, period: str) -> Figures:
    query = urllib.parse.urlencode({"period": period, "limit": 1})
    request = urllib.request.Request(
        f"{ledger.url.rstrip('/')}/v1/billing/ledger?{query}", headers={"authorization": f"Bearer {ledger.token}"}
    )
    try:
        with _opener_of(ledger).open(request, timeout=30) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        said = error.read(500).decode("utf8", "replace")
        raise FeedError(f"{ledger.url} answers {error.code}: {said}") from error
    except OSError as error:
        raise FeedError(f"{ledger.url} cannot be asked: {error}") from error
    try:
        total = json.loads(text)["total"]
        by_kind = [
            (row["currency"], row["kind"], int(row["lines"]), pico_from_decimal(row["amount"]))
            for row in total["byKind"]
        ]
        return _figures(int(total["jobs"]), pico_from_decimal(total["amount"]), by_kind)
    except (KeyError, TypeError, ValueError) as error:
        raise FeedError(f"{ledger.url} does not answer as a ledger does: {error!r}") from error
