"""The four services under load, while what they stand on is killed, frozen, cut off, filled and skewed.

    python -m tests.chaos --faults 200        # make chaos
    python -m tests.chaos.soak --minutes 10   # make soak

`fleet` is what runs, `load` what asks of it and what it was answered, `faults` what is done to it, `judge` what must
hold after each; `report` is the table.
"""
