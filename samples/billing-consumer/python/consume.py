"""Rebuilds every tenant's balance from the billing feed, and compares one with the ledger. See README.md beside it."""

from __future__ import annotations

import argparse
import json
import os
import re
import sqlite3
import ssl
import sys
import urllib.parse

from confluent_kafka import KafkaException

from amount import decimal_from_pico
from balances import Balances
from compare import Comparison, Ledger, compare_with_ledger
from errors import FeedError
from feed import Access, Feed, Login


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Exit status: 0 done, and equal if compared; 1 the ledger differs; 2 it could not be done.",
    )
    parser.add_argument("--brokers", required=True, metavar="HOST:PORT[,HOST:PORT]")
    parser.add_argument("--registry", required=True, metavar="URL", help="schema registry with the Confluent API")
    parser.add_argument("--tls", action="store_true", help="speaks to the brokers by TLS")
    parser.add_argument("--user", metavar="NAME", help="SASL SCRAM-SHA-512, by TLS; password in KAFKA_PASSWORD")
    parser.add_argument("--registry-user", metavar="NAME", help="by https; password in REGISTRY_PASSWORD")
    parser.add_argument("--ca", metavar="FILE", help="authorities of all certificates, PEM; otherwise the system's")
    parser.add_argument("--topic", default="pf3.billing", metavar="NAME")
    parser.add_argument("--state", metavar="FILE", help="goes on from there, and keeps position and balances there")
    parser.add_argument("--json", action="store_true", help="says everything as one JSON object")
    parser.add_argument("--compare", metavar="URL", help="compares --tenant with this ledger; token in PF3_TOKEN")
    parser.add_argument("--tenant", metavar="ID")
    parser.add_argument("--period", metavar="YYYY-MM", help="compares this billing period only")
    parser.add_argument("--compare-wait", type=int, default=10, metavar="S", help="how long the ledger may lag")
    parser.add_argument("--idle", type=int, default=60, metavar="S", help="gives up after so long with nothing new")
    values = parser.parse_args()
    if values.user is not None and not values.tls:
        parser.error("--user goes with --tls")
    if values.registry_user is not None and not is_safe_url(values.registry):
        parser.error("--registry-user goes with an https URL in --registry, or http on this machine")
    for user, password_name in ((values.user, "KAFKA_PASSWORD"), (values.registry_user, "REGISTRY_PASSWORD")):
        # In the environment: arguments can be seen by every process of the machine.
        if user is not None and not os.environ.get(password_name):
            parser.error(f"--user and --registry-user need their passwords: {password_name} is not set")
    if values.ca is not None and not is_certificate(values.ca):
        parser.error(f"--ca: {values.ca} cannot be read, or holds no certificate in PEM")
    if values.compare is not None:
        if not is_safe_url(values.compare):
            parser.error("--compare is an https URL, or http on this machine")
        if not values.tenant:
            parser.error("--compare goes with --tenant")
        if not os.environ.get("PF3_TOKEN"):
            parser.error("--compare needs a token of that tenant in PF3_TOKEN")
    if values.period is not None and not re.fullmatch(r"[0-9]{4}-[0-9]{2}", values.period):
        parser.error("--period is a month, as 2026-01")
    return values


def is_safe_url(text: str) -> bool:
    """Tokens and passwords must not cross a network in the clear."""
    url = urllib.parse.urlsplit(text)
    return url.scheme == "https" or (url.scheme == "http" and url.hostname in ("127.0.0.1", "localhost", "::1"))


def is_certificate(path: str) -> bool:
    try:
        ssl.create_default_context(cafile=path)
        return True
    except OSError:
        return False


def access_of(wish: argparse.Namespace) -> Access:
    def login(user: str | None, password_name: str) -> Login | None:
        return None if user is None else Login(user, os.environ[password_name])

    return Access(
        tls=wish.tls,
        login=login(wish.user, "KAFKA_PASSWORD"),
        registry_login=login(wish.registry_user, "REGISTRY_PASSWORD"),
        ca_file=wish.ca,
    )


def main() -> int:
    wish = options()
    feed = Feed(wish.brokers, wish.registry, wish.topic, wish.idle, access_of(wish))
    try:
        balances = Balances(wish.state, wish.topic, feed.cluster)
        try:
            feed.read(balances.positions(), balances.take)
            comparison = None
            if wish.compare is not None:
                ledger = Ledger(
                    url=wish.compare,
                    token=os.environ["PF3_TOKEN"],
                    tenant_id=wish.tenant,
                    period=wish.period,
                    wait_seconds_max=wish.compare_wait,
                    ca_file=wish.ca,
                )
                comparison = compare_with_ledger(list(balances.all(wish.tenant)), ledger)
            (say_json if wish.json else say_text)(wish.topic, balances, comparison)
            return 1 if comparison and comparison.differences else 0
        finally:
            balances.close()
    finally:
        feed.close()


def amounts(amount_pico: int) -> dict[str, str]:
    return {"amount": decimal_from_pico(amount_pico), "amountPico": str(amount_pico)}


def say_json(topic: str, balances: Balances, comparison: Comparison | None) -> None:
    said = {
        "topic": topic,
        "facts": balances.fact_count(),
        "thisRun": {"records": balances.records, "duplicates": balances.duplicates},
        "positions": {str(partition): following for partition, following in balances.positions().items()},
        "balances": [
            {
                "tenantId": one.tenant_id,
                "currency": one.currency,
                "period": one.period,
                "jobs": one.jobs,
                **amounts(one.amount_pico),
                "byKind": [
                    {"kind": kind.kind, "lines": kind.lines, **amounts(kind.amount_pico)} for kind in one.by_kind
                ],
            }
            for one in balances.all()
        ],
        "comparison": comparison
        and {
            "tenantId": comparison.tenant_id,
            "periods": comparison.periods,
            "differences": [vars(difference) for difference in comparison.differences],
        },
    }
    print(json.dumps(said, indent=2, ensure_ascii=False))


def say_text(topic: str, balances: Balances, comparison: Comparison | None) -> None:
    print(
        f"{topic}: {balances.records} records read, {balances.duplicates} of them again;"
        f" {balances.fact_count()} facts in all"
    )
    for one in balances.all():
        amount = decimal_from_pico(one.amount_pico)
        print(f"{one.tenant_id}  {one.period}  {one.currency} {amount}  {one.jobs} jobs")
    if comparison is None:
        return
    for period, what, feed, ledger in (vars(difference).values() for difference in comparison.differences):
        print(f"DIFFERS  {period}  {what}: {feed} in the feed, {ledger} in the ledger")
    if not comparison.differences:
        print(f"{comparison.tenant_id}: the ledger says the same for {', '.join(comparison.periods)}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (FeedError, KafkaException, sqlite3.Error) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
