"""How many tokens a tenant may spend a day."""

import threading
from collections import Counter
from datetime import date
from typing import Protocol

from pay_ready.model.ids import TenantId


class TokenBudget(Protocol):
    """A counter of tokens by tenant and day. Reserving is one step: two questions at once cannot spend the same rest."""

    def reserve(self, tenant: TenantId, day: date, tokens: int, most: int) -> bool:
        """Count `tokens` in, if the day's count stays within `most`; else count nothing and give False."""
        ...

    def settle(self, tenant: TenantId, day: date, reserved: int, used: int) -> None:
        """Put what was used in the place of what was reserved; `used` may be more."""
        ...


class MemoryBudget:
    """Of one process; forgets the day before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._day = date.min
        self._tokens: Counter[TenantId] = Counter()

    def reserve(self, tenant: TenantId, day: date, tokens: int, most: int) -> bool:
        """See TokenBudget."""
        with self._lock:
            if day > self._day:
                self._day, self._tokens = day, Counter()
            if self._tokens[tenant] + tokens > most:
                return False
            self._tokens[tenant] += tokens
            return True

    def settle(self, tenant: TenantId, day: date, reserved: int, used: int) -> None:
        """See TokenBudget."""
        with self._lock:
            if day == self._day:
                self._tokens[tenant] += used - reserved
