"""How fast is it, beside what one would write or install instead? Programs, not tests: ``make bench``."""
