"""Selects what to remove from files and tables: events and orders of erased or inactive people, or of expired days."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

import msgspec

from ingestion.landing import Envelope
from ingestion.privacy.anonymous import SOURCE
from ingestion.privacy.identifiers import ORDER, Identifier, of_event
from ingestion.privacy.suppression import Suppressions

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # of event times; earlier and future ones are rejected


class Selection(Protocol):
    """Selects events and orders; an order's lines are selected by its id, after the order itself."""

    suppressions: Suppressions

    def has_event(self, envelope: Envelope) -> bool:
        """Whether an event is selected."""

    def has_order(self, shop: str, identifiers: Sequence[Identifier], created_at: datetime | None) -> bool:
        """Whether an order of the Admin API is selected."""

    def has_line_of(self, shop: str, order: Identifier) -> bool:
        """Whether the lines of an order are selected."""


class Suppressed:
    """Everything on the suppression list. An order recognized by its customer is suppressed from then on."""

    def __init__(self, suppressions: Suppressions) -> None:
        self.suppressions = suppressions

    def has_event(self, envelope: Envelope) -> bool:
        """Whether an event has a suppressed identifier, or its shop was erased after it was received."""
        return self.suppressions.covers(envelope.shop, envelope.received_at) or self.suppressions.matches(
            envelope.shop, of_event(bytes(envelope.event))
        )

    def has_order(self, shop: str, identifiers: Sequence[Identifier], created_at: datetime | None) -> bool:
        """Whether an order has a suppressed identifier, or its shop was erased after it was created."""
        if created_at and self.suppressions.covers(shop, created_at):
            return True
        if not self.suppressions.matches(shop, identifiers):
            return False
        self.suppressions.add(shop, [one for one in identifiers if one.kind == ORDER])
        return True

    def has_line_of(self, shop: str, order: Identifier) -> bool:
        """Whether an order is suppressed."""
        return self.suppressions.contains(shop, order)


class _Timed(msgspec.Struct):
    timestamp: str


_timestamp = msgspec.json.Decoder(_Timed).decode


class Expired:
    """Events before a time, by shop, and those of inactive people; anonymous orders never expire."""

    def __init__(
        self,
        suppressions: Suppressions,
        before: Mapping[str, datetime],
        inactive: Mapping[str, Sequence[Identifier]],
    ) -> None:
        self.suppressions = suppressions
        self._before = before
        self._inactive = {shop: frozenset(found) for shop, found in inactive.items()}
        self._orders: set[tuple[str, Identifier]] = set()

    def has_event(self, envelope: Envelope) -> bool:
        """Whether an event has expired: by its own time or, if it has none, by the time received."""
        if envelope.source == SOURCE:
            return False
        inactive = self._inactive.get(envelope.shop, frozenset())
        if inactive and not inactive.isdisjoint(of_event(bytes(envelope.event))):
            return True
        before = self._before.get(envelope.shop)
        return before is not None and _event_time(envelope) < before

    def has_order(self, shop: str, identifiers: Sequence[Identifier], created_at: datetime | None) -> bool:
        """Whether an order was created before the time, or belongs to an inactive person."""
        before = self._before.get(shop)
        is_old = before is not None and created_at is not None and created_at < before
        expired = is_old or not self._inactive.get(shop, frozenset()).isdisjoint(identifiers)
        if expired:
            self._orders |= {(shop, one) for one in identifiers if one.kind == ORDER}
        return expired

    def has_line_of(self, shop: str, order: Identifier) -> bool:
        """Whether the order has been selected."""
        return (shop, order) in self._orders


def _event_time(envelope: Envelope) -> datetime:
    try:
        moment = datetime.fromisoformat(_timestamp(envelope.event).timestamp)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return envelope.received_at
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment if EARLIEST <= moment <= envelope.received_at + timedelta(days=1) else envelope.received_at
