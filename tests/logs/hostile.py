"""Makes hostile records, the same for the same seed."""

import logging
import random

from shared_core.logs.record import RESERVED

# None of these is part of a secret, nor makes one beside another.
WORDS = "Ticket opened ä 日本 🎟 user_id INFO 2025-11-20 10:30:45,123 apps.tickets \\n \\u0041 %s %d"
NUMBERS = "NaN -Infinity Infinity null true false 0 -0 007 1e5 1.5 -1 .5 1. 1e999 x=1"
PIECES = [
    *WORDS.split(),
    *NUMBERS.split(),
    *" =\"\\'{}[],%/#\n\r\t\0\x1b\x7f\x85\xa0\xad\u2028\u2029\u200b\u202e\u3000\u0301\ufeff\ufffe\ue000",
    *"\ud83d\udc00\U000e0001\U0010ffff",
    "\nINFO 2025-11-20 10:30:45,123 apps.auth Login of admin user_id=1",
    ' user_id=1 role="admin"',
    'msg="forged"',
]
KEYS = ["a", "b", "ticket_id", "user.id", "X-Id", "service", "request_id", "_", "0", "k" * 64]
ODD_KEYS = ["a b", "a=b", 'a"b', "ключ", "", "k" * 70, "a\nb", "A\x1b", *RESERVED]
LOGGERS = ["apps.tickets", "apps", "django.request", "celery.task", "root", 'my "logger"=\x1b', "日本", ""]
LEVELS = [(10, "DEBUG"), (20, "INFO"), (30, "WARNING"), (35, "Level 35"), (40, "ERROR"), (50, "hi there"), (5, "5")]
SCALARS = [None, True, False, 0, -1, 2**63, -(2**64), 10**400, 0.0, -0.0, 1.5, 1e300, 5e-324, 0.1 + 0.2]
SCALARS += [float("inf"), float("-inf")]


class Hostile:
    """Makes records, and tells what must come back."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def text(self):
        return "".join(self.random.choices(PIECES, k=self.random.randrange(6)))

    def value(self):
        return self.text() if self.random.random() < 0.6 else self.random.choice(SCALARS)

    def fields(self, keys):
        return {key: self.value() for key in self.random.sample(keys, self.random.randrange(5))}

    def record(self, extras):
        number, level = self.random.choice(LEVELS)
        message = self.text()
        plain = self.random.random() < 0.5
        record = logging.LogRecord(
            self.random.choice(LOGGERS),
            number,
            "views.py",
            7,
            message if plain else "%s",
            () if plain else (message,),
            None,
        )
        record.levelname = level
        record.created = self.random.choice([0.0, 1.0, 1763634645.123, -0.25, 4102444799.999])
        record.msecs = float(int(record.created % 1 * 1000))
        vars(record).update(extras)
        return record, message
