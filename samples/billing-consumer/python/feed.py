"""Reads the billing topic: committed records only, from a position to the end as it was at the start."""

from __future__ import annotations

import io
import json
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import fastavro
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient

from errors import FeedError

JOB_RATED = "webwaka.pf3.billing.JobRated"
BATCH_RECORDS_MAX = 500
ANSWER_SECONDS_MAX = 15


@dataclass(frozen=True)
class Line:
    line_id: str
    kind: str
    quantity: int
    price_pico: int
    amount_pico: int


@dataclass(frozen=True)
class JobRated:
    """What this program reads of a JobRated; a record has more, and may come to have more still."""

    event_id: str
    tenant_id: str
    job_id: str
    currency: str
    billing_period: str
    charged_pico: int
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Batch:
    partition: int
    next_offset: int
    records: int
    facts: list[JobRated]


@dataclass
class Place:
    next: int
    end: int


@dataclass(frozen=True)
class Login:
    username: str
    password: str


@dataclass(frozen=True)
class Access:
    """How brokers and registry are spoken to."""

    tls: bool
    login: Login | None
    """For SASL SCRAM-SHA-512 with the brokers."""
    registry_login: Login | None
    ca_file: str | None
    """Authorities that certificates are proven by; without it those the system knows."""

    def of_brokers(self) -> dict[str, str]:
        settings = {"security.protocol": ("SASL_" if self.login else "") + ("SSL" if self.tls else "PLAINTEXT")}
        if self.tls and self.ca_file is not None:
            settings["ssl.ca.location"] = self.ca_file
        if self.login is not None:
            settings["sasl.mechanism"] = "SCRAM-SHA-512"
            settings["sasl.username"] = self.login.username
            settings["sasl.password"] = self.login.password
        return settings

    def of_registry(self) -> dict[str, str]:
        settings = {}
        if self.ca_file is not None:
            settings["ssl.ca.location"] = self.ca_file
        if self.registry_login is not None:
            settings["basic.auth.user.info"] = f"{self.registry_login.username}:{self.registry_login.password}"
        return settings


