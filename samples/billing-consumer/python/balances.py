"""Every tenant's balance per currency and billing period, exact, with the facts taken and the position: one SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from errors import FeedError
from feed import Batch, JobRated

NO_CHARGE = "no_charge"
"""How the ledger calls the one line of a job that was rated without lines."""


@dataclass(frozen=True)
class KindBalance:
    kind: str
    lines: int
    amount_pico: int


@dataclass(frozen=True)
class Balance:
    tenant_id: str
    currency: str
    period: str
    jobs: int
    amount_pico: int
    by_kind: tuple[KindBalance, ...]


class Balances:
    def __init__(self, path: str | None, topic: str, cluster: str):
        """Without a path in a temporary file of SQLite's own, so that memory stays bounded."""
        self._database = sqlite3.connect(path or "", isolation_level=None)
        self._database.executescript((Path(__file__).parent.parent / "tables.sql").read_text("utf8"))
        self._database.execute(
            "INSERT INTO source SELECT ?, ? WHERE NOT EXISTS (SELECT * FROM source)", (topic, cluster)
        )
        kept = self._database.execute("SELECT topic, cluster FROM source").fetchone()
        if kept != (topic, cluster):
            raise FeedError(f"{path} is about topic {kept[0]} of cluster {kept[1]}, not {topic} of {cluster}")
        self.records = 0
        self.duplicates = 0

    def positions(self) -> dict[int, int]:
        """Next offset of every partition."""
        return dict(self._database.execute("SELECT partition, next_offset FROM position ORDER BY partition"))

    def take(self, batch: Batch) -> None:
        """All of the batch, or nothing."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            new = [self._take_fact(fact) for fact in batch.facts]
            self._database.execute(
                "INSERT OR REPLACE INTO position VALUES (?, ?)", (batch.partition, batch.next_offset)
            )
            self._database.execute("COMMIT")
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self.records += batch.records
        self.duplicates += new.count(False)

    def _take_fact(self, fact: JobRated) -> bool:
        """False for a fact that was taken before."""
        run = self._database.execute
        if run("INSERT OR IGNORE INTO fact VALUES (?)", (fact.event_id,)).rowcount == 0:
            return False
        _check_sums(fact)
        lines = [(line.line_id, line.kind, line.amount_pico) for line in fact.lines]
        lines = lines or [(f"{NO_CHARGE} {fact.job_id}", NO_CHARGE, 0)]
        booked = [
            line
            for line in lines
            if run("INSERT OR IGNORE INTO line VALUES (?, ?)", (fact.tenant_id, line[0])).rowcount > 0
        ]
        if not booked:
            return True
        key = (fact.tenant_id, fact.currency, fact.billing_period)
        for _, kind, amount_pico in booked:
            count, amount = run(
                "SELECT lines, amount_pico FROM balance_of_kind"
                " WHERE tenant_id = ? AND currency = ? AND period = ? AND kind = ?",
                (*key, kind),
            ).fetchone() or (0, "0")
            run(
                "INSERT OR REPLACE INTO balance_of_kind VALUES (?, ?, ?, ?, ?, ?)",
                (*key, kind, count + 1, str(int(amount) + amount_pico)),
            )
        jobs, amount = run(
            "SELECT jobs, amount_pico FROM balance WHERE tenant_id = ? AND currency = ? AND period = ?", key
        ).fetchone() or (0, "0")
        total = int(amount) + sum(amount_pico for _, _, amount_pico in booked)
        run("INSERT OR REPLACE INTO balance VALUES (?, ?, ?, ?, ?)", (*key, jobs + 1, str(total)))
        return True

    def all(self, tenant_id: str | None = None) -> Iterator[Balance]:
        """In order of tenant, currency and period; of one tenant if given."""
        rows = self._database.execute(
            "SELECT tenant_id, currency, period, jobs, amount_pico FROM balance"
            " WHERE tenant_id = coalesce(?, tenant_id) ORDER BY tenant_id, currency, period",
            (tenant_id,),
        )
        for tenant, currency, period, jobs, amount in rows:
            kinds = self._database.execute(
                "SELECT kind, lines, amount_pico FROM balance_of_kind"
                " WHERE tenant_id = ? AND currency = ? AND period = ? ORDER BY kind",
                (tenant, currency, period),
            )
            by_kind = tuple(KindBalance(kind, lines, int(pico)) for kind, lines, pico in kinds)
            yield Balance(tenant, currency, period, jobs, int(amount), by_kind)

    def fact_count(self) -> int:
        return self._database.execute("SELECT count(*) FROM fact").fetchone()[0]

    def close(self) -> None:
        self._database.close()


def _check_sums(fact: JobRated) -> None:
    """A fact that does not add up is not to be booked, whichever of its figures is wrong."""
    total = sum(line.amount_pico for line in fact.lines)
    if total != fact.charged_pico:
        raise FeedError(f"Fact {fact.event_id} charges {fact.charged_pico}, its lines {total}")
    for line in fact.lines:
        if line.quantity * line.price_pico != line.amount_pico:
            raise FeedError(f"Fact {fact.event_id}: line {line.line_id} is not its quantity times its price")