class Feed:
    def __init__(self, brokers: str, registry_url: str, topic: str, idle_seconds_max: int, access: Access):
        self._trouble = ""
        self._consumer = Consumer(
            {
                **access.of_brokers(),
                "bootstrap.servers": brokers,
                "client.id": "billing-consumer",
                "group.id": f"billing-consumer-{uuid.uuid4()}",  # Asked for, never joined: partitions are assigned.
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",  # Never go on somewhere else without a word.
                "allow.auto.create.topics": False,
                "error_cb": self._on_error,
                "log_level": 0,
            }
        )
        self._registry = SchemaRegistryClient({"url": registry_url, **access.of_registry()})
        self._schemas: dict[int, tuple[str, object]] = {}
        self._topic = topic
        self._idle_seconds_max = idle_seconds_max
        try:
            metadata = self._consumer.list_topics(topic, timeout=ANSWER_SECONDS_MAX)
        except KafkaException as error:
            self._consumer.poll(0)  # Only now is `_on_error` told what the trouble was.
            raise FeedError(f"No broker of {brokers} answers: {self._trouble or error}") from error
        described = metadata.topics[topic]
        if described.error is not None:
            raise FeedError(f"Topic {topic} cannot be read: {described.error}")
        self._partitions = sorted(described.partitions)
        self.cluster = metadata.cluster_id
        """Id of the Kafka cluster: an offset means something only there."""

    def _on_error(self, error: KafkaError) -> None:
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # Which says no more than what is said here anyway.
            self._trouble = error.str()

    def read(self, start: Mapping[int, int], take: Callable[[Batch], None]) -> None:
        """Hands every batch to `take`, in order per partition. `start`: the next offset of partitions read before."""
        places = {partition: self._place(partition, start.get(partition)) for partition in self._partitions}
        todo = {partition for partition, place in places.items() if place.next < place.end}
        self._consumer.assign([TopicPartition(self._topic, partition, places[partition].next) for partition in todo])
        idle_from = time.monotonic()
        while todo:
            messages = self._consumer.consume(BATCH_RECORDS_MAX, timeout=0.2)
            progress = False
            for partition in {message.partition() for message in messages}:
                mine = [message for message in messages if message.partition() == partition]
                progress = self._advance(partition, places[partition], mine, take) or progress
                if partition in todo and places[partition].next >= places[partition].end:
                    todo.remove(partition)
                    self._consumer.pause([TopicPartition(self._topic, partition)])
            if progress:
                idle_from = time.monotonic()
            elif time.monotonic() - idle_from > self._idle_seconds_max:
                raise FeedError(f"Nothing new of {self._topic} for {self._idle_seconds_max} s. {self._trouble}")

    def _place(self, partition: int, following: int | None) -> Place:
        """The end is the end of what is committed now."""
        at = TopicPartition(self._topic, partition)
        first, end = self._consumer.get_watermark_offsets(at, timeout=ANSWER_SECONDS_MAX)
        if following is not None and not first <= following <= end:
            raise FeedError(
                f"Partition {partition} of {self._topic} has offsets {first} to {end}, but {following} is next:"
                " records are missing. Begin anew, without the stored state"
            )
        if following is None and first > 0:
            print(f"Partition {partition} begins at offset {first}: older facts are in the archive only.", file=sys.stderr)
        return Place(first if following is None else following, end)

    def _advance(self, partition: int, place: Place, messages: list[Message], take: Callable[[Batch], None]) -> bool:
        """Takes what lies before the end; whether that was anything."""
        following = place.next
        facts = []
        for message in messages:
            error = message.error()
            if error is None:
                if place.next <= message.offset() < place.end:
                    facts.append(self._decode(message))
                following = max(following, message.offset() + 1)
            elif error.code() == KafkaError._PARTITION_EOF:
                following = max(following, message.offset())  # Also behind ends of transactions and aborted records.
            else:
                raise FeedError(f"Reading partition {partition} of {self._topic} failed: {error}")
        following = min(following, place.end)
        if following == place.next:
            return False
        take(Batch(partition, following, len(facts), facts))
        place.next = following
        return True

    def _decode(self, message: Message) -> JobRated:
        at = f"Partition {message.partition()}, offset {message.offset()}"
        value = message.value()
        if value is None or len(value) < 5 or value[0] != 0:
            raise FeedError(f"{at}: not a record of a registry")
        name, schema = self._schema(int.from_bytes(value[1:5], "big"), at)
        # A kind of fact that is not known here may change a balance: to skip it would be to be wrong without a word.
        if name != JOB_RATED:
            raise FeedError(f"{at}: {name} is newer than this program; take a newer program")
        try:
            # By the writer's schema, which is always compatible.
            record = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None)
            return _job_rated(record)
        except Exception as error:
            raise FeedError(f"{at}: not a {name}: {error}") from error

    def _schema(self, schema_id: int, at: str) -> tuple[str, object]:
        known = self._schemas.get(schema_id)
        if known is None:
            try:
                parsed = json.loads(self._registry.get_schema(schema_id).schema_str)
            except Exception as error:
                raise FeedError(f"{at}: the registry gives no schema for id {schema_id}: {error}") from error
            known = (f"{parsed.get('namespace')}.{parsed['name']}", fastavro.parse_schema(parsed))
            self._schemas[schema_id] = known
        return known

    def close(self) -> None:
        self._consumer.close()


def _job_rated(record: dict) -> JobRated:
    return JobRated(
        event_id=record["eventId"],
        tenant_id=record["tenantId"],
        job_id=record["jobId"],
        currency=record["currency"],
        billing_period=record["billingPeriod"],
        charged_pico=_whole(record["chargedPico"]),
        lines=tuple(
            Line(
                line_id=line["lineId"],
                kind=line["kind"],
                quantity=line["quantity"],
                price_pico=_whole(line["pricePico"]),
                amount_pico=_whole(line["amountPico"]),
            )
            for line in record["lines"]
        ),
    )


def _whole(decimal) -> int:
    """A decimal of scale 0 as an int, which is exact whatever its size: arithmetic on Decimal itself rounds to 28 digits."""
    whole = int(decimal)
    if whole != decimal:
        raise ValueError(f"{decimal} is not a whole number of pico-units")
    return whole
